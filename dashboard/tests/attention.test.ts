// Whether somebody attends to an alert, how long one can say so, and the words for what comes of it.

import { afterEach, describe, expect, test, vi } from "vitest";
import {
  acknowledgeChoices,
  acknowledged,
  actResult,
  chosenOf,
  defaultHours,
  hoursText,
  needless,
  nextMorning,
  readAttention,
  snoozeChoices,
  snoozed,
  undoOf,
} from "../src/model/attention.ts";
import { alert, AT } from "./make.ts";

const NOW = AT("2026-11-23T10:31:00Z");
const ME = "11111111-1111-4111-8111-111111111111";
const LATER = "2026-11-23T14:31:00Z";
const PAST = "2026-11-23T10:30:59Z";

const plain = alert({ id: "a" });
const held = alert({ id: "a", acknowledged_at: PAST, acknowledged_by: ME, acknowledged_until: LATER, snoozed_until: LATER, snoozed_by: null });

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("what is in force", () => {
  test("until its time, by the clock", () => {
    expect(acknowledged(held, NOW)).toEqual({ until: AT(LATER), by: ME });
    expect(snoozed(held, NOW)).toEqual({ until: AT(LATER), by: null });
    expect(acknowledged(held, AT(LATER))).toBeNull();
    expect(snoozed({ ...held, snoozed_until: PAST }, NOW)).toBeNull();
    expect(acknowledged(plain, NOW)).toBeNull();
  });
  test("not of an alert that is resolved, whatever it still says", () => {
    expect(acknowledged({ ...held, resolved: true }, NOW)).toBeNull();
    expect(snoozed({ ...held, resolved: true }, NOW)).toBeNull();
  });
  test("an answer without these fields is an alert that nobody attends to", () => {
    const { acknowledged_until: _, snoozed_until: __, ...old } = plain;
    expect(acknowledged(old as typeof plain, NOW)).toBeNull();
    expect(snoozed(old as typeof plain, NOW)).toBeNull();
  });
});

describe("how long", () => {
  test("a critical alert for 4 hours, the others for a day", () => {
    expect((["critical", "high", "warning", "info"] as const).map(defaultHours)).toEqual([4, 24, 24, 24]);
    expect([1, 4, 8, 24, 72].map(hoursText)).toEqual(["1 h", "4 h", "8 h", "24 h", "3 days"]);
    const choices = acknowledgeChoices(NOW);
    expect(choices.map(({ amount }) => amount)).toEqual([1, 4, 8, 24, 72]);
    expect(choices[1]).toEqual({ amount: 4, label: "4 h", until: AT(LATER) });
  });
  test("in the evening the morning is tomorrow's, in the night it is the one that comes", () => {
    expect(nextMorning(new Date(2026, 10, 23, 22, 15).getTime())).toEqual({ at: new Date(2026, 10, 24, 9).getTime(), today: false });
    expect(nextMorning(new Date(2026, 10, 24, 3, 0).getTime())).toEqual({ at: new Date(2026, 10, 24, 9).getTime(), today: true });
    expect(nextMorning(new Date(2026, 10, 24, 5, 59).getTime()).today).toBe(true);
    expect(nextMorning(new Date(2026, 10, 24, 6, 0).getTime())).toEqual({ at: new Date(2026, 10, 25, 9).getTime(), today: false });
    expect(nextMorning(new Date(2026, 11, 31, 18, 0).getTime()).at).toBe(new Date(2027, 0, 1, 9).getTime());
  });
  test("nine o'clock is nine o'clock where the clocks were changed in between", () => {
    vi.stubEnv("TZ", "Europe/Berlin");
    // 23:00 there, the night before summer time ends: eleven hours to nine, not ten.
    expect(nextMorning(AT("2026-10-24T21:00:00Z"))).toEqual({ at: AT("2026-10-25T08:00:00Z"), today: false });
  });
  test("snoozes come shortest first, and each is one that the API takes", () => {
    const evening = new Date(2026, 10, 23, 22, 15, 30).getTime();
    expect(snoozeChoices(evening).map(({ label }) => label)).toEqual(["30 minutes", "1 hour", "4 hours", "Tomorrow, 9:00", "1 day", "7 days"]);
    expect(snoozeChoices(evening)[3]).toEqual({ amount: 645, label: "Tomorrow, 9:00", until: new Date(2026, 10, 24, 9).getTime() });
    expect(snoozeChoices(new Date(2026, 10, 24, 3, 0).getTime())[3]?.label).toBe("This morning, 9:00");
    expect(snoozeChoices(new Date(2026, 10, 24, 7, 0).getTime()).map(({ label }) => label).at(-2)).toBe("Tomorrow, 9:00");
    for (let minute = 0; minute < 1440; minute += 7) {
      for (const { amount } of snoozeChoices(evening + minute * 60_000)) {
        expect(Number.isInteger(amount) && amount >= 5 && amount <= 10_080).toBe(true);
      }
    }
  });
  test("the usual one is chosen until a person chooses, by its label", () => {
    const choices = snoozeChoices(NOW);
    expect(chosenOf(choices, null, 60).label).toBe("1 hour");
    expect(chosenOf(choices, "7 days", 60).amount).toBe(10_080);
    expect(chosenOf(choices, "gone", 60).label).toBe("1 hour");
  });
});

