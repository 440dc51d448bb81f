//! A run as callers and admins see it: one attempt under a key, and what it found.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::drift::entry::Entry;
use crate::reconcile::RunScope;
use crate::reconcile::progress::Counts;

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggeredBy {
    /// Vercel's cron.
    Cron,
    /// Another scheduler, or curl.
    Secret,
    /// An admin.
    Admin,
    /// An event of Stripe's.
    Event,
}

/// A run as callers see it: one attempt under a key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// The attempt's id.
    pub id: Uuid,
    /// The idempotency key.
    pub run_key: String,
    /// What it is for.
    pub run_type: String,
    /// What it looks at: `all`, `changed` or `due`.
    pub scope: RunScope,
    /// Counts from 1 within a key.
    pub attempt: u32,
    /// `running`, `success`, `partial` or `error`.
    pub status: String,
    /// How far back completed checkout sessions are searched, in hours.
    pub lookback_hours: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it last said that it lives.
    pub heartbeat_at: Option<DateTime<Utc>>,
    /// Until when it owns the run.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// When the sweep that it is a part of began.
    pub sweep_started_at: Option<DateTime<Utc>>,
    /// Its numbers.
    #[serde(flatten)]
    pub counts: Counts,
    /// The run in one sentence.
    pub message: Option<String>,
    /// Why it ended in error, for machines.
    pub error_code: Option<String>,
    /// Why it ended in error, for people.
    pub error_message: Option<String>,
    /// Who asked for it.
    pub triggered_by: Option<TriggeredBy>,
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunPage {
    /// Newest first.
    pub runs: Vec<Run>,
    /// How many are on this page.
    pub count: usize,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// How much drift, by class.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DriftCounts {
    /// First seen by the run.
    pub new: BTreeMap<String, u64>,
    /// Repaired by it, or no longer seen.
    pub ended: BTreeMap<String, u64>,
    /// Standing when it ended.
    pub standing: BTreeMap<String, u64>,
}

/// A run with a page of the drift that was new in it, that it ended, or that stood at its end.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    pub run: Run,
    /// All of it, by class.
    pub counts: DriftCounts,
    /// Newest first.
    pub drift: Vec<Entry>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}
