//! Runs in the database: how one starts, and the pages that admins read.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use chrono::{DateTime, Utc};

use super::key::{RunKey, RunType};
use super::run::{DriftCounts, Run, RunDetail, RunPage, TriggeredBy};
use crate::drift::entry::Entry;
use crate::episodes::db::page;
use crate::reconcile::RunScope;
use crate::reconcile::job::Lately;
use crate::supabase::judged::{Admin, Refusal, Verdict, set};
use crate::supabase::page::{PageCursor, next_cursor, set_cursor};
use crate::supabase::{Asker, DatabaseError, Retry, Supabase};

/// The lookback that the row of a run shows where the run searches no sessions: the default.
const LOOKBACK_HOURS: u32 = 24;

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// All, or what is due.
    pub scope: RunScope,
    /// What the run is for.
    pub run_type: RunType,
    /// How far back completed checkout sessions are searched, in hours.
    pub lookback_hours: u32,
    /// The idempotency key.
    pub run_key: RunKey,
    /// Who asks.
    pub triggered_by: TriggeredBy,
    /// The admin, where one asks.
    pub user: Option<Uuid>,
    /// The client address to count the call for; none where it has been counted.
    pub client: Option<String>,
}

impl RunRequest {
    /// A pass over what is due. `client`: the address to count the call for.
    pub fn due(run_key: RunKey, triggered_by: TriggeredBy, client: Option<String>) -> Self {
        Self {
            scope: RunScope::Due,
            run_type: RunType::Scheduled,
            lookback_hours: LOOKBACK_HOURS,
            run_key,
            triggered_by,
            user: None,
            client,
        }
    }
}

/// The result of asking for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartOutcome {
    /// A new run is ours to do.
    Created,
    /// A new attempt is ours to do: the one before it under the same key died.
    Reclaimed,
    /// The same key is running.
    ExistingRunning,
    /// The same key has finished.
    ExistingFinished,
    /// Another key is running.
    Busy,
    /// The same key was used with other parameters.
    Conflict,
    /// A pass over what is due was asked for, and nothing is.
    NothingDue,
}

/// What came of asking for a run.
#[derive(Debug)]
pub enum Start {
    /// There is a run.
    Run(Box<Started>),
    /// Nothing is due now; in how many seconds something will be, if anything waits.
    NothingDue(Option<u64>),
}

/// The run that was asked for, or the one that stands in its way.
#[derive(Debug)]
pub struct Started {
    /// Which of the two.
    pub outcome: StartOutcome,
    /// The run: ours to do, or the one that stands in the way.
    pub run: Run,
    /// What that run's caller was answered, if it has finished.
    pub result: Option<Value>,
    /// What the run before ours left to do.
    pub resume: Option<Value>,
    /// For a run over what changed: since when Stripe's events must be listed.
    pub events_from: Option<DateTime<Utc>>,
    /// For a run over less than everything: what such runs have written lately.
    pub lately: Lately,
    /// For the same: how many subscriptions the last whole sweep read.
    pub scanned: u64,
}

impl Started {
    /// True where the run is ours to do.
    pub fn is_ours(&self) -> bool {
        matches!(self.outcome, StartOutcome::Created | StartOutcome::Reclaimed)
    }
}

