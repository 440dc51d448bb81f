//! Reconcile runs: their keys, how they start, and how they are told.
//!
//! A run key names an hour, a minute or one request. The database takes at most one running row for a key and one in all;
//! `start_reconciliation_run` tells every outcome apart in one round trip.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::error::ApiError;
use crate::supabase::{As, Judged, Retry, Supabase};

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunType {
    /// The hourly cron.
    Scheduled,
    /// A person pressed Reconcile Now.
    Manual,
    /// A webhook is known to have failed.
    WebhookFailure,
    /// Anything else that asks.
    Request,
}

impl RunType {
    /// The words of `?type=`.
    pub const WORDS: &'static [&'static str] = &["scheduled", "manual", "webhook_failure", "request"];

    /// The type of one of [`RunType::WORDS`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "scheduled" => Some(Self::Scheduled),
            "manual" => Some(Self::Manual),
            "webhook_failure" => Some(Self::WebhookFailure),
            "request" => Some(Self::Request),
            _ => None,
        }
    }
}

/// The idempotency key of a run, in UTC: an hour, a minute or one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RunKey(String);

impl RunKey {
    /// The key of a run of this type that is asked for now. `idempotency_key` has a meaning only where the caller's request is
    /// what is done once: two scheduled calls within an hour are one run, whatever they carry.
    #[must_use]
    pub fn new(run_type: RunType, now: DateTime<Utc>, idempotency_key: Option<Uuid>) -> Self {
        Self(match run_type {
            RunType::Scheduled => now.format("scheduled_%Y-%m-%d_%H").to_string(),
            RunType::Manual => now.format("manual_%Y-%m-%d_%H:%M").to_string(),
            RunType::WebhookFailure | RunType::Request => {
                format!("request_{}", idempotency_key.unwrap_or_else(Uuid::new_v4))
            }
        })
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

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
    /// Subscriptions read from Stripe.
    pub scanned_count: u64,
    /// Rows that were missing and have been created.
    pub created_count: u64,
    /// Rows that were repaired.
    pub updated_count: u64,
    /// Findings other than missing rows.
    pub mismatch_count: u64,
    /// Repairs that lost to a newer write.
    pub superseded_count: u64,
    /// Subscriptions left to the next run.
    pub skipped_count: u64,
    /// Items that could not be looked at or repaired.
    pub error_count: u64,
    /// All findings.
    pub total_issues: u64,
    /// The run in one sentence.
    pub message: Option<String>,
    /// Why it ended in error, for machines.
    pub error_code: Option<String>,
    /// Why it ended in error, for people.
    pub error_message: Option<String>,
    /// Who asked for it.
    pub triggered_by: Option<TriggeredBy>,
}

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct RunRequest {
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

/// What became of the wish for a run.
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
}

/// The answer to the wish for a run.
#[derive(Debug, Deserialize)]
pub struct Started {
    /// What became of it.
    pub outcome: StartOutcome,
    /// The run: ours to do, or the one that stands in the way.
    pub run: Run,
    /// What that run's caller was answered, if it has finished.
    #[serde(default)]
    pub result: Option<Value>,
    /// What the run before ours left to do.
    #[serde(default)]
    pub resume: Option<Value>,
}

impl Started {
    /// True where the run is ours to do.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.outcome, StartOutcome::Created | StartOutcome::Reclaimed)
    }
}

/// Starts a run or finds the one that stands in its way, in one round trip.
///
/// Errors: 429; 409 for a key that was used with other parameters; those of the database.
pub async fn start(
    database: &Supabase,
    request: &RunRequest,
    lease_seconds: u64,
) -> Result<Started, ApiError> {
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
        /// Makes the call safe to send again: its own start is no duplicate.
        p_run_id: Uuid,
    }
    let parameters = Parameters {
        p_run_key: &request.run_key,
        p_run_type: request.run_type,
        p_lookback_hours: request.lookback_hours,
        p_lease_seconds: lease_seconds,
        p_triggered_by: request.triggered_by,
        p_triggered_by_user: request.user,
        p_client: request.client.as_deref(),
        p_run_id: Uuid::new_v4(),
    };
    let judged: Judged<serde_json::Map<String, Value>> =
        database.call(As::Service, Retry::Safe, "start_reconciliation_run", &parameters).await?;
    let (outcome, mut rest) = judged.admitted("run")?;
    rest.insert("outcome".into(), outcome.into());
    let started: Started = serde_json::from_value(Value::Object(rest))
        .map_err(|error| ApiError::internal(format!("answer of start_reconciliation_run: {error}")))?;
    if started.outcome == StartOutcome::Conflict {
        return Err(ApiError::new(
            http::StatusCode::CONFLICT,
            "conflict",
            "This Idempotency-Key was used before with another type or other hours.",
        ));
    }
    Ok(started)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn keys_name_the_hour_the_minute_or_the_request() {
        let now = Utc.with_ymd_and_hms(2026, 11, 23, 10, 59, 59).single().expect("a time");
        let id = Uuid::from_u128(7);
        let key = |run_type, id| RunKey::new(run_type, now, id).to_string();
        assert_eq!(key(RunType::Scheduled, Some(id)), "scheduled_2026-11-23_10");
        assert_eq!(key(RunType::Manual, Some(id)), "manual_2026-11-23_10:59");
        assert_eq!(key(RunType::Request, Some(id)), format!("request_{id}"));
        assert_eq!(key(RunType::WebhookFailure, Some(id)), format!("request_{id}"));
        assert_ne!(key(RunType::Request, None), key(RunType::Request, None));
    }

    #[test]
    fn every_word_of_the_type_parameter_is_a_type() {
        for word in RunType::WORDS {
            let run_type = RunType::parse(word).expect("a type");
            assert_eq!(serde_json::to_value(run_type).expect("a word"), *word);
        }
    }
}
