// The words for what the API says in codes. A code the page doesn't know is shown as it is, never hidden.

import type { ApiError } from "../api/client.ts";
import type { ChannelStatus, DeliveryStatus, DriftAction, DriftClass, Run, RunScope, RunStatus, RunType, Severity } from "../api/types.ts";
import { relative, span, utcClock } from "./format.ts";

function unknown(code: string): string {
  const text = code.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export const severityWords: Record<Severity, string> = {
  critical: "Critical",
  high: "High",
  warning: "Warning",
  info: "Info",
};

export const statusWords: Record<RunStatus, string> = {
  running: "Running",
  success: "Success",
  partial: "Partial",
  error: "Error",
};

export const runTypeWords: Record<RunType, string> = {
  scheduled: "Scheduled",
  manual: "Manual",
  webhook_failure: "Webhook failure",
  request: "Request",
};

export const triggerWords: Record<NonNullable<Run["triggered_by"]>, string> = {
  cron: "the platform's cron",
  secret: "a caller with the secret",
  admin: "an admin",
  event: "an event of Stripe's",
};

/** What a run looks at. */
export const scopeWords: Record<RunScope, string> = {
  all: "Everything",
  changed: "What changed",
  due: "What was due",
};

/** "Scheduled", "Manual", "Pass": passes are all of one type. */
export function runName(run: Pick<Run, "run_type" | "scope">): string {
  return run.scope === "due" ? "Pass" : (runTypeWords[run.run_type] ?? run.run_type);
}

export const driftWords: Record<DriftClass, string> = {
  status_mismatch: "Status differs",
  period_mismatch: "Period differs",
  cancel_at_period_end_mismatch: "Cancel at period end differs",
  trial_end_mismatch: "Trial end differs",
  quantity_mismatch: "Quantity differs",
  price_mismatch: "Price differs",
  tier_mismatch: "Tier differs",
  missing_in_database: "Missing in the database",
  organization_unknown: "Unknown owner",
  organization_mismatch: "Owners contradict",
  replaced_subscription: "Replaced subscription",
  missing_in_stripe: "Missing in Stripe",
  customer_mismatch: "Customer differs",
  duplicate_live_subscription: "Duplicate live subscription",
  unknown_price: "Unknown price",
  unknown_status: "Unknown status",
  mixed_item_periods: "Items with different periods",
  livemode_mismatch: "Live and test data mixed",
  ambiguous_items: "Several items",
  malformed_object: "Unreadable object",
  malformed_row: "Unreadable row",
};

/** The alert types that the API filters by. */
export const alertTypeWords: Record<string, string> = {
  reconcile_stale: "Reconciliation is stale",
  high_severity_stale: "Serious alert left unattended",
  reconcile_failing: "Reconciliation keeps failing",
  sweep_incomplete: "Not everything is looked at",
  exceptions_ending: "Exceptions end soon",
  settings_invalid: "A setting is wrong",
  notifications_failing: "Notifications fail",
  stripe_deliveries_failing: "Stripe's events are not taken",
  events_backlog: "Events are followed too late",
  reconcile_circuit_breaker: "Circuit breaker stopped repairs",
};

/** "status_mismatch" → "Status differs". */
export function driftType(type: string): string {
  return (driftWords as Record<string, string>)[type] ?? unknown(type);
}

/** What an alert's key names: "drift_status_mismatch" → "Drift: status differs". */
export function alertName(key: string): string {
  const known = alertTypeWords[key];
  if (known !== undefined) return known;
  if (!key.startsWith("drift_")) return unknown(key);
  const drift = driftType(key.slice("drift_".length));
  return `Drift: ${drift.charAt(0).toLowerCase()}${drift.slice(1)}`;
}

/** Every type of alert that there is, by the API's word. */
export const alertTypes: Record<string, string> = {
  ...alertTypeWords,
  ...Object.fromEntries(Object.keys(driftWords).map((type) => [`drift_${type}`, alertName(`drift_${type}`)])),
};

/** The channels, in the order in which they are listed. */
export const channelWords: Record<string, string> = {
  pagerduty: "PagerDuty",
  slack: "Slack",
  discord: "Discord",
  email: "Email",
  webhook: "Webhook",
};

export const channelStatusWords: Record<ChannelStatus, string> = {
  ok: "OK",
  failing: "Failing",
  off: "Off",
  not_configured: "Not set up",
};

export const deliveryStatusWords: Record<DeliveryStatus, string> = {
  due: "Due",
  sent: "Sent",
  suppressed: "Not sent",
  dead: "Given up",
};

/** What a delivery tells. */
const deliveryKindWords: Record<string, string> = {
  raised: "Raised",
  escalated: "More severe",
  grown: "New members",
  repeated: "Reminder",
  acknowledged: "Acknowledged",
  resolved: "Resolved",
  summary: "Summary of several",
  digest: "Weekly digest",
  test: "Test",
};

/** What happened to an alert. */
const alertEventWords: Record<string, string> = {
  raised: "Raised",
  escalated: "More severe",
  grown: "New members",
  acknowledged: "Acknowledged",
  unacknowledged: "Acknowledgement ended",
  snoozed: "Snoozed",
  unsnoozed: "Snooze ended",
  noted: "Note",
  resolved: "Resolved",
};

/** "slack" → "Slack". */
export function channelName(channel: string): string {
  return channelWords[channel] ?? unknown(channel);
}

export function deliveryKind(kind: string): string {
  return deliveryKindWords[kind] ?? unknown(kind);
}

export function alertEvent(event: string): string {
  return alertEventWords[event] ?? unknown(event);
}

/** "severity warning and above": what a channel with this least severity is told of. */
export function leastSeverity(least: Severity): string {
  switch (least) {
    case "critical":
      return "critical alerts only";
    case "info":
      return "every alert";
    default:
      return `severity ${(severityWords[least] ?? least).toLowerCase()} and above`;
  }
}

/** Why a channel was not told; `least` where it is known what the channel is told of. */
export function notSentReason(reason: string | null, least: Severity | null): string {
  switch (reason) {
    case null:
    case "":
      return "No reason is given.";
    case "below_severity":
      return least === null ? "Less severe than what this channel is told of." : `This channel is told of ${leastSeverity(least)}.`;
    case "snoozed":
      return "The alert was snoozed.";
    case "pagerduty_only":
      return "Only PagerDuty is told of an acknowledgement.";
    case "alarm_not_sent":
      return "The alarm was not sent here, so what became of it isn't either.";
    case "channel_off":
      return "The channel was off.";
    case "not_configured":
      return "The channel was not set up.";
    case "summarised":
      return "Too many were due at once: a summary told of it.";
    case "resolved_meanwhile":
      return "The alert was resolved before it was sent.";
    default:
      return `${unknown(reason).replace(/\.$/, "")}.`;
  }
}

/** What was done about a difference, and whether a person has to do the rest. */
export function action(code: DriftAction): { word: string; person: boolean; why: string } {
  switch (code) {
    case "repaired":
      return { word: "Repaired", person: false, why: "The database now matches Stripe." };
    case "created":
      return { word: "Created", person: false, why: "The missing row was created from Stripe's data." };
    case "moved":
      return { word: "Moved", person: false, why: "The owner's row now follows their live subscription." };
    case "cleared":
      return { word: "Gone", person: false, why: "A later run no longer found it." };
    case "reverted":
      return { word: "Taken back", person: false, why: "A person took the repair back." };
    case "observed":
      return { word: "Observed", person: false, why: "It would be repaired; nothing is written yet." };
    case "waiting":
      return { word: "Waits for approval", person: true, why: "It is repaired once a person approves." };
    case "excepted":
      return { word: "Excepted", person: false, why: "A person has said why it may stay." };
    case "superseded":
      return { word: "Superseded", person: false, why: "Something else updated the row in the meantime; the newer values were kept." };
    case "refused":
      return { word: "Refused", person: true, why: "The app's table refused the repair. It is tried again whenever it is looked at." };
    case "held":
      return { word: "Held back", person: true, why: "The circuit breaker stopped this run's repairs." };
    case "none":
      return { word: "Not repaired", person: true, why: "This kind of drift is never repaired automatically." };
    default:
      return { word: unknown(code), person: true, why: "" };
  }
}

/** What resolving an alert by hand does, said before it is done. */
export function resolveConsequence(key: string, nextCheck: number | null, now: number): string {
  if (key === "reconcile_circuit_breaker") {
    return (
      "Resolving does not release the held repairs. The next run decides again: " +
      "if it would again lower access for too many customers, it stops again and a new alert opens, linked to this one."
    );
  }
  if (key.startsWith("drift_")) {
    return (
      "If the next run still finds this drift, a new alert opens, linked to this one. " +
      "If you leave the alert open, the first complete run over everything that finds no such drift resolves it automatically."
    );
  }
  const when = nextCheck === null ? "" : ` (${utcClock(nextCheck, now)}, ${relative(nextCheck, now)})`;
  const unknown = key === "stripe_deliveries_failing" ? " Where Stripe does not say, that check changes nothing." : "";
  return (
    `If the condition still holds, a new alert opens at the next check${when}, linked to this one. ` +
    `If it no longer holds, that check resolves the alert automatically.${unknown}`
  );
}

/** "in 41 s (at 10:42 UTC)": how long a limited caller has to wait. */
export function waitUntil(until: number, now: number): string {
  return until <= now ? "now" : `in ${span(until - now)} (${utcClock(until, now)})`;
}

/** What a failed call means and what to do, in a title and a sentence. */
export function failure(error: ApiError): { title: string; text: string } {
  switch (error.code) {
    case "unreachable":
      return { title: "Can't reach the server", text: error.message };
    case "not_configured":
      return { title: "This deployment is not configured", text: error.message };
    case "not_adopted":
      return { title: "No table is adopted", text: error.message };
    case "database_unavailable":
      return { title: "The database can't be reached", text: error.message };
    case "stripe_unavailable":
      return { title: "Stripe can't be reached", text: error.message };
    case "stripe_error":
      return { title: "Stripe refused the request", text: error.message };
    case "rate_limited":
      return { title: "Too many requests", text: error.message };
    case "conflict":
      return { title: "Something has changed", text: error.message };
    case "not_found":
      return { title: "Not found", text: error.message };
    case "unauthorized":
      return { title: "Your session has ended", text: "Sign in again to continue." };
    case "forbidden":
      return { title: "Admins only", text: error.message };
    case "internal":
      return { title: "Something went wrong on the server", text: error.message };
    default:
      return { title: "That did not work", text: error.message };
  }
}
