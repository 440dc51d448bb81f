// What the API answers, as the page uses it. The names are the API's own (see /openapi.json).

export type Severity = "critical" | "high" | "warning" | "info";
export type RunStatus = "running" | "success" | "partial" | "error";
export type RunType = "scheduled" | "manual" | "webhook_failure" | "request";

/** One reconcile run. Times are RFC 3339 in UTC, durations milliseconds. */
export interface Run {
  id: string;
  run_key: string;
  run_type: RunType;
  attempt: number;
  status: RunStatus;
  lookback_hours: number;
  started_at: string;
  finished_at: string | null;
  heartbeat_at: string | null;
  lease_expires_at: string | null;
  duration_ms: number | null;
  scanned_count: number;
  created_count: number;
  updated_count: number;
  mismatch_count: number;
  superseded_count: number;
  skipped_count: number;
  error_count: number;
  total_issues: number;
  message: string | null;
  error_code: string | null;
  error_message: string | null;
  triggered_by: "cron" | "secret" | "admin" | null;
}

export type FindingAction = "repaired" | "created" | "superseded" | "refused" | "held" | "none";

/** A field that differs: what the database held and what Stripe says. */
export interface Difference {
  database: unknown;
  stripe: unknown;
}

/** One drift that a run found, and what it did about it. */
export interface Finding {
  id: string;
  type: string;
  severity: Severity;
  organization_id: string | null;
  stripe_subscription_id: string | null;
  stripe_customer_id: string | null;
  livemode: boolean | null;
  issue: string;
  /** `{field: {database, stripe}}` for what differs; else whatever helps. */
  details: Record<string, unknown>;
  action: FindingAction;
  fixed: boolean;
  /** The action in a sentence. */
  action_taken: string;
  created_at: string;
}

/** One episode of an alert: it opens, repeats, and is resolved by a person or by the system. */
export interface Alert {
  id: string;
  alert_key: string;
  alert_type: string;
  severity: Severity;
  message: string;
  metadata: Record<string, unknown>;
  occurrences: number;
  first_seen_at: string;
  last_seen_at: string;
  created_at: string;
  resolved: boolean;
  resolved_at: string | null;
  resolved_by: string | null;
  resolution: "manual" | "auto" | null;
  resolution_note: string | null;
  previous_alert_id: string | null;
}

export interface AlertPage {
  alerts: Alert[];
  count: number;
  /** These four count all open alerts, not this page. */
  critical_count: number;
  high_count: number;
  warning_count: number;
  info_count: number;
  next_cursor: string | null;
}

export interface RunPage {
  runs: Run[];
  count: number;
  next_cursor: string | null;
}

export interface FindingPage {
  run: Run;
  findings: Finding[];
  finding_counts: Record<string, number>;
  next_cursor: string | null;
}

export interface Resolved {
  alert: Alert;
  already_resolved: boolean;
}

export type Outcome =
  | "created"
  | "existing_running"
  | "existing_finished"
  | "reclaimed"
  | "busy";

/** The answer to Reconcile Now. Every field but `outcome` describes the run that answered. */
export interface Reconciled {
  outcome: Outcome;
  duplicate: boolean;
  attempt: number;
  reconciliation_log_id: string;
  run_key: string;
  status: RunStatus;
  scanned_count: number;
  created_count: number;
  updated_count: number;
  error_count: number;
  total_issues: number;
  duration_ms: number | null;
  message: string | null;
}

export interface Config {
  supabase_url: string;
  supabase_publishable_key: string;
}
