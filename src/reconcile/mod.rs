//! Reconciles the database with Stripe. Read it from top to bottom: each step uses the ones below it.
//!
//! - [`job`]: what a run is asked to do, and how it ended.
//! - `scan`: readers and writers over all of Stripe's list; `sweep`: how far the scan has come.
//! - `write`: the repairs that give and those that take; `checkouts`, `place`, `look`, `replaced`, `fresh`, `duplicates`, `hold_back`,
//!   `breaker`: what else happens before and after the scan.
//! - `due`: subscriptions that Stripe's events named; `changes`: lists those events; [`targeted`]: a pass over named subscriptions.
//! - `group`: compares many at once; `owners`: subscriptions without a row, and whose they are.
//! - `engine`: what all steps share; `source`: Stripe for one run; `stop`: when it ends.
//! - [`store`]: the narrow seam to the database, so that all of this is tested without one.
//! - [`windows`]: which part of Stripe's list to read next, and the proof that no part is left out.
//! - [`progress`], [`record`], [`tally`]: how far a run is, and what it has done; `conditions`: the alerts that follow.
//!
//! One run lists completed checkout sessions. It compares everything that Stripe lists with the database, group by group, and repairs
//! at once where that takes nothing from a customer. Then it looks up, one by one, rows that Stripe does not list, and creates rows that
//! are missing. Before a repair takes something from a customer, the subscription and the customer's others are read afresh; then it is
//! made unless the circuit breaker holds it back. A run that stops early leaves a cursor, and the next one goes on from there.

pub mod breaker;
mod changes;
mod checkouts;
pub mod conditions;
mod due;
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
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use strum::VariantArray as _;
use tokio::time::Instant;

use breaker::Tripped;
use changes::Listed;
use conditions::conditions;
use due::Which;
use engine::{Clock, Engine, Interrupted, ToWrite};
use job::Lately;
pub use job::{Ending, Failure, Fenced, Job, RunScope, Status};
use look::Queue;
use progress::{Counts, Cursor, FRESH_LIMIT};
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
use crate::stripe::pages::PAGE_SIZE;

/// Does one run, from the checkout sessions to the alerts. The caller starts the run and writes its ending.
pub async fn reconcile<S: ReconcileStore>(
    stripe: &Stripe,
    store: &S,
    terms: &Terms,
    mut job: Job,
) -> Result<Ending, Fenced> {
    let started = Instant::now();
    let whole = job.deadline.saturating_duration_since(started);
    let at = job.deadline - (whole / 10).min(Duration::from_secs(10));
    let resume = job.resume.take().and_then(|cursor| serde_json::from_value::<Cursor>(cursor).ok());
    let mut sweep = Sweep::new(resume, job.started_at);
    // Nothing is asked of Stripe, and nothing written, before it is known what the table looks like.
    let access = terms.access.words();
    let ground = store.ground(&access).await.map_err(Interrupted::Store);
    let mut scope = job.scope;
    let ground = match ground {
        Ok(ground) => ground,
        Err(interrupted) => return Ok(ending(sweep, scope, None, &[], Some(interrupted.explain()?))),
    };
    let shape = match ground.shape_for(terms.repair_mode) {
        Ok(shape) => shape,
        Err(why) => return Ok(ending(sweep, scope, None, &[], Some(Failure::NotAdopted(why)))),
    };
    let Ground { granting, livemode, ref policies, horizon, .. } = ground;
    let mut engine = Engine {
        source: Source::new(stripe, Stop { at, signal: job.stop.clone() }),
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
        changes: None,
        due_before: BTreeMap::new(),
    };
    let mode = engine.source.livemode();
    if livemode.is_some_and(|rows| rows != mode) {
        let failure = match wrong_mode(&engine, &mut sweep).await {
            Ok(()) => None,
            Err(error) => Some(Interrupted::from(error).explain()?),
        };
        return Ok(ending(sweep, scope, None, &[Tripped::WrongMode], failure));
    }
    let mut tripped = Vec::new();
    let looked = look_around(&mut engine, &mut sweep, &job, &mut scope, &mut tripped).await;
    let (looked, mut failure) = match looked {
        Ok(looked) => (Some(looked), None),
        Err(interrupted) => (None, Some(interrupted.explain()?)),
    };
    let complete = looked.is_some_and(|looked| looked.done == Done::All);
    let database_answers = !matches!(
        failure,
        Some(Failure::DatabaseUnavailable(_) | Failure::Database(_) | Failure::NotAdopted(_))
    );
    // Only for a run over everything: what is due stays due, and need not be reported while it waits.
    if !complete && database_answers && scope == RunScope::All {
        let why = "none yet: the next run reads it again from Stripe first";
        let left = std::mem::take(&mut sweep.put_off);
        if let Err(interrupted) = hold_back::record(&engine, &mut sweep, left, Some(why)).await {
            failure = failure.or(Some(interrupted.explain()?));
        }
    }
    if scope != RunScope::All && failure.is_none() {
        // What it has seen is not all there is, and an alert speaks of all there is.
        let told = count(&engine, &mut sweep).await;
        failure = told.err().map(|error| Interrupted::from(error).explain()).transpose()?;
    }
    Ok(ending(sweep, scope, looked, &tripped, failure))
}

