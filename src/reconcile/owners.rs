//! Subscriptions without a row: whose they are, and the rows that follow.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::engine::Engine;
use super::record::Record;
use super::store::ReconcileStore;
use crate::drift::missing::{Missing, missing};
use crate::drift::repair::Item;
use crate::stripe::{CheckoutSession, StripeError, Subscription};

/// How many subscriptions a run asks the checkout sessions about one by one. An account may hold any number of
/// subscriptions that do not belong to this application, and each would cost a request in every run. The scan begins with
/// the newest, so what is new is asked for first.
const SESSION_LOOKUPS: u32 = 200;

impl<S: ReconcileStore> Engine<'_, S> {
    /// The organization that Stripe's data names for a subscription.
    async fn organization(&self, subscription: &Subscription) -> Result<Option<Uuid>, StripeError> {
        let own = subscription.metadata.as_ref().and_then(|metadata| metadata.organization_id.as_deref());
        if let Some(organization) = own.and_then(|id| Uuid::try_parse(id).ok()) {
            return Ok(Some(organization));
        }
        if let Some(organization) = self.bought.get(&subscription.id) {
            return Ok(*organization);
        }
        let left = self.lookups.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            (used < SESSION_LOOKUPS).then_some(used + 1)
        });
        if left.is_err() {
            return Ok(None);
        }
        let session = self.source.session_of(&subscription.id).await?;
        Ok(session.as_ref().and_then(buyer))
    }

    /// Judges subscriptions without a row. Answers items, whether live and test are mixed, and the ids of those that are too young
    /// to be judged.
    pub(super) async fn judge_missing(
        &self,
        subscriptions: impl Iterator<Item = &Subscription>,
        record: &mut Record,
    ) -> Result<(Vec<Item>, bool, HashSet<String>), StripeError> {
        let (mut items, mut mixed, mut skipped) = (Vec::new(), false, HashSet::new());
        for subscription in subscriptions {
            match missing(subscription, None, self.rules()) {
                Missing::InGrace => {
                    record.counts.skipped_count += 1;
                    skipped.insert(subscription.id.clone());
                }
                Missing::Leave { finding, mixed_modes } => {
                    mixed |= mixed_modes;
                    items.push(Item::record(vec![*finding]));
                }
                Missing::Create { mut finding, fields, mut unrepaired } => {
                    let organization = self.organization(subscription).await?;
                    finding.owner = organization;
                    for finding in &mut unrepaired {
                        finding.owner = organization;
                    }
                    let (customer, id) = (&subscription.customer, &subscription.id);
                    items.push(Item::create(organization, customer, id, *fields, *finding));
                    if !unrepaired.is_empty() {
                        items.push(Item::record(unrepaired));
                    }
                }
            }
        }
        Ok((items, mixed, skipped))
    }
}

/// The organization that a checkout session names.
pub(super) fn buyer(session: &CheckoutSession) -> Option<Uuid> {
    let metadata = session.metadata.as_ref().and_then(|metadata| metadata.organization_id.as_deref());
    [session.client_reference_id.as_deref(), metadata]
        .into_iter()
        .flatten()
        .find_map(|id| Uuid::try_parse(id).ok())
}
