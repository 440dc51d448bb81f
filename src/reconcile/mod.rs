//! Reconciling the database with Stripe.
//!
//! Pure, and tested as tables and properties:
//! - [`windows`]: which part of Stripe's list to read next, and the proof that none is left out.
//! - [`drift`]: how a subscription and its row differ; [`finding`], [`row`]: the values it speaks of.
//! - [`plan`]: findings to repairs and alerts, and when repairs are held back.
//! - [`progress`], [`record`]: how far a run is, and what it has done.
//!
//! Effectful, small, on [`crate::stripe`] and the [`store::ReconcileStore`]:
//! - [`perform`]: a run for a call, from start to answer; [`database`]: the store in Postgres.
//! - `scan`: readers and writers; `group`: one comparison; `fresh`: what follows the scan.
//!
//! One run: completed checkout sessions are listed; everything that Stripe lists is compared with the database, group by
//! group, and repaired at once where that takes nothing from a customer; then, unless the circuit breaker holds it back,
//! what would take something is read afresh and applied, and rows that Stripe does not list are looked up one by one. A
//! run that stops early leaves a cursor, and the next one goes on from there.

pub mod database;
pub mod drift;
pub mod finding;
mod fresh;
mod group;
pub mod perform;
pub mod plan;
pub mod progress;
pub mod record;
pub mod row;
mod scan;
pub mod store;
pub mod windows;

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

pub use drift::Tiers;
use fresh::Done;
use group::{Clock, Shared, Trouble};
use plan::{Condition, Tripped, conditions};
use progress::{Counts, Cursor};
use record::{ItemError, Reported};
use scan::{Stop, Sweep};
use store::{ReconcileStore, StoreError};

use crate::stripe::{Stripe, StripeError};

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// When the run began, in Unix seconds.
    pub started_at: i64,
    /// How far back completed checkout sessions are searched.
    pub lookback_hours: u32,
    /// The cursor that an incomplete run left. One that cannot be understood is as good as none.
    pub resume: Option<Value>,
    /// When the run must have ended. A tenth of the time until then, ten seconds at most, is kept for writing.
    pub deadline: Instant,
    /// Becomes true when the process is to end: the same as the deadline.
    pub stop: watch::Receiver<bool>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All was looked at, nothing failed.
    Success,
    /// Time was up, some items failed, or the circuit breaker held repairs back.
    Partial,
    /// Stripe or the database failed.
    Error,
}

impl Status {
    /// The run's `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Error => "error",
        }
    }
}

/// Why a run ended in error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Stripe refuses or talks nonsense: 502.
    Stripe(StripeError),
    /// Stripe is down, slow or busy: 503.
    StripeUnavailable(StripeError),
    /// The database does not answer: 503.
    DatabaseUnavailable(String),
    /// The database refused a call: a bug, or migrations that are not there.
    Database(String),
}

/// What a run came to, for `finish_reconciliation_run` and for the answer.
#[derive(Clone, Debug)]
pub struct Ending {
    /// How it ended.
    pub status: Status,
    /// Its numbers.
    pub counts: Counts,
    /// In one sentence.
    pub message: String,
    /// Why it ended in error.
    pub failure: Option<Failure>,
    /// What is left to do, if it is partial.
    pub cursor: Option<Cursor>,
    /// What alerts follow.
    pub conditions: Vec<Condition>,
    /// The first findings.
    pub reconciliations: Vec<Reported>,
    /// The first errors.
    pub errors: Vec<ItemError>,
}

/// Another attempt owns the run now: there is nothing to finish and nothing may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run belongs to another attempt now")]
pub struct Fenced;

/// Does one run, from the sessions to the alerts. The caller starts it and writes the ending.
pub async fn reconcile<S: ReconcileStore>(
    stripe: &Stripe,
    store: &S,
    tiers: &Tiers,
    job: Job,
) -> Result<Ending, Fenced> {
    let started = Instant::now();
    let whole = job.deadline.saturating_duration_since(started);
    let at = job.deadline - (whole / 10).min(Duration::from_secs(10));
    let mut stop = Stop { at, signal: job.stop };
    let resume = job.resume.and_then(|cursor| serde_json::from_value::<Cursor>(cursor).ok());
    let mut sweep = Sweep::new(resume, job.started_at);
    let mut shared = Shared {
        stripe,
        store,
        tiers,
        clock: Clock { started_at: job.started_at, started },
        until: at,
        stop: stop.clone(),
        bought: HashMap::new(),
        lookups: AtomicU32::new(0),
    };
    let done = sweep_all(&mut shared, &mut sweep, job.lookback_hours, &mut stop).await;
    let (complete, tripped, mut failure) = match done {
        Ok((done, tripped)) => (done == Done::All, tripped, None),
        Err(trouble) => (false, None, Some(explain(trouble)?)),
    };
    if !complete && !matches!(failure, Some(Failure::DatabaseUnavailable(_) | Failure::Database(_))) {
        let why = "none yet: the next run reads it again from Stripe first";
        if let Err(trouble) = fresh::record_put_off(&shared, &mut sweep, Some(why)).await {
            failure = failure.or(Some(explain(trouble)?));
        }
    }
    Ok(ending(sweep, complete, tripped, failure))
}