/// Up to this many single subscriptions are read without asking whether the whole list would cost less.
const FEW: usize = 20;

/// How far a run has got.
#[derive(Clone, Copy, Debug)]
struct Looked {
    done: Done,
    /// Stripe's events before this moment are read or noted, in Unix seconds.
    events_to: Option<i64>,
}

/// Looks at what the run is about: everything, what changed, or what is due. `scope` becomes everything if Stripe does not list its events,
/// or if too much has changed.
async fn look_around<S: ReconcileStore>(
    engine: &mut Engine<'_, S>,
    sweep: &mut Sweep,
    job: &Job,
    scope: &mut RunScope,
    tripped: &mut Vec<Tripped>,
) -> Result<Looked, Interrupted> {
    let mut events_to = None;
    if *scope == RunScope::Changed {
        match changes::note(engine, sweep, job.events_from).await? {
            Listed::All => events_to = Some(job.started_at),
            Listed::Stopped => return Ok(Looked { done: Done::Stopped, events_to }),
            Listed::NotAllowed => {
                tracing::warn!("the key may not read events: everything is read in their place");
                *scope = RunScope::All;
            }
        }
        // One subscription costs a call, and so does a page of the list: where much has changed, reading everything costs less.
        let pages = usize::try_from(job.scanned / PAGE_SIZE as u64).unwrap_or(usize::MAX);
        if *scope == RunScope::Changed && engine.store.due(FRESH_LIMIT, None).await?.len() > pages.max(FEW) {
            *scope = RunScope::All;
        }
    }
    if *scope == RunScope::All {
        // The scan settles whatever of this it reads and judges.
        engine.due_before = engine.store.due(FRESH_LIMIT, None).await?.into_iter().collect();
    }
    if *scope == RunScope::All {
        if sweep_all(engine, sweep, job.lookback_hours, tripped).await? == Done::Stopped {
            return Ok(Looked { done: Done::Stopped, events_to });
        }
        events_to = Some(sweep.scan.upper());
        let unsettled = &sweep.record.unsettled;
        let known = !sweep.is_blemished() && unsettled.len() < FRESH_LIMIT;
        sweep.settled_by_scan.retain(|id, _| known && !unsettled.contains(id));
    }
    let (which, lately) = match *scope {
        RunScope::All => (Which::NotCovered(sweep.scan.upper()), Lately::default()),
        RunScope::Changed => (Which::All, job.lately),
        RunScope::Due => (Which::OfAPass, job.lately),
    };
    let scanned = std::mem::take(&mut sweep.record.tally);
    let taken = due::take(engine, sweep, which, lately, tripped).await;
    let followed = std::mem::replace(&mut sweep.record.tally, scanned);
    // Where events are followed at once, repairs are routine.
    let followed = if engine.terms.events_at_once { followed.without_fixed() } else { followed };
    sweep.record.tally.merge(followed);
    let done = match (*scope, taken) {
        // The scan is complete even if what became due meanwhile could not be looked at: that is still due.
        (RunScope::All, Err(Interrupted::Stripe(error))) => {
            tracing::warn!(%error, "what is due was not looked at");
            sweep.due.clear();
            Done::All
        }
        (RunScope::All, taken) => taken.map(|_| Done::All)?,
        // There may be more.
        (RunScope::Changed, taken) if sweep.due.len() == FRESH_LIMIT => taken.map(|_| Done::Stopped)?,
        (_, taken) => taken?,
    };
    Ok(Looked { done, events_to })
}

