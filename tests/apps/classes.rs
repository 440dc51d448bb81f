//! Each class of drift that a table can have: found, and repaired where the mapping lets it be.

use reqwest::Method;
use serde_json::json;

use support::disturb::{change_rows, number, rows, steady};
use support::shape::{Shape, beside};

use crate::{agreeing, entries, has, put_at_stripe, subscription};

support::over_each_shape!(every_class_that_the_table_can_have_is_found_and_repaired);

async fn every_class_that_the_table_can_have_is_found_and_repaired(shape: Shape) {
    let (stack, database) = agreeing(shape).await;
    let truth = rows(&database).await;
    let active = steady(&database, "active", 10).await;
    let mut expected = Vec::new();
    let wrong = [
        ("status", "'past_due'", "status_mismatch"),
        ("period_end", "period_end - interval '1 day'", "period_mismatch"),
        ("period_start", "period_start + interval '1 hour'", "period_mismatch"),
        ("quantity", "quantity + 3", "quantity_mismatch"),
        ("cancel_at_period_end", "not cancel_at_period_end", "cancel_at_period_end_mismatch"),
        ("price", "null", "price_mismatch"),
        ("tier", "'free'", "tier_mismatch"),
    ];
    for (id, (word, value, class)) in active.iter().zip(wrong) {
        if has(&database, word).await {
            let change =
                format!("update public.app_rows set {word} = {value} where stripe_subscription_id = '{id}'");
            change_rows(&database, &change).await;
            expected.push((format!("{class}: repaired"), id.clone()));
        }
    }
    let gone = &active[8];
    let delete = format!("delete from public.app_rows where stripe_subscription_id = '{gone}'");
    change_rows(&database, &delete).await;
    let missing = if shape.inserts() { "created" } else { "observed" };
    expected.push((format!("missing_in_database: {missing}"), gone.clone()));
    // What only a person can know.
    stack.stripe(Method::DELETE, &format!("subscriptions/{}", active[9]), &json!(null)).await;
    expected.push(("missing_in_stripe: none".into(), active[9].clone()));
    put_at_stripe(
        &stack,
        subscription("sub_of_a_stranger", "cus_stranger", "active", "price_x", 1, 1_700_000_000),
    )
    .await;
    expected.push(("organization_unknown: none".into(), "sub_of_a_stranger".into()));

    let answer = stack.run().await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{answer:?}");
    let mut found = entries(&database).await;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let mut after = rows(&database).await;
    if !shape.inserts() {
        after[gone] = truth[gone].clone();
    }
    assert_eq!(after, truth);
}

/// basejump: another schema, rows of another provider beside Stripe's, an enum without "paused".
#[tokio::test]
async fn basejump_is_found_and_repaired() {
    let stack = beside("basejump", BASEJUMP).start();
    let database = stack.database().await;
    let november = 1_793_491_200;
    put_at_stripe(&stack, subscription("sub_b1", "cus_b1", "active", "price_team", 3, november)).await;
    put_at_stripe(&stack, subscription("sub_b2", "cus_b2", "past_due", "price_team", 4, november)).await;
    put_at_stripe(&stack, subscription("sub_b3", "cus_b2", "active", "price_team", 1, november)).await;
    let answer = stack.run().await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{answer:?}");
    let after = rows(&database).await;
    assert_eq!((&after["sub_b2"]["status"], &after["sub_b2"]["quantity"]), (&json!("past_due"), &json!(4)));
    assert_eq!(
        after["sub_b3"]["owner"], after["sub_b2"]["owner"],
        "a missing row goes to whoever has the customer"
    );
    assert_eq!(after["lemon_1"]["status"], "active", "what another provider sold is none of ours");
    assert_eq!(number(&answer.body, "created_count"), 1);

    stack.stripe(Method::PATCH, "subscriptions/sub_b1", &json!({"status": "paused", "quantity": 9})).await;
    stack.stripe(Method::PATCH, "subscriptions/sub_b2", &json!({"quantity": 7})).await;
    let answer = stack.run().await;
    assert_eq!(answer.body["status"], "partial", "{answer:?}");
    let after = rows(&database).await;
    assert_eq!((&after["sub_b1"]["status"], &after["sub_b2"]["quantity"]), (&json!("active"), &json!(7)));
    let why = crate::reason(&database, "sub_b1").await;
    assert_eq!(why, "enum basejump.subscription_status of column status has no label \"paused\" (22P02)");
}

/// nextjs/saas-starter: the row is the owner, and says hardly more than a status.
#[tokio::test]
async fn saas_starter_is_found_and_repaired() {
    let stack = beside("saas_starter", SAAS_STARTER)
        .setting("PRICE_TIERS", r#"{"price_base": "Base", "price_plus": "Plus"}"#)
        .start();
    let database = stack.database().await;
    let november = 1_793_491_200;
    put_at_stripe(&stack, subscription("sub_d1", "cus_d1", "past_due", "price_plus", 1, november)).await;
    put_at_stripe(&stack, subscription("sub_d2", "cus_other", "trialing", "price_plus", 1, november)).await;
    let answer = stack.run().await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{answer:?}");
    let after = rows(&database).await;
    assert_eq!((&after["sub_d1"]["status"], &after["sub_d1"]["tier"]), (&json!("past_due"), &json!("Plus")));
    let expected = [
        ("customer_mismatch: none", "sub_d2"),
        ("status_mismatch: repaired", "sub_d1"),
        ("tier_mismatch: repaired", "sub_d1"),
    ];
    let expected: Vec<_> = expected.map(|(class, id)| (class.to_owned(), id.to_owned())).into();
    assert_eq!(entries(&database).await, expected);
}

const BASEJUMP: &str = r#"{
  "table": "basejump.billing_subscriptions", "key": "id", "stripe_subscription_id": "id",
  "owner": {"column": "account_id", "table": "basejump.accounts", "key": "id"},
  "customer": {"column": "billing_customer_id"}, "status": "status", "price": "price_id", "quantity": "quantity",
  "period_start": "current_period_start", "period_end": "current_period_end", "cancel_at_period_end": "cancel_at_period_end",
  "where": {"provider": "stripe"}, "on_insert": {"ended_at": null, "cancel_at": null, "canceled_at": null, "trial_start": null,
  "trial_end": null}, "writes": "update_and_insert"
}"#;

const SAAS_STARTER: &str = r#"{
  "table": "public.teams", "key": "id", "stripe_subscription_id": "stripe_subscription_id",
  "owner": {"column": "id", "table": "public.teams", "key": "id", "one_row_each": true},
  "customer": {"column": "stripe_customer_id"}, "status": "subscription_status", "tier": "plan_name", "writes": "update"
}"#;
