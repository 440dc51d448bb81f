//! What a run never does: write to Stripe, lower a customer's access without a fresh read or on mere absence, overwrite what
//! is newer.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

use support::disturb::{
    LOWERING, change_rows, drift, eventually, forget_strangers, number, rows, steady, text,
};
use support::shape::Shape;
use support::{Setup, Stack};

support::over_each_shape!(
    promise_4_never_writes_to_stripe_nor_lowers_access_unseen,
    promise_5_a_newer_write_wins_over_a_repair,
    promise_5_a_write_after_the_page_was_asked_for_wins,
    promise_5_a_write_of_an_older_transaction_that_commits_later_wins,
    promise_4_the_wrong_account_lowers_nobody,
);

fn stack(shape: Shape) -> Setup {
    shape.setup().argument("--subscriptions").argument("120")
}

/// As the app's webhook does it, now.
async fn webhook_says(database: &Client, id: &str, status: &str) {
    let update =
        format!("update public.app_rows set status = '{status}' where stripe_subscription_id = '{id}'");
    assert_eq!(database.execute(&update, &[]).await.expect("an update"), 1);
}

/// As somebody did it a day ago.
async fn was_active(database: &Client, ids: &[String]) {
    for id in ids {
        let change = "update public.app_rows set status = 'active' where stripe_subscription_id";
        change_rows(database, &format!("{change} = '{id}'")).await;
    }
}

fn retrieved(stats: &Value, id: &str) -> u64 {
    stats["retrieved"][id].as_u64().unwrap_or(0)
}

/// Promise 4: the reconciler never writes to Stripe, never lowers a customer's access without having just read that
/// subscription from Stripe, and never on mere absence.
async fn promise_4_never_writes_to_stripe_nor_lowers_access_unseen(shape: Shape) {
    let stack = stack(shape).start();
    let database = stack.database().await;
    forget_strangers(&database).await;
    // Three that Stripe no longer knows, one that Stripe's list calls canceled and that is active again a moment later, and
    // the drift of all the other tests, four of which have access that Stripe has ended.
    let absent = steady(&database, "active", 3).await;
    let regained = steady(&database, "canceled", 1).await.remove(0);
    for id in &absent {
        stack.stripe(Method::DELETE, &format!("subscriptions/{id}"), &Value::Null).await;
    }
    drift(&database).await;
    was_active(&database, std::slice::from_ref(&regained)).await;
    let revival = json!({"patch_subscription": {"id": regained, "status": "active"}});
    let script = json!({"path": format!("/v1/subscriptions/{regained}"), "at": 1, "actions": [revival]});
    stack.stripe(Method::POST, "scripts", &script).await;

    let before = rows(&database).await;
    let answer = stack.run().await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{answer:?}");
    let (after, stats) = (rows(&database).await, stack.stripe_stats().await);
    let mut lowered = 0;
    for (id, was) in before.as_object().expect("rows") {
        if was["status"] == "active" && after[id]["status"] != "active" {
            lowered += 1;
            assert!(retrieved(&stats, id) >= 1, "{id} lost its access without a fresh read");
        }
    }
    assert_eq!(lowered, LOWERING, "those that Stripe has ended, and no other");
    for id in &absent {
        assert_eq!(after[id], before[id], "{id}: what Stripe does not know is left alone");
        assert!(retrieved(&stats, id) >= 1, "{id}: and is not called missing before it was asked for");
        let finding = database
            .query_one(
                "select type, severity, action from public.drift where stripe_subscription_id = $1",
                &[id],
            )
            .await
            .expect("one finding");
        let finding: (&str, &str, &str) = (finding.get(0), finding.get(1), finding.get(2));
        assert_eq!(finding, ("missing_in_stripe", "critical", "none"));
    }
    assert_eq!(stack.open_alert(&database, "drift_missing_in_stripe").await, Some(("critical".into(), 1)));
    assert_eq!(after[&regained]["status"], "active", "the fresh read counts, not the list");
    assert_eq!(number(&stats, "writes_refused"), 0);
    let log = stack.stripe(Method::GET, "log", &Value::Null).await;
    let lines = log.as_array().expect("lines");
    assert!(!lines.is_empty() && lines.iter().filter_map(Value::as_str).all(|line| line.starts_with("GET ")));
}

/// Promise 5: a repair never overwrites a newer write (compare-and-set); one that loses counts as `superseded`, not as an
/// error. The newer write comes while the subscription is read afresh.
async fn promise_5_a_newer_write_wins_over_a_repair(shape: Shape) {
    let stack = stack(shape).start();
    let database = stack.database().await;
    forget_strangers(&database).await;
    let ids = steady(&database, "canceled", 3).await;
    was_active(&database, &ids).await;
    stack.hold_stripe("/v1/subscriptions/").await;
    let webhook = async {
        stack.held().await;
        webhook_says(&database, &ids[0], "past_due").await;
        stack.heal_stripe().await;
    };
    let (answer, ()) = tokio::join!(stack.run(), webhook);
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{answer:?}");
    assert_eq!(number(&answer.body, "superseded_count"), 1, "{answer:?}");
    assert_eq!(number(&answer.body, "updated_count"), 2, "{answer:?}");
    assert_eq!(number(&answer.body, "error_count"), 0);
    let after = rows(&database).await;
    assert_eq!(after[&ids[0]]["status"], "past_due", "the webhook's word stays");
    assert_eq!(after[&ids[1]]["status"], "canceled");
    let finding = database
        .query_one("select action from public.drift where stripe_subscription_id = $1", &[&ids[0]])
        .await
        .expect("one finding");
    assert_eq!(finding.get::<_, &str>(0), "superseded");
}