/// Starts a run or finds the one that stands in its way, in one round trip. `full_every_hours`: how often a scheduled run looks at
/// everything; in between, it follows what changed.
///
/// Errors: too many calls, or those of the database.
#[allow(
    clippy::disallowed_methods,
    reason = "each start is a row of its own; its repeat carries the same id"
)]
pub async fn start(
    database: &Supabase,
    request: &RunRequest,
    lease_seconds: u64,
    full_every_hours: u32,
) -> Result<Start, Refusal> {
    #[derive(Serialize)]
    struct Parameters<'a> {
        p_run_key: &'a RunKey,
        p_run_type: RunType,
        p_lookback_hours: u32,
        p_lease_seconds: u64,
        p_triggered_by: TriggeredBy,
        #[serde(skip_serializing_if = "Option::is_none")]
        p_triggered_by_user: Option<Uuid>,
        #[serde(skip_serializing_if = "Option::is_none")]
        p_client: Option<&'a str>,
        p_scope: RunScope,
        p_full_every_hours: u32,
        /// Makes the call safe to send again: its own start does not count as a duplicate.
        p_run_id: Uuid,
    }
    #[derive(Deserialize)]
    struct Answer {
        run: Option<Run>,
        #[serde(default)]
        result: Option<Value>,
        #[serde(default)]
        resume: Option<Value>,
        #[serde(default)]
        events_from: Option<DateTime<Utc>>,
        #[serde(default)]
        lately: Lately,
        #[serde(default)]
        scanned: u64,
        #[serde(default)]
        next_due_in: Option<u64>,
    }
    let parameters = Parameters {
        p_run_key: &request.run_key,
        p_run_type: request.run_type,
        p_lookback_hours: request.lookback_hours,
        p_lease_seconds: lease_seconds,
        p_triggered_by: request.triggered_by,
        p_triggered_by_user: request.user,
        p_client: request.client.as_deref(),
        p_scope: request.scope,
        p_full_every_hours: full_every_hours,
        p_run_id: Uuid::new_v4(),
    };
    let verdict: Verdict<Answer> =
        database.call(Asker::Service, Retry::Safe, "start_reconciliation_run", &parameters).await?;
    let (outcome, answer) = verdict.admitted("run")?;
    let nonsense = |why: String| DatabaseError::nonsense(format!("start_reconciliation_run: {why}"));
    let outcome = serde_json::from_value(outcome.into()).map_err(|error| nonsense(error.to_string()))?;
    let Answer { run, result, resume, events_from, lately, scanned, next_due_in } = answer;
    match (outcome, run) {
        (StartOutcome::NothingDue, _) => Ok(Start::NothingDue(next_due_in)),
        (outcome, Some(run)) => {
            Ok(Start::Run(Box::new(Started { outcome, run, result, resume, events_from, lately, scanned })))
        }
        (_, None) => Err(nonsense("no run".to_owned()).into()),
    }
}

/// Which runs an admin asks for.
#[derive(Debug)]
pub struct RunFilter<'a> {
    /// One status.
    pub status: Option<&'a str>,
    /// One type.
    pub run_type: Option<&'a str>,
    /// One scope.
    pub scope: Option<&'a str>,
    /// At most this many.
    pub limit: u32,
    /// After this place.
    pub cursor: Option<PageCursor>,
}

/// Reads a page of runs in a person's name.
pub async fn list(admin: &Admin<'_>, filter: &RunFilter<'_>) -> Result<RunPage, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        items: Vec<Run>,
    }
    let mut parameters = json!({ "p_limit": filter.limit });
    set(&mut parameters, "p_status", filter.status);
    set(&mut parameters, "p_type", filter.run_type);
    set(&mut parameters, "p_scope", filter.scope);
    set_cursor(&mut parameters, filter.cursor);
    let Answer { items: mut runs } = admin.ask("admin_reconciliation_runs", parameters, "run").await?;
    let next_cursor = next_cursor(&mut runs, filter.limit, |run| (run.started_at, run.id));
    Ok(RunPage { count: runs.len(), runs, next_cursor })
}

/// Which part of one run's drift an admin asks for.
#[derive(Debug)]
pub struct RunDriftFilter<'a> {
    /// `new`, `ended` or `standing`.
    pub show: &'a str,
    /// One class.
    pub class: Option<&'a str>,
    /// At most this many.
    pub limit: u32,
    /// After this place.
    pub cursor: Option<PageCursor>,
}

/// Reads one run with a page of its drift in a person's name.
pub async fn one(admin: &Admin<'_>, id: Uuid, filter: &RunDriftFilter<'_>) -> Result<RunDetail, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        run: Run,
        counts: DriftCounts,
        items: Vec<Entry>,
    }
    let mut parameters = json!({ "p_id": id, "p_show": filter.show, "p_limit": filter.limit });
    set(&mut parameters, "p_type", filter.class);
    set_cursor(&mut parameters, filter.cursor);
    let Answer { run, counts, items } = admin.ask("admin_reconciliation_run", parameters, "run").await?;
    let (drift, next_cursor) = page(items, filter.limit);
    Ok(RunDetail { run, counts, drift, next_cursor })
}
