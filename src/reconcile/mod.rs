//! Reconciling the database with Stripe. Read top to bottom: each step stands on the ones below it.
//!
//! - [`job`]: what a run is asked to do, and how it ended.
//! - `scan`: readers and writers over all of Stripe's list; `sweep`: how far that is.
//! - `checkouts`, `place`, `look`, `replaced`, `fresh`, `duplicates`, `hold_back`, `breaker`: what goes before and after the scan.
//! - [`targeted`]: a pass over named subscriptions.
//! - `group`: one comparison of many; `owners`: subscriptions without a row, and whose they are.
//! - `engine`: what all steps share; `source`: Stripe for one run; `stop`: when it ends.
//! - [`store`]: the narrow seam to the database, so that all of this is tested without one.
//! - [`windows`]: which part of Stripe's list to read next, and the proof that none is left out.
//! - [`progress`], [`record`], [`tally`]: how far a run is, and what it has done; `conditions`: the alerts that follow.
//!
//! One run: completed checkout sessions are listed; everything that Stripe lists is compared with the database, group by
//! group, and repaired at once where that takes nothing from a customer. Then rows that Stripe does not list are looked up one by one;
//! rows that are missing are made; and what would take something from a customer is read afresh, together with what else the customer
//! has, and applied: unless the circuit breaker holds it back. A run that stops early leaves a cursor, and the next one goes on from there.

pub mod breaker;
mod checkouts;
pub mod conditions;
mod duplicates;
mod engine;
mod fresh;
mod group;
mod hold_back;
pub mod job;
mod look;
mod owners;
mod place;
pub mod progress;
pub mod record;
mod replaced;
mod scan;
mod source;
mod stop;
pub mod store;
mod sweep;
pub mod tally;
pub mod targeted;
pub mod windows;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use strum::VariantArray as _;
use tokio::time::Instant;

use breaker::Tripped;
use conditions::conditions;
use engine::{Clock, Engine, Interrupted, ToWrite};
pub use job::{Ending, Failure, Fenced, Job, Status};
use look::Queue;
use progress::{Counts, Cursor};
use source::Source;
use stop::{Done, Stop};
use store::{Ground, ReconcileStore, StoreError};
use sweep::Sweep;

use crate::drift::class::Class;
use crate::drift::missing;
use crate::drift::policy::Policy;
use crate::drift::repair::Item;
use crate::drift::terms::Terms;
use crate::stripe::Stripe;

/// Does one run, from the sessions to the alerts. The caller starts it and writes the ending.
pub async fn reconcile<S: ReconcileStore>(
    stripe: &Stripe,
    store: &S,
    terms: &Terms,
    job: Job,
) -> Result<Ending, Fenced> {
    let started = Instant::now();
    let whole = job.deadline.saturating_duration_since(started);
    let at = job.deadline - (whole / 10).min(Duration::from_secs(10));
    let resume = job.resume.and_then(|cursor| serde_json::from_value::<Cursor>(cursor).ok());
    let mut sweep = Sweep::new(resume, job.started_at);
    // Nothing is asked of Stripe, and nothing written, before it is known what the table looks like.
    let access = terms.access.words();
    let ground = store.ground(&access).await.map_err(Interrupted::Store);
    let ground = match ground {
        Ok(ground) => ground,
        Err(interrupted) => return Ok(ending(sweep, false, &[], Some(interrupted.explain()?))),
    };
    let shape = match ground.shape_for(terms.repair_mode) {
        Ok(shape) => shape,
        Err(why) => return Ok(ending(sweep, false, &[], Some(Failure::NotAdopted(why)))),
    };
    let Ground { granting, livemode, ref policies, horizon, .. } = ground;
    let mut engine = Engine {
        source: Source::new(stripe, Stop { at, signal: job.stop }),
        store,
        shape,
        terms,
        clock: Clock { started_at: job.started_at, started },
        bought: HashMap::new(),
        granting,
        lookup_time: whole / 3,
        horizon: AtomicU64::new(horizon),
        policy: Policy::new(terms.repair_mode, policies.as_ref()),
        excepted: Mutex::default(),
    };
    let mode = engine.source.livemode();
    if livemode.is_some_and(|rows| rows != mode) {
        let failure = match wrong_mode(&engine, &mut sweep).await {
            Ok(()) => None,
            Err(error) => Some(Interrupted::from(error).explain()?),
        };
        return Ok(ending(sweep, false, &[Tripped::WrongMode], failure));
    }
    let mut tripped = Vec::new();
    let done = sweep_all(&mut engine, &mut sweep, job.lookback_hours, &mut tripped).await;
    let (complete, mut failure) = match done {
        Ok(done) => (done == Done::All, None),
        Err(interrupted) => (false, Some(interrupted.explain()?)),
    };
    let database_answers = !matches!(
        failure,
        Some(Failure::DatabaseUnavailable(_) | Failure::Database(_) | Failure::NotAdopted(_))
    );
    if !complete && database_answers {
        let why = "none yet: the next run reads it again from Stripe first";
        let left = std::mem::take(&mut sweep.put_off);
        if let Err(interrupted) = hold_back::record(&engine, &mut sweep, left, Some(why)).await {
            failure = failure.or(Some(interrupted.explain()?));
        }
    }
    Ok(ending(sweep, complete, &tripped, failure))
}

