// Times, durations and numbers as people read them. Pure: the current time comes in as a value.

const number = new Intl.NumberFormat("en-US");

/** 1234567 → "1,234,567". */
export function count(value: number): string {
  return number.format(value);
}

/** "1 alert", "2 alerts"; `many` where the plural isn't just an s. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** "3 h 12 min": the two largest units of a span in milliseconds. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 || days > 6 ? plural(days, "day") : `${plural(days, "day")} ${hours % 24} h`;
}

/** "14 min ago", "in 3 min"; "just now" within five seconds. */
export function relative(time: number, now: number): string {
  const difference = now - time;
  if (Math.abs(difference) < 5000) return "just now";
  return difference > 0 ? `${span(difference)} ago` : `in ${span(-difference)}`;
}

/** How long a run took: "812 ms", "4.2 s", "1 min 05 s". */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/** "2026-11-23 10:17:03 UTC". */
export function utc(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** "10:17 UTC", with the day in front when it isn't today's (UTC). */
export function utcClock(time: number, now: number): string {
  const iso = new Date(time).toISOString();
  const clock = `${iso.slice(11, 16)} UTC`;
  return iso.slice(0, 10) === new Date(now).toISOString().slice(0, 10) ? clock : `${day(time)} ${clock}`;
}

/** "Mon 23 Nov", in UTC. */
export function day(time: number): string {
  return new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" })
    .format(time)
    .replace(",", "");
}

/** The reader's own wall clock: "23 Nov 2026, 11:17:03 CET". */
export function local(time: number): string {
  return new Intl.DateTimeFormat("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
  }).format(time);
}

/** A value of a difference, as it would be written in the database or at Stripe; nothing is "none". */
export function value(raw: unknown): string {
  if (raw === null || raw === undefined || raw === "") return "none";
  if (typeof raw === "string") return /^\d{4}-\d\d-\d\dT/.test(raw) ? utc(Date.parse(raw)) : raw;
  if (typeof raw === "number" || typeof raw === "boolean") return String(raw);
  return JSON.stringify(raw);
}
