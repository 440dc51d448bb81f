// What a person may decide about drift, and what came of it. Pure: entries in, lists and words out.

import type { ApprovedOne, DecisionOutcome, Policies } from "../api/types.ts";
import type { Drift, DriftAction, Severity } from "../api/types.ts";
import { isDifference } from "./csv.ts";
import { count, plural, utc } from "./format.ts";
import { modeOf } from "./policies.ts";

/** The most that the API approves in one call. */
export const BATCH = 50;

export const OPEN_ACTIONS: readonly DriftAction[] = ["observed", "waiting", "held", "excepted", "superseded", "refused", "none"];
export const CLOSED_ACTIONS: readonly DriftAction[] = ["repaired", "created", "moved", "cleared", "reverted"];
const APPROVABLE: readonly DriftAction[] = ["observed", "waiting", "held", "superseded", "refused"];
const SEVERITIES: readonly Severity[] = ["critical", "high", "warning", "info"];

/** Whether a repair of it can be approved: there is one, and the class's mode lets it be written. */
export function canApprove(entry: Drift, policies: Policies | null): boolean {
  const mode = modeOf(policies, entry.type);
  return entry.closed_at === null && entry.proposal !== null && APPROVABLE.includes(entry.action) && mode !== null && mode !== "observe";
}

/** Whether its repair can be taken back. A created row is never deleted. */
export function canRevert(entry: Drift): boolean {
  return entry.closed_at !== null && (entry.action === "repaired" || entry.action === "moved");
}

export function canExcept(entry: Drift): boolean {
  return entry.closed_at === null && entry.action !== "excepted";
}

export function canUnexcept(entry: Drift): boolean {
  return entry.closed_at === null && entry.action === "excepted";
}

/** What of them would take access from somebody. */
export function lowering(entries: Drift[]): Drift[] {
  return entries.filter((entry) => entry.lowers_access);
}

/** How many customers the entries are of; one without a customer counts by its owner, or by itself. */
export function customers(entries: Drift[]): number {
  return new Set(entries.map((entry) => entry.stripe_customer_id ?? entry.owner ?? entry.id)).size;
}

const DAY_MS = 86_400_000;
const MAX_DAYS = 365;

/** "2026-12-23 10:31 UTC". */
function minute(time: number): string {
  return utc(time).replace(/:\d\d UTC$/, " UTC");
}

/** A number of days that the API takes, as it was typed; null if it is none. */
export function validDays(text: string): number | null {
  const days = Number(text);
  return /^\d+$/.test(text.trim()) && days >= 1 && days <= MAX_DAYS ? days : null;
}

/** "2026-12-23 10:31 UTC": when an exception of so many days ends. */
export function exceptedUntil(now: number, days: number): string {
  return minute(now + days * DAY_MS);
}

/** In portions of `size`. */
export function batches<T>(items: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}

export interface Column {
  name: string;
  database: unknown;
  /** What Stripe says, or what a repair would write where one is proposed. */
  stripe: unknown;
}

/** What a repair would write, and what else differs and would stay. Without a proposal everything just differs. */
export function columns(entry: Drift): { written: Column[]; other: Column[]; remarks: [name: string, value: unknown][] } {
  const details = Object.entries(entry.details);
  const pairs = details.flatMap(([name, detail]) => (isDifference(detail) ? [{ name, database: detail.database, stripe: detail.stripe }] : []));
  const remarks = details.filter(([, detail]) => !isDifference(detail) && detail !== null);
  const proposal = entry.closed_at === null ? entry.proposal : null;
  if (proposal === null) return { written: [], other: pairs, remarks };
  const written = Object.entries(proposal).map(([name, value]) => ({
    name,
    database: pairs.find((pair) => pair.name === name)?.database,
    stripe: value,
  }));
  return { written, other: pairs.filter((pair) => !(pair.name in proposal)), remarks };
}

export interface Group {
  type: string;
  /** How many fit the filters, loaded or not. */
  count: number;
  entries: Drift[];
}

/** By class: the worst first, then the most; classes of which nothing is loaded yet come last. */
export function groups(entries: Drift[], byType: Record<string, number>): Group[] {
  const types = new Set([...entries.map((entry) => entry.type), ...Object.keys(byType).filter((type) => byType[type]! > 0)]);
  const worst = (group: Group) =>
    group.entries.length === 0 ? SEVERITIES.length + 1 : Math.min(...group.entries.map((entry) => SEVERITIES.indexOf(entry.severity)));
  return [...types]
    .map((type) => {
      const own = entries.filter((entry) => entry.type === type);
      return { type, count: byType[type] ?? 0, entries: own };
    })
    .sort((a, b) => worst(a) - worst(b) || b.count - a.count || a.type.localeCompare(b.type));
}