/// Says that the key is of the other mode than the rows.
async fn wrong_mode<S: ReconcileStore>(engine: &Engine<'_, S>, sweep: &mut Sweep) -> Result<(), StoreError> {
    let items = [Item::record(vec![missing::wrong_mode(engine.source.livemode())], None)];
    engine.apply(ToWrite { items: &items, ..ToWrite::default() }, &mut sweep.record).await
}

/// Rows that are looked up although Stripe lists too few: enough to see whether they are gone or the key is the wrong one.
const LOOKED_UP_ALL_THE_SAME: usize = 200;

/// All steps of a run. Answers whether there was time for all of them; `tripped`: what was held back.
async fn sweep_all<S: ReconcileStore>(
    engine: &mut Engine<'_, S>,
    sweep: &mut Sweep,
    hours: u32,
    tripped: &mut Vec<Tripped>,
) -> Result<Done, Interrupted> {
    let (bought, done) = checkouts::bought(engine, sweep, hours).await?;
    engine.bought = bought;
    if done == Done::Stopped {
        return Ok(done);
    }
    scan::run(engine, sweep).await?;
    if !sweep.scan.is_complete() || !sweep.ledger.left(&sweep.scan).is_empty() {
        return Ok(Done::Stopped);
    }
    if look::look(engine, sweep, Queue::Newer).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    look::unplaced(engine, sweep).await?;
    if let Some(too_many) = breaker::unlisted(sweep.unlisted.len(), sweep.too_many, engine.granting) {
        tripped.push(too_many);
        // What is not looked up is found again by the next sweep, which looks up others.
        let hour = engine.clock.started_at.unsigned_abs() as usize / 3_600;
        let from = (hour * LOOKED_UP_ALL_THE_SAME) % sweep.unlisted.len().max(1);
        let all = std::mem::take(&mut sweep.unlisted);
        let some = all.iter().cycle().skip(from).take(LOOKED_UP_ALL_THE_SAME.min(all.len()));
        sweep.unlisted = some.cloned().collect();
    }
    if look::look(engine, sweep, Queue::Unlisted).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    if checkouts::bought_and_missing(engine, sweep).await? == Done::Stopped
        || place::create(engine, sweep, tripped).await? == Done::Stopped
        || place::contest(engine, sweep).await? == Done::Stopped
    {
        return Ok(Done::Stopped);
    }
    hold_back::lowering(engine, sweep, tripped).await?;
    if look::look(engine, sweep, Queue::Lowering).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    if place::contest_again(engine, sweep, tripped).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    duplicates::duplicates(engine, sweep).await
}

fn ending(sweep: Sweep, complete: bool, tripped: &[Tripped], failure: Option<Failure>) -> Ending {
    let blemished = sweep.is_blemished();
    // An outage takes nothing away of what the run has done.
    let cut_short =
        failure.as_ref().is_some_and(Failure::is_outage) && sweep.record.counts != Counts::default();
    let status = match failure {
        Some(_) if cut_short => Status::Partial,
        Some(_) => Status::Error,
        None if complete && !blemished && tripped.is_empty() && !sweep.record.refused => Status::Success,
        None => Status::Partial,
    };
    // Where nothing has been read, a new sweep looks at what was made since as well.
    let goes_on = !complete && sweep.scanned() > 0 && !failure.as_ref().is_some_and(Failure::is_of_the_place);
    let cursor = sweep.cursor();
    let conditions = conditions(&cursor.tally, complete && !blemished, tripped);
    let (counts, refused) = (sweep.record.counts, sweep.record.refused);
    let (reconciliations, errors) = sweep.record.told();
    let message = message(&counts, refused, complete, tripped, failure.as_ref());
    if let (true, Some(failure)) = (cut_short, &failure) {
        tracing::warn!(?failure, "the run was cut short");
    }
    Ending {
        status,
        counts,
        message,
        cursor: goes_on.then_some(cursor),
        failure: failure.filter(|_| !cut_short),
        conditions,
        judged: judged(complete && !blemished && tripped.is_empty()),
        reconciliations,
        errors,
    }
}

/// The classes that a sweep has judged as a whole: what it has not seen of these is gone. One that was held back has judged none.
fn judged(complete: bool) -> Vec<Class> {
    Class::VARIANTS.iter().copied().filter(|_| complete).collect()
}

fn message(
    counts: &Counts,
    refused: bool,
    complete: bool,
    tripped: &[Tripped],
    failure: Option<&Failure>,
) -> String {
    if tripped.contains(&Tripped::WrongMode) {
        return "the key and the rows are of different modes, live and test: nothing was compared".to_owned();
    }
    let issues = if counts.total_issues == 1 { "issue" } else { "issues" };
    let mut message = format!(
        "{} {issues} found, {} created, {} updated",
        counts.total_issues, counts.created_count, counts.updated_count
    );
    if counts.error_count > 0 {
        message.push_str(&format!(", {} could not be looked at", counts.error_count));
    }
    if refused {
        message.push_str("; the table refused a repair");
    }
    if !tripped.is_empty() {
        message.push_str("; repairs were held back by the circuit breaker");
    }
    if let Some(failure) = failure.filter(|failure| failure.is_outage()) {
        message.push_str(&format!(". {} The next run goes on from here.", failure.sentence()));
    } else if failure.is_some() {
        message.push_str("; the run failed before it had looked at everything");
    } else if !complete {
        message.push_str("; time was up, the next run goes on from here");
    }
    message
}
