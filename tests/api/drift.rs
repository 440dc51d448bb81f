//! Drift over HTTP: one entry for as long as a difference stands, from the run that first sees it to the one that ends it.

use std::collections::BTreeSet;

use serde_json::Value;
use support::Stack;
use support::disturb::{change_rows, count};
use support::paths::{DRIFT, RUNS};

/// The fields of an entry, as callers rely on them.
const FIELDS: [&str; 26] = [
    "action",
    "action_taken",
    "closed_at",
    "closed_run_id",
    "decided_at",
    "decided_by",
    "details",
    "drift_key",
    "excepted_until",
    "first_run_id",
    "first_seen_at",
    "id",
    "issue",
    "last_run_id",
    "last_seen_at",
    "livemode",
    "lowers_access",
    "note",
    "organization_id",
    "owner",
    "proposal",
    "seen_count",
    "severity",
    "stripe_customer_id",
    "stripe_subscription_id",
    "type",
];

async fn drift(stack: &Stack, query: &str) -> Value {
    let answer = stack.admin(&format!("{DRIFT}?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn promise_11_what_stands_costs_no_row() {
    let stack = Stack::setup().argument("--subscriptions").argument("120").start();
    let database = stack.database().await;
    assert_eq!(stack.run().await.body["status"], "success", "the first look");
    let changed =
        "update public.subscriptions set stripe_customer_id = 'cus_of_another' || stripe_customer_id
                   where id in (select id from public.subscriptions where stripe_subscription_id is not null
                                order by id limit 2)";
    change_rows(&database, changed).await;
    let before = count(&database, "select count(*) from public.drift").await;

    let first = stack.run().await;
    let told = &first.body["reconciliations"][0];
    assert_eq!((&told["type"], &told["action"]), (&"customer_mismatch".into(), &"none".into()), "{first:?}");
    let history = count(&database, "select count(*) from public.drift_events").await;
    for _ in 0..2 {
        stack.run().await;
    }
    assert_eq!(
        count(&database, "select count(*) from public.drift_events").await,
        history,
        "seen again is no event"
    );
    assert_eq!(
        count(&database, "select count(*) from public.drift").await - before,
        2,
        "a row each, however many runs"
    );

    let open = drift(&stack, "").await;
    assert_eq!((&open["count"], &open["by_type"]["customer_mismatch"]), (&2.into(), &2.into()), "{open}");
    let entry = &open["drift"][0];
    let fields: BTreeSet<&str> = entry.as_object().expect("an entry").keys().map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(FIELDS));
    assert_eq!((&entry["seen_count"], &entry["closed_at"]), (&3.into(), &Value::Null), "{entry}");
    assert_eq!(entry["first_run_id"], first.body["reconciliation_log_id"]);
    assert!(
        open["drift"].as_array().expect("entries").iter().any(|entry| entry["id"] == told["drift_id"]),
        "{open}"
    );
    let one = drift(&stack, "limit=1").await;
    assert_eq!(one["count"], 2, "of all that fits, not of the page");
    let next = drift(&stack, &format!("limit=1&cursor={}", one["next_cursor"].as_str().expect("more"))).await;
    assert_eq!((&next["drift"][0]["id"], &next["next_cursor"]), (&open["drift"][1]["id"], &Value::Null));
    assert_eq!(drift(&stack, "severity=info").await["count"], 0);
    let owner = entry["owner"].as_str().expect("an owner");
    assert_eq!(drift(&stack, &format!("owner={owner}&action=none&type=customer_mismatch")).await["count"], 1);

    change_rows(&database, "update public.subscriptions set stripe_customer_id = replace(stripe_customer_id, 'cus_of_another', '')").await;
    let last = stack.run().await;
    assert_eq!(last.body["total_issues"], 0, "{last:?}");
    assert_eq!(drift(&stack, "").await["count"], 0);
    let closed = drift(&stack, "state=closed&type=customer_mismatch").await;
    assert_eq!(closed["count"], 2);
    assert_eq!(
        (&closed["drift"][0]["action"], &closed["drift"][0]["closed_run_id"]),
        (&"cleared".into(), &last.body["reconciliation_log_id"])
    );
    let run = |answer: &Value, show: &str| {
        format!("{RUNS}/{}?show={show}", answer["reconciliation_log_id"].as_str().expect("a run"))
    };
    for (answer, show, expected) in [
        (&first.body, "new", 2),
        (&first.body, "standing", 2),
        (&last.body, "ended", 2),
        (&last.body, "standing", 0),
    ] {
        let page = stack.admin(&run(answer, show)).await.body;
        assert_eq!(page["drift"].as_array().map(Vec::len), Some(expected), "{show}: {page}");
        assert_eq!(
            page["counts"][show].get("customer_mismatch").and_then(Value::as_u64).unwrap_or(0),
            expected as u64
        );
    }
}
