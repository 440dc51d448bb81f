// What runs look at: which count, what they say of themselves, and how the Runs page filters them.

import { describe, expect, test } from "vitest";
import { apart, newestOf, partialSentence, passesSentence, readScope, readSentence } from "../src/model/scopes.ts";
import { verdict } from "../src/model/verdict.ts";
import { AT, pass, run } from "./make.ts";

const NOW = AT("2026-11-23T10:31:00Z");

describe("passes", () => {
  const failing = ["10:30", "10:25", "10:20"].map((at) => pass({ started_at: `2026-11-23T${at}:00Z`, status: "error", error_message: "No answer." }));
  const facts = (runs: Parameters<typeof apart>[0]) => ({
    now: NOW,
    schedule: "17 * * * *",
    monitor: "47 * * * *",
    runs: apart(runs).runs,
    alerts: [],
    open: { critical: 0, high: 0, warning: 0, info: 0 },
    lost: null,
  });

  test("that fail are not runs that fail", () => {
    expect(verdict(facts([...failing, run({ started_at: "2026-11-23T10:17:00Z" })])).headline).toBe("All clear.");
  });
  test("that succeed are not runs that succeed", () => {
    const old = run({ started_at: "2026-11-23T08:17:00Z" });
    expect(verdict(facts([pass({ started_at: "2026-11-23T10:30:00Z" }), old])).headline).toBe("No good run for 2 h 14 min.");
    expect(verdict(facts([pass({ started_at: "2026-11-23T10:30:00Z" })])).headline).toBe("No run yet.");
  });
  test("stand apart, in their order", () => {
    const changed = run({ started_at: "2026-11-23T10:17:00Z", scope: "changed" });
    expect(apart([failing[0]!, changed, failing[1]!])).toEqual({ runs: [changed], passes: [failing[0], failing[1]] });
  });
  test("in one sentence", () => {
    const passes = [
      pass({ started_at: "2026-11-23T10:30:00Z", scanned_count: 3, total_issues: 2, updated_count: 1 }),
      pass({ started_at: "2026-11-23T10:25:00Z" }),
    ];
    expect(passesSentence([], null, NOW)).toBe("");
    expect(passesSentence(passes.slice(1), null, NOW)).toBe("In between: 1 pass over what was due, 1 subscription read, no drift.");
    expect(passesSentence(passes, AT("2026-11-23T09:00:00Z"), NOW)).toBe(
      "In between, since 09:00 UTC: 2 passes over what was due, 4 subscriptions read, 2 found, 1 repaired.",
    );
    expect(passesSentence(failing, null, NOW)).toMatch(/no drift, 3 failed\.$/);
  });
});

describe("what a run says of itself", () => {
  test("only one over everything speaks of everything", () => {
    const at = { started_at: "2026-11-23T10:17:00Z" };
    expect(readSentence(run(at))).toBe("");
    expect(readSentence(pass({ ...at, scanned_count: 3 }))).toBe("A pass over what was due: 3 subscriptions were read. It says nothing about any other.");
    expect(readSentence(pass({ ...at, scanned_count: 1 }))).toContain("1 subscription was read");
    expect(readSentence(run({ ...at, scope: "changed", scanned_count: 0 }))).toContain("no subscription was read");
    expect(readSentence(pass({ ...at, status: "running" }))).toBe("");
  });
  test("a partial one says who does the rest", () => {
    const at = { started_at: "2026-11-23T10:17:00Z" };
    expect(partialSentence(run(at))).toContain("The next run continues where this one stopped.");
    expect(partialSentence(run({ ...at, error_count: 1 }))).toContain("The next run checks everything again.");
    expect(partialSentence(run({ ...at, scope: "changed" }))).toContain("all that changed");
    for (const each of [partialSentence(pass(at)), partialSentence(pass({ ...at, error_count: 1 }))]) {
      expect(each).toContain("still due");
      expect(each).not.toContain("everything");
    }
  });
});

describe("the filter", () => {
  test("leaves out passes unless it is asked, and knows no other words than the API", () => {
    expect(readScope({})).toBe("");
    expect(["all", "changed", "due", "any"].map((scope) => readScope({ scope }))).toEqual(["all", "changed", "due", "any"]);
    expect(readScope({ scope: "nonsense" })).toBe("");
  });
  test("several lists become one, newest first, each run once", () => {
    const at = (time: string) => run({ started_at: `2026-11-23T${time}:00Z` });
    const { taken, left } = newestOf([[at("10:17"), at("06:17")], [at("09:17"), at("08:17"), at("06:17"), at("05:17")]], 4);
    expect(taken.map(({ started_at }) => started_at.slice(11, 16))).toEqual(["10:17", "09:17", "08:17", "06:17"]);
    expect(left.flat().map(({ started_at }) => started_at.slice(11, 16))).toEqual(["06:17", "05:17"]);
  });
});
