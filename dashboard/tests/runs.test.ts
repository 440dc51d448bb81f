// Reading lists of runs: without passes, and with few calls.

import { describe, expect, test } from "vitest";
import type { RunQuery } from "../src/api/client.ts";
import type { Run, RunPage } from "../src/api/types.ts";
import { fetchPages } from "../src/state/paged.ts";
import { countedPage, followRuns } from "../src/state/runs.ts";
import { AT, pass, run } from "./make.ts";

const NOW = AT("2026-11-23T10:31:00Z");
const HOUR = 3_600_000;
const at = (ms: number) => new Date(ms).toISOString();
/** Hourly runs, every fourth of them over everything. */
const hourly = (n: number) => Array.from({ length: n }, (_, i) => run({ started_at: at(NOW - (i + 0.25) * HOUR), scope: i % 4 === 0 ? "all" : "changed" }));
const passes = (n: number, every: number) => Array.from({ length: n }, (_, i) => pass({ started_at: at(NOW - i * every - 1000) }));

/** The API over these runs. */
function server(...runs: Run[]) {
  const calls: RunQuery[] = [];
  const all = [...runs];
  const fetch = async (query: RunQuery): Promise<RunPage> => {
    calls.push(query);
    const fitting = all.filter((each) => !query.scope || each.scope === query.scope).sort((a, b) => b.started_at.localeCompare(a.started_at));
    const from = query.cursor ? Number(query.cursor) : 0;
    const page = fitting.slice(from, from + (query.limit ?? 50));
    const next = from + page.length;
    return { runs: page, count: page.length, next_cursor: next < fitting.length ? String(next) : null };
  };
  return { calls, all, fetch };
}

describe("runs without passes", () => {
  test("come as one list, page by page, none missing and none twice", async () => {
    const runs = hourly(120);
    const { fetch } = server(...runs, ...passes(300, 60_000));
    const { items, more } = await fetchPages((limit, cursor) => countedPage(fetch, { limit: Math.min(limit, 7), cursor }), (page) => page.runs, 110);
    expect(items.slice(0, 110).map(({ id }) => id)).toEqual(runs.slice(0, 110).map(({ id }) => id));
    expect(more).toBe(true);
    const all = await fetchPages((limit, cursor) => countedPage(fetch, { limit, cursor }), (page) => page.runs, 500);
    expect(all.items).toHaveLength(120);
    expect(all.more).toBe(false);
  });
  test("keep to the other filters", async () => {
    const { fetch, calls } = server(...hourly(3));
    await countedPage(fetch, { status: "error", type: "manual", limit: 50 });
    expect(calls).toEqual([
      { status: "error", type: "manual", limit: 50, scope: "all", cursor: null },
      { status: "error", type: "manual", limit: 50, scope: "changed", cursor: null },
    ]);
  });
});

describe("the latest runs", () => {
  test("are one call where there are few passes", async () => {
    const { fetch, calls } = server(...hourly(60), ...passes(10, HOUR));
    const recent = await followRuns(48 * HOUR)(fetch, NOW);
    expect(calls).toHaveLength(1);
    expect(recent).toMatchObject({ complete: true, passesSince: null });
    expect(recent.runs).toHaveLength(60);
    expect(recent.passes).toHaveLength(10);
  });

  test("are not pushed out by passes, and later polls are one call", async () => {
    const { fetch, calls, all } = server(...hourly(60), ...passes(400, 60_000));
    const follow = followRuns(48 * HOUR);
    const first = await follow(fetch, NOW);
    expect(calls).toHaveLength(3);
    expect(first).toMatchObject({ complete: true, passesSince: NOW - 97 * 60_000 - 1000 });
    expect(first.runs).toHaveLength(60);

    const running = run({ started_at: at(NOW + 60_000), status: "running" });
    all.push(running, pass({ started_at: at(NOW + 30_000) }));
    const second = await follow(fetch, NOW + 61_000);
    expect(second.runs[0]).toMatchObject({ id: running.id, status: "running" });
    all[all.indexOf(running)] = { ...running, status: "success" };
    const third = await follow(fetch, NOW + 120_000);
    expect(third.runs[0]).toMatchObject({ id: running.id, status: "success" });
    expect(third.runs).toHaveLength(61);
    expect(third.complete).toBe(true);
    expect(calls).toHaveLength(5);
  });

  test("are read again where something lies between, as after a night with a closed lid", async () => {
    const { fetch, calls, all } = server(...hourly(10));
    const follow = followRuns(48 * HOUR);
    await follow(fetch, NOW);
    const missed = run({ started_at: at(NOW + HOUR) });
    all.push(missed, ...Array.from({ length: 150 }, (_, i) => pass({ started_at: at(NOW + 2 * HOUR + i * 60_000) })));
    const recent = await follow(fetch, NOW + 5 * HOUR);
    expect(calls).toHaveLength(4);
    expect(recent.runs.map(({ id }) => id)).toEqual([missed.id, ...hourly(10).map(({ id }) => id)]);
  });

  test("are found behind days of nothing but passes", async () => {
    const old = run({ started_at: at(NOW - 100 * HOUR) });
    const { fetch } = server(old, ...passes(120, HOUR / 2));
    expect((await followRuns(48 * HOUR)(fetch, NOW)).runs.map(({ id }) => id)).toEqual([old.id]);
  });

  test("survive a poll that is cut off", async () => {
    const { fetch, all } = server(...hourly(60));
    const follow = followRuns(48 * HOUR);
    await follow(fetch, NOW);
    all.push(...Array.from({ length: 150 }, (_, i) => pass({ started_at: at(NOW + (i + 1) * 1000) })));
    const cut = (query: RunQuery) => (query.scope === undefined ? fetch(query) : Promise.reject(new Error("cut off")));
    await expect(follow(cut, NOW + 200_000)).rejects.toThrow("cut off");
    expect((await follow(fetch, NOW + 200_000)).runs).toHaveLength(60);
  });
});
