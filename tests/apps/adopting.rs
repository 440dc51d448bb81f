//! Beside an app that has been there for long: at first billing-ops only looks, then a person decides, then it repairs by itself.

use reqwest::Method;
use serde_json::{Value, json};
use support::disturb::json_of;
use support::paths::{DRIFT, POLICIES};
use support::shape::Shape;
use support::{Answer, Stack};
use tokio_postgres::Client;

use crate::{entries, put_at_stripe, subscription};

async fn set_mode(stack: &Stack, class: &str, mode: &str) {
    let policies = stack.admin(POLICIES).await;
    let all = policies.body["policies"].as_array().expect("policies");
    let version = &all.iter().find(|policy| policy["type"] == class).expect("the class")["version"];
    let body = json!({ "type": class, "mode": mode, "if_version": version });
    let answer = stack.request(Method::PUT, POLICIES).bearer(&stack.at.admin_token).json(&body).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn approve(stack: &Stack, class: &str) -> Answer {
    let page = stack.admin(&format!("{DRIFT}?type={class}")).await;
    let id = page.body["drift"][0]["id"].as_str().expect("an entry").to_owned();
    stack.post(&format!("{DRIFT}/{id}/approve")).bearer(&stack.at.admin_token).send().await
}

async fn status_of(database: &Client, id: &str) -> Value {
    json_of(database, &format!("select to_jsonb(status::text) from public.subscriptions where id = '{id}'"))
        .await
}

#[tokio::test]
async fn the_app_by_vercel_goes_from_looking_to_repairing() {
    let november = 1_793_491_200;
    let stack = Shape::Vercel.setup().start();
    let database = stack.database().await;
    let sql = "select billing_ops.adopt(mapping || '{\"writes\": \"none\"}') from billing_ops.adoption";
    database.execute(sql, &[]).await.expect("as detect() proposes it");
    put_at_stripe(&stack, subscription("sub_a1", "cus_a1", "past_due", "price_pro", 1, november)).await;
    put_at_stripe(&stack, subscription("sub_a2", "cus_a2", "active", "price_pro", 2, november + 86_400))
        .await;

    // Nothing can be written, whatever the setting says, and nothing can be approved.
    stack.run().await;
    let observed = |id: &str| ("status_mismatch: observed".to_owned(), id.to_owned());
    assert_eq!(entries(&database).await, [observed("sub_a1"), observed("sub_a2")]);
    assert_eq!(approve(&stack, "status_mismatch").await.status, 409);

    // Updates are allowed; the class is only looked at.
    let sql = "select billing_ops.adopt(mapping || '{\"writes\": \"update\"}') from billing_ops.adoption";
    database.execute(sql, &[]).await.expect("the right to update");
    set_mode(&stack, "status_mismatch", "observe").await;
    stack.run().await;
    assert_eq!(entries(&database).await, [observed("sub_a1"), observed("sub_a2")]);

    // A person decides about one.
    set_mode(&stack, "status_mismatch", "approve").await;
    let approved = approve(&stack, "status_mismatch").await;
    assert_eq!((approved.status, &approved.body["outcome"]), (200, &json!("repaired")), "{approved:?}");
    let repaired = approved.body["drift"]["stripe_subscription_id"].as_str().expect("an id").to_owned();
    let other = if repaired == "sub_a1" { "sub_a2" } else { "sub_a1" };
    let waits = stack.run().await;
    assert_eq!(waits.body["waiting_count"], 1, "{waits:?}");
    assert_eq!(status_of(&database, other).await, if other == "sub_a1" { "active" } else { "past_due" });

    // The rest goes by itself.
    set_mode(&stack, "status_mismatch", "auto").await;
    let run = stack.run().await;
    assert_eq!((&run.body["status"], &run.body["updated_count"]), (&json!("success"), &json!(1)), "{run:?}");
    assert_eq!(status_of(&database, "sub_a1").await, "past_due");
    assert_eq!(status_of(&database, "sub_a2").await, "active");
}
