//! Stripe is down, slow, refusing, or talks nonsense, from the beginning or in the middle of a run.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use support::disturb::{count, drift, number, rows, text};
use support::{Answer, Setup, Stack};

const SUBSCRIPTIONS: u64 = 120;

/// Statuses that an answer may have, each with its code or, for 200, with the run's status.
type Expected = &'static [(u16, &'static str)];

/// A stack whose runs have so many seconds.
fn stack(budget: u64) -> Setup {
    Stack::setup()
        .argument("--subscriptions")
        .argument(SUBSCRIPTIONS.to_string())
        .setting("RECONCILE_BUDGET_SECONDS", budget.to_string())
}

/// A fault that every request meets after the first `after`.
fn every(kind: Value, after: u64) -> Value {
    json!({"kind": kind, "after": after, "count": null})
}

fn status(status: u16) -> Value {
    json!({"status": {"status": status}})
}

/// The answer to a run that Stripe let down: an error with the run's fields, or a run that has something left to do; and
/// what the database holds of that run is the same.
async fn told_the_truth(database: &Client, case: &str, answer: &Answer, expected: Expected) {
    let found =
        (answer.status, if answer.status == 200 { text(&answer.body, "status") } else { answer.code() });
    assert!(expected.contains(&found), "{case}: {answer:?}");
    let id = Uuid::parse_str(text(&answer.body, "reconciliation_log_id")).expect("an id");
    let row = database
        .query_one(
            "select status, error_code, error_message, scanned_count, total_issues, finished_at is not null,
               lease_expires_at is null
             from public.reconciliation_logs where id = $1",
            &[&id],
        )
        .await
        .expect("its row");
    let recorded: &str = row.get(0);
    assert_eq!(recorded, text(&answer.body, "status"), "{case}");
    if answer.status != 200 {
        assert_eq!(recorded, "error", "{case}");
        assert_eq!(answer.body["success"], false, "{case}");
        assert_eq!(row.get::<_, Option<&str>>(1), Some(answer.code()), "{case}");
        assert_eq!(row.get::<_, Option<&str>>(2), answer.body["error"].as_str(), "{case}");
    }
    let recorded = |column: usize| u64::try_from(row.get::<_, i64>(column)).expect("a count");
    assert_eq!(recorded(3), number(&answer.body, "scanned_count"), "{case}");
    assert_eq!(
        u64::try_from(row.get::<_, i32>(4)).expect("a count"),
        number(&answer.body, "total_issues"),
        "{case}"
    );
    assert!(row.get::<_, bool>(5) && row.get::<_, bool>(6), "{case}: it has ended and holds no lease");
}

/// Each row is as it was before the run or as Stripe has it, and each that changed has a finding that says so.
async fn nothing_half_done(
    database: &Client,
    case: &str,
    before: &Value,
    truth: &Value,
    findings_before: i64,
) {
    let after = rows(database).await;
    let truth = truth.as_object().expect("rows");
    let mut changed = 0;
    for (id, should) in truth {
        let (was, is) = (before.get(id), after.get(id));
        if is != was {
            changed += 1;
            assert_eq!(is, Some(should), "{case}: {id} is neither as it was nor as Stripe has it");
        }
    }
    assert_eq!(
        after.as_object().map(|rows| rows.keys().all(|id| truth.contains_key(id))),
        Some(true),
        "{case}"
    );
    let findings = count(database, FINDINGS).await - findings_before;
    assert_eq!(findings, changed, "{case}: what was written and what is told of it");
}

const FINDINGS: &str = "select count(*) from public.drift where action in ('repaired', 'created')";

/// One fault after the other: the run fails or stops, says so, leaves nothing half done; then Stripe works again, and the
/// next runs make everything good.
async fn survive(stack: &Stack, cases: &[(&str, Value, Expected)]) {
    let database = stack.database().await;
    let truth = rows(&database).await;
    for (case, fault, expected) in cases {
        drift(&database).await;
        let before = rows(&database).await;
        let findings = count(&database, FINDINGS).await;
        assert_ne!(before, truth, "{case}: there is something to repair");
        stack.disturb_stripe(fault).await;
        let answer = stack.run().await;
        told_the_truth(&database, case, &answer, expected).await;
        nothing_half_done(&database, case, &before, &truth, findings).await;
        stack.heal_stripe().await;
        stack.run_to_the_end().await;
        assert_eq!(rows(&database).await, truth, "{case}: the next runs repair everything");
    }
    assert_eq!(number(&stack.stripe_stats().await, "writes_refused"), 0, "nothing was written to Stripe");
}

