//! An entry of drift as admins see it: one for as long as a difference stands.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::repair::Action;

/// A difference between Stripe and the database, from when it was first seen until it ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DriftEntry)]
pub struct Entry {
    /// The entry's id.
    pub id: Uuid,
    /// `<type>:<subject>`: what it is deduplicated by while it is open.
    pub drift_key: String,
    /// The drift class.
    #[serde(rename = "type")]
    pub class: String,
    /// `critical`, `high`, `warning` or `info`.
    pub severity: String,
    /// Whose it is, where that is known.
    pub owner: Option<String>,
    /// The same, where owners are organizations.
    pub organization_id: Option<String>,
    /// Which subscription.
    pub stripe_subscription_id: Option<String>,
    /// Which customer.
    pub stripe_customer_id: Option<String>,
    /// Live or test mode.
    pub livemode: Option<bool>,
    /// The difference in a sentence, as it was last seen.
    pub issue: String,
    /// By column: what the database says, and what Stripe says.
    #[schema(value_type = Object)]
    pub details: Value,
    /// What a repair would set, where one is possible and has not been made.
    #[schema(value_type = Option<Object>)]
    pub proposal: Option<Value>,
    /// Whether its repair takes something away from the customer.
    pub lowers_access: bool,
    /// What was done about it.
    pub action: Action,
    /// Why, where the action alone does not say it.
    #[serde(skip_serializing)]
    pub reason: Option<String>,
    /// What was done, in a sentence.
    #[serde(default)]
    pub action_taken: String,
    /// When a run first saw it.
    pub first_seen_at: DateTime<Utc>,
    /// When a run last saw it.
    pub last_seen_at: DateTime<Utc>,
    /// How many runs have seen it.
    pub seen_count: u64,
    /// The run that first saw it.
    pub first_run_id: Uuid,
    /// The run that last saw it.
    pub last_run_id: Uuid,
    /// When it ended; null while it stands.
    pub closed_at: Option<DateTime<Utc>>,
    /// The run that repaired it, or no longer saw it.
    pub closed_run_id: Option<Uuid>,
    /// The person who decided about it.
    pub decided_by: Option<Uuid>,
    /// When they did.
    pub decided_at: Option<DateTime<Utc>>,
    /// What they wrote.
    pub note: Option<String>,
    /// Until when a person lets it stand.
    pub excepted_until: Option<DateTime<Utc>>,
}

impl Entry {
    /// The entry with what was done put into words: the database keeps only the code.
    pub fn worded(mut self) -> Self {
        self.action_taken = self.action.words(self.reason.as_deref());
        self
    }
}
