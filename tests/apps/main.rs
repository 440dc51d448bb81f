//! Beside the apps that people start from, each with a table of its own: what agrees costs no write, every class of drift that the
//! table can have is found and repaired, and one odd row is one entry while everybody else is served.

mod adopting;
mod agreement;
mod classes;
mod odd_rows;

use serde_json::{Value, json};
use tokio_postgres::Client;

use support::Stack;
use support::disturb::{count, forget_strangers};
use support::shape::Shape;

/// A stack beside an app whose rows agree with Stripe. Those that the fixture brings along, and Stripe has never heard of, are gone.
async fn agreeing(shape: Shape) -> (Stack, Client) {
    let stack = shape.setup().argument("--subscriptions").argument("120").start();
    let database = stack.database().await;
    forget_strangers(&database).await;
    (stack, database)
}

/// The subscriptions of entries by `class: action`, those that are open first.
async fn entries(database: &Client) -> Vec<(String, String)> {
    let rows = database
        .query(
            "select type || ': ' || action, coalesce(stripe_subscription_id, drift_key) from public.drift
             order by closed_at is not null, type, action, 2",
            &[],
        )
        .await
        .expect("entries");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Why the entry of a subscription is as it is.
async fn reason(database: &Client, id: &str) -> String {
    let row = database
        .query_one(
            "select coalesce(reason, issue) from public.drift
             where stripe_subscription_id = $1 or drift_key = 'malformed_row:' || $1
             order by first_seen_at desc limit 1",
            &[&id],
        )
        .await
        .expect("one entry");
    row.get(0)
}

/// Whether the mapping has a word.
async fn has(database: &Client, word: &str) -> bool {
    let query = format!("select count(*) from billing_ops.adoption where mapping ? '{word}'");
    count(database, &query).await == 1
}

/// Makes Stripe's side of rows that a fixture brings along.
async fn put_at_stripe(stack: &Stack, subscription: Value) {
    stack.stripe(reqwest::Method::POST, "subscriptions", &subscription).await;
}

/// A subscription as the simulator is told of it.
fn subscription(id: &str, customer: &str, status: &str, price: &str, quantity: u64, from: i64) -> Value {
    json!({
        "id": id, "customer": customer, "status": status, "price": price, "quantity": quantity, "metadata": {},
        "created": from, "current_period_start": from, "current_period_end": from + 30 * 86_400, "cancel_at_period_end": false,
    })
}
