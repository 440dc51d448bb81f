//! A run says `success` only if it looked at everything; one that could not says so, and leaves the rest to the next.

use reqwest::Method;
use serde_json::{Value, json};

use support::Stack;
use support::disturb::{DELETED, DRIFTED, count, drift, number, rows};

/// Promise 6: a run says `success` only if it looked at everything. An object that cannot be read, a session that cannot be
/// read, a repair that the table refuses to take in, time that is up: each time all the rest is done, and the run is partial.
#[tokio::test]
async fn promise_6_success_means_that_everything_was_looked_at() {
    let stack = Stack::setup().argument("--subscriptions").argument("120").start();
    let database = stack.database().await;
    let truth = rows(&database).await;
    // A session that is young enough to be listed.
    let bought = truth.as_object().and_then(|rows| rows.keys().next()).expect("a subscription");
    stack.stripe(Method::POST, "sessions", &json!({"subscription": bought, "status": "complete"})).await;
    let list = |kind: Value| json!({"kind": kind, "path": "/v1/subscriptions", "exact": true});
    let cases = [
        ("an object without an id", list(json!({"malformed": {"position": 50}})), 1),
        ("an object that is a number", list(json!({"malformed": {"position": 0, "object": 7}})), 1),
        (
            "a session that cannot be read",
            json!({"kind": {"malformed": {"object": {"id": "cs_odd", "mode": 7}}}, "path": "/v1/checkout/sessions"}),
            1,
        ),
        (
            "a fresh look that makes no sense",
            json!({"kind": "garbage", "path": "/v1/subscriptions/", "count": null}),
            i64::try_from(support::disturb::LOWERING).expect("a few"),
        ),
    ];
    for (case, fault, errors) in cases {
        drift(&database).await;
        stack.disturb_stripe(&fault).await;
        let answer = stack.run().await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("partial")), "{case}: {answer:?}");
        assert_eq!(
            i64::try_from(number(&answer.body, "error_count")).expect("a few"),
            errors,
            "{case}: {answer:?}"
        );
        assert_eq!(answer.body["errors"].as_array().map(Vec::len), usize::try_from(errors).ok(), "{case}");
        assert_eq!(number(&answer.body, "scanned_count"), 120, "{case}: one odd thing is not a lost page");
        stack.heal_stripe().await;
        stack.run_to_the_end().await;
        assert_eq!(rows(&database).await, truth, "{case}");
    }
}

/// Time is up: the run saves what is left, and the runs after it look at exactly that. Together they have read each
/// subscription once and repaired everything.
#[tokio::test]
async fn promise_6_a_run_that_stops_at_its_budget_is_continued_by_the_next() {
    const SUBSCRIPTIONS: u64 = 3_000;
    let stack = Stack::setup()
        .argument("--subscriptions")
        .argument(SUBSCRIPTIONS.to_string())
        .setting("RECONCILE_BUDGET_SECONDS", "3")
        .setting("STRIPE_MAX_REQUESTS_PER_SECOND", "100")
        .start();
    let database = stack.database().await;
    let truth = rows(&database).await;
    drift(&database).await;
    // Eight pages of 100 at once take 1.2 s: no run comes to the end of 3,000 within its budget.
    let slow = json!({"kind": {"latency": {"milliseconds": 1200}}, "path": "/v1/subscriptions", "exact": true, "count": null});
    stack.disturb_stripe(&slow).await;
    let mut answers = Vec::new();
    while answers.last().is_none_or(|answer: &Value| answer["status"] == "partial") {
        assert!(answers.len() < 60, "sixty runs did not come to the end");
        if answers.len() == 3 {
            // Enough of them have stopped; a machine that is busy need not go on like this.
            stack.heal_stripe().await;
        }
        let answer = stack.run().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let cursors =
            "select count(*) from public.reconciliation_logs where status = 'partial' and cursor is null";
        assert_eq!(count(&database, cursors).await, 0, "a partial run says what is left");
        answers.push(answer.body);
    }
    assert_eq!(answers.last().map(|answer| &answer["status"]), Some(&json!("success")), "{answers:?}");
    assert!(answers.len() > 1, "the first run cannot have done it all");
    let sum = |field: &str| answers.iter().map(|answer| number(answer, field)).sum::<u64>();
    assert_eq!(sum("scanned_count"), SUBSCRIPTIONS, "each was read once");
    assert_eq!(sum("updated_count"), DRIFTED, "each was repaired once");
    assert_eq!(sum("created_count"), DELETED);
    assert_eq!(rows(&database).await, truth);
}
