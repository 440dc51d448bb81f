// Channels and deliveries: how one is set up, what became of a message, what a receiver said. Pure: answers in, words out.

import type { ChannelHealth, DeliveryEntry, DeliveryStatus, Told } from "../api/types.ts";
import type { Said } from "./attention.ts";
import { plural, relative } from "./format.ts";
import { alertTypes, channelName, channelWords, deliveryStatusWords, notSentReason } from "./words.ts";

/** The settings that a channel needs. */
const SETTINGS: Record<string, readonly string[]> = {
  pagerduty: ["NOTIFY_PAGERDUTY_KEY"],
  slack: ["NOTIFY_SLACK_URL"],
  discord: ["NOTIFY_DISCORD_URL"],
  email: ["RESEND_API_KEY", "NOTIFY_EMAIL_FROM", "NOTIFY_EMAIL_TO"],
  webhook: ["NOTIFY_WEBHOOK_URL", "NOTIFY_WEBHOOK_SECRET"],
};

export function settingsOf(channel: string): readonly string[] {
  return SETTINGS[channel] ?? [];
}

/** Whether nobody is told of anything. */
export function nobodyIsTold(channels: ChannelHealth[]): boolean {
  return channels.every((channel) => channel.status === "not_configured");
}

/** How a channel stands, in a sentence; null where its badge says all. */
export function channelSentence(health: ChannelHealth): string | null {
  const { status, reason, last_success_at } = health;
  const said = (reason ?? "").replace(/\.$/, "");
  switch (status) {
    case "failing":
      return `The last attempt failed${said === "" ? "" : `: ${said}`}. It is tried again.`;
    case "off":
      if (hasWrongSetting(health)) return `${said}. Nothing is sent until that is mended.`;
      return `Switched off${said === "" ? "" : ` after ${said}`}. A test that passes, or another setting, switches it on again.`;
    case "ok":
      return last_success_at === null ? "Nothing was sent yet." : null;
    default:
      return said === "" ? null : `${said}.`;
  }
}

export interface DeliveryFilters {
  channel: string;
  status: string;
}

function known(value: string | undefined, words: object): string {
  return value !== undefined && Object.hasOwn(words, value) ? value : "";
}

/** The filters as they stand in the address; a word that the API would refuse counts as none. */
export function readDeliveryFilters(params: Readonly<Record<string, string>>): DeliveryFilters {
  return { channel: known(params["channel"], channelWords), status: known(params["status"], deliveryStatusWords) };
}

/** Where a delivery's alert is found: among those of its type, so that an old one need not be far down. */
export function alertParams(id: string, key: string | null): Record<string, string | null> {
  return { status: "all", alert: id, type: key !== null && Object.hasOwn(alertTypes, key) ? key : null };
}

/** What became of a delivery, beyond its status; empty where that says all. */
export function fate(entry: DeliveryEntry, channels: ChannelHealth[], now: number): string {
  switch (entry.status) {
    case "suppressed":
      return notSentReason(entry.reason, channels.find(({ channel }) => channel === entry.channel)?.min_severity ?? null);
    case "due": {
      const next = entry.next_attempt_at === null ? null : Date.parse(entry.next_attempt_at);
      const when = next === null || next <= now ? "soon" : relative(next, now);
      if (entry.attempts === 0) return `Goes out ${when}.`;
      const why = (entry.reason ?? "").replace(/\.$/, "");
      return `Failed ${plural(entry.attempts, "time")}${why === "" ? "" : `: ${why}`}. Next attempt ${when}.`;
    }
    case "sent":
      return entry.attempts > 1 ? `At attempt ${entry.attempts}.` : "";
    default:
      return entry.reason ?? "";
  }
}

/** Whether a delivery has failed and is still to come. */
export function isRetrying(entry: DeliveryEntry): boolean {
  return entry.status === "due" && entry.attempts > 0;
}

/** What the receiver said to a test or a retry. */
export function toldResult(told: Told, channel: string): Said {
  const name = channelName(channel);
  const answer = told.answer.trim();
  const text =
    told.status === null
      ? `No answer from ${name}${answer === "" ? "." : `: ${answer}`}`
      : `${name} answered ${told.status}${answer === "" ? "." : `: ${answer}`}`;
  switch (told.outcome) {
    case "sent":
      return { tone: "ok", title: "Sent", text };
    case "refused":
      return { tone: "critical", title: "Refused", text };
    default:
      return { tone: "warning", title: "Failed", text };
  }
}

/** Whether a channel is off for its settings, and not for what its receiver said: then the sentence begins with the name of one. */
export function hasWrongSetting({ status, reason }: ChannelHealth): boolean {
  return status === "off" && /^[A-Z][A-Z0-9_]+ /.test(reason ?? "");
}

/** A delivery as a retry leaves it: refused is for good, failed is tried again. */
export function afterRetry(entry: DeliveryEntry, { outcome }: Told, now: number): DeliveryEntry {
  // Nobody waits for a test: it is sent once.
  const statuses: Record<Told["outcome"], DeliveryStatus> = { sent: "sent", refused: "dead", failed: entry.kind === "test" ? "dead" : "due" };
  const status = statuses[outcome] ?? entry.status;
  return { ...entry, status, attempts: 1, sent_at: status === "sent" ? new Date(now).toISOString() : entry.sent_at };
}
