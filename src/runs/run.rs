//! A run as callers and admins see it: one attempt under a key, and what it found.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

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

/// What a run found, and what was done about it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Orders the findings of a run.
    pub id: String,
    /// The drift class.
    #[serde(rename = "type")]
    pub finding_type: String,
    /// `critical`, `high`, `warning` or `info`.
    pub severity: String,
    /// Whose it is, where that is known.
    pub organization_id: Option<Uuid>,
    /// Which subscription.
    pub stripe_subscription_id: Option<String>,
    /// Which customer.
    pub stripe_customer_id: Option<String>,
    /// Live or test mode.
    pub livemode: Option<bool>,
    /// The finding in a sentence.
    pub issue: String,
    /// By field: what the database says, and what Stripe says.
    #[schema(value_type = Object)]
    pub details: Value,
    /// `repaired`, `created`, `superseded`, `refused`, `held` or `none`.
    pub action: String,
    /// Whether it is right now.
    pub fixed: bool,
    /// The action in a sentence.
    pub action_taken: String,
    /// When it was found.
    pub created_at: DateTime<Utc>,
}

/// A run with a page of its findings.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    pub run: Run,
    /// All its findings, by type.
    pub finding_counts: BTreeMap<String, u64>,
    /// In the order they were found.
    pub findings: Vec<Finding>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}
