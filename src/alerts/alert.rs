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
    /// When somebody said that they attend to it; null where nobody does. A time that has run out is still there.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who.
    pub acknowledged_by: Option<Uuid>,
    /// Until when no repeats are sent.
    pub acknowledged_until: Option<DateTime<Utc>>,
    /// Until when nothing is sent at all; then one reminder, if it still stands.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// Who snoozed it.
    pub snoozed_by: Option<Uuid>,
    /// What became of it and what people did, newest first: the last 20.
    pub history: Vec<HistoryEvent>,
}

/// Something that happened to an alert.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HistoryEvent {
    /// `raised`, `escalated`, `grown`, `resolved`; `acknowledged`, `unacknowledged`, `snoozed`, `unsnoozed`, `noted`.
    pub event: String,
    /// How severe the alert was then.
    pub severity: String,
    /// The person who did it; null where nobody did.
    pub actor: Option<Uuid>,
    /// What the person wrote, or what the condition said.
    pub reason: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}
