//! What all steps of a run share: Stripe, the database, the rules, the time, and how a batch is written.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::{self, Tripped};
use super::job::{Failure, Fenced, Lately};
use super::progress::{Counts, Cursor};
use super::record::{Entries, Record};
use super::source::Source;
use super::store::{Batch, Checkout, Group, Horizon, Lookup, ReconcileStore, StoreError, Written};
use crate::drift::class::Class;
use crate::drift::compare::{Comparison, GRACE_SECONDS, Rules};
use crate::drift::finding::Finding;
use crate::drift::policy::{Policy, Say};
use crate::drift::repair::{Action, Item};
use crate::drift::shape::Shape;
use crate::drift::terms::Terms;
use crate::stripe::StripeError;

/// Items in one batch: one round trip, and far from a statement timeout.
const BATCH: usize = 500;

/// Why a part of a run could not be done.
#[derive(Clone, Debug)]
pub(super) enum Interrupted {
    /// A read from Stripe ended it.
    Stripe(StripeError),
    /// A call to the database ended it.
    Store(StoreError),
}

impl Interrupted {
    /// What it means to whoever asked for the run. Errors: the run belongs to another attempt, so nothing can be said of it.
    pub(super) fn explain(self) -> Result<Failure, Fenced> {
        Ok(match self {
            Self::Store(StoreError::Fenced) => return Err(Fenced),
            Self::Store(StoreError::NotAdopted) => {
                Failure::NotAdopted("The adopted table was let go of during the run.".to_owned())
            }
            Self::Store(StoreError::Unavailable(reason) | StoreError::TimedOut(reason)) => {
                Failure::DatabaseUnavailable(reason)
            }
            Self::Store(StoreError::Refused(reason)) => Failure::Database(reason),
            Self::Stripe(error) if error.is_outage() => Failure::StripeUnavailable(error),
            Self::Stripe(error) => Failure::Stripe(error),
        })
    }
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

/// The time: when the run began by the clock, and how long ago that is.
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
    /// Subscriptions of completed checkout sessions that the database lacks, with what their checkout says.
    pub(super) bought: HashMap<String, Checkout>,
    /// How many rows granted access when the run began.
    pub(super) granting: u64,
    /// How much of the run may be spent on asking Stripe whose checkout a subscription was.
    pub(super) lookup_time: Duration,
    /// The horizon of the latest read.
    pub(super) horizon: AtomicU64,
    /// What may be repaired.
    pub(super) policy: Policy,
    /// Keys of differences that a person lets stand, of all that has been read.
    pub(super) excepted: Mutex<HashSet<String>>,
    /// Set while what is due is looked at. The app's own webhook has had its time by then, if it is given any.
    pub(super) changes: Option<Changes>,
    /// What was due before the scan began, each with its version.
    pub(super) due_before: BTreeMap<String, i64>,
}

/// What the circuit breaker must know while what is due is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    /// What runs over less than everything have written within the last hour.
    pub(super) lately: Lately,
    /// Rows that the sweep would have made before this: they have been counted already.
    pub(super) made_before: u64,
}

impl<'a, S: ReconcileStore> Engine<'a, S> {
    /// Whether there is still time to ask whose checkout a subscription was.
    pub(super) fn may_look_up(&self) -> bool {
        // Little is due, and whoever has just paid is among it.
        self.changes.is_some() || self.clock.started.elapsed() < self.lookup_time
    }

    pub(super) fn rules(&self) -> Rules<'a> {
        let (shape, terms) = (self.shape, self.terms);
        let grace = if self.changes.is_some() { 0 } else { GRACE_SECONDS };
        Rules { shape, terms, livemode: self.source.livemode(), now: self.clock.now(), grace }
    }

    /// Whether so many would lose access that none is believed.
    pub(super) fn too_many_lose(&self, suspects: usize) -> Option<Tripped> {
        let lately = self.changes.unwrap_or_default().lately.lowered;
        breaker::lowering(suspects as u64 + lately, self.granting).filter(|_| suspects > 0)
    }

    /// Whether so many rows would be made that none is. `creations`: those of the sweep so far.
    pub(super) fn too_many_made(&self, creations: u64) -> Option<Tripped> {
        let Changes { lately, made_before } = self.changes.unwrap_or_default();
        let suspects = creations.saturating_sub(made_before);
        breaker::creations(suspects + lately.created, self.granting).filter(|_| suspects > 0)
    }

    /// What people have allowed in spite of the circuit breaker. Only a run over everything takes it: a pass over little would use it up.
    pub(super) async fn allowances(&self) -> Result<BTreeMap<Class, u64>, StoreError> {
        if self.changes.is_some() { Ok(BTreeMap::new()) } else { self.store.take_allowances().await }
    }

    /// Whoever reads from now on sees what was written before this. Note it before asking Stripe.
    pub(super) fn horizon(&self) -> Horizon {
        self.horizon.load(Ordering::Relaxed)
    }

    /// The rows of a part of Stripe's list.
    pub(super) async fn read(&self, lookup: Lookup<'_>) -> Result<Group, StoreError> {
        let group = self.store.group(lookup).await?;
        // Reads overtake each other: the last answer to come need not be that of the latest read.
        self.horizon.fetch_max(group.horizon, Ordering::Relaxed);
        if !group.excepted.is_empty() {
            self.excepted().extend(group.excepted.iter().cloned());
        }
        Ok(group)
    }

    fn excepted(&self) -> MutexGuard<'_, HashSet<String>> {
        self.excepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is done instead of a difference's repair; `None`: the repair is made.
    pub(super) fn instead(&self, finding: &Finding) -> Option<Action> {
        let excepted = self.excepted();
        Say { policy: &self.policy, excepted: |key: &str| excepted.contains(key) }.instead(finding)
    }

    /// Whether no fresh look is needed: every repair that would take something away is not made, and is on record already (`open`: Stripe
    /// id and key of what stands).
    pub(super) fn only_stands(&self, comparison: &Comparison, open: &[(String, String)]) -> bool {
        let on_record = |key: &String| open.iter().any(|(_, open)| open == key);
        comparison.lowers.iter().all(|class| {
            comparison.repaired.iter().any(|finding| {
                finding.class == *class && on_record(&finding.drift_key) && self.instead(finding).is_some()
            })
        })
    }

    /// Whether any of these repairs would take something from a customer. If it is no longer known what was found, one might.
    pub(super) fn would_lower(&self, found: Option<&Vec<Finding>>) -> bool {
        let Some(findings) = found.filter(|findings| findings.iter().any(|finding| finding.lowers_access))
        else {
            return self.policy.allows_something();
        };
        findings.iter().any(|finding| finding.lowers_access && self.instead(finding).is_none())
    }

    /// The items, split into what is written and what is only put on record.
    fn decided<'i>(&self, items: &'i [Item]) -> Cow<'i, [Item]> {
        let excepted = self.excepted();
        if self.policy.allows_everything() && excepted.is_empty() {
            return Cow::Borrowed(items);
        }
        let say = Say { policy: &self.policy, excepted: |key: &str| excepted.contains(key) };
        Cow::Owned(items.iter().cloned().flat_map(|item| say.split(item)).collect())
    }

    /// Sends what was found in batches, and records what became of it. A batch that runs into the statement timeout is halved until the
    /// one row that holds it up is found: that one is recorded as refused, and the others are written.
    pub(super) async fn apply(&self, found: ToWrite<'_>, record: &mut Record) -> Result<(), StoreError> {
        let ToWrite { items, mut cleared, mut looked_up, counts, mut cursor } = found;
        let items = self.decided(items);
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
