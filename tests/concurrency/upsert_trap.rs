//! Why deduplication lives in SQL functions: what PostgREST's upsert does on a partial unique index.

use reqwest::Method;
use serde_json::json;

use support::Stack;
use support::disturb::count;

/// PostgREST's `on_conflict` names columns and can name no predicate, so Postgres finds no index that would decide (42P10)
/// and every upsert on the dedup keys fails (<https://github.com/PostgREST/postgrest/issues/2123>).
#[tokio::test]
async fn an_upsert_through_postgrest_cannot_use_the_partial_unique_indexes() {
    let stack = Stack::start();
    let database = stack.database().await;
    let alert = json!({
        "alert_key": "reconcile_stale", "alert_type": "reconcile_stale", "severity": "warning", "message": "m"
    });
    let upsert = stack.rest(Method::POST, "billing_alerts?on_conflict=alert_key", &alert).await;
    assert_eq!((upsert.status, upsert.code()), (400, "42P10"), "{upsert:?}");
    assert_eq!(count(&database, "select count(*) from public.billing_alerts").await, 0);

    let run = json!({
        "run_key": "scheduled_2026-11-23_10", "run_type": "scheduled", "status": "running",
        "lease_expires_at": "2026-11-23T11:00:00Z"
    });
    let upsert = stack.rest(Method::POST, "reconciliation_logs?on_conflict=run_key", &run).await;
    assert_eq!((upsert.status, upsert.code()), (400, "42P10"), "{upsert:?}");
    assert_eq!(count(&database, "select count(*) from public.reconciliation_logs").await, 0);

    // Without the upsert, the grant is there, and the index refuses the second one.
    let first = stack.rest(Method::POST, "billing_alerts", &alert).await;
    assert_eq!(first.status, 201, "{first:?}");
    let second = stack.rest(Method::POST, "billing_alerts", &alert).await;
    assert_eq!((second.status, second.code()), (409, "23505"), "{second:?}");
}
