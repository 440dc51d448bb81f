// What a person may decide about drift, and the words for what comes of it.

import { describe, expect, test } from "vitest";
import type { Mode, Policies, Policy } from "../src/api/types.ts";
import {
  BATCH,
  batches,
  canApprove,
  canExcept,
  canRevert,
  canUnexcept,
  columns,
  customers,
  exceptedUntil,
  groups,
  lowering,
  oneResult,
  outcomeResult,
  refusedResult,
  tally,
  validDays,
  withDecided,
} from "../src/model/decisions.ts";
import { effectiveMode, modeSentence, previewSentence, settable } from "../src/model/policies.ts";
import { AT, drift } from "./make.ts";

function policy(changes: Partial<Policy>): Policy {
  return {
    type: "status_mismatch",
    mode: "approve",
    effective: "approve",
    repairable: true,
    version: 1,
    updated_by: null,
    updated_at: null,
    preview: { repairs: 0, raises: 0, lowers: 0, creates: 0 },
    ...changes,
  };
}

function policies(effective: Mode, repair_mode: Mode = "auto"): Policies {
  return { repair_mode, policies: [policy({ effective, mode: effective }), policy({ type: "missing_in_stripe", effective, repairable: false })] };
}

const open = { closed_at: null, closed_run_id: null };
const waiting = drift({ ...open, action: "waiting", proposal: { status: "active" } });

