//! Subscriptions read again from Stripe, one by one, several at a time.

use std::collections::HashMap;

use futures::stream::{StreamExt, iter};

use super::engine::Engine;
use super::store::ReconcileStore;
use crate::drift::row::Row;
use crate::stripe::{StripeError, Subscription};

/// Subscriptions that are retrieved at once, and how many of them together make one batch.
pub(super) const RETRIEVERS: usize = 8;
pub(super) const CHUNK: usize = 200;

/// A row, and what Stripe says of its subscription: the object, or what is wrong with this one.
pub(super) type Look = (Row, Result<Subscription, StripeError>);

/// Retrieves subscriptions, until all are there or something is wrong that concerns them all.
pub(super) async fn retrieve<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    ids: Vec<String>,
) -> (HashMap<String, Result<Subscription, StripeError>>, Option<StripeError>) {
    let answers = ids.into_iter().map(|id| async move {
        let answer = engine.source.subscription(&id).await;
        (id, answer)
    });
    let mut answers = iter(answers).buffer_unordered(RETRIEVERS);
    let mut answered = HashMap::new();
    while let Some((id, answer)) = answers.next().await {
        match answer {
            Ok(_) | Err(StripeError::NotFound { .. } | StripeError::Malformed { .. }) => {
                answered.insert(id, answer);
            }
            Err(error) => return (answered, Some(error)),
        }
    }
    (answered, None)
}
