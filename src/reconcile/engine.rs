//! What all steps of a run share: Stripe, the database, the rules, the time, and how a batch is written.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;

use tokio::time::Instant;
use uuid::Uuid;

use super::progress::{Counts, Cursor};
use super::record::{Entries, Record};
use super::source::Source;
use super::store::{Batch, ReconcileStore, StoreError};
use crate::drift::compare::Rules;
use crate::drift::repair::Item;
use crate::drift::tiers::Tiers;
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

/// What all parts of a run share.
pub(super) struct Engine<'a, S> {
    pub(super) source: Source<'a>,
    pub(super) store: &'a S,
    pub(super) tiers: &'a Tiers,
    pub(super) clock: Clock,
    /// Subscriptions of completed checkout sessions that the database lacks, with the organization that bought.
    pub(super) bought: HashMap<String, Option<Uuid>>,
    pub(super) lookups: AtomicU32,
}

impl<'a, S: ReconcileStore> Engine<'a, S> {
    pub(super) fn rules(&self) -> Rules<'a> {
        Rules { tiers: self.tiers, livemode: self.source.livemode(), now: self.clock.now() }
    }

    /// Sends items in batches, and records what became of them. `cleared`: differences that were looked for and are gone.
    pub(super) async fn apply(
        &self,
        items: &[Item],
        mut cleared: &[String],
        counts: Counts,
        mut cursor: Option<Cursor>,
        record: &mut Record,
    ) -> Result<(), StoreError> {
        let mut chunks = items.chunks(BATCH).peekable();
        while chunks.peek().is_some() || !cleared.is_empty() {
            let items = chunks.next().unwrap_or_default();
            let batch = Batch { items, cleared: std::mem::take(&mut cleared), counts, cursor: cursor.take() };
            let written = self.store.apply(batch).await?;
            if written.outcomes.len() != items.len() {
                let error = format!("{} outcomes for {} items", written.outcomes.len(), items.len());
                return Err(StoreError::Refused(error));
            }
            let entries = Entries::of(&written.entries, self.clock.started_at);
            for (item, outcome) in items.iter().zip(written.outcomes) {
                record.applied(item, outcome, &entries);
            }
        }
        Ok(())
    }
}