const REFUSED: Expected = &[(502, "stripe_error")];
const UNAVAILABLE: Expected = &[(503, "stripe_unavailable")];
/// Where time is up before the last attempt has failed, the run stops as it does at its budget.
const UNAVAILABLE_OR_TIME_UP: Expected = &[(503, "stripe_unavailable"), (200, "partial")];
const TIME_UP: Expected = &[(200, "partial")];

#[tokio::test]
async fn stripe_refuses_or_talks_nonsense() {
    let stack = stack(60).start();
    // The first request is the sessions', the next ones are the list's, the last ones fresh looks.
    survive(
        &stack,
        &[
            ("refused key", every(status(401), 0), REFUSED),
            ("key revoked in the middle", every(status(401), 2), REFUSED),
            ("garbage", every(json!("garbage"), 0), REFUSED),
            ("garbage in the middle", every(json!("garbage"), 2), REFUSED),
            (
                "a refusal at the fresh looks",
                json!({"kind": status(400), "path": "/v1/subscriptions/"}),
                REFUSED,
            ),
            ("a refusal that nobody foresaw", every(status(418), 1), REFUSED),
        ],
    )
    .await;
}

#[tokio::test]
async fn stripe_is_down() {
    let stack = stack(5).start();
    survive(
        &stack,
        &[
            ("connections are closed", every(json!("cut"), 0), UNAVAILABLE_OR_TIME_UP),
            ("connections are closed in the middle", every(json!("cut"), 2), UNAVAILABLE_OR_TIME_UP),
            ("bodies are cut off", every(json!("cut_body"), 0), UNAVAILABLE_OR_TIME_UP),
            ("500", every(status(500), 0), UNAVAILABLE_OR_TIME_UP),
            ("503 in the middle", every(status(503), 3), UNAVAILABLE_OR_TIME_UP),
            ("a storm of 429", every(status(429), 1), UNAVAILABLE_OR_TIME_UP),
        ],
    )
    .await;
}

/// With time enough, Stripe's being down is no matter of the budget: the run gives up and says so.
#[tokio::test]
async fn stripe_stays_down() {
    let stack = stack(120).start();
    survive(&stack, &[("500 at the list", every(status(500), 1), UNAVAILABLE)]).await;
}

#[tokio::test]
async fn stripe_stalls() {
    let stack = stack(4).start();
    survive(
        &stack,
        &[
            ("no answer", every(json!("stall"), 0), TIME_UP),
            ("no answer in the middle", every(json!("stall"), 2), TIME_UP),
            ("half an answer", every(json!("stall_body"), 2), TIME_UP),
            (
                "no answer at the fresh looks",
                json!({"kind": "stall", "path": "/v1/subscriptions/", "count": null}),
                TIME_UP,
            ),
        ],
    )
    .await;
}

/// What passes by itself is not even seen: the run waits, asks again, and completes.
#[tokio::test]
async fn stripe_has_hiccups() {
    let stack = stack(120).start();
    let database = stack.database().await;
    let truth = rows(&database).await;
    for kind in [json!("cut"), json!("cut_body"), json!("garbage"), status(500), status(429), status(409)] {
        drift(&database).await;
        for after in [0, 2] {
            stack.disturb_stripe(&json!({"kind": kind, "after": after})).await;
        }
        let answer = stack.run().await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{kind}: {answer:?}");
        assert_eq!(rows(&database).await, truth, "{kind}");
        assert_eq!(number(&answer.body, "scanned_count"), SUBSCRIPTIONS, "{kind}");
        let faults = stack.stripe(reqwest::Method::GET, "faults", &Value::Null).await;
        assert_eq!(faults, json!([]), "{kind}: both of them came");
    }
}

/// A restricted key without a permission: the sentence names the permission.
#[tokio::test]
async fn a_missing_permission_is_named() {
    let stack = stack(60).start();
    let database = stack.database().await;
    let truth = rows(&database).await;
    for (permission, named) in
        [("rak_subscription_read", "Subscriptions"), ("rak_checkout_session_read", "Checkout Sessions")]
    {
        drift(&database).await;
        let before = rows(&database).await;
        let findings = count(&database, FINDINGS).await;
        stack.stripe(reqwest::Method::PUT, "missing_permissions", &json!([permission])).await;
        let answer = stack.run().await;
        told_the_truth(&database, permission, &answer, REFUSED).await;
        assert!(text(&answer.body, "error").contains(named), "{answer:?}");
        nothing_half_done(&database, permission, &before, &truth, findings).await;
        stack.heal_stripe().await;
        stack.run_to_the_end().await;
        assert_eq!(rows(&database).await, truth, "{permission}");
    }
}
