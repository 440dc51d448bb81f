//! One group of subscriptions against the database: read the rows, compare, repair what may be repaired at once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::drift::{self, Comparison, Missing, Rules, Tiers};
use super::finding::{self, Finding};
use super::plan::{self, Item, Repairs};
use super::progress::{Counts, Cursor};
use super::record::Record;
use super::row::Row;
use super::scan::Stop;
use super::store::{Batch, ReconcileStore, StoreError};
use crate::stripe::{CheckoutSession, MalformedObject, Stripe, StripeError, Subscription};

/// Items in one batch: one round trip, and far from a statement timeout.
const BATCH: usize = 500;
/// How many subscriptions a run asks the checkout sessions about one by one. An account may hold any number of
/// subscriptions that are none of this application's, and each would cost a request in every run. The scan begins with
/// the newest, so what is new is asked for first.
const SESSION_LOOKUPS: u32 = 200;

/// Why a part of a run could not be done.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// Stripe's doing.
    Stripe(StripeError),
    /// The database's.
    Store(StoreError),
}

impl From<StripeError> for Trouble {
    fn from(error: StripeError) -> Self {
        Self::Stripe(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The time: a start by the clock, and what has gone by since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) started_at: i64,
    pub(super) started: Instant,
}

impl Clock {
    /// Unix seconds.
    pub(super) fn now(&self) -> i64 {
        self.started_at + self.started.elapsed().as_secs() as i64
    }
}

/// What all parts of a run share.
pub(super) struct Shared<'a, S> {
    pub(super) stripe: &'a Stripe,
    pub(super) store: &'a S,
    pub(super) tiers: &'a Tiers,
    pub(super) clock: Clock,
    /// When nothing more is asked of Stripe.
    pub(super) until: Instant,
    /// When nothing that was asked is waited for any more.
    pub(super) stop: Stop,
    /// Subscriptions of completed checkout sessions that the database lacks, with the organization that bought.
    pub(super) bought: HashMap<String, Option<Uuid>>,
    pub(super) lookups: AtomicU32,
}

impl<'a, S: ReconcileStore> Shared<'a, S> {
    pub(super) fn rules(&self) -> Rules<'a> {
        Rules { tiers: self.tiers, livemode: self.stripe.mode().livemode(), now: self.clock.now() }
    }

    /// Sends items in batches, and records what became of them.
    pub(super) async fn apply(
        &self,
        items: &[Item],
        counts: Counts,
        mut cursor: Option<Cursor>,
        record: &mut Record,
    ) -> Result<(), StoreError> {
        for items in items.chunks(BATCH) {
            let outcomes = self.store.apply(Batch { items, counts, cursor: cursor.take() }).await?;
            if outcomes.len() != items.len() {
                let error = format!("{} outcomes for {} items", outcomes.len(), items.len());
                return Err(StoreError::Refused(error));
            }
            for (item, outcome) in items.iter().zip(outcomes) {
                record.applied(item, outcome);
            }
        }
        Ok(())
    }

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
        let session = self.stripe.session_of_subscription(&subscription.id, self.until);
        let session = self.stop.or_due(session).await?;
        Ok(session.as_ref().and_then(buyer))
    }

    /// Judges subscriptions without a row. Answers items, and whether live and test are mixed.
    pub(super) async fn judge_missing(
        &self,
        subscriptions: impl Iterator<Item = &Subscription>,
        record: &mut Record,
    ) -> Result<(Vec<Item>, bool), StripeError> {
        let (mut items, mut mixed) = (Vec::new(), false);
        for subscription in subscriptions {
            match drift::missing(subscription, None, self.rules()) {
                Missing::InGrace => record.counts.skipped_count += 1,
                Missing::Leave { finding, mixed_modes } => {
                    mixed |= mixed_modes;
                    items.push(Item::record(vec![*finding]));
                }
                Missing::Create { mut finding, fields, mut unrepaired } => {
                    let organization = self.organization(subscription).await?;
                    finding.organization_id = organization;
                    for finding in &mut unrepaired {
                        finding.organization_id = organization;
                    }
                    let (customer, id) = (&subscription.customer, &subscription.id);
                    items.push(Item::create(organization, customer, id, *fields, *finding));
                    if !unrepaired.is_empty() {
                        items.push(Item::record(unrepaired));
                    }
                }
            }
        }
        Ok((items, mixed))
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

/// A subscription, and when the page that it came with was asked for.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) asked: Instant,
    pub(super) subscription: Subscription,
}

