//! Subscriptions without a row: whose they are, and the rows that follow.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::engine::Engine;
use super::record::Record;
use super::store::{Checkout, ReconcileStore};
use crate::drift::missing::{Missing, missing};
use crate::drift::repair::{Action, Item};
use crate::drift::shape::Writes;
use crate::stripe::{CheckoutSession, StripeError, Subscription};

/// How many subscriptions a run asks the checkout sessions about one by one. An account may hold any number of
/// subscriptions that do not belong to this application. The scan begins with the newest, so what is new is asked for first; what
/// was answered is remembered, so the next run asks about others.
const SESSION_LOOKUPS: u32 = 200;

/// What came of judging subscriptions without a row.
#[derive(Debug, Default)]
pub(super) struct MissingJudged {
    pub(super) items: Vec<Item>,
    pub(super) mixed_modes: bool,
    /// Those that are too young to be judged.
    pub(super) skipped: HashSet<String>,
    /// What Stripe said of checkouts that nobody had asked about before.
    pub(super) looked_up: Vec<Checkout>,
}

impl<S: ReconcileStore> Engine<'_, S> {
    /// The owner that Stripe's data names for a subscription: its own metadata, else those of its checkout, which are asked for once
    /// in its life.
    async fn owner(
        &self,
        subscription: &Subscription,
        remembered: &HashMap<&str, &Checkout>,
        looked_up: &mut Vec<Checkout>,
    ) -> Result<Option<String>, StripeError> {
        let own = subscription.metadata.as_ref().and_then(|metadata| metadata.organization_id.as_deref());
        if let Some(owner) = own.and_then(named) {
            return Ok(Some(owner));
        }
        let id = &subscription.id;
        if let Some(checkout) = self.bought.get(id) {
            return Ok(checkout.owner.clone());
        }
        if let Some(checkout) = remembered.get(id.as_str()) {
            return Ok(checkout.owner.clone());
        }
        let left = self.lookups.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            (used < SESSION_LOOKUPS).then_some(used + 1)
        });
        if left.is_err() {
            return Ok(None);
        }
        let checkout = match self.source.session_of(id).await? {
            Some(session) => buyer(&session, id),
            None => Checkout { stripe_subscription_id: id.clone(), owner: None, source: None },
        };
        let owner = checkout.owner.clone();
        looked_up.push(checkout);
        Ok(owner)
    }

    /// Judges subscriptions without a row. `remembered`: what was said of checkouts before.
    pub(super) async fn judge_missing(
        &self,
        subscriptions: impl Iterator<Item = &Subscription>,
        remembered: &[Checkout],
        record: &mut Record,
    ) -> Result<MissingJudged, StripeError> {
        let mut judged = MissingJudged::default();
        let remembered =
            remembered.iter().map(|checkout| (checkout.stripe_subscription_id.as_str(), checkout)).collect();
        for subscription in subscriptions {
            match missing(subscription, None, self.rules()) {
                Missing::InGrace => {
                    record.counts.skipped_count += 1;
                    judged.skipped.insert(subscription.id.clone());
                }
                Missing::Leave { finding, mixed_modes } => {
                    judged.mixed_modes |= mixed_modes;
                    judged.items.push(Item::record(vec![*finding], None));
                }
                Missing::Create { mut finding, fields, mut unrepaired } => {
                    let owner = self.owner(subscription, &remembered, &mut judged.looked_up).await?;
                    finding.owner.clone_from(&owner);
                    for finding in &mut unrepaired {
                        finding.owner.clone_from(&owner);
                    }
                    let (customer, id) = (&subscription.customer, &subscription.id);
                    let mut item = Item::create(owner, customer, id, *fields, *finding);
                    if self.shape.writes < Writes::UpdateAndInsert {
                        let why = "none: the mapping says that no row is inserted";
                        item = item.not_written(Action::Observed, Some(why));
                    }
                    judged.items.push(item);
                    if !unrepaired.is_empty() {
                        judged.items.push(Item::record(unrepaired, None));
                    }
                }
            }
        }
        Ok(judged)
    }
}

/// Whom a checkout session names.
pub(super) fn buyer(session: &CheckoutSession, subscription: &str) -> Checkout {
    let metadata = session.metadata.as_ref().and_then(|metadata| metadata.organization_id.as_deref());
    let (owner, source) =
        [(session.client_reference_id.as_deref(), "client_reference_id"), (metadata, "checkout metadata")]
            .into_iter()
            .find_map(|(id, source)| Some((id.and_then(named)?, source)))
            .unzip();
    let source = source.map(str::to_owned);
    Checkout { stripe_subscription_id: subscription.to_owned(), owner, source }
}

/// An owner, as far as text can name one. Whether there is such an owner the database knows.
fn named(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
