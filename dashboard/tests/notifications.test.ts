// Channels and deliveries in words.

import { describe, expect, test } from "vitest";
import type { ChannelHealth, DeliveryEntry } from "../src/api/types.ts";
import {
  afterRetry,
  alertParams,
  channelSentence,
  fate,
  isRetrying,
  nobodyIsTold,
  readDeliveryFilters,
  settingsOf,
  toldResult,
} from "../src/model/notifications.ts";
import { alertEvent, channelName, channelWords, deliveryKind, leastSeverity, notSentReason } from "../src/model/words.ts";
import { AT } from "./make.ts";

const NOW = AT("2026-11-23T10:31:00Z");

function channel(changes: Partial<ChannelHealth>): ChannelHealth {
  return { channel: "slack", status: "ok", reason: null, min_severity: "warning", last_success_at: null, last_failure_at: null, ...changes };
}

function delivery(changes: Partial<DeliveryEntry>): DeliveryEntry {
  return {
    id: "17",
    channel: "slack",
    kind: "raised",
    severity: "critical",
    status: "sent",
    reason: null,
    alert_id: "a",
    alert_key: "drift_status_mismatch",
    attempts: 1,
    created_at: "2026-11-23T10:00:00Z",
    next_attempt_at: null,
    sent_at: "2026-11-23T10:00:02Z",
    ...changes,
  };
}

describe("channels", () => {
  test("each is named, and so are the settings that it needs", () => {
    expect(Object.keys(channelWords)).toEqual(["pagerduty", "slack", "discord", "email", "webhook"]);
    for (const name of Object.keys(channelWords)) expect(settingsOf(name)).not.toEqual([]);
    expect(channelName("pagerduty")).toBe("PagerDuty");
    expect(channelName("carrier_pigeon")).toBe("Carrier pigeon");
    expect(settingsOf("carrier_pigeon")).toEqual([]);
  });
  test("nobody is told only where none is set up", () => {
    const none = channel({ status: "not_configured" });
    expect(nobodyIsTold([none, none])).toBe(true);
    expect(nobodyIsTold([none, channel({ status: "off" })])).toBe(false);
  });
  test("a sentence says what is wrong and what helps", () => {
    expect(channelSentence(channel({ status: "off", reason: "404: no_service" }))).toBe(
      "Switched off after 404: no_service. A test that passes, or another setting, switches it on again.",
    );
    expect(channelSentence(channel({ status: "failing", reason: "503." }))).toBe("The last attempt failed: 503. It is tried again.");
    expect(channelSentence(channel({}))).toBe("Nothing was sent yet.");
    expect(channelSentence(channel({ last_success_at: "2026-11-23T10:00:00Z" }))).toBeNull();
    expect(channelSentence(channel({ status: "not_configured" }))).toBeNull();
  });
  test("what each is told of", () => {
    expect((["critical", "high", "warning", "info"] as const).map(leastSeverity)).toEqual([
      "critical alerts only", "severity high and above", "severity warning and above", "every alert",
    ]);
  });
});

describe("deliveries", () => {
  test("kinds and events have words, unknown ones are shown", () => {
    expect(["raised", "grown", "repeated", "digest", "test", "brand_new"].map(deliveryKind)).toEqual([
      "Raised", "New members", "Reminder", "Weekly digest", "Test", "Brand new",
    ]);
    expect(["unsnoozed", "noted", "brand_new"].map(alertEvent)).toEqual(["Snooze ended", "Note", "Brand new"]);
  });
  test("every reason for silence is a sentence", () => {
    const known = ["below_severity", "snoozed", "pagerduty_only", "alarm_not_sent", "channel_off", "not_configured", "summarised", "resolved_meanwhile"];
    for (const reason of known) {
      expect(notSentReason(reason, null)).toMatch(/^[A-Z].+ .+ .+\.$/);
      expect(notSentReason(reason, null)).not.toContain("_");
    }
    expect(notSentReason("below_severity", "high")).toBe("This channel is told of severity high and above.");
    expect(notSentReason("mercury_in_retrograde", null)).toBe("Mercury in retrograde.");
  });
  test("what became of each", () => {
    const channels = [channel({ min_severity: "high" })];
    expect(fate(delivery({}), channels, NOW)).toBe("");
    expect(fate(delivery({ attempts: 3 }), channels, NOW)).toBe("At attempt 3.");
    expect(fate(delivery({ status: "suppressed", reason: "below_severity" }), channels, NOW)).toBe("This channel is told of severity high and above.");
    expect(fate(delivery({ status: "dead", reason: "400: invalid_blocks" }), channels, NOW)).toBe("400: invalid_blocks");
    const due = delivery({ status: "due", attempts: 0, sent_at: null });
    expect(fate(due, channels, NOW)).toBe("Goes out soon.");
    expect(fate({ ...due, attempts: 2, reason: "503", next_attempt_at: "2026-11-23T10:32:00Z" }, channels, NOW)).toBe(
      "Failed 2 times: 503. Next attempt in 1 min.",
    );
    expect(isRetrying(due)).toBe(false);
    expect(isRetrying({ ...due, attempts: 1 })).toBe(true);
  });
  test("what a receiver said to a test or a retry", () => {
    expect(toldResult({ outcome: "sent", status: 200, answer: "ok" }, "slack")).toEqual({ tone: "ok", title: "Sent", text: "Slack answered 200: ok" });
    expect(toldResult({ outcome: "refused", status: 404, answer: "" }, "slack").text).toBe("Slack answered 404.");
    expect(toldResult({ outcome: "failed", status: null, answer: "timed out" }, "email")).toEqual({
      tone: "warning",
      title: "Failed",
      text: "No answer from Email: timed out",
    });
  });
  test("a retry leaves it sent, given up, or due", () => {
    const dead = delivery({ status: "dead", sent_at: null, attempts: 31 });
    expect(afterRetry(dead, { outcome: "sent", status: 200, answer: "ok" }, NOW)).toMatchObject({ status: "sent", attempts: 1, sent_at: "2026-11-23T10:31:00.000Z" });
    expect(afterRetry(dead, { outcome: "refused", status: 400, answer: "" }, NOW)).toMatchObject({ status: "dead", sent_at: null });
    expect(afterRetry(dead, { outcome: "failed", status: 503, answer: "" }, NOW).status).toBe("due");
  });
  test("the alert is looked for among those of its type", () => {
    expect(alertParams("a", "drift_price_mismatch")).toEqual({ status: "all", alert: "a", type: "drift_price_mismatch" });
    expect(alertParams("a", "reconcile_stale")["type"]).toBe("reconcile_stale");
    expect(alertParams("a", "brand_new")["type"]).toBeNull();
    expect(alertParams("a", null)["type"]).toBeNull();
  });
  test("filters in the address that the API would refuse count as none", () => {
    expect(readDeliveryFilters({ channel: "slack", status: "dead" })).toEqual({ channel: "slack", status: "dead" });
    expect(readDeliveryFilters({ channel: "pigeon", status: "constructor" })).toEqual({ channel: "", status: "" });
  });
});
