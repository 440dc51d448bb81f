// Words, times, links and addresses.

import { describe, expect, test } from "vitest";
import { ApiError } from "../src/api/client.ts";
import { duration, relative, span, utcClock, value } from "../src/model/format.ts";
import { describe as outcome } from "../src/state/reconcile.ts";
import { href, parse } from "../src/state/router.ts";
import { stripeLink } from "../src/model/stripe-links.ts";
import type { Outcome, Reconciled } from "../src/api/types.ts";
import { matches } from "../src/views/find.tsx";
import { previousOf } from "../src/model/episodes.ts";
import { action, alertName, alertTypes, failure, driftType, resolveConsequence, runName } from "../src/model/words.ts";
import { alert, AT, run } from "./make.ts";

const NOW = AT("2026-11-23T10:31:00Z");

describe("times", () => {
  test("spans", () => {
    expect([0, 59_000, 60_000, 3_600_000, 11_520_000, 86_400_000, 180_000_000, 900_000_000].map(span)).toEqual([
      "0 s", "59 s", "1 min", "1 h", "3 h 12 min", "1 day", "2 days 2 h", "10 days",
    ]);
  });
  test("relative", () => {
    expect(relative(NOW - 840_000, NOW)).toBe("14 min ago");
    expect(relative(NOW + 180_000, NOW)).toBe("in 3 min");
    expect(relative(NOW - 2000, NOW)).toBe("just now");
  });
  test("durations", () => {
    expect([812, 4200, 41_000, 65_000, 270_000].map(duration)).toEqual(["812 ms", "4.2 s", "41 s", "1 min 05 s", "4 min 30 s"]);
  });
  test("the clock says the day when it isn't today", () => {
    expect(utcClock(AT("2026-11-23T09:17:00Z"), NOW)).toBe("09:17 UTC");
    expect(utcClock(AT("2026-11-22T09:17:00Z"), NOW)).toBe("Sun 22 Nov 09:17 UTC");
  });
  test("values of differences", () => {
    expect([null, "active", 5, false, "2026-11-23T00:00:00Z", ["a"]].map(value)).toEqual([
      "none", "active", "5", "false", "2026-11-23 00:00:00 UTC", '["a"]',
    ]);
  });
});

describe("codes", () => {
  test("known ones have words, unknown ones are shown", () => {
    expect(driftType("missing_in_stripe")).toBe("Missing in Stripe");
    expect(driftType("malformed_row")).toBe("Unreadable row");
    expect(driftType("organization_unknown")).toBe("Unknown owner");
    expect(driftType("brand_new")).toBe("Brand new");
    expect(alertName("drift_status_mismatch")).toBe("Drift: status differs");
    expect(alertName("reconcile_failing")).toBe("Reconciliation keeps failing");
    expect(alertName("sweep_incomplete")).toBe("Not everything is looked at");
    expect(alertName("settings_invalid")).toBe("A setting is wrong");
    expect(alertName("stripe_deliveries_failing")).toBe("Stripe's events are not taken");
    expect(alertName("events_backlog")).toBe("Events are followed too late");
    expect(Object.keys(alertTypes)).toEqual(expect.arrayContaining(["stripe_deliveries_failing", "events_backlog"]));
  });
  test("what was refused, held or never tried needs a person", () => {
    expect((["repaired", "created", "superseded", "refused", "held", "none"] as const).filter((code) => action(code).person)).toEqual([
      "refused", "held", "none",
    ]);
  });
  test("a resolve says what will happen, with the time of the next check", () => {
    expect(resolveConsequence("reconcile_stale", AT("2026-11-23T10:47:00Z"), NOW)).toContain(
      "a new alert opens at the next check (10:47 UTC, in 16 min), linked to this one",
    );
    expect(resolveConsequence("drift_price_mismatch", null, NOW)).toContain("If the next run still finds this drift");
    expect(resolveConsequence("reconcile_circuit_breaker", null, NOW)).toContain("does not release the held repairs");
    expect(resolveConsequence("drift_price_mismatch", null, NOW)).toContain("the first complete run over everything");
  });
  test("what Stripe does not say is neither good nor bad", () => {
    expect(resolveConsequence("stripe_deliveries_failing", null, NOW)).toMatch(/Where Stripe does not say, that check changes nothing\.$/);
    expect(resolveConsequence("events_backlog", null, NOW)).not.toContain("Stripe does not say");
  });
  test("a pass is no scheduled run, although it is of that type", () => {
    expect(runName({ run_type: "scheduled", scope: "due" })).toBe("Pass");
    expect(runName({ run_type: "scheduled", scope: "changed" })).toBe("Scheduled");
    expect(runName({ run_type: "webhook_failure", scope: "all" })).toBe("Webhook failure");
  });
  test("every failure has a title", () => {
    for (const code of ["unreachable", "not_configured", "not_adopted", "database_unavailable", "stripe_error", "rate_limited", "whatever"]) {
      expect(failure(new ApiError(500, code, "Why.")).title).not.toBe("");
    }
    expect(failure(new ApiError(503, "not_adopted", "Run billing_ops.adopt."))).toEqual({
      title: "No table is adopted",
      text: "Run billing_ops.adopt.",
    });
  });
});