describe("what can be decided", () => {
  test("a repair that is proposed, where the mode lets it be written", () => {
    expect((["observed", "waiting", "held", "superseded", "refused", "excepted", "none"] as const).filter((action) => canApprove({ ...waiting, action }, policies("approve")))).toEqual([
      "observed", "waiting", "held", "superseded", "refused",
    ]);
    expect(canApprove(waiting, policies("auto"))).toBe(true);
    expect(canApprove(waiting, policies("observe"))).toBe(false);
    expect(canApprove({ ...waiting, proposal: null }, policies("approve"))).toBe(false);
    expect(canApprove({ ...waiting, closed_at: "2026-11-23T10:00:00Z" }, policies("approve"))).toBe(false);
  });

  test("nothing while the policies are unknown, or for a class that has none", () => {
    expect(canApprove(waiting, null)).toBe(false);
    expect(canApprove({ ...waiting, type: "brand_new" }, policies("auto"))).toBe(false);
  });

  test("a repair or a move can be taken back, a created row can't", () => {
    expect((["repaired", "moved", "created", "cleared", "reverted"] as const).filter((action) => canRevert(drift({ action })))).toEqual(["repaired", "moved"]);
    expect(canRevert(drift({ ...open, action: "repaired" }))).toBe(false);
  });

  test("what stands can be excepted, once", () => {
    const excepted = drift({ ...open, action: "excepted" });
    expect([canExcept(waiting), canUnexcept(waiting), canExcept(excepted), canUnexcept(excepted)]).toEqual([true, false, false, true]);
    expect(canExcept(drift({ action: "cleared" }))).toBe(false);
  });

  test("from 1 to 365 whole days", () => {
    expect(["1", " 30 ", "365", "0", "366", "1.5", "1e2", "-3", ""].map(validDays)).toEqual([1, 30, 365, null, null, null, null, null, null]);
    expect(exceptedUntil(AT("2026-11-23T10:31:07Z"), 30)).toBe("2026-12-23 10:31 UTC");
  });

  test("at most 50 a call, in their order", () => {
    const items = Array.from({ length: 120 }, (_, index) => index);
    expect(batches(items, BATCH).map((each) => each.length)).toEqual([50, 50, 20]);
    expect(batches(items, BATCH).flat()).toEqual(items);
    expect(batches([], BATCH)).toEqual([]);
  });

  test("whose access goes: a customer with two subscriptions is one", () => {
    const losing = lowering([
      drift({ id: "a", lowers_access: true, stripe_customer_id: "cus_1" }),
      drift({ id: "b", lowers_access: true, stripe_customer_id: "cus_1" }),
      drift({ id: "c", lowers_access: true, owner: null }),
      drift({ id: "d" }),
    ]);
    expect(losing.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    expect(customers(losing)).toBe(2);
  });
});

describe("what a repair would write", () => {
  const details = { status: { database: "active", stripe: "past_due" }, quantity: { database: 1, stripe: 5 }, reason: "seats" };

  test("the proposal, beside what the database says; the rest stays", () => {
    expect(columns(drift({ ...open, details, proposal: { status: "past_due", tier: "pro" } }))).toEqual({
      written: [
        { name: "status", database: "active", stripe: "past_due" },
        { name: "tier", database: undefined, stripe: "pro" },
      ],
      other: [{ name: "quantity", database: 1, stripe: 5 }],
      remarks: [["reason", "seats"]],
    });
  });

  test("without a proposal, or when it is over, only what differs", () => {
    for (const entry of [drift({ ...open, details }), drift({ details, proposal: { status: "past_due" } })]) {
      expect(columns(entry)).toMatchObject({ written: [], other: [{ name: "status" }, { name: "quantity" }] });
    }
  });
});

describe("the list", () => {
  test("by class: the worst first, then the most, and what isn't loaded last", () => {
    const entries = [
      drift({ id: "a", type: "period_mismatch" }),
      drift({ id: "b", type: "status_mismatch", severity: "critical" }),
      drift({ id: "c", type: "price_mismatch" }),
      drift({ id: "d", type: "status_mismatch" }),
    ];
    const byType = { period_mismatch: 1, status_mismatch: 2, price_mismatch: 40, tier_mismatch: 99, missing_in_stripe: 0 };
    expect(groups(entries, byType).map(({ type, count, entries }) => [type, count, entries.map(({ id }) => id).join("")])).toEqual([
      ["status_mismatch", 2, "bd"],
      ["price_mismatch", 40, "c"],
      ["period_mismatch", 1, "a"],
      ["tier_mismatch", 99, ""],
    ]);
  });

  test("what was decided stays where it was, once", () => {
    const [a, b, c, d] = ["a", "b", "c", "d"].map((id) => drift({ id })) as [ReturnType<typeof drift>, ...ReturnType<typeof drift>[]];
    const decided = new Map([["a", a], ["c", c!], ["d", d!]]);
    expect(withDecided(["a", "b", "c", "d"], [b!, d!], decided).map(({ id }) => id)).toEqual(["a", "b", "c", "d"]);
    expect(withDecided(["a", "b"], [b!], new Map()).map(({ id }) => id)).toEqual(["b"]);
    expect(withDecided(["a", "c"], [], decided).map(({ id }) => id)).toEqual(["a", "c"]);
  });
});

describe("what came of it", () => {
  test("each outcome has its words; what the server says comes first", () => {
    for (const outcome of ["repaired", "created", "moved", "superseded", "refused", "gone", "reverted", "excepted", "done", "already"] as const) {
      expect(outcomeResult(outcome, waiting).text, outcome).toMatch(/\.$/);
    }
    expect(outcomeResult("refused", drift({ action_taken: "The trigger keep_paid refuses it." })).text).toBe("The trigger keep_paid refuses it.");
    expect(outcomeResult("excepted", drift({ excepted_until: "2026-12-23T10:31:07Z" })).text).toContain("until 2026-12-23 10:31 UTC");
  });

  test("one of many: an outcome, a changed proposal, a refusal, or nothing at all", () => {
    const changed = { ...waiting, proposal: { status: "canceled" } };
    expect(oneResult({ id: "d1", outcome: "repaired", drift: changed }, waiting)).toMatchObject({ entry: changed, result: { title: "Repaired" } });
    expect(oneResult({ id: "d1", code: "conflict", error: "It has changed.", drift: changed }, waiting)).toMatchObject({ entry: changed, result: { title: "Not what was shown" } });
    expect(oneResult({ id: "d1", code: "not_found", error: "No such entry." }, waiting)).toMatchObject({ entry: waiting, result: { title: "Not done", text: "No such entry." } });
    expect(oneResult({ id: "d1" }, waiting).result.tone).toBe("critical");
  });

  test("many in one sentence, the most first", () => {
    const done = outcomeResult("repaired", waiting);
    expect(tally([refusedResult("It has changed.", true), done, done])).toBe("2 repaired, 1 not what was shown");
  });
});

describe("policies", () => {
  const preview = { repairs: 31, raises: 4, lowers: 2, creates: 3 };

  test("the lower of class and deployment counts", () => {
    expect(effectiveMode("auto", "approve")).toBe("approve");
    expect(effectiveMode("observe", "auto")).toBe("observe");
  });

  test("switching up says what it would do", () => {
    const observed = policy({ mode: "observe", effective: "observe", preview });
    expect(previewSentence(observed, "auto", "auto")).toBe("Would repair 31: raises access for 4, lowers it for 2, creates 3.");
    expect(previewSentence({ ...observed, preview: { ...preview, raises: 0, creates: 0 } }, "auto", "auto")).toBe("Would repair 31: lowers access for 2.");
    expect(previewSentence({ ...observed, preview: { repairs: 5, raises: 0, lowers: 0, creates: 0 } }, "auto", "auto")).toBe("Would repair 5.");
    expect(previewSentence({ ...observed, preview: { ...preview, raises: 1 } }, "approve", "auto")).toBe(
      "A person could approve 31 repairs: 1 raises access, 2 lower it, 3 create a row.",
    );
    expect(previewSentence(policy({ effective: "observe", mode: "observe" }), "auto", "auto")).toBe("Nothing stands now that it would repair.");
  });

  test("above the ceiling it says what holds it down", () => {
    const observed = policy({ mode: "observe", effective: "observe", preview });
    expect(previewSentence(observed, "auto", "approve")).toContain("REPAIR_MODE allows no more than approve.");
    expect(previewSentence(observed, "auto", "observe")).toBe("Nothing changes as long as REPAIR_MODE is observe.");
  });

  test("switching down says what ends", () => {
    const auto = policy({ mode: "auto", effective: "auto", preview });
    expect(previewSentence(auto, "approve", "auto")).toBe("From now on a person has to approve each repair.");
    expect(previewSentence(auto, "observe", "auto")).toBe("Nothing of this class is written any more.");
    expect(previewSentence({ ...auto, effective: "approve" }, "approve", "approve")).toBe("Nothing changes: approve is in effect already.");
  });

  test("only classes that can be repaired are set, and those below the deployment's mode are counted", () => {
    expect(settable(policies("auto")).map(({ type }) => type)).toEqual(["status_mismatch"]);
    expect(modeSentence(policies("auto"))).toBe("It repairs by itself.");
    expect(modeSentence(policies("observe"))).toBe("It repairs by itself. For 1 class of drift less is allowed.");
  });
});