/// One that Stripe lists on its first page, active and untouched within the last hour.
async fn newest_active(stack: &Stack, database: &Client) -> String {
    let page = stack
        .http
        .get(format!("{}/v1/subscriptions?status=all&limit=100", stack.at.stripe_url))
        .bearer_auth(stripe_simulator::SECRET_KEY)
        .send()
        .await
        .expect("Stripe answers")
        .json::<Value>()
        .await
        .expect("a page");
    let steady = steady(database, "active", 20).await;
    let newest = page["data"].as_array().expect("a list").iter().map(|object| text(object, "id").to_owned());
    newest.into_iter().find(|id| steady.contains(id)).expect("one of them")
}

/// Stripe changes its mind after it has given its first page, and the app's webhook writes that down before the run reads the row.
async fn overtaken_page(shape: Shape, webhook_began_before: bool) {
    let stack = stack(shape).start();
    let database = stack.database().await;
    forget_strangers(&database).await;
    let id = newest_active(&stack, &database).await;
    let webhook = stack.database().await;
    if webhook_began_before {
        webhook.batch_execute("begin; select pg_current_xact_id()").await.expect("a transaction with an id");
    }
    let before = number(&stack.stripe_stats().await["by_endpoint"], "/v1/subscriptions");
    // The pages behind the first are slow, so that the rows are not read yet.
    let slow = json!({"latency": {"milliseconds": 1500}});
    stack
        .disturb_stripe(
            &json!({"kind": slow, "path": "/v1/subscriptions", "exact": true, "after": 1, "count": null}),
        )
        .await;
    let overtaking = async {
        eventually("the first page is given", async || {
            let stats = stack.stripe_stats().await;
            (number(&stats["by_endpoint"], "/v1/subscriptions") > before + 1).then_some(())
        })
        .await;
        stack.stripe(Method::PATCH, &format!("subscriptions/{id}"), &json!({"status": "past_due"})).await;
        webhook_says(&webhook, &id, "past_due").await;
        if webhook_began_before {
            webhook.batch_execute("commit").await.expect("committed");
        }
    };
    let (answer, ()) = tokio::join!(stack.run(), overtaking);
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{answer:?}");
    assert_eq!(number(&answer.body, "updated_count"), 0, "{answer:?}");
    assert_eq!(rows(&database).await[&id]["status"], "past_due", "the page was older than the row");
    assert!(retrieved(&stack.stripe_stats().await, &id) >= 1, "it was looked at afresh, the row first");
}

/// The same while Stripe's list is on its way: a row that was written after the page was asked for may know more than the
/// page does.
async fn promise_5_a_write_after_the_page_was_asked_for_wins(shape: Shape) {
    overtaken_page(shape, false).await;
}

/// And one whose transaction is older than the run, but which commits behind the page's back: its number tells nothing, that it was
/// still at work does.
async fn promise_5_a_write_of_an_older_transaction_that_commits_later_wins(shape: Shape) {
    overtaken_page(shape, true).await;
}

/// The circuit breaker: with the key of another account nothing that the database knows is at Stripe. No row is touched, and
/// a critical alert says so; with the right key it clears.
async fn promise_4_the_wrong_account_lowers_nobody(shape: Shape) {
    let stack = stack(shape).start();
    let database = stack.database().await;
    forget_strangers(&database).await;
    let before = rows(&database).await;
    let statuses = |rows: &Value| -> BTreeMap<String, Value> {
        let rows = rows.as_object().expect("rows");
        rows.iter().map(|(id, row)| (id.clone(), row["status"].clone())).collect()
    };
    stack.stripe(Method::POST, "reset", &json!({"seed": 2})).await;
    for round in 1..=2 {
        let answer = stack.run().await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("partial")), "{answer:?}");
        assert!(text(&answer.body, "message").contains("circuit breaker"), "{answer:?}");
        assert_eq!(number(&answer.body, "updated_count") + number(&answer.body, "created_count"), 0);
        assert_eq!(rows(&database).await, before, "no row was touched");
        let alert = stack.open_alert(&database, "reconcile_circuit_breaker").await;
        assert_eq!(alert, Some(("critical".to_owned(), round)));
    }
    stack.stripe(Method::POST, "reset", &json!({"seed": 1})).await;
    stack.run_to_the_end().await;
    assert_eq!(stack.open_alert(&database, "reconcile_circuit_breaker").await, None);
    // The same account as of a later moment: its times have moved, and nothing else.
    assert_eq!(statuses(&rows(&database).await), statuses(&before));
}
