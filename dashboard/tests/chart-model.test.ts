// Where the chart draws what.

import { describe, expect, test } from "vitest";
import { DRIFT, gaps, layout, LEFT, nearest, niceMax } from "../src/model/chart.ts";
import { AT, run } from "./make.ts";

const FROM = AT("2026-11-21T11:00:00Z");
const TO = AT("2026-11-23T11:00:00Z");

describe("chart", () => {
  test("draws the runs of the window, oldest first and from left to right", () => {
    const runs = [
      run({ started_at: "2026-11-23T10:17:00Z" }),
      run({ started_at: "2026-11-21T11:00:00Z" }),
      run({ started_at: "2026-11-21T10:17:00Z" }),
    ];
    const { columns } = layout(runs, null, FROM, TO, 1000);
    expect(columns.map((column) => column.run.started_at)).toEqual(["2026-11-21T11:00:00Z", "2026-11-23T10:17:00Z"]);
    expect(columns[0]!.x).toBe(LEFT);
    expect(columns[1]!.x).toBeLessThan(1000);
  });

  test("repaired and open drift add up to what was found", () => {
    const { columns } = layout([run({ started_at: "2026-11-23T10:17:00Z", total_issues: 40, updated_count: 20, created_count: 10 })], null, FROM, TO, 800);
    const whole = DRIFT.bottom - DRIFT.top;
    expect(columns[0]).toMatchObject({ found: 40, repaired: 30, repairedHeight: whole * 0.75, openHeight: whole * 0.25 });
  });

  test("one finding among thousands can be seen, none can't", () => {
    const runs = [
      run({ started_at: "2026-11-23T10:17:00Z", total_issues: 5000 }),
      run({ started_at: "2026-11-23T09:17:00Z", total_issues: 1 }),
      run({ started_at: "2026-11-23T08:17:00Z" }),
    ];
    const [none, one] = layout(runs, null, FROM, TO, 800).columns;
    expect(one!.openHeight).toBe(3);
    expect(none!.openHeight).toBe(0);
  });

  test("a scheduled time at which nothing ran is a gap; the one just now is only late", () => {
    const runs = [run({ started_at: "2026-11-23T08:17:30Z" }), run({ started_at: "2026-11-23T06:17:01Z" })];
    const found = gaps(runs, "17 * * * *", FROM, AT("2026-11-23T10:20:00Z"));
    expect(found).toEqual([AT("2026-11-23T07:17:00Z"), AT("2026-11-23T09:17:00Z")]);
  });

  test("nothing is missing from before the first run, or where there is no schedule", () => {
    const runs = [run({ started_at: "2026-11-23T10:17:00Z" })];
    expect(gaps(runs, "17 * * * *", FROM, TO)).toEqual([]);
    expect(gaps([], "17 * * * *", FROM, TO)).toEqual([]);
    expect(gaps(runs, null, FROM, TO)).toEqual([]);
  });

  test("the nearest column wins", () => {
    const runs = [run({ started_at: "2026-11-23T10:17:00Z" }), run({ started_at: "2026-11-22T10:17:00Z" })];
    const { columns } = layout(runs, null, FROM, TO, 800);
    expect(nearest(columns, 0)).toBe(0);
    expect(nearest(columns, 800)).toBe(1);
    expect(nearest([], 10)).toBe(-1);
  });

  test("axes end at round numbers", () => {
    expect([0, 4, 5, 31, 100, 4001].map(niceMax)).toEqual([4, 4, 5, 40, 100, 5000]);
  });
});