/// Subscriptions of one window that are compared together.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) read: Vec<Read>,
    pub(super) malformed: Vec<MalformedObject>,
    /// Read with the group before, in the second in which this one begins.
    pub(super) carried: Vec<String>,
    /// Together these are all that Stripe lists as created in this span, from and up to.
    pub(super) span: (i64, i64),
}

/// What came of a group.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) record: Record,
    /// Findings whose repair waits for a fresh read, by subscription.
    pub(super) put_off: Vec<(String, Vec<Finding>)>,
    /// Rows of the span that Stripe does not list, and how many there are.
    pub(super) unexplained: Vec<String>,
    pub(super) unexplained_count: u64,
    /// Bought subscriptions that have been dealt with.
    pub(super) dealt_with: Vec<String>,
    pub(super) mixed_modes: bool,
}

/// Compares a group with the database and writes what follows.
pub(super) async fn compare<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    mut group: Gathered,
    held: bool,
    counts: Counts,
    cursor: Option<Cursor>,
) -> Result<Compared, Trouble> {
    for read in group.read.iter_mut().filter(|read| read.subscription.items.has_more) {
        shared.stop.or_due(shared.stripe.complete_items(&mut read.subscription, shared.until)).await?;
    }
    let mut ids: Vec<&str> = group.read.iter().map(|read| read.subscription.id.as_str()).collect();
    ids.extend(group.carried.iter().map(String::as_str));
    ids.extend(group.malformed.iter().filter_map(|object| object.id.as_deref()));
    let answer = shared.store.group(&ids, Some(group.span)).await?;
    let answered = Instant::now();

    let mut done = Compared {
        unexplained: answer.unexplained,
        unexplained_count: answer.unexplained_count,
        ..Compared::default()
    };
    let read: HashMap<&str, &Read> =
        group.read.iter().map(|read| (read.subscription.id.as_str(), read)).collect();
    let mut known: HashSet<&str> = HashSet::with_capacity(answer.rows.len());
    let mut different: Vec<(&Row, Comparison)> = Vec::new();
    let rules = shared.rules();
    for row in &answer.rows {
        let Some(read) = read.get(row.stripe_subscription_id.as_str()) else { continue };
        known.insert(&row.stripe_subscription_id);
        let comparison = drift::compare(&read.subscription, row, rules);
        done.mixed_modes |= comparison.mixed_modes;
        if comparison.in_grace {
            done.record.counts.skipped_count += 1;
        } else if comparison.differs() && changed_since(row, answered - read.asked) {
            // Whoever wrote the row may have known more than the page did.
            done.record.counts.superseded_count += 1;
        } else if comparison.differs() || !comparison.repair.is_empty() {
            different.push((row, comparison));
        }
    }
    let missing = group
        .read
        .iter()
        .map(|read| &read.subscription)
        .filter(|subscription| !known.contains(subscription.id.as_str()));
    done.dealt_with = missing
        .clone()
        .filter(|subscription| shared.bought.contains_key(&subscription.id))
        .map(|subscription| subscription.id.clone())
        .collect();
    let (mut items, mixed) = shared.judge_missing(missing, &mut done.record).await?;
    done.mixed_modes |= mixed;

    let held = held || done.mixed_modes;
    if held {
        items = items.into_iter().map(|item| Item::held(item.findings)).collect();
    }
    let repairs = if held { Repairs::Held } else { Repairs::WithoutLowering };
    for (row, comparison) in different {
        let planned = plan::plan(comparison, row, repairs);
        items.extend(planned.items);
        done.put_off.extend(planned.put_off.map(|findings| (row.stripe_subscription_id.clone(), findings)));
    }
    for (place, object) in group.malformed.iter().enumerate() {
        let message = format!("Stripe sent an object that cannot be read: {}.", object.reason);
        done.record.failed(object.id.as_deref(), &message);
        let place = format!("{}-{}-{place}", group.span.0, group.span.1);
        items.push(Item::record(vec![finding::malformed(object, &place)]));
    }
    done.record.counts.scanned_count = (group.read.len() + group.malformed.len()) as u64;
    shared.apply(&items, counts, cursor, &mut done.record).await?;
    Ok(done)
}

/// Whether a row was written after the page was asked for, both measured backwards from the moment at which the row was read.
fn changed_since(row: &Row, asked_ago: Duration) -> bool {
    row.changed_ago_ms.is_some_and(|changed_ago| i128::from(changed_ago) <= asked_ago.as_millis() as i128)
}
