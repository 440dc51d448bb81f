// Runs and alerts for the unit tests: complete, with what a test cares about on top.

import type { Alert, CountedRun, Drift, Run } from "../src/api/types.ts";

export const AT = (text: string): number => Date.parse(text);

export function run(changes: Partial<CountedRun> & { started_at: string }): CountedRun {
  const status = changes.status ?? "success";
  return {
    id: changes.started_at,
    run_key: `scheduled_${changes.started_at.slice(0, 13).replace("T", "_")}`,
    run_type: "scheduled",
    scope: "all",
    attempt: 1,
    status,
    lookback_hours: 24,
    finished_at: status === "running" ? null : changes.started_at,
    heartbeat_at: changes.started_at,
    lease_expires_at: null,
    duration_ms: status === "running" ? null : 800,
    sweep_started_at: null,
    scanned_count: 100,
    created_count: 0,
    updated_count: 0,
    mismatch_count: 0,
    superseded_count: 0,
    skipped_count: 0,
    error_count: 0,
    total_issues: 0,
    message: null,
    error_code: null,
    error_message: null,
    triggered_by: "cron",
    ...changes,
  };
}

/** A pass over what is due. */
export function pass(changes: Partial<Run> & { started_at: string }): Run {
  const { scope: _, ...others } = changes;
  return {
    ...run(others),
    run_key: `due_${changes.started_at.slice(0, 16).replace("T", "_")}`,
    scanned_count: 1,
    triggered_by: "event",
    ...others,
    scope: "due",
  };
}

export function alert(changes: Partial<Alert> & { id: string }): Alert {
  return {
    alert_key: "drift_status_mismatch",
    alert_type: "drift_status_mismatch",
    severity: "info",
    message: "1 status differs",
    metadata: {},
    occurrences: 1,
    first_seen_at: "2026-11-23T10:00:00Z",
    last_seen_at: "2026-11-23T10:00:00Z",
    created_at: "2026-11-23T10:00:00Z",
    resolved: false,
    resolved_at: null,
    resolved_by: null,
    resolution: null,
    resolution_note: null,
    previous_alert_id: null,
    severe_since: null,
    acknowledged_at: null,
    acknowledged_by: null,
    acknowledged_until: null,
    snoozed_until: null,
    snoozed_by: null,
    history: [],
    ...changes,
  };
}

export function drift(changes: Partial<Drift>): Drift {
  return {
    id: "d1",
    drift_key: "status_mismatch:sub_1",
    type: "status_mismatch",
    severity: "info",
    owner: "org",
    organization_id: "org",
    stripe_subscription_id: "sub_1",
    stripe_customer_id: null,
    livemode: false,
    issue: "status differs",
    details: {},
    proposal: null,
    lowers_access: false,
    action: "repaired",
    action_taken: "The row was updated.",
    first_seen_at: "2026-11-23T10:00:00Z",
    last_seen_at: "2026-11-23T10:00:00Z",
    seen_count: 1,
    first_run_id: "run",
    last_run_id: "run",
    closed_at: "2026-11-23T10:00:00Z",
    closed_run_id: "run",
    decided_by: null,
    decided_at: null,
    note: null,
    excepted_until: null,
    ...changes,
  };
}
