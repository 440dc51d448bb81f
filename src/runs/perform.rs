//! One run for one call: start it or find what stands in its way, do it, end it.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::{NothingDueAnswer, RunAnswer, StoredResult};
use super::db::{self, RunRequest, Start, StartOutcome, Started};
use super::store::{Patience, RunStore};
use crate::config::events::EventsMode;
use crate::config::{Config, SettingError, StripeScope};
use crate::context::Context;
use crate::drift::access::Access;
use crate::drift::policy::Mode;
use crate::drift::scope::Scope;
use crate::drift::terms::Terms;
use crate::drift::tiers::Tiers;
use crate::reconcile::store::StoreError;
use crate::reconcile::{Ending, Failure, Fenced, Job, RunScope, reconcile};
use crate::supabase::judged::Refusal;

/// A lease outlives the time budget by this much: a run that is late is not a dead one.
const GRACE: Duration = Duration::from_secs(60);
/// How long a pass over what is due may take: it is small, and if it dies the next one must not wait for long.
const BUDGET_OF_A_PASS: Duration = Duration::from_secs(60);

/// What became of a call for a run.
#[derive(Debug)]
pub enum Performed {
    /// The run, whether or not it is this call's, and why it failed if it did.
    Run(Box<RunAnswer>, Option<Failure>),
    /// A pass over what is due was asked for, and nothing is.
    NothingDue(NothingDueAnswer),
}

/// Why the caller cannot be told of a run.
#[derive(Debug, thiserror::Error)]
pub enum NoRun {
    /// A setting is missing or unfit.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The start was refused, or the database did not answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The same Idempotency-Key was used with other parameters.
    #[error("the key was used with other parameters")]
    Conflict,
    /// Another attempt took over: this one was thought dead, and has written nothing since.
    #[error("the run lost its lease")]
    LeaseLost,
    /// The run was made, and its end could not be written.
    #[error("the run could not be ended: {0}")]
    EndNotWritten(StoreError),
}

/// Does what a reconcile endpoint was asked for, once the caller is known to be allowed to.
pub async fn perform(context: &Context, request: &RunRequest) -> Result<Performed, NoRun> {
    match once(context, request).await {
        // A run over more took over from this pass, and takes along what is left of it. Asked again, the answer is how the pass ended.
        Err(NoRun::LeaseLost) if request.scope == RunScope::Due => {
            once(context, &RunRequest { client: None, ..request.clone() }).await
        }
        performed => performed,
    }
}

async fn once(context: &Context, request: &RunRequest) -> Result<Performed, NoRun> {
    let (database, stripe) = (context.supabase()?, context.stripe()?);
    let terms = terms(&context.config)?;
    let budget = match request.scope {
        RunScope::Due => context.config.reconcile_budget()?.min(BUDGET_OF_A_PASS),
        RunScope::All | RunScope::Changed => context.config.reconcile_budget()?,
    };
    let lease_seconds = (budget + GRACE).as_secs();

    let every = context.config.full_scan_every()?;
    let started = match db::start(database, request, lease_seconds, every).await? {
        Start::Run(started) => *started,
        Start::NothingDue(next) => {
            return Ok(Performed::NothingDue(NothingDueAnswer::new(next, terms.repair_mode)));
        }
    };
    match started.outcome {
        StartOutcome::Created | StartOutcome::Reclaimed => {}
        StartOutcome::Conflict => return Err(NoRun::Conflict),
        _ => return Ok(Performed::Run(Box::new(RunAnswer::of_duplicate(started, terms.repair_mode)), None)),
    }
    let Started { outcome, run, resume, events_from, lately, scanned, .. } = started;
    tracing::info!(run_id = %run.id, run_key = run.run_key, scope = ?run.scope, attempt = run.attempt, resumes = resume.is_some(), "run started");
    let (deadline, stop) = (Instant::now() + budget, context.stopping());
    let patience = Patience { until: deadline, stop: stop.clone() };
    let store = RunStore::new(database.clone(), &run, lease_seconds, stripe.mode().livemode(), patience);
    let job = Job {
        scope: run.scope,
        events_from: events_from.map_or(0, |moment| moment.timestamp()),
        lately,
        scanned,
        started_at: run.started_at.timestamp(),
        lookback_hours: run.lookback_hours,
        resume,
        deadline,
        stop,
    };
    let ending = reconcile(stripe, &store, &terms, job).await.map_err(|Fenced| NoRun::LeaseLost)?;
    // Said before the end is written, in case its answer is lost on the way.
    context.has_news();
    let finished = store.finish(&ending).await.map_err(|error| match error {
        StoreError::Fenced => NoRun::LeaseLost,
        error => NoRun::EndNotWritten(error),
    })?;
    // And once more: another call of this process may have taken the news in between, before there was any.
    context.has_news();
    log_ending(&finished.id.to_string(), &ending);
    let stored = StoredResult { reconciliations: ending.reconciliations, errors: ending.errors };
    let answer = RunAnswer::new(outcome, finished, stored, terms.repair_mode);
    Ok(Performed::Run(Box::new(answer), ending.failure))
}

/// The settings by which drift is judged.
pub fn terms(config: &Config) -> Result<Terms, SettingError> {
    Ok(Terms {
        tiers: Tiers::new(config.price_tiers()?),
        access: Access::of(&config.access_statuses()?),
        scope: scope(config.stripe_scope()?),
        owner_keys: config.owner_metadata_keys()?,
        trust_client_reference_id: config.trust_client_reference_id()?,
        repair_mode: repair_mode(config)?,
        events_at_once: config.events_mode()? == EventsMode::Apply,
    })
}

/// The most that may follow from a difference. Errors: `REPAIR_MODE` is not one of its words.
pub fn repair_mode(config: &Config) -> Result<Mode, SettingError> {
    // The setting knows the words of a mode, and a test makes sure that they are these.
    Ok(config.repair_mode()?.parse().unwrap_or_default())
}

fn scope(setting: StripeScope) -> Scope {
    let StripeScope { products, prices, metadata } = setting;
    Scope { products, prices, metadata }
}

fn log_ending(run_id: &str, ending: &Ending) {
    let (status, message, scanned) = (ending.status, &ending.message, ending.counts.scanned_count);
    match &ending.failure {
        Some(failure) => tracing::error!(run_id, %status, scanned, message, ?failure, "run ended"),
        None => tracing::info!(run_id, %status, scanned, message, "run ended"),
    }
}
