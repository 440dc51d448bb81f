//! Rows of the app's table made from the simulator's facts: by themselves they agree with Stripe; whoever wants drift
//! changes them before they go in. The table is the one that is adopted, whatever its shape (`table.rs`).

mod table;

use anyhow::{Context, Result};
use futures::SinkExt;
use stripe_simulator::SubscriptionFacts;
use tokio_postgres::Client;

use crate::postgres::explain;

/// One row. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the columns of the table that billing-ops began with")]
pub struct Row {
    pub organization_id: String,
    pub stripe_subscription_id: String,
    pub stripe_customer_id: String,
    pub status: String,
    pub tier: Option<String>,
    pub stripe_price_id: String,
    pub quantity: u64,
    pub cancel_at_period_end: bool,
    pub trial_end: Option<i64>,
    pub current_period_start: i64,
    pub current_period_end: i64,
}

impl Row {
    /// The row that agrees with `facts`.
    pub fn of(facts: SubscriptionFacts) -> Row {
        Row {
            tier: stripe_simulator::price(facts.price).map(|price| price.tier.to_owned()),
            organization_id: facts.organization_id,
            stripe_subscription_id: facts.id,
            stripe_customer_id: facts.customer,
            status: facts.status.to_owned(),
            stripe_price_id: facts.price.to_owned(),
            quantity: facts.quantity,
            cancel_at_period_end: facts.cancel_at_period_end,
            trial_end: facts.trial_end,
            current_period_start: facts.current_period_start,
            current_period_end: facts.current_period_end,
        }
    }

    /// As a line of COPY's text format: no value here holds a tab, a line break or a backslash.
    fn line(&self) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "\\N".to_owned());
        let number = |value: Option<i64>| value.map_or_else(|| "\\N".to_owned(), |value| value.to_string());
        [
            self.organization_id.clone(),
            self.stripe_subscription_id.clone(),
            self.stripe_customer_id.clone(),
            self.status.clone(),
            text(&self.tier),
            self.stripe_price_id.clone(),
            self.quantity.to_string(),
            self.cancel_at_period_end.to_string(),
            number(self.trial_end),
            self.current_period_start.to_string(),
            self.current_period_end.to_string(),
        ]
        .join("\t")
    }
}

/// Adds `rows` and what they point to, such as their organizations, where that is missing.
///
/// # Errors
/// When the database refuses a row; then none is added.
pub async fn fill(database: &Client, rows: impl Iterator<Item = Row>) -> Result<()> {
    add(database, rows, true).await.context("cannot fill the database")
}

/// Adds what `rows` point to and not the rows themselves, so that a run may create them.
///
/// # Errors
/// When the database refuses something; then nothing is added.
pub async fn fill_owners(database: &Client, rows: impl Iterator<Item = Row>) -> Result<()> {
    add(database, rows, false).await.context("cannot fill the database")
}

async fn add(database: &Client, rows: impl Iterator<Item = Row>, with_rows: bool) -> Result<()> {
    let mut rows = rows.peekable();
    // A table that cannot be filled is no obstacle to filling it with nothing.
    if rows.peek().is_none() {
        return Ok(());
    }
    let table = table::statements(database).await?;
    let outcome = copy_and_insert(database, rows, &table, with_rows).await;
    if outcome.is_err() {
        database.batch_execute("rollback").await.ok();
    }
    outcome
}

async fn copy_and_insert(
    database: &Client,
    rows: impl Iterator<Item = Row>,
    table: &table::Statements,
    with_rows: bool,
) -> Result<()> {
    run(
        database,
        "begin;
         create temporary table seeded (
           organization_id text, stripe_subscription_id text, stripe_customer_id text, status text, tier text,
           stripe_price_id text, quantity integer, cancel_at_period_end boolean, trial_end double precision,
           current_period_start double precision, current_period_end double precision
         ) on commit drop",
    )
    .await?;
    let sink = database.copy_in::<_, bytes::Bytes>("copy seeded from stdin").await?;
    let mut sink = Box::pin(sink);
    let mut buffer = String::new();
    for row in rows {
        buffer.push_str(&row.line());
        buffer.push('\n');
        if buffer.len() > 64 * 1024 {
            sink.feed(std::mem::take(&mut buffer).into()).await?;
        }
    }
    sink.send(buffer.into()).await?;
    sink.as_mut().finish().await?;
    for parent in &table.parents {
        run(database, parent).await?;
    }
    if with_rows {
        run(database, &table.rows).await?;
    }
    run(database, "commit").await?;
    run(database, &table.analyze).await
}

async fn run(database: &Client, statement: &str) -> Result<()> {
    database.batch_execute(statement).await.map_err(|error| explain(&error))
}