describe("reconcile outcomes", () => {
  const answer = (kind: Outcome, changes: Partial<Reconciled> = {}): Reconciled => ({
    success: true,
    outcome: kind,
    duplicate: kind !== "created" && kind !== "reclaimed",
    attempt: 1,
    scope: "all",
    repair_mode: "auto",
    reconciliation_log_id: "id",
    run_key: "manual_2026-11-23_10:30",
    run_type: "manual",
    status: "success",
    sweep_started_at: null,
    lookback_hours: 24,
    scanned_count: 1200,
    created_count: 1,
    updated_count: 2,
    mismatch_count: 3,
    superseded_count: 0,
    skipped_count: 0,
    error_count: 0,
    total_issues: 4,
    duration_ms: 812,
    message: "",
    reconciliations: [],
    errors: [],
    ...changes,
  });
  const other = run({ started_at: "2026-11-23T10:30:30Z", finished_at: "2026-11-23T10:30:40Z" });

  test("each has its own words and its run", () => {
    expect(outcome(answer("created"), null, NOW)).toMatchObject({
      title: "Finished",
      text: "1,200 subscriptions checked, 4 issues found, 1 created, 2 repaired, in 812 ms.",
      runId: "id",
    });
    expect(outcome(answer("existing_finished"), other, NOW).title).toBe("Finished 20 s ago");
    expect(outcome(answer("existing_running"), other, NOW).text).toContain("under way for 30 s.");
    expect(outcome(answer("busy"), other, NOW).text).toContain("no new one was started");
    expect(outcome(answer("reclaimed"), null, NOW).text).toContain("The previous run had died");
    expect(outcome(answer("created", { attempt: 2 }), null, NOW).text).toContain("Attempt 2");
    expect(outcome(answer("created", { status: "partial" }), null, NOW).tone).toBe("warning");
  });
});

describe("addresses", () => {
  test("a view and its filters survive the way there and back", () => {
    const to = href("alerts", { status: "all", severity: "", type: null, q: "sub_1 & more" });
    expect(to).toBe("/?view=alerts&q=sub_1+%26+more&status=all");
    expect(parse(to.slice(1))).toEqual({ view: "alerts", params: { status: "all", q: "sub_1 & more" } });
  });
  test("what isn't known leads to something that is", () => {
    expect(parse("?view=nonsense").view).toBe("overview");
    expect(parse("?view=run").view).toBe("runs");
  });
  test("Stripe's dashboard, live and test", () => {
    expect(stripeLink("sub_1", true)).toBe("https://dashboard.stripe.com/subscriptions/sub_1");
    expect(stripeLink("cus_1", false)).toBe("https://dashboard.stripe.com/test/customers/cus_1");
    expect(stripeLink("javascript:alert(1)", false)).toBeNull();
    expect(stripeLink("sub_1/../../x", false)).toBeNull();
  });
});

describe("lists", () => {
  test("find wants every word, in any case, in any value", () => {
    expect(matches("SUB_1 stripe", ["missing in Stripe", { samples: [{ id: "sub_1" }] }])).toBe(true);
    expect(matches("sub_2", ["sub_1", null])).toBe(false);
    expect(matches("", [null])).toBe(true);
  });
  test("previous episodes, newest first, even if the chain bites its tail", () => {
    const all = [alert({ id: "c", previous_alert_id: "b" }), alert({ id: "b", previous_alert_id: "a" }), alert({ id: "a", previous_alert_id: "b" })];
    expect(previousOf(all[0]!, all).map((each) => each.id)).toEqual(["b", "a"]);
  });
});
