// An export: what it is of, which span, how its pages become one file.

/** What is exported: drift by when it was first seen, its history by when it happened, runs by when they started. */
export type ExportWhat = "drift" | "history" | "runs";
export type ExportFormat = "csv" | "ndjson";

/** From a time on, to before another. No `from`: from the beginning. */
export interface ExportSpan {
  from: string | null;
  to: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** The beginning of a day in UTC, or null where `text` (YYYY-MM-DD) is not one. */
function midnight(text: string): number | null {
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : NaN;
  return Number.isNaN(time) ? null : time;
}

const rfc3339 = (time: number): string => new Date(time).toISOString();

/**
 * The span of whole days in UTC, the last one included; an empty day leaves that side open. It ends now at the latest: what comes
 * later would make an export without an end. A sentence says what is wrong.
 */
export function exportSpan(firstDay: string, lastDay: string, now: number): ExportSpan | string {
  const from = firstDay === "" ? null : midnight(firstDay);
  const last = lastDay === "" ? null : midnight(lastDay);
  if ((firstDay !== "" && from === null) || (lastDay !== "" && last === null)) return "A day is written like 2026-11-23.";
  const to = Math.min(last === null ? now : last + DAY_MS, now);
  if (from !== null && last !== null && last < from) return "The last day must not be before the first.";
  if (from !== null && from > now) return "The first day is still to come.";
  return { from: from === null ? null : rfc3339(from), to: rfc3339(to) };
}

/** What the file is called, by what a person chose. */
export function exportName(what: ExportWhat, format: ExportFormat, firstDay: string, lastDay: string): string {
  const days = [firstDay === "" ? "" : `_from_${firstDay}`, lastDay === "" ? "" : `_through_${lastDay}`];
  return `billing-ops_${what}${days.join("")}.${format}`;
}

/** How many rows a page has: lines, but for line ends within a cell. `head`: its first line is not a row. */
export function rowsIn(text: string, format: ExportFormat, head: boolean): number {
  let rows = 0;
  let quoted = false;
  for (let place = 0; place < text.length; place += 1) {
    const code = text.charCodeAt(place);
    // A quote that stands for itself is written twice, and so changes nothing.
    if (code === 34 && format === "csv") quoted = !quoted;
    else if (code === 10 && !quoted) rows += 1;
  }
  return head && format === "csv" ? rows - 1 : rows;
}
