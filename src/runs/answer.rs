//! What the caller of a reconcile endpoint is told of a run: the one that was made for the call, or the one that stood in its
//! way.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::db::{StartOutcome, Started};
use super::run::Run;
use crate::drift::policy::Mode;
use crate::reconcile::RunScope;
use crate::reconcile::progress::Counts;
use crate::reconcile::record::{ItemError, Reported};

/// The part of an answer that is stored with the run, so that duplicates of the call get it too.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StoredResult {
    /// The first differences.
    #[serde(default)]
    pub reconciliations: Vec<Reported>,
    /// The first failures.
    #[serde(default)]
    pub errors: Vec<ItemError>,
}

/// The answer of both reconcile endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunAnswer {
    /// False only for a run that ended in error.
    pub success: bool,
    /// What became of the call.
    pub outcome: StartOutcome,
    /// True where the call started nothing.
    pub duplicate: bool,
    /// Counts from 1 within a run key.
    pub attempt: u32,
    /// What was looked at: `all`; `changed`, what Stripe's events speak of since they were last listed; or `due`.
    pub scope: RunScope,
    /// The most that may follow from a difference (`REPAIR_MODE`), as it is now.
    pub repair_mode: Mode,
    /// The run's id.
    pub reconciliation_log_id: Uuid,
    /// The idempotency key.
    pub run_key: String,
    /// What the run is for.
    pub run_type: String,
    /// `running`, `success`, `partial` or `error`.
    pub status: String,
    /// How far back completed checkout sessions are searched, in hours.
    pub lookback_hours: u32,
    /// When the sweep that the run is a part of began. A sweep is one pass over everything, in one run or in several.
    pub sweep_started_at: Option<DateTime<Utc>>,
    /// Its numbers.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long the run took, in milliseconds; null while it runs.
    pub duration_ms: Option<u64>,
    /// The run in one sentence.
    pub message: String,
    /// At most 200 differences; first comes what is new or was fixed.
    pub reconciliations: Vec<Reported>,
    /// What could not be looked at or repaired.
    pub errors: Vec<ItemError>,
}

impl RunAnswer {
    /// The answer where a run that was there already stands in the call's way.
    pub fn of_duplicate(started: Started, repair_mode: Mode) -> Self {
        let stored =
            started.result.and_then(|stored| serde_json::from_value(stored).ok()).unwrap_or_default();
        Self::new(started.outcome, started.run, stored, repair_mode)
    }

    /// The answer about a run with what is stored of its result.
    pub fn new(outcome: StartOutcome, run: Run, stored: StoredResult, repair_mode: Mode) -> Self {
        let message = match (outcome, run.message) {
            (_, Some(message)) => message,
            (StartOutcome::Busy, None) => "another run is under way".to_owned(),
            (_, None) => "the run is under way".to_owned(),
        };
        Self {
            success: run.status != "error",
            outcome,
            duplicate: !matches!(outcome, StartOutcome::Created | StartOutcome::Reclaimed),
            attempt: run.attempt,
            scope: run.scope,
            repair_mode,
            reconciliation_log_id: run.id,
            run_key: run.run_key,
            run_type: run.run_type,
            status: run.status,
            lookback_hours: run.lookback_hours,
            sweep_started_at: run.sweep_started_at,
            counts: run.counts,
            duration_ms: run.duration_ms,
            message,
            reconciliations: stored.reconciliations,
            errors: stored.errors,
        }
    }
}

/// The one outcome of a pass for which there is nothing to do.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nothing {
    /// Nothing is due.
    NothingDue,
}

/// The answer where a pass over what is due was asked for and nothing is: there is no run to tell of.
#[derive(Debug, Serialize, ToSchema)]
pub struct NothingDueAnswer {
    /// There was nothing to do.
    pub success: bool,
    /// `nothing_due`
    pub outcome: Nothing,
    /// No other run stood in the way.
    pub duplicate: bool,
    /// `due`
    pub scope: RunScope,
    /// The most that may follow from a difference (`REPAIR_MODE`).
    pub repair_mode: Mode,
    /// In how many seconds something will be due; null where nothing waits.
    pub next_due_in: Option<u64>,
    /// Its numbers: none.
    #[serde(flatten)]
    pub counts: Counts,
    /// In one sentence.
    pub message: &'static str,
    /// None.
    pub reconciliations: Vec<Reported>,
    /// None.
    pub errors: Vec<ItemError>,
}

impl NothingDueAnswer {
    /// The answer, with the seconds until something will be due.
    pub fn new(next_due_in: Option<u64>, repair_mode: Mode) -> Self {
        Self {
            success: true,
            outcome: Nothing::NothingDue,
            duplicate: false,
            scope: RunScope::Due,
            repair_mode,
            next_due_in,
            counts: Counts::default(),
            message: "nothing is due",
            reconciliations: Vec::new(),
            errors: Vec::new(),
        }
    }
}