describe("what came of it", () => {
  const acts = ["acknowledge", "unacknowledge", "snooze", "unsnooze", "note"] as const;
  test("done, already, and too late are told apart for every action", () => {
    const titles = acts.map((action) => (["done", "already", "alert_resolved"] as const).map((outcome) => actResult(action, outcome, held, NOW).title));
    expect(titles).toEqual([
      ["Acknowledged", "Already acknowledged", "Already resolved"],
      ["No longer acknowledged", "Not acknowledged", "Already resolved"],
      ["Snoozed", "Already snoozed", "Already resolved"],
      ["No longer snoozed", "Not snoozed", "Already resolved"],
      ["Noted", "Noted", "Already resolved"],
    ]);
  });
  test("they say until when, or how it was resolved", () => {
    expect(actResult("acknowledge", "done", held, NOW).text).toBe(
      "No reminders until 14:31 UTC, in 4 h. It ends sooner if the alert gets worse.",
    );
    expect(actResult("snooze", "already", held, NOW).text).toBe("It holds until 14:31 UTC, in 4 h. Nothing was changed.");
    const over = alert({ id: "a", resolved: true, resolution: "auto", resolved_at: "2026-11-23T10:12:00Z" });
    expect(actResult("snooze", "alert_resolved", over, NOW)).toEqual({
      tone: "info",
      title: "Already resolved",
      text: "It was resolved automatically at 10:12 UTC. Nothing was changed.",
    });
  });
  test("a key does not do again what holds, and nothing to what is over", () => {
    expect(needless("acknowledge", plain, NOW)).toBeNull();
    expect(needless("acknowledge", held, NOW)?.title).toBe("Already acknowledged");
    expect(needless("snooze", held, AT(LATER))).toBeNull();
    expect(needless("snooze", { ...plain, resolved: true }, NOW)?.title).toBe("Already resolved");
  });
  test("what was just done can be undone, a longer time cannot", () => {
    expect(undoOf("acknowledge", "done", plain, NOW)).toEqual({ action: "unacknowledge" });
    expect(undoOf("snooze", "done", plain, NOW)).toEqual({ action: "unsnooze" });
    expect(undoOf("acknowledge", "done", held, NOW)).toBeNull();
    expect(undoOf("snooze", "already", plain, NOW)).toBeNull();
    expect(undoOf("note", "done", plain, NOW)).toBeNull();
  });
});

test("the filter in the address: words that the API knows, of open alerts only", () => {
  expect(readAttention({ state: "snoozed" })).toBe("snoozed");
  expect(readAttention({ state: "constructor" })).toBe("");
  expect(readAttention({ state: "snoozed", status: "all" })).toBe("");
  expect(readAttention({})).toBe("");
});
