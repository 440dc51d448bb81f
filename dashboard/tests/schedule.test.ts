// Cron schedules, as far as vercel.json may use them for this page.

import { describe, expect, test } from "vitest";
import { minutesOfDay, nextSlot, slots, scheduleOf } from "../src/model/schedule.ts";
import { AT } from "./make.ts";

describe("schedule", () => {
  test("the next hourly run, before and after the minute and over midnight", () => {
    expect(nextSlot("17 * * * *", AT("2026-11-23T10:16:59Z"))).toBe(AT("2026-11-23T10:17:00Z"));
    expect(nextSlot("17 * * * *", AT("2026-11-23T10:17:00Z"))).toBe(AT("2026-11-23T11:17:00Z"));
    expect(nextSlot("17 * * * *", AT("2026-11-23T23:30:00Z"))).toBe(AT("2026-11-24T00:17:00Z"));
  });

  test("a daily run", () => {
    expect(nextSlot("5 4 * * *", AT("2026-11-23T04:05:00Z"))).toBe(AT("2026-11-24T04:05:00Z"));
  });

  test("steps, ranges and lists", () => {
    expect(minutesOfDay("*/15 0 * * *")).toEqual([0, 15, 30, 45]);
    expect(minutesOfDay("10-12 1,2 * * *")).toEqual([70, 71, 72, 130, 131, 132]);
  });

  test("what it doesn't understand is unknown, never guessed", () => {
    for (const odd of [null, "", "17 * * *", "17 * * * 1", "61 * * * *", "x * * * *", "*/0 * * * *"]) {
      expect(minutesOfDay(odd), String(odd)).toBeNull();
      expect(nextSlot(odd, 0)).toBeNull();
    }
  });

  test("all slots of a span", () => {
    const found = slots("17 * * * *", AT("2026-11-23T22:17:00Z"), AT("2026-11-24T01:17:00Z"));
    expect(found.map((time) => new Date(time).toISOString().slice(11, 16))).toEqual(["22:17", "23:17", "00:17"]);
  });
});

describe("the schedules of vercel.json", () => {
  const crons = [
    { path: "/api/reconcile?scope=due", schedule: "*/5 * * * *" },
    { path: "/api/reconcile?scope=all", schedule: "17 * * * *" },
    { path: "/api/monitor?only=deliver", schedule: "*/5 * * * *" },
  ];
  test("a call for a part of the work is not the schedule of all of it, wherever it stands", () => {
    expect(scheduleOf(crons, "/api/reconcile", ["scope", "due"])).toBe("17 * * * *");
    expect(scheduleOf(crons, "/api/monitor", ["only", "deliver"])).toBeNull();
    expect(scheduleOf([], "/api/monitor", ["only", "deliver"])).toBeNull();
  });
});
