//! What a run is for, and the idempotency key that follows: an hour, a minute or one request.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What a run is for: the words of `?type=`.
#[derive(
    Debug,
    Clone,
    Copy,
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

/// The idempotency key of a run, in UTC: an hour, a minute or one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RunKey(String);

impl RunKey {
    /// The key of a run of this type that is asked for now. Runs that were asked for at 10:59 and at 11:01 have different keys.
    /// `idempotency_key` has a meaning only where each request of a caller is a run of its own: two scheduled calls within an
    /// hour are one run, whatever they carry.
    #[allow(clippy::disallowed_methods, reason = "a request without a key is one of its own")]
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

impl RunKey {
    /// The key of a pass over what is due that a scheduler asks for: one a minute.
    pub fn due(now: DateTime<Utc>) -> Self {
        Self(now.format("due_%Y-%m-%d_%H:%M").to_string())
    }

    /// The key of a pass that follows an event: one a second.
    pub fn after_an_event(now: DateTime<Utc>) -> Self {
        Self(now.format("due_%Y-%m-%d_%H:%M:%S").to_string())
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use strum::VariantNames as _;

    #[test]
    fn keys_name_the_hour_the_minute_or_the_request() {
        let now = Utc.with_ymd_and_hms(2026, 11, 23, 10, 59, 59).single().expect("a time");
        let id = Uuid::from_u128(7);
        let key = |run_type, id| RunKey::new(run_type, now, id).to_string();
        assert_eq!(key(RunType::Scheduled, Some(id)), "scheduled_2026-11-23_10");
        assert_eq!(key(RunType::Manual, Some(id)), "manual_2026-11-23_10:59");
        assert_eq!(key(RunType::Request, Some(id)), format!("request_{id}"));
        assert_eq!(key(RunType::WebhookFailure, Some(id)), format!("request_{id}"));
        assert_eq!(RunKey::due(now).to_string(), "due_2026-11-23_10:59");
        assert_eq!(RunKey::after_an_event(now).to_string(), "due_2026-11-23_10:59:59");
        assert_ne!(key(RunType::Request, None), key(RunType::Request, None));
    }

    #[test]
    fn every_word_of_the_type_parameter_is_a_type() {
        for word in RunType::VARIANTS {
            let run_type: RunType = word.parse().expect("a type");
            assert_eq!(serde_json::to_value(run_type).expect("a word"), *word);
        }
    }
}