/**
 * `entries` with those that were decided here and are gone from the list, each where it was before: who has approved something
 * sees what came of it where they look. `before` are the ids as they were shown last.
 */
export function withDecided<T extends { id: string }>(before: string[], entries: T[], decided: ReadonlyMap<string, T>): T[] {
  const shown = [...entries];
  before.forEach((id, index) => {
    const entry = decided.get(id);
    if (entry === undefined || shown.some((other) => other.id === id)) return;
    const above = before.slice(0, index).findLast((other) => shown.some((each) => each.id === other));
    shown.splice(above === undefined ? 0 : shown.findIndex((each) => each.id === above) + 1, 0, entry);
  });
  return shown;
}

export interface Result {
  tone: "ok" | "warning" | "critical" | "info";
  title: string;
  text: string;
  /** For the sum of many: "31 repaired". */
  short: string;
}

function until(entry: Drift): string {
  return entry.excepted_until === null ? "" : `It may stay until ${minute(Date.parse(entry.excepted_until))}. `;
}

/** What a decision came to. */
export function outcomeResult(outcome: DecisionOutcome, entry: Drift): Result {
  const said = entry.action_taken ?? "";
  switch (outcome) {
    case "repaired":
      return { tone: "ok", title: "Repaired", text: said || "The row says now what Stripe says.", short: "repaired" };
    case "created":
      return { tone: "ok", title: "Created", text: said || "The missing row was created from Stripe's data.", short: "created" };
    case "moved":
      return { tone: "ok", title: "Moved", text: said || "The owner's row now follows their live subscription.", short: "moved" };
    case "superseded":
      return { tone: "info", title: "Superseded", text: "Something else wrote the row in the meantime; its values were kept.", short: "superseded" };
    case "refused":
      return { tone: "critical", title: "Refused", text: said || "The app's table refuses it.", short: "refused" };
    case "gone":
      return { tone: "info", title: "Gone", text: "Stripe and the database agree by now. Nothing was written.", short: "gone by itself" };
    case "reverted":
      return { tone: "ok", title: "Taken back", text: "The row says what it said before. The next seven days it may stay so.", short: "taken back" };
    case "excepted":
      return { tone: "ok", title: "Excepted", text: `${until(entry)}No run repairs it, and no alert counts it.`, short: "excepted" };
    case "done":
      return { tone: "ok", title: "Exception ended", text: "It is judged like any other again.", short: "no longer excepted" };
    case "already":
      return { tone: "info", title: "Not excepted", text: "The exception had ended before.", short: "not excepted" };
    default:
      return { tone: "info", title: outcome, text: said, short: outcome };
  }
}

/** A decision that was not carried out; `changed` where the answer brought the entry as it is now. */
export function refusedResult(error: string, changed: boolean): Result {
  return changed
    ? { tone: "warning", title: "Not what was shown", text: `${error} What you see now is new: decide again.`, short: "not what was shown" }
    : { tone: "critical", title: "Not done", text: error, short: "not done" };
}

/** What came of one of many. */
export function oneResult(one: ApprovedOne, shown: Drift): { entry: Drift; result: Result } {
  const entry = one.drift ?? shown;
  return one.outcome !== undefined
    ? { entry, result: outcomeResult(one.outcome, entry) }
    : { entry, result: refusedResult(one.error ?? "The server gave no reason.", one.code === "conflict" && one.drift !== undefined) };
}

/** "48 repaired, 1 refused": the most first. */
export function tally(results: Result[]): string {
  const sums = new Map<string, number>();
  for (const { short } of results) sums.set(short, (sums.get(short) ?? 0) + 1);
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .map(([short, n]) => `${count(n)} ${short}`)
    .join(", ");
}

/** Who decided, before their name: "Approved by". */
export function decisionWord(entry: Drift): string {
  switch (entry.action) {
    case "excepted":
      return "Excepted";
    case "reverted":
      return "Taken back";
    default:
      return OPEN_ACTIONS.includes(entry.action) ? "Decided" : "Approved";
  }
}

/** What allowing the held ones means, said before it is done. */
export function allowConsequence(n: number): string {
  return (
    `The next run over everything within 24 hours may write up to ${plural(n, "repair")} of this class, whatever the circuit breaker says. ` +
    "The breaker stops what would be too much at once: a wrong key or a wrong setting looks just like this."
  );
}
