// When the platform's cron calls reconcile and the monitor. The schedules are read from vercel.json when the page is
// built, so the page and the platform can't disagree.

/** The schedules of vercel.json, five-field cron expressions in UTC; null where there is none. */
export interface Schedules {
  reconcile: string | null;
  monitor: string | null;
}

declare const __SCHEDULES__: Schedules;
/** What was in vercel.json at build time. */
export const schedules: Schedules =
  typeof __SCHEDULES__ === "undefined" ? { reconcile: null, monitor: null } : __SCHEDULES__;

/** The schedule of a path that is called for all of its work, and not with the parameter that makes it a part of that. */
export function scheduleOf(crons: { path: string; schedule: string }[], path: string, part: [name: string, value: string]): string | null {
  const found = crons.find((cron) => {
    const [called, query] = cron.path.split("?");
    return called === path && new URLSearchParams(query).get(part[0]) !== part[1];
  });
  return found?.schedule ?? null;
}

/** One cron field as the set of values that match: `*`, `5`, `1,2`, `1-5`, every-n steps. */
function field(text: string, min: number, max: number): Set<number> | null {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (match === null) return null;
    const from = match[1] === undefined ? min : Number(match[1]);
    const to = match[2] !== undefined ? Number(match[2]) : match[1] === undefined || match[3] !== undefined ? max : from;
    const step = match[3] === undefined ? 1 : Number(match[3]);
    if (from < min || to > max || from > to || step < 1) return null;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}

/** The minutes of a day at which a schedule fires; null for a schedule that names days or months, or is none. */
export function minutesOfDay(schedule: string | null): number[] | null {
  const parts = schedule?.trim().split(/\s+/) ?? [];
  if (parts.length !== 5 || parts.slice(2).some((part) => part !== "*")) return null;
  const minutes = field(parts[0]!, 0, 59);
  const hours = field(parts[1]!, 0, 23);
  if (minutes === null || hours === null) return null;
  return [...hours].flatMap((hour) => [...minutes].map((minute) => hour * 60 + minute)).sort((a, b) => a - b);
}

const DAY_MS = 86_400_000;

/** All times of a schedule in `[from, to)`, in milliseconds since the epoch, oldest first. */
export function slots(schedule: string | null, from: number, to: number): number[] {
  const minutes = minutesOfDay(schedule);
  if (minutes === null) return [];
  const times: number[] = [];
  for (let day = Math.floor(from / DAY_MS) * DAY_MS; day < to; day += DAY_MS) {
    for (const minute of minutes) {
      const time = day + minute * 60_000;
      if (time >= from && time < to) times.push(time);
    }
  }
  return times;
}

/** The first time of a schedule after `now`, or null if the schedule isn't known. */
export function nextSlot(schedule: string | null, now: number): number | null {
  return slots(schedule, now + 1, now + DAY_MS + 60_000)[0] ?? null;
}
