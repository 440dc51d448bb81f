// What the API answers, by the names that the page uses. The shapes are generated (schema.ts); here are the words that the page
// knows. Where the API says "string", a database of an older version may hold others: no view may break on one.

import type { components } from "./schema.ts";

type Schemas = components["schemas"];

export type Severity = "critical" | "high" | "warning" | "info";
export type RunStatus = "running" | "success" | "partial" | "error";
export type RunType = "scheduled" | "manual" | "webhook_failure" | "request";
/** What a run looks at: every subscription, what Stripe's events speak of, or (a pass) what is due. */
export type RunScope = Schemas["RunScope"];
export type DriftAction = Schemas["DriftAction"];
export type DriftClass = Schemas["DriftClass"];
export type Outcome = Schemas["StartOutcome"];

/** A shape with the words of some of its fields. */
type Worded<T, Words> = Omit<T, keyof Words> & Words;

/** One reconcile run. Times are RFC 3339 in UTC, durations milliseconds. */
export type Run = Worded<Schemas["Run"], { run_type: RunType; status: RunStatus }>;

/** A run that says whether reconciliation works. Passes do not: the monitor leaves them out, too. */
export type CountedRun = Run & { scope: Exclude<RunScope, "due"> };

/** A field that differs: what the database held and what Stripe says. */
export interface Difference {
  database: unknown;
  stripe: unknown;
}

/** A difference between Stripe and the database, for as long as it stands. `details` by field: what each of the two says. */
export type Drift = Worded<Schemas["DriftEntry"], { severity: Severity }>;

/**
 * One episode of an alert: it opens, repeats, and is resolved by a person or by the system. What has run out of `acknowledged_until`
 * and `snoozed_until` is still there: the clock decides.
 */
export type Alert = Worded<
  Schemas["Alert"],
  { severity: Severity; resolution: "manual" | "auto" | null; history: AlertHistoryEntry[] }
>;

/** The counts are of all open alerts, not of this page. */
export type AlertPage = Worded<Schemas["AlertPage"], { alerts: Alert[] }>;
export type RunPage = Worded<Schemas["RunPage"], { runs: Run[] }>;
/** The counts are of all that fits the filters, not of this page. */
export type DriftPage = Worded<Schemas["DriftPage"], { drift: Drift[] }>;
export type RunDetail = Worded<Schemas["RunDetail"], { run: Run; drift: Drift[] }>;
export type Resolved = Worded<Schemas["Resolved"], { alert: Alert }>;

/** The answer to Reconcile Now. Every field but `outcome` describes the run that answered. */
export type Reconciled = Worded<Schemas["RunAnswer"], { status: RunStatus }>;
export type Config = Schemas["PublicConfig"];

/** How much billing-ops may do by itself: look, propose, repair. */
export type Mode = Schemas["RepairMode"];
/** What a repair of everything that stands of a class would do. */
export type Preview = Schemas["Preview"];
/** The mode of one drift class. `effective` is the lower of it and the deployment's REPAIR_MODE. */
export type Policy = Schemas["PolicyEntry"];
export type Policies = Schemas["Policies"];

/** What came of an approval that was neither refused nor in conflict. */
export type ApproveOutcome = "repaired" | "created" | "moved" | "superseded" | "refused" | "gone";
export type DecisionOutcome = ApproveOutcome | "reverted" | "excepted" | "done" | "already";
/** What a decision came to, with the entry as it is now. */
export type Decided = Worded<Schemas["Decided"], { outcome: DecisionOutcome; drift: Drift }>;
/** One of many: an outcome, or a code and a sentence. */
export interface ApprovedOne {
  id: string;
  outcome?: ApproveOutcome;
  code?: string;
  error?: string;
  drift?: Drift | null;
}
/** What came of each, in the order of the ids. */
export interface ApprovedMany {
  results: ApprovedOne[];
}
/** The next run over everything until then may write what the circuit breaker holds. */
export type Allowed = Schemas["Allowed"];

/** What came of an action on an alert, with the alert as it is now. */
export type ActOutcome = "done" | "already" | "alert_resolved";
/** What a person may do about an alert beside resolving it, with what the action takes. */
export type Act =
  | { action: "acknowledge"; hours: number }
  | { action: "unacknowledge" }
  | { action: "snooze"; minutes: number; note?: string }
  | { action: "unsnooze" }
  | { action: "note"; note: string };
export type DeliveryStatus = "due" | "sent" | "suppressed" | "dead";
export type ChannelStatus = "ok" | "failing" | "off" | "not_configured";

/** What happened to an alert, when, and who did it; nobody where the system did. */
export type AlertHistoryEntry = Worded<Schemas["HistoryEvent"], { severity: Severity }>;
export type AlertActed = Worded<Schemas["Attended"], { outcome: ActOutcome; alert: Alert }>;

/** A way by which people are told. */
export type ChannelHealth = Worded<Schemas["ChannelHealth"], { status: ChannelStatus; min_severity: Severity }>;
/** What one channel is told of one thing that happened. */
export type DeliveryEntry = Worded<Schemas["DeliveryEntry"], { severity: Severity; status: DeliveryStatus }>;
/** All channels, set up or not; deliveries newest first. */
export type NotificationPage = Worded<Schemas["NotificationPage"], { channels: ChannelHealth[]; deliveries: DeliveryEntry[] }>;
/** A test of a channel, or another attempt at what was given up. */
export type TellBody = { test: string } | { retry: string };
/** What the receiver said to a test or a retry. */
export type Told = Worded<Schemas["ToldAnswer"], { outcome: "sent" | "refused" | "failed" }>;
