//! What a run is asked to do, and how it ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::progress::{Counts, Cursor};
use super::record::{ItemError, Reported};
use crate::alerts::condition::Condition;
use crate::drift::class::Class;
use crate::stripe::StripeError;

/// What a run looks at.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RunScope {
    /// Every subscription.
    #[default]
    All,
    /// Those that Stripe's events have spoken of since they were last listed.
    Changed,
    /// Those that are due because an event spoke of them.
    Due,
}

/// What runs over less than everything have written within the last hour: the circuit breaker counts a stream of small passes as it
/// counts one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Lately {
    /// Repairs that took access from somebody.
    pub lowered: u64,
    /// Rows that were made.
    pub created: u64,
}

/// The task of a run.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to look at.
    pub scope: RunScope,
    /// For a run over what changed: since when Stripe's events are listed, in Unix seconds.
    pub events_from: i64,
    /// For a run over less than everything: what such runs have written lately.
    pub lately: Lately,
    /// For the same: how many subscriptions the last whole sweep read.
    pub scanned: u64,
    /// When the run began, in Unix seconds.
    pub started_at: i64,
    /// How far back completed checkout sessions are searched.
    pub lookback_hours: u32,
    /// The cursor that an incomplete run left. One that cannot be understood is as good as none.
    pub resume: Option<Value>,
    /// When the run must have ended. A tenth of the time until then, ten seconds at most, is kept for writing.
    pub deadline: Instant,
    /// Becomes true when the process must end. It stops the run as the deadline does.
    pub stop: watch::Receiver<bool>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// All was looked at, nothing failed.
    Success,
    /// Time was up, Stripe or the database was away for too long, some items failed or were refused, or the circuit breaker held
    /// repairs back.
    Partial,
    /// Stripe or the database failed before anything was looked at, or refused outright.
    Error,
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
    /// No table is adopted, or it is no longer the table that was adopted; in sentences: 503.
    NotAdopted(String),
}

impl Failure {
    /// The stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stripe(_) => "stripe_error",
            Self::StripeUnavailable(_) => "stripe_unavailable",
            Self::DatabaseUnavailable(_) | Self::Database(_) => "database_unavailable",
            Self::NotAdopted(_) => "not_adopted",
        }
    }

    /// Whether waiting helps: what the sweep has done so far still counts.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::StripeUnavailable(_) | Self::DatabaseUnavailable(_))
    }

    /// Whether the place in the sweep may be at fault, so that going on from there would fail again.
    pub(super) fn is_of_the_place(&self) -> bool {
        use StripeError::{MissingPermission, Unauthorized};
        match self {
            Self::Stripe(error) => !matches!(error, Unauthorized { .. } | MissingPermission { .. }),
            Self::Database(_) => true,
            Self::StripeUnavailable(_) | Self::DatabaseUnavailable(_) | Self::NotAdopted(_) => false,
        }
    }

    /// What to tell a person.
    pub fn sentence(&self) -> String {
        match self {
            Self::Stripe(error) | Self::StripeUnavailable(error) => error.to_string(),
            Self::DatabaseUnavailable(_) => "The database stopped answering during the run.".to_owned(),
            Self::Database(_) => "The database refused a call of the run.".to_owned(),
            Self::NotAdopted(why) => format!("{why} Run billing_ops.adopt."),
        }
    }

    /// For the log, where there is more to say.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::DatabaseUnavailable(detail) | Self::Database(detail) => Some(detail),
            Self::Stripe(_) | Self::StripeUnavailable(_) | Self::NotAdopted(_) => None,
        }
    }
}

/// What became of what was due: Stripe ids, each with the version that was taken. What there was no time for is in neither list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// Judged: it leaves the set, unless something happened to it since.
    pub done: Vec<(String, i64)>,
    /// Could not be judged: to be tried again later.
    pub again: Vec<(String, i64)>,
}

impl Settled {
    /// Whether nothing was due.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && self.again.is_empty()
    }
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
    /// What is left to do, where the next run can go on from it.
    pub cursor: Option<Cursor>,
    /// The conditions that alerts follow from.
    pub conditions: Vec<Condition>,
    /// The classes whose entries the sweep has judged as a whole.
    pub judged: Vec<Class>,
    /// What was looked at in the end: everything, if Stripe would not list its events or too much had changed.
    pub scope: RunScope,
    /// What became of what was due.
    pub due: Settled,
    /// Whatever Stripe's events before this moment (Unix seconds) speak of has been read, or is noted as due.
    pub events_to: Option<i64>,
    /// Whether a sweep has read every subscription.
    pub covered: bool,
    /// The first differences.
    pub reconciliations: Vec<Reported>,
    /// The first errors.
    pub errors: Vec<ItemError>,
}

/// Another attempt owns the run now: there is nothing to finish and nothing may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run belongs to another attempt now")]
pub struct Fenced;