/// All steps of a run. Answers whether there was time for all of them, and whether repairs were held back.
async fn sweep_all<S: ReconcileStore>(
    shared: &mut Shared<'_, S>,
    sweep: &mut Sweep,
    hours: u32,
    stop: &mut Stop,
) -> Result<(Done, Option<Tripped>), Trouble> {
    let (bought, done) = fresh::bought(shared, sweep, hours, stop).await?;
    shared.bought = bought;
    let mixed = |sweep: &Sweep| sweep.mixed_modes.then_some(Tripped::MixedModes);
    if done == Done::Stopped {
        return Ok((done, None));
    }
    scan::run(shared, sweep, stop).await?;
    if !sweep.scan.is_complete() || !sweep.ledger.left(&sweep.scan).is_empty() {
        return Ok((Done::Stopped, mixed(sweep)));
    }
    fresh::unplaced(shared, sweep).await?;
    let tripped = fresh::breaker(sweep);
    if tripped.is_some() {
        fresh::record_put_off(shared, sweep, None).await?;
    } else if fresh::look(shared, sweep, stop).await? == Done::Stopped {
        return Ok((Done::Stopped, mixed(sweep)));
    }
    for done in
        [fresh::bought_and_missing(shared, sweep, stop).await?, fresh::duplicates(shared, sweep, stop).await?]
    {
        if done == Done::Stopped {
            return Ok((done, tripped.or(mixed(sweep))));
        }
    }
    Ok((Done::All, tripped.or(mixed(sweep))))
}

fn explain(trouble: Trouble) -> Result<Failure, Fenced> {
    Ok(match trouble {
        Trouble::Store(StoreError::Fenced) => return Err(Fenced),
        Trouble::Store(StoreError::Unavailable(reason)) => Failure::DatabaseUnavailable(reason),
        Trouble::Store(StoreError::Refused(reason)) => Failure::Database(reason),
        Trouble::Stripe(error) if error.is_outage() => Failure::StripeUnavailable(error),
        Trouble::Stripe(error) => Failure::Stripe(error),
    })
}

fn ending(sweep: Sweep, complete: bool, tripped: Option<Tripped>, failure: Option<Failure>) -> Ending {
    let blemished = sweep.is_blemished();
    let status = match failure {
        Some(_) => Status::Error,
        None if complete && !blemished && tripped.is_none() => Status::Success,
        None => Status::Partial,
    };
    // What an error leaves is read again from the beginning: it may be the place where it failed that is at fault.
    let cursor = sweep.cursor();
    let conditions = conditions(&cursor.tally, complete && !blemished, tripped);
    let record = sweep.record;
    let counts = record.counts;
    let message = message(&counts, complete, tripped, failure.is_some());
    Ending {
        status,
        counts,
        message,
        cursor: (!complete && failure.is_none()).then_some(cursor),
        failure,
        conditions,
        reconciliations: record.reported,
        errors: record.errors,
    }
}

fn message(counts: &Counts, complete: bool, tripped: Option<Tripped>, failed: bool) -> String {
    let issues = if counts.total_issues == 1 { "issue" } else { "issues" };
    let mut message = format!(
        "{} {issues} found, {} created, {} updated",
        counts.total_issues, counts.created_count, counts.updated_count
    );
    if counts.error_count > 0 {
        message.push_str(&format!(", {} could not be looked at", counts.error_count));
    }
    if tripped.is_some() {
        message.push_str("; repairs were held back by the circuit breaker");
    }
    if failed {
        message.push_str("; the run failed before it had looked at everything");
    } else if !complete {
        message.push_str("; time was up, the next run goes on from here");
    }
    message
}
