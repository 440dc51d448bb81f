//! How many calls of the database an endpoint makes, by the database's own count and by the endpoint's log line.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::request_log::request_line;
use support::disturb::{change_rows, steady};
use support::paths::{
    ALERTS, CONFIG, DRIFT, EXPORT, HEALTH, METRICS, MONITOR, POLICIES, RECONCILE, RECONCILE_NOW, RUNS,
};
use support::{Answer, Request, Stack};

/// Makes a call, and answers it with the number of calls that arrived at the database's door meanwhile.
async fn counted(stack: &Stack, call: Request) -> (Answer, u64) {
    stack.gateway(Method::POST, "reset", &json!({})).await;
    let id = Uuid::new_v4();
    let answer = call.header("x-request-id", &id.to_string()).send().await;
    let arrived =
        stack.gateway(Method::GET, "requests", &Value::Null).await["total"].as_u64().expect("a count");
    let line = request_line(|| stack.function_logs(), id).await;
    assert_eq!(line["round_trips"], arrived, "the log line says what happened: {line}");
    (answer, arrived)
}

#[tokio::test]
async fn no_endpoint_makes_more_round_trips_than_promised() {
    let stack = Stack::start();
    let at = &stack.at;
    let created = stack.reconcile("").await;
    assert_eq!(created.body["outcome"], "created", "{created:?}");
    let run = created.body["reconciliation_log_id"].as_str().expect("a run");
    let database = stack.database().await;
    let sql = "insert into public.billing_alerts (alert_key, alert_type, severity, message)
               values ('test', 'test', 'info', 'A test.') returning id";
    let alert: Uuid = database.query_one(sql, &[]).await.expect("an alert").get(0);

    for (method, path, token, trips) in [
        (Method::POST, RECONCILE.to_owned(), &at.reconcile_secret, 1),
        (Method::GET, format!("{RECONCILE}?scope=due"), &at.cron_secret, 1),
        (Method::GET, RECONCILE.to_owned(), &at.cron_secret, 1),
        (Method::POST, MONITOR.to_owned(), &at.monitor_secret, 2),
        (Method::GET, MONITOR.to_owned(), &at.cron_secret, 2),
        (Method::POST, MONITOR.to_owned(), &at.admin_token, 2),
        (Method::GET, ALERTS.to_owned(), &at.admin_token, 1),
        (Method::GET, format!("{ALERTS}?status=all&limit=200"), &at.admin_token, 1),
        (Method::POST, format!("{ALERTS}/{alert}/resolve"), &at.admin_token, 2),
        (Method::GET, RUNS.to_owned(), &at.admin_token, 1),
        (Method::GET, format!("{RUNS}/{run}"), &at.admin_token, 1),
        (Method::GET, format!("{DRIFT}?state=all&limit=200"), &at.admin_token, 1),
        (Method::GET, format!("{EXPORT}?what=history&format=ndjson"), &at.admin_token, 1),
        (Method::GET, POLICIES.to_owned(), &at.admin_token, 1),
        (Method::GET, HEALTH.to_owned(), &at.admin_token, 0),
        (Method::GET, "/api/health?deep=1".to_owned(), &at.admin_token, 1),
        (Method::GET, CONFIG.to_owned(), &at.admin_token, 0),
        (Method::GET, METRICS.to_owned(), &at.metrics_secret, 1),
    ] {
        let (answer, arrived) = counted(&stack, stack.request(method, &path).bearer(token)).await;
        assert_eq!((answer.status, arrived), (200, trips), "{path}: {answer:?}");
        if path.ends_with("/reconcile") {
            assert_eq!(answer.body["outcome"], "existing_finished", "{answer:?}");
        }
    }
    // Refusals cost at most the look at who calls.
    for (path, token, status, trips) in [
        (ALERTS, &at.member_token, 403, 1),
        (&format!("{RUNS}?typo=1"), &at.admin_token, 400, 0),
        (RECONCILE, &at.admin_token, 401, 0),
    ] {
        let (answer, arrived) = counted(&stack, stack.get(path).bearer(token)).await;
        assert_eq!((answer.status, arrived), (status, trips), "{path}: {answer:?}");
    }
    // Reconcile Now for a run that is there already: who calls, and which run. At most one minute ends among four calls, so
    // that at least one of the later three finds the run of the one before.
    let mut duplicates = 0;
    for _ in 0..4 {
        let (answer, arrived) = counted(&stack, stack.post(RECONCILE_NOW).bearer(&at.admin_token)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        if answer.body["outcome"] == "existing_finished" {
            assert_eq!(arrived, 2, "{answer:?}");
            duplicates += 1;
        }
    }
    assert!(duplicates >= 2, "{duplicates} of 4 calls within a minute found a run");
}

/// Beside what Stripe is asked: one to know what was shown and how the row is, one to write.
#[tokio::test]
async fn an_approval_takes_two_round_trips_and_a_revert_as_many() {
    let stack =
        Stack::setup().argument("--subscriptions").argument("60").setting("REPAIR_MODE", "approve").start();
    let database = stack.database().await;
    let wrong = steady(&database, "active", 1).await.remove(0);
    let sql =
        format!("update public.subscriptions set status = 'unpaid' where stripe_subscription_id = '{wrong}'");
    change_rows(&database, &sql).await;
    stack.run().await;
    let entry: Uuid = database
        .query_one("select id from public.drift where type = 'status_mismatch'", &[])
        .await
        .expect("one")
        .get(0);
    for (action, outcome) in [("approve", "repaired"), ("revert", "reverted"), ("unexcept", "")] {
        let path = format!("{DRIFT}/{entry}/{action}");
        let call = stack.post(&path).bearer(&stack.at.admin_token);
        let (answer, arrived) = counted(&stack, call).await;
        assert_eq!(arrived, 2, "{action}: {answer:?}");
        assert_eq!(answer.body["outcome"].as_str().unwrap_or_default(), outcome, "{answer:?}");
    }
}
