// What runs look at: which of them count, what one says of itself, the filter of the Runs page, and what passes came to. Pure.

import type { CountedRun, Run, RunScope } from "../api/types.ts";
import { drift } from "./chart.ts";
import { count, plural, utcClock } from "./format.ts";
import { scopeWords } from "./words.ts";

/** Whether a run says something about how reconciliation goes: a pass over what is due says nothing about the rest. */
export function isCounted(run: Run): run is CountedRun {
  return run.scope !== "due";
}

/** Runs that count, and passes; each in the order in which they came. */
export function apart(runs: Run[]): { runs: CountedRun[]; passes: Run[] } {
  return { runs: runs.filter(isCounted), passes: runs.filter((run) => !isCounted(run)) };
}

/** What less than everything came to, said of a run that is over; empty where everything was to be looked at. */
export function readSentence(run: Run): string {
  if (run.scope === "all" || run.status === "running") return "";
  const n = run.scanned_count;
  const read = n === 0 ? "no subscription was read" : `${plural(n, "subscription")} ${n === 1 ? "was" : "were"} read`;
  return run.scope === "due"
    ? `A pass over what was due: ${read}. It says nothing about any other.`
    : `A run over what Stripe's events spoke of: ${read}. It says nothing about any other.`;
}

/** Why a run is partial, and who does the rest. */
export function partialSentence(run: Run): string {
  const failed = run.error_count > 0;
  switch (run.scope) {
    case "due":
      return failed
        ? "Some items failed; the rest were handled. What failed is still due, and is read again later."
        : "It stopped before it had come to all that was due. The rest is still due: the next pass reads it.";
    case "changed":
      return failed
        ? "Some items failed; the rest were handled. What failed is still due, and is read again later."
        : "It stopped before it had come to all that changed. The next run goes on from there.";
    default:
      return failed
        ? "Some items failed; the rest were handled. The next run checks everything again."
        : "It stopped before it had checked everything. The next run continues where this one stopped.";
  }
}

/** Empty for any run that counts, "any" for passes, too. */
export type ScopeFilter = "" | "any" | RunScope;

/** The choices of the filter. Passes are many where much happens: they are left out until somebody asks for them. */
export const scopeChoices: [ScopeFilter, string][] = [
  ["", "Any but passes"],
  ["all", scopeWords.all],
  ["changed", scopeWords.changed],
  ["due", `${scopeWords.due} (passes)`],
  ["any", "Any"],
];

/** The filter as it stands in the address; a word that the API would refuse counts as none. */
export function readScope(params: Readonly<Record<string, string>>): ScopeFilter {
  return scopeChoices.find(([scope]) => scope === params["scope"])?.[0] ?? "";
}

/** The first `limit` of several lists of runs, each newest first, as one that is newest first; and what is left of each. */
export function newestOf(lists: Run[][], limit: number): { taken: Run[]; left: Run[][] } {
  const left = lists.map((list) => [...list]);
  const taken = new Map<string, Run>();
  while (taken.size < limit) {
    const next = left.filter((list) => list.length > 0).sort((a, b) => Date.parse(b[0]!.started_at) - Date.parse(a[0]!.started_at))[0];
    if (next === undefined) break;
    const run = next.shift()!;
    // A run may change lists while they are read: one over what changed becomes one over everything where Stripe lists no events.
    if (!taken.has(run.id)) taken.set(run.id, run);
  }
  return { taken: [...taken.values()], left };
}

/** What passes came to, in a sentence; empty where there were none. `since`: where not all of the window are known. */
export function passesSentence(passes: Run[], since: number | null, now: number): string {
  if (passes.length === 0) return "";
  const sum = (of: (run: Run) => number) => passes.reduce((total, run) => total + of(run), 0);
  const found = sum((run) => drift(run).found);
  const failed = passes.filter((run) => run.status === "error").length;
  return `${[
    `${since === null ? "In between" : `In between, since ${utcClock(since, now)}`}: ${plural(passes.length, "pass", "passes")} over what was due`,
    `${plural(sum((run) => run.scanned_count), "subscription")} read`,
    ...(found === 0 ? ["no drift"] : [`${count(found)} found`, `${count(sum((run) => drift(run).repaired))} repaired`]),
    ...(failed === 0 ? [] : [`${count(failed)} failed`]),
  ].join(", ")}.`;
}
