//! Asks Stripe whether its events are taken: one call, at most every ten minutes across all instances.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::judge::{Deliveries, Facts};
use crate::stripe::Stripe;
use crate::stripe::event::TYPES;
use crate::stripe::pages::EventsAsked;

/// How often Stripe is asked.
const EVERY: TimeDelta = TimeDelta::minutes(10);
/// How long an endpoint is given before its silence counts.
const AFTER: TimeDelta = TimeDelta::minutes(30);
/// What is older is not sent again (<https://docs.stripe.com/webhooks#automatic-retries>).
const FOR: TimeDelta = TimeDelta::hours(72);
/// How long Stripe may take: a pass of the monitor must not hang on it.
const TIME: Duration = Duration::from_secs(8);

/// What Stripe says now, if it is time to ask: `None` where it is not, `Some(None)` where Stripe does not say. The reason can be a key
/// without the permission to read events, or an outage; neither is an alarm of this kind.
pub async fn ask(stripe: &Stripe, facts: &Facts) -> Option<Option<Deliveries>> {
    let now = facts.now?;
    if facts.deliveries_asked_at.is_some_and(|asked| now - asked < EVERY) {
        return None;
    }
    let types: Vec<&str> = TYPES
        .iter()
        .copied()
        .filter(|kind| kind.starts_with("customer.subscription.") || kind.starts_with("checkout.session."))
        .collect();
    let asked = EventsAsked {
        types: &types,
        created_gte: (now - FOR).timestamp(),
        created_lte: Some((now - AFTER).timestamp()),
        undelivered: true,
        starting_after: None,
    };
    match stripe.events(&asked, Instant::now() + TIME).await {
        Ok(page) => {
            let oldest = page.data.iter().flatten().map(|event| event.created).min();
            let oldest_at = oldest.and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
            Some(Some(Deliveries { failing: page.data.len() as u64, oldest_at }))
        }
        Err(error) => {
            tracing::info!(%error, "Stripe does not say whether its events are taken");
            Some(None)
        }
    }
}
