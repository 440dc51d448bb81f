//! One run for one call: start it or find what stands in its way, do it, end it, answer.

use std::time::Duration;

use tokio::time::Instant;

use super::database::RunStore;
use super::store::StoreError;
use super::{Ending, Failure, Fenced, Job, Tiers, reconcile};
use crate::context::Context;
use crate::http::{ApiError, Reply};
use crate::run_answer::{RunAnswer, StoredResult, stripe_error, stripe_unavailable};
use crate::runs::{self, RunRequest, Started};

/// A lease outlives the time budget by this much: a run that is late is not a dead one.
const GRACE: Duration = Duration::from_secs(60);

/// Does what a reconcile endpoint was asked for, once the caller is known to be allowed to.
///
/// Errors: 409, 429, 502, 503; an error of the run itself has the run's fields beside it.
pub async fn perform(context: &Context, request: &RunRequest) -> Result<Reply, ApiError> {
    let (database, stripe) = (context.supabase()?, context.stripe()?);
    let tiers = Tiers::new(context.config.price_tiers()?);
    let budget = context.config.reconcile_budget()?;
    let lease_seconds = (budget + GRACE).as_secs();

    let started = runs::start(database, request, lease_seconds).await?;
    if !started.is_ours() {
        return Reply::ok(&RunAnswer::of_duplicate(started));
    }
    let Started { outcome, run, resume, .. } = started;
    tracing::info!(run_id = %run.id, run_key = run.run_key, attempt = run.attempt, resumes = resume.is_some(), "run started");
    let store = RunStore::new(database.clone(), &run, lease_seconds, stripe.mode().livemode());
    let job = Job {
        started_at: run.started_at.timestamp(),
        lookback_hours: run.lookback_hours,
        resume,
        deadline: Instant::now() + budget,
        stop: context.stopping(),
    };
    let ending = reconcile(stripe, &store, &tiers, job).await.map_err(|Fenced| lost())?;
    let finished = store.finish(&ending).await.map_err(|error| match error {
        StoreError::Fenced => lost(),
        error => ApiError::database_unavailable(
            "The run could not be ended in the database; its lease will expire.",
        )
        .with_detail(error.to_string()),
    })?;
    log_ending(&finished.id.to_string(), &ending);
    let failure = ending.failure.as_ref().map(Failure::to_api_error);
    let stored = StoredResult { reconciliations: ending.reconciliations, errors: ending.errors };
    RunAnswer::new(outcome, finished, stored).into_reply(failure)
}

fn log_ending(run_id: &str, ending: &Ending) {
    let (status, message) = (ending.status.as_str(), ending.message.as_str());
    let scanned = ending.counts.scanned_count;
    match &ending.failure {
        Some(failure) => tracing::error!(run_id, status, scanned, message, ?failure, "run ended"),
        None => tracing::info!(run_id, status, scanned, message, "run ended"),
    }
}

/// Another attempt took over: this one was thought dead, and has written nothing since.
fn lost() -> ApiError {
    ApiError::database_unavailable("This run lost its lease to another attempt, which goes on with it.")
}

impl Failure {
    /// What the caller is told.
    #[must_use]
    pub fn to_api_error(&self) -> ApiError {
        match self {
            Self::Stripe(error) => stripe_error(error.to_string()),
            Self::StripeUnavailable(error) => stripe_unavailable(error.to_string()),
            Self::DatabaseUnavailable(detail) => {
                ApiError::database_unavailable("The database stopped answering during the run.")
                    .with_detail(detail)
            }
            Self::Database(detail) => {
                ApiError::database_unavailable("The database refused a call of the run.").with_detail(detail)
            }
        }
    }
}
