//! Rows of `public.subscriptions` made from the simulator's facts: by themselves they agree with Stripe; whoever wants
//! drift changes them before they go in.

use anyhow::{Context, Result};
use futures::SinkExt;
use stripe_simulator::SubscriptionFacts;
use tokio_postgres::Client;

/// One row. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
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
    pub stripe_created: i64,
    pub livemode: bool,
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
            stripe_created: facts.created,
            livemode: facts.livemode,
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
            self.stripe_created.to_string(),
            self.livemode.to_string(),
        ]
        .join("\t")
    }
}

/// Adds `rows` and the organizations that they name, where these are missing. Rows count as written a day ago.
///
/// # Errors
/// When the database refuses a row; then none is added.
pub async fn fill(database: &Client, rows: impl Iterator<Item = Row>) -> Result<()> {
    fill_inner(database, rows).await.context("cannot fill the database")
}

async fn fill_inner(database: &Client, rows: impl Iterator<Item = Row>) -> Result<()> {
    database
        .batch_execute(
            "begin;
             create temporary table seeded (
               organization_id uuid, stripe_subscription_id text, stripe_customer_id text, status text, tier text,
               stripe_price_id text, quantity integer, cancel_at_period_end boolean, trial_end double precision,
               current_period_start double precision, current_period_end double precision,
               stripe_created double precision, livemode boolean
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
    database
        .batch_execute(
            "insert into public.organizations (id, name)
             select organization_id, 'Organization ' || left(organization_id::text, 8) from seeded
             on conflict do nothing;
             insert into public.subscriptions (
               organization_id, stripe_subscription_id, stripe_customer_id, status, tier, stripe_price_id, quantity,
               cancel_at_period_end, trial_end, current_period_start, current_period_end, stripe_created, livemode,
               created_at, updated_at)
             select organization_id, stripe_subscription_id, stripe_customer_id, status, tier, stripe_price_id, quantity,
               cancel_at_period_end, to_timestamp(trial_end), to_timestamp(current_period_start),
               to_timestamp(current_period_end), to_timestamp(stripe_created), livemode,
               now() - interval '1 day', now() - interval '1 day'
             from seeded
             on conflict do nothing;
             commit;
             analyze public.subscriptions",
        )
        .await?;
    Ok(())
}
