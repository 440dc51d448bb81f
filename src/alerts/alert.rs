//! An alert as admins see it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// An alert: one episode of a condition.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// The episode's id.
    pub id: Uuid,
    /// Dedup key: names the condition and nothing else.
    pub alert_key: String,
    /// The kind of condition.
    pub alert_type: String,
    /// `critical`, `high`, `warning` or `info`. Only rises while the alert is open.
    pub severity: String,
    /// For a person.
    pub message: String,
    /// For a machine.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// How often the condition was seen in this episode.
    pub occurrences: u64,
    /// When this episode began.
    pub first_seen_at: DateTime<Utc>,
    /// When the condition was last seen to hold.
    pub last_seen_at: DateTime<Utc>,
    /// Since when it has been `critical` or `high` without interruption; null while it is neither.
    pub severe_since: Option<DateTime<Utc>>,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
    /// Whether it is over.
    pub resolved: bool,
    /// Since when.
    pub resolved_at: Option<DateTime<Utc>>,
    /// By which person.
    pub resolved_by: Option<Uuid>,
    /// `manual` or `auto`.
    pub resolution: Option<String>,
    /// What the person wrote, or why it was resolved by itself.
    pub resolution_note: Option<String>,
    /// The episode before this one.
    pub previous_alert_id: Option<Uuid>,
}
