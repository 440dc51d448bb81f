//! How many calls of the database an endpoint makes, by the database's own count and by the endpoint's log line.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::logs::request_line;
use crate::support::{Answer, Request, Stack};

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

    let alerts = "/api/admin/billing-alerts";
    let logs = "/api/admin/reconciliation-logs";
    for (method, path, token, trips) in [
        (Method::POST, "/api/subscriptions/reconcile".to_owned(), &at.reconcile_secret, 1),
        (Method::GET, "/api/subscriptions/reconcile".to_owned(), &at.cron_secret, 1),
        (Method::POST, format!("{alerts}/monitor"), &at.monitor_secret, 2),
        (Method::GET, format!("{alerts}/monitor"), &at.cron_secret, 2),
        (Method::POST, format!("{alerts}/monitor"), &at.admin_token, 2),
        (Method::GET, alerts.to_owned(), &at.admin_token, 1),
        (Method::GET, format!("{alerts}?status=all&limit=200"), &at.admin_token, 1),
        (Method::POST, format!("{alerts}/{alert}/resolve"), &at.admin_token, 2),
        (Method::GET, logs.to_owned(), &at.admin_token, 1),
        (Method::GET, format!("{logs}/{run}"), &at.admin_token, 1),
        (Method::GET, "/api/health".to_owned(), &at.admin_token, 0),
        (Method::GET, "/api/health?deep=1".to_owned(), &at.admin_token, 1),
        (Method::GET, "/api/config".to_owned(), &at.admin_token, 0),
    ] {
        let (answer, arrived) = counted(&stack, stack.request(method, &path).bearer(token)).await;
        assert_eq!((answer.status, arrived), (200, trips), "{path}: {answer:?}");
        if path.ends_with("/reconcile") {
            assert_eq!(answer.body["outcome"], "existing_finished", "{answer:?}");
        }
    }
    // Refusals cost at most the look at who calls.
    for (path, token, status, trips) in [
        (alerts, &at.member_token, 403, 1),
        ("/api/admin/reconciliation-logs?typo=1", &at.admin_token, 400, 0),
        ("/api/subscriptions/reconcile", &at.admin_token, 401, 0),
    ] {
        let (answer, arrived) = counted(&stack, stack.get(path).bearer(token)).await;
        assert_eq!((answer.status, arrived), (status, trips), "{path}: {answer:?}");
    }
    // Reconcile Now for a run that is there already: who calls, and which run. At most one minute ends among four calls, so
    // that at least one of the later three finds the run of the one before.
    let path = format!("{alerts}/reconcile");
    let mut duplicates = 0;
    for _ in 0..4 {
        let (answer, arrived) = counted(&stack, stack.post(&path).bearer(&at.admin_token)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        if answer.body["outcome"] == "existing_finished" {
            assert_eq!(arrived, 2, "{answer:?}");
            duplicates += 1;
        }
    }
    assert!(duplicates >= 2, "{duplicates} of 4 calls within a minute found a run");
}
