// The sentence on top of the page, for every way things can stand.

import { describe, expect, test } from "vitest";
import { verdict, type Facts } from "../src/model/verdict.ts";
import { alert, AT, run } from "./make.ts";

const NONE = { critical: 0, high: 0, warning: 0, info: 0 };
const NOW = AT("2026-11-23T10:31:00Z");
const good = run({ started_at: "2026-11-23T10:17:00Z" });
const failed = (hour: string) =>
  run({ started_at: `2026-11-23T${hour}:17:00Z`, status: "error", error_message: "Stripe refused the key." });

function facts(changes: Partial<Facts>): Facts {
  return { now: NOW, schedule: "17 * * * *", monitor: "47 * * * *", runs: [good], alerts: [], open: NONE, lost: null, ...changes };
}

describe("verdict", () => {
  test("all is clear, and says when the last run was and the next is", () => {
    expect(verdict(facts({}))).toMatchObject({
      level: "ok",
      headline: "All clear.",
      detail: "Last good run 14 min ago. The next run is due at 11:17 UTC.",
    });
  });

  test("an open info alert is not a reason to wake anyone", () => {
    expect(verdict(facts({ alerts: [alert({ id: "a" })] })).level).toBe("ok");
  });

  test("a critical alert outweighs a good run", () => {
    const alerts = [alert({ id: "a", severity: "critical" })];
    expect(verdict(facts({ alerts, open: { ...NONE, critical: 1 } }))).toMatchObject({ level: "critical", headline: "1 critical alert open." });
  });

  test("warnings and high alerts count as to look at", () => {
    const alerts = [alert({ id: "a", severity: "high" }), alert({ id: "b", severity: "warning" })];
    expect(verdict(facts({ alerts, open: { ...NONE, high: 1, warning: 1 } }))).toMatchObject({ level: "warning", headline: "2 alerts to look at." });
  });

  test("three failures in a row are critical and say why", () => {
    const runs = [failed("10"), failed("09"), failed("08"), run({ started_at: "2026-11-23T07:17:00Z" })];
    const said = verdict(facts({ runs }));
    expect(said).toMatchObject({ level: "critical", headline: "The last 3 runs failed." });
    expect(said.detail).toContain("Stripe refused the key. Last good run 3 h 14 min ago.");
  });

  test("one failure is a warning", () => {
    expect(verdict(facts({ runs: [failed("10"), run({ started_at: "2026-11-23T09:17:00Z" })] }))).toMatchObject({
      level: "warning",
      headline: "The last run failed.",
    });
  });

  test("two scheduled runs that did not come are stale, even if no alert says so", () => {
    const said = verdict(facts({ runs: [run({ started_at: "2026-11-23T08:17:00Z" })] }));
    expect(said).toMatchObject({ level: "warning", headline: "No good run for 2 h 14 min." });
    expect(said.detail, "the monitor's next check is still to come").not.toContain("check that the monitor is running");
  });

  test("a monitor that had its chance and said nothing is suspect itself", () => {
    const said = verdict(facts({ runs: [run({ started_at: "2026-11-23T06:17:00Z" })] }));
    expect(said.detail).toContain("check that the monitor is running");
  });

  test("stale because runs fail says why they do", () => {
    const said = verdict(facts({ runs: [failed("10"), failed("09"), run({ started_at: "2026-11-23T08:17:00Z" })] }));
    expect(said).toMatchObject({ level: "warning", headline: "No good run for 2 h 14 min." });
    expect(said.detail).toContain("2 runs failed since then: Stripe refused the key.");
  });

  test("a daily schedule is not stale after three hours", () => {
    const runs = [run({ started_at: "2026-11-23T07:17:00Z" })];
    expect(verdict(facts({ runs, schedule: "17 7 * * *" })).level).toBe("ok");
  });

  test("a stale alert decides, and brings its severity", () => {
    const stale = alert({ id: "a", alert_type: "reconcile_stale", severity: "critical" });
    const runs = [run({ started_at: "2026-11-23T03:17:00Z" })];
    expect(verdict(facts({ runs, alerts: [stale], open: { ...NONE, critical: 1 } }))).toMatchObject({ level: "critical", short: "Reconciliation stale" });
  });

  test("the circuit breaker comes before everything else", () => {
    const breaker = alert({ id: "a", alert_type: "reconcile_circuit_breaker", severity: "critical" });
    expect(verdict(facts({ alerts: [breaker], open: { ...NONE, critical: 1 } })).headline).toBe("The circuit breaker has stopped the repairs.");
  });

  test("a run over what changed counts, as the monitor counts it", () => {
    const runs = [run({ started_at: "2026-11-23T10:17:00Z", scope: "changed" }), run({ started_at: "2026-11-23T05:17:00Z" })];
    expect(verdict(facts({ runs })).detail).toContain("Last good run 14 min ago.");
  });

  test("nothing has run yet", () => {
    expect(verdict(facts({ runs: [] }))).toMatchObject({ level: "warning", headline: "No run yet." });
  });

  test("a run under way with a live lease is what comes next; a dead one is not", () => {
    const live = run({ started_at: "2026-11-23T10:30:00Z", status: "running", lease_expires_at: "2026-11-23T10:36:00Z" });
    expect(verdict(facts({ runs: [live, good] })).detail).toContain("A run has been under way since 10:30 UTC.");
    const dead = run({ ...live, lease_expires_at: "2026-11-23T10:30:30Z" });
    expect(verdict(facts({ runs: [dead, good] })).detail).toContain("The next run is due at 11:17 UTC.");
  });

  test("without news it never says all clear, but what it was and when", () => {
    const said = verdict(facts({ lost: { since: AT("2026-11-23T10:28:00Z"), title: "Can't reach the server" } }));
    expect(said.level).toBe("unknown");
    expect(said.detail).toBe("What you see is from 10:28 UTC, 3 min ago. At that time: all clear.");
  });

  test("before the first answer it claims nothing", () => {
    expect(verdict(facts({ runs: null, alerts: null })).level).toBe("unknown");
  });
});
