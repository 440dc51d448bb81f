//! What all steps of a run share: Stripe, the database, the rules, the time, and how a batch is written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::progress::{Counts, Cursor};
use super::record::{Entries, Record};
use super::source::Source;
use super::store::{Batch, Checkout, Group, Horizon, Lookup, ReconcileStore, StoreError, Written};
use crate::drift::compare::Rules;
use crate::drift::repair::{Action, Item};
use crate::drift::shape::Shape;
use crate::drift::terms::Terms;
use crate::stripe::StripeError;

/// Items in one batch: one round trip, and far from a statement timeout.
const BATCH: usize = 500;

/// Why a part of a run could not be done.
#[derive(Clone, Debug)]
pub(super) enum Interrupted {
    /// Stripe's doing.
    Stripe(StripeError),
    /// The database's.
    Store(StoreError),
}

impl From<StripeError> for Interrupted {
    fn from(error: StripeError) -> Self {
        Self::Stripe(error)
    }
}

impl From<StoreError> for Interrupted {
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

/// What a step found, to be written down.
#[derive(Default)]
pub(super) struct ToWrite<'a> {
    pub(super) items: &'a [Item],
    /// Differences that were looked for and are gone.
    pub(super) cleared: &'a [String],
    /// What Stripe said of checkouts.
    pub(super) looked_up: &'a [Checkout],
    /// The run's totals so far.
    pub(super) counts: Counts,
    /// What would be left to do if the run ended here.
    pub(super) cursor: Option<Cursor>,
}

/// What all parts of a run share.
pub(super) struct Engine<'a, S> {
    pub(super) source: Source<'a>,
    pub(super) store: &'a S,
    pub(super) shape: &'a Shape,
    pub(super) terms: &'a Terms,
    pub(super) clock: Clock,
    /// Subscriptions of completed checkout sessions that the database lacks, with the owner that bought.
    pub(super) bought: HashMap<String, Checkout>,
    /// Rows that grant access, as the run began.
    pub(super) granting: u64,
    /// How much of the run may be spent on asking Stripe whose checkout a subscription was.
    pub(super) lookup_time: Duration,
    /// As of the latest read.
    pub(super) horizon: AtomicU64,
}

impl<'a, S: ReconcileStore> Engine<'a, S> {
    /// Whether there is still time to ask whose checkout a subscription was.
    pub(super) fn may_look_up(&self) -> bool {
        self.clock.started.elapsed() < self.lookup_time
    }

    pub(super) fn rules(&self) -> Rules<'a> {
        let (shape, terms) = (self.shape, self.terms);
        Rules { shape, terms, livemode: self.source.livemode(), now: self.clock.now() }
    }

    /// What was written before this is seen by whoever reads from now on. To be noted before Stripe is asked.
    pub(super) fn horizon(&self) -> Horizon {
        self.horizon.load(Ordering::Relaxed)
    }

    /// The rows of a part of Stripe's list.
    pub(super) async fn read(&self, lookup: Lookup<'_>) -> Result<Group, StoreError> {
        let group = self.store.group(lookup).await?;
        // Reads cross: the latest answer need not be of the latest read.
        self.horizon.fetch_max(group.horizon, Ordering::Relaxed);
        Ok(group)
    }

    /// Sends what was found in batches, and records what became of it. A batch that runs into the statement timeout is halved, until
    /// the one row is found that holds it up: that one is an entry, the others are served.
    pub(super) async fn apply(&self, found: ToWrite<'_>, record: &mut Record) -> Result<(), StoreError> {
        let ToWrite { items, mut cleared, mut looked_up, counts, mut cursor } = found;
        let mut waiting: Vec<&[Item]> = items.chunks(BATCH).rev().collect();
        while !waiting.is_empty() || !cleared.is_empty() || !looked_up.is_empty() {
            let items = waiting.pop().unwrap_or_default();
            let batch = Batch { items, cleared, looked_up, counts, cursor: cursor.clone() };
            let written = match self.store.apply(batch).await {
                Err(StoreError::TimedOut(_)) if items.len() > 1 => {
                    let (first, second) = items.split_at(items.len() / 2);
                    waiting.extend([second, first]);
                    continue;
                }
                Err(StoreError::TimedOut(_)) if items.len() == 1 && items[0].row.is_some() => {
                    let reason = "the statement ran into its timeout (57014)";
                    let refused = [items[0].clone().not_written(Action::Refused, Some(reason))];
                    let batch = Batch { items: &refused, cleared: &[], looked_up: &[], counts, cursor: None };
                    let written = self.store.apply(batch).await?;
                    self.note(&refused, written, record)?;
                    continue;
                }
                written => written?,
            };
            self.note(items, written, record)?;
            (cleared, looked_up, cursor) = (&[], &[], None);
        }
        Ok(())
    }

    /// Records what became of a batch.
    fn note(&self, items: &[Item], written: Written, record: &mut Record) -> Result<(), StoreError> {
        if written.outcomes.len() != items.len() {
            let error = format!("{} outcomes for {} items", written.outcomes.len(), items.len());
            return Err(StoreError::Refused(error));
        }
        let entries = Entries::of(&written.entries, self.clock.started_at);
        for (item, (outcome, reason)) in items.iter().zip(written.outcomes) {
            record.applied(item, outcome, reason.as_deref(), &entries);
        }
        Ok(())
    }
}
