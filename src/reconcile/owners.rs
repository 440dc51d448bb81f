//! Subscriptions without a row: whose they are, and the rows that follow.

use std::collections::{HashMap, HashSet};

use super::engine::Engine;
use super::record::Record;
use super::store::{Checkout, ReconcileStore, StoreError};
use crate::drift::finding::Finding;
use crate::drift::missing::{Missing, missing};
use crate::drift::repair::{Action, Follows, Item, Named};
use crate::drift::row::Row;
use crate::drift::shape::Writes;
use crate::drift::terms::as_owner;
use crate::stripe::{CheckoutSession, StripeError, Subscription};

/// The field of a checkout that names somebody on the payer's word alone.
const BY_THE_PAYER: &str = "client_reference_id";

/// What becomes of a row that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// Nothing yet: it is only asked whose it would be.
    Postponed,
    /// The circuit breaker holds it back.
    Held,
    /// It is made.
    Now,
}

/// What came of judging subscriptions without a row.
#[derive(Debug, Default)]
pub(super) struct MissingJudged {
    pub(super) items: Vec<Item>,
    /// Those that are too young to be judged.
    pub(super) skipped: HashSet<String>,
    /// What Stripe said of checkouts that nobody had asked about before.
    pub(super) looked_up: Vec<Checkout>,
    /// What else was found of subscriptions whose rows are not made yet. It is told with them.
    pub(super) beside: Vec<Finding>,
}

impl<S: ReconcileStore> Engine<'_, S> {
    /// Whom Stripe's data name as a subscription's owner: its own metadata, else its checkout, which Stripe is asked for only once.
    /// `None`: Stripe could not be asked.
    async fn named(
        &self,
        subscription: &Subscription,
        remembered: &HashMap<&str, &Checkout>,
        looked_up: &mut Vec<Checkout>,
    ) -> Result<Option<Named>, StripeError> {
        let metadata = self.terms.owner_in(subscription.metadata.as_ref());
        if metadata.is_some() {
            return Ok(Some(Named { metadata, ..Named::default() }));
        }
        let id = &subscription.id;
        if let Some(checkout) = self.bought.get(id).or(remembered.get(id.as_str()).copied()) {
            return Ok(Some(self.named_by(checkout)));
        }
        // An account may hold any number of subscriptions that do not belong to this application. The scan begins with the newest, so
        // what is new is asked for first; what was answered is remembered, so that the next run asks about others.
        if !self.may_look_up() {
            return Ok(None);
        }
        let checkout = match self.source.session_of(id).await {
            Ok(Some(session)) => self.buyer(&session, id),
            Ok(None) => Checkout { stripe_subscription_id: id.clone(), owner: None, source: None },
            // One that ran out of time or cannot be read must not cost the answers for the others.
            Err(StripeError::Deadline | StripeError::Malformed { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let named = self.named_by(&checkout);
        looked_up.push(checkout);
        Ok(Some(named))
    }

    /// Whom a checkout names, and whether that can be believed.
    fn named_by(&self, checkout: &Checkout) -> Named {
        let owner = checkout.owner.clone();
        if checkout.source.as_deref() == Some(BY_THE_PAYER) && !self.terms.trust_client_reference_id {
            Named { client_reference_id: owner, ..Named::default() }
        } else {
            Named { checkout: owner, ..Named::default() }
        }
    }

    /// Whom a checkout session names.
    pub(super) fn buyer(&self, session: &CheckoutSession, subscription: &str) -> Checkout {
        let metadata = self.terms.owner_in(session.metadata.as_ref());
        let by_the_payer = session.client_reference_id.as_deref().and_then(as_owner);
        let (owner, source) = match (metadata, by_the_payer) {
            (Some(owner), _) => (Some(owner), Some("metadata")),
            (None, Some(owner)) => (Some(owner), Some(BY_THE_PAYER)),
            (None, None) => (None, None),
        };
        let source = source.map(str::to_owned);
        Checkout { stripe_subscription_id: subscription.to_owned(), owner, source }
    }

    /// Marks the rows whose owner is not the one that Stripe's metadata name, if that one exists: metadata written long ago may name
    /// somebody who is gone.
    pub(super) async fn mark_other_owners<'r, 's>(
        &self,
        rows: impl Iterator<Item = (&'r mut Row, &'s Subscription)>,
    ) -> Result<(), StoreError> {
        let mut strange: Vec<(&mut Row, String)> = Vec::new();
        for (row, subscription) in rows {
            let named = self.terms.owner_in(subscription.metadata.as_ref());
            if let Some(named) = named.filter(|named| row.owner.as_ref().is_some_and(|owner| owner != named))
            {
                strange.push((row, named));
            }
        }
        if strange.is_empty() {
            return Ok(());
        }
        let named: Vec<&str> = strange.iter().map(|(_, named)| named.as_str()).collect();
        let existing: HashSet<String> = self.store.owners(&named).await?.into_iter().collect();
        for (row, named) in strange {
            row.other_owner = existing.contains(&named).then_some(named);
        }
        Ok(())
    }

    /// Judges subscriptions without a row. `remembered`: what was said of checkouts before.
    pub(super) async fn judge_missing(
        &self,
        subscriptions: impl Iterator<Item = &Subscription>,
        remembered: &[Checkout],
        making: Making,
        record: &mut Record,
    ) -> Result<MissingJudged, StripeError> {
        let mut judged = MissingJudged::default();
        let remembered =
            remembered.iter().map(|checkout| (checkout.stripe_subscription_id.as_str(), checkout)).collect();
        for subscription in subscriptions {
            match missing(subscription, None, self.rules()) {
                Missing::Nothing => {}
                Missing::InGrace => {
                    record.counts.skipped_count += 1;
                    judged.skipped.insert(subscription.id.clone());
                }
                Missing::Leave { finding } => judged.items.push(Item::record(vec![*finding], None)),
                Missing::Create { mut finding, fields, mut unrepaired } => {
                    let named = self.named(subscription, &remembered, &mut judged.looked_up).await?;
                    if named.is_none() {
                        record.unsettled([subscription.id.clone()]);
                    }
                    let named = named.unwrap_or_default();
                    finding.owner = named.first().cloned();
                    for finding in &mut unrepaired {
                        finding.owner = named.first().cloned();
                    }
                    let follows = Follows {
                        customer: subscription.customer.clone(),
                        stripe_subscription_id: subscription.id.clone(),
                    };
                    let gives_way = if self.shape.one_row_each {
                        self.terms.access.gives_way_to(&subscription.status)
                    } else {
                        Vec::new()
                    };
                    let item = Item::create(named, follows, gives_way, *fields, *finding);
                    let may_follow = self.shape.one_row_each && self.shape.writes == Writes::Update;
                    // A row that is not made need not wait until it is known how many there are.
                    let written = item.findings.iter().all(|finding| self.instead(finding).is_none());
                    let making = if written { making } else { Making::Now };
                    judged.items.push(match making {
                        _ if self.shape.writes < Writes::UpdateAndInsert && !may_follow => {
                            item.impossible("none: the mapping says that no row is inserted")
                        }
                        Making::Postponed => Item { postponed: true, ..item },
                        Making::Held => item.not_written(Action::Held, None),
                        Making::Now => item,
                    });
                    // What is postponed is judged again later, and told as a whole then.
                    if making == Making::Postponed {
                        judged.beside.extend(unrepaired);
                    } else if !unrepaired.is_empty() {
                        judged.items.push(Item::record(unrepaired, None));
                    }
                }
            }
        }
        Ok(judged)
    }
}
