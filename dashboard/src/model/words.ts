// The words for what the API says in codes. A code the page doesn't know is shown as it is, never hidden.

import type { ApiError } from "../api/client.ts";
import type { DriftClass, FindingAction, Run, RunStatus, RunType, Severity } from "../api/types.ts";
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
};

const driftWords: Record<DriftClass, string> = {
  status_mismatch: "Status differs",
  period_mismatch: "Period differs",
  cancel_at_period_end_mismatch: "Cancel at period end differs",
  trial_end_mismatch: "Trial end differs",
  quantity_mismatch: "Quantity differs",
  price_mismatch: "Price differs",
  tier_mismatch: "Tier differs",
  missing_in_database: "Missing in the database",
  organization_unknown: "Organization unknown",
  missing_in_stripe: "Missing in Stripe",
  customer_mismatch: "Customer differs",
  duplicate_live_subscription: "Two live subscriptions",
  unknown_price: "Unknown price",
  unknown_status: "Unknown status",
  mixed_item_periods: "Items with different periods",
  livemode_mismatch: "Live and test data mixed",
  malformed_object: "Unreadable object",
};

/** The alert types that the API filters by. */
export const alertTypeWords: Record<string, string> = {
  drift: "Drift",
  reconcile_stale: "Reconcile is stale",
  high_severity_stale: "Serious alert unattended",
  reconcile_failing: "Reconcile keeps failing",
  reconcile_circuit_breaker: "Circuit breaker stopped repairs",
};

/** "status_mismatch" → "Status differs". */
export function findingType(type: string): string {
  return (driftWords as Record<string, string>)[type] ?? unknown(type);
}

/** What an alert's key names: "drift_status_mismatch" → "Drift: status differs". */
export function alertName(key: string): string {
  const known = alertTypeWords[key];
  if (known !== undefined) return known;
  if (!key.startsWith("drift_")) return unknown(key);
  const drift = findingType(key.slice("drift_".length));
  return `Drift: ${drift.charAt(0).toLowerCase()}${drift.slice(1)}`;
}

/** What was done about a finding, and whether a person has to do the rest. */
export function action(code: FindingAction): { word: string; person: boolean; why: string } {
  switch (code) {
    case "repaired":
      return { word: "Repaired", person: false, why: "The database now says what Stripe says." };
    case "created":
      return { word: "Created", person: false, why: "The missing row was created from Stripe." };
    case "superseded":
      return { word: "Superseded", person: false, why: "The row was written by someone else meanwhile: the newer write stands." };
    case "refused":
      return { word: "Refused", person: true, why: "The database refused the repair." };
    case "held":
      return { word: "Held back", person: true, why: "The circuit breaker stopped the repairs of this run." };
    case "none":
      return { word: "Not repaired", person: true, why: "This kind of drift is never repaired without a person." };
    default:
      return { word: unknown(code), person: true, why: "" };
  }
}

/** What resolving an alert by hand does, said before it is done. */
export function resolveConsequence(key: string, nextCheck: number | null, now: number): string {
  if (key === "reconcile_circuit_breaker") {
    return (
      "Resolving does not let the held repairs through. The next run judges afresh, " +
      "and if it would again lower so much access, it stops again and a new alert opens, linked to this one."
    );
  }
  if (key.startsWith("drift_")) {
    return (
      "If the next run still finds this drift, a new alert opens, linked to this one. " +
      "A complete run that finds none resolves the alert by itself."
    );
  }
  const when = nextCheck === null ? "" : ` (${utcClock(nextCheck, now)}, ${relative(nextCheck, now)})`;
  return (
    `If the condition still holds, a new alert opens at the next check${when}, linked to this one. ` +
    "If it no longer holds, that check resolves the alert by itself."
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
    case "database_unavailable":
      return { title: "The database can't be reached", text: error.message };
    case "stripe_unavailable":
      return { title: "Stripe can't be reached", text: error.message };
    case "stripe_error":
      return { title: "Stripe refused", text: error.message };
    case "rate_limited":
      return { title: "Too many requests", text: error.message };
    case "not_found":
      return { title: "Not found", text: error.message };
    case "unauthorized":
      return { title: "Your session has ended", text: "Sign in again to go on." };
    case "forbidden":
      return { title: "Admins only", text: error.message };
    case "internal":
      return { title: "The server made a mistake", text: error.message };
    default:
      return { title: "That did not work", text: error.message };
  }
}