/// Replaces what a run over less than everything has seen with what the database counts.
async fn count<S: ReconcileStore>(engine: &Engine<'_, S>, sweep: &mut Sweep) -> Result<(), StoreError> {
    let classes: Vec<Class> = sweep.record.tally.classes().collect();
    if !classes.is_empty() {
        let all = engine.store.standing(&classes).await?;
        // Where events are followed at once, repairs are routine.
        sweep.record.tally = if engine.terms.events_at_once { all.without_fixed() } else { all };
    }
    Ok(())
}

/// Says that the key is of the other mode than the rows.
async fn wrong_mode<S: ReconcileStore>(engine: &Engine<'_, S>, sweep: &mut Sweep) -> Result<(), StoreError> {
    let items = [Item::record(vec![missing::wrong_mode(engine.source.livemode())], None)];
    engine.apply(ToWrite { items: &items, ..ToWrite::default() }, &mut sweep.record).await
}

/// How many rows are looked up although too many are unlisted: enough to see whether they are gone or the key is the wrong one.
const LOOKED_UP_ALL_THE_SAME: usize = 200;

/// Does all steps of a sweep. Answers whether there was time for all of them; `tripped`: what was held back.
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
    if look::unplaced(engine, sweep).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
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
        || write::write(engine, sweep, tripped).await? == Done::Stopped
    {
        return Ok(Done::Stopped);
    }
    duplicates::duplicates(engine, sweep).await
}

/// How the run ended. `looked`: how far it got; `None`: an error stopped it.
fn ending(
    sweep: Sweep,
    scope: RunScope,
    looked: Option<Looked>,
    tripped: &[Tripped],
    failure: Option<Failure>,
) -> Ending {
    let complete = looked.is_some_and(|looked| looked.done == Done::All);
    // Only a run that has looked at everything can say that something is not there.
    let over_all = complete && scope == RunScope::All;
    let blemished = sweep.is_blemished();
    let due = looked.map(|_| due::settled(&sweep)).unwrap_or_default();
    // An outage takes nothing away from what the run has done.
    let cut_short =
        failure.as_ref().is_some_and(Failure::is_outage) && sweep.record.counts != Counts::default();
    let status = match failure {
        Some(_) if cut_short => Status::Partial,
        Some(_) => Status::Error,
        None if complete && !blemished && tripped.is_empty() && !sweep.record.refused => Status::Success,
        None => Status::Partial,
    };
    // If nothing has been read yet, a new sweep is better: it also covers what was created since.
    let goes_on = scope == RunScope::All
        && !complete
        && sweep.scanned() > 0
        && !failure.as_ref().is_some_and(Failure::is_of_the_place);
    let cursor = sweep.cursor();
    let conditions = conditions(&cursor.tally, over_all && !blemished, &cursor.kept, tripped);
    let judged = judged(over_all && !blemished && tripped.is_empty(), &cursor.kept);
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
        judged,
        scope,
        due,
        events_to: looked.and_then(|looked| looked.events_to),
        covered: over_all && !blemished,
        reconciliations,
        errors,
    }
}

/// The classes that a sweep has judged as a whole: what it has not seen of these is gone. A sweep in which something was held back has
/// judged none. `kept`: classes with a standing difference that could not be judged.
fn judged(complete: bool, kept: &BTreeSet<Class>) -> Vec<Class> {
    Class::VARIANTS.iter().copied().filter(|class| complete && !kept.contains(class)).collect()
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
