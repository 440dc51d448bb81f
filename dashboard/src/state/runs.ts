// Lists of runs. The API tells of one scope at a time, or of all of them: what is to leave out passes reads two lists as one.

import { api, type RunQuery } from "../api/client.ts";
import type { CountedRun, Run, RunPage } from "../api/types.ts";
import { apart, isCounted, newestOf, type ScopeFilter } from "../model/scopes.ts";

const COUNTED: readonly CountedRun["scope"][] = ["all", "changed"];

/** How far one of the lists has been read: what of it was not shown yet, and where it goes on; null where it has ended. */
interface Reading {
  held: Run[];
  cursor: string | null;
}

type FetchRuns = (query: RunQuery) => Promise<RunPage>;

/** A page of the runs that count. Its cursor is this page's own, and holds what was read and not shown. */
export async function countedPage(fetch: FetchRuns, query: RunQuery & { limit: number }): Promise<RunPage> {
  const before: Reading[] | null = query.cursor ? (JSON.parse(query.cursor) as Reading[]) : null;
  const lists = await Promise.all(
    COUNTED.map(async (scope, index): Promise<Reading> => {
      const { held, cursor } = before?.[index] ?? { held: [], cursor: null };
      // With as many as are wanted, or with all there are, none of the others can come in between later.
      if (held.length >= query.limit || (before !== null && cursor === null)) return { held, cursor };
      const page = await fetch({ ...query, scope, cursor });
      return { held: [...held, ...page.runs], cursor: page.next_cursor };
    }),
  );
  const { taken, left } = newestOf(lists.map(({ held }) => held), query.limit);
  const rest = lists.map(({ cursor }, index): Reading => ({ held: left[index]!, cursor }));
  const more = rest.some(({ held, cursor }) => held.length > 0 || cursor !== null);
  return { runs: taken, count: taken.length, next_cursor: more ? JSON.stringify(rest) : null };
}

/** A page of the runs that fit the filters. */
export function runsPage(scope: ScopeFilter, query: RunQuery & { limit: number }, signal: AbortSignal): Promise<RunPage> {
  if (scope === "") return countedPage((each) => api.runs(each, signal), query);
  return api.runs({ ...query, scope: scope === "any" ? null : scope }, signal);
}

/** The latest runs. */
export interface Recent {
  /** Without passes, newest first. */
  runs: CountedRun[];
  /** Whether `runs` reaches back to the beginning of the window. */
  complete: boolean;
  /** The newest passes of the window. */
  passes: Run[];
  /** Since when all passes are known, in milliseconds since the epoch; null where that is the whole window. */
  passesSince: number | null;
}

const PAGE = 100;
/** 48 h hold 48 scheduled runs; if someone starts one every minute, not all of them are shown. */
const MAX_PAGES = 5;

/** When the last run of a page began, if there are more. */
function reach(page: RunPage): number {
  const oldest = page.runs.at(-1);
  return page.next_cursor === null || oldest === undefined ? -Infinity : Date.parse(oldest.started_at);
}

/** Runs that count, newest first, and since when all of them are known, in milliseconds since the epoch. */
interface Known {
  runs: CountedRun[];
  from: number;
}

async function readCounted(fetch: FetchRuns, since: number): Promise<Known> {
  const known: Known = { runs: [], from: Infinity };
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES && known.from > since; page += 1) {
    const answer: RunPage = await countedPage(fetch, { limit: PAGE, cursor });
    known.runs.push(...answer.runs.filter(isCounted));
    known.from = reach(answer);
    cursor = answer.next_cursor;
  }
  return known;
}

/**
 * Follows the runs of a window. What has ended changes no more, so a poll is one page, however many passes there are; more is read
 * only where runs may lie between that page and what is known.
 */
export function followRuns(windowMs: number): (fetch: FetchRuns, now: number) => Promise<Recent> {
  let known: Known = { runs: [], from: Infinity };
  /** When the newest run began that was seen. */
  let seen = -Infinity;
  return async (fetch, now) => {
    const since = now - windowMs;
    const newest = await fetch({ limit: PAGE });
    const back = reach(newest);
    const { runs, passes } = apart(newest.runs);
    let before = known;
    if (back > seen) before = back > since || runs.length === 0 ? await readCounted(fetch, since) : { runs: [], from: Infinity };
    const fresh = new Set(runs.map(({ id }) => id));
    const all = [...runs, ...before.runs.filter(({ id }) => !fresh.has(id))];
    known = {
      runs: all.filter((run, index) => index < PAGE || Date.parse(run.started_at) >= since),
      from: Math.min(before.from, back),
    };
    seen = Math.max(seen, ...newest.runs.slice(0, 1).map((run) => Date.parse(run.started_at)));
    return {
      runs: known.runs,
      complete: known.from <= since,
      passes: passes.filter((run) => Date.parse(run.started_at) >= since),
      passesSince: back > since ? back : null,
    };
  };
}
