//! Decisions in the database: what a person who approves was shown, and what they have done.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strum::VariantArray as _;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::drift::class::Class;
use crate::drift::entry::Entry;
use crate::drift::policy::Mode;
use crate::drift::row::Row;
use crate::runs::read::{Adapter, Found};
use crate::supabase::judged::{Admin, Refusal};
use crate::supabase::{Asker, DatabaseError, Retry, Supabase};

/// What is known of the entries that a person wants to approve.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) user_id: Uuid,
    pub(super) drift: Vec<Entry>,
    pub(super) ground: Adapter,
    /// Null where no table is adopted.
    pub(super) group: Option<Found>,
}

/// Asks in the person's name, and counts the call.
pub(super) async fn shown(admin: &Admin<'_>, ids: &[Uuid]) -> Result<Shown, Refusal> {
    admin.ask("admin_drift_for_approval", json!({ "p_ids": ids }), "drift").await
}

/// The rows of these subscriptions, as they are now.
pub(super) async fn subscriptions(database: &Supabase, named: &[&str]) -> Result<Found, DatabaseError> {
    let parameters = json!({ "p_listed": [], "p_named": named });
    database.call(Asker::Service, Retry::Safe, "read_subscriptions_for_reconcile", &parameters).await
}

/// Those of the named owners who exist.
pub(super) async fn owners(database: &Supabase, named: &[&str]) -> Result<Vec<String>, DatabaseError> {
    let parameters = json!({ "p_owners": named });
    database.call(Asker::Service, Retry::Safe, "read_owners_for_reconcile", &parameters).await
}

/// The rows of these owners.
pub(super) async fn rows_of(database: &Supabase, owners: &[&str]) -> Result<Vec<Row>, DatabaseError> {
    let parameters = json!({ "p_owners": owners });
    database.call(Asker::Service, Retry::Safe, "read_rows_of_owners_for_reconcile", &parameters).await
}

/// What became of a batch of approvals.
#[derive(Debug, Deserialize)]
pub(super) struct Applying {
    pub(super) outcome: String,
    /// In the order of the items: what became of each, and why.
    #[serde(default)]
    pub(super) items: Vec<(String, Option<String>)>,
    /// The entries as they are now.
    #[serde(default)]
    pub(super) drift: Vec<Entry>,
}

/// Applies approvals. What was received is not sent again: the second call would find what the first has done.
pub(super) async fn apply(database: &Supabase, parameters: &Value) -> Result<Applying, DatabaseError> {
    database.call(Asker::Service, Retry::Unsafe, "apply_drift_decisions", parameters).await
}

/// What became of a decision about one entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decided {
    /// What was done.
    pub outcome: String,
    /// The entry, as it is now.
    pub drift: Entry,
    /// After a revert: the entry that lets the difference stand for seven days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excepted: Option<Entry>,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum NotDecided {
    /// The person may not, or the database does not answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such entry.
    #[error("no such entry")]
    NotFound,
    /// It is not possible at all.
    #[error("{0}")]
    Impossible(&'static str),
    /// It is no longer what was shown, or a setting forbids it; with the entry as it is now.
    #[error("{0}")]
    Conflict(String, Option<Box<Entry>>),
}

impl NotDecided {
    /// The entry as it is now, where that is known.
    pub fn drift(&self) -> Option<&Entry> {
        match self {
            Self::Conflict(_, drift) => drift.as_deref(),
            _ => None,
        }
    }
}

impl From<DatabaseError> for NotDecided {
    fn from(error: DatabaseError) -> Self {
        Self::Refused(error.into())
    }
}

#[derive(Deserialize)]
struct Answer {
    outcome: String,
    drift: Option<Entry>,
    excepted: Option<Entry>,
    reason: Option<String>,
}

/// Calls a function that decides about one entry. What was received is not sent again: a second revert would find the first.
async fn decide(database: &Supabase, function: &str, parameters: Value) -> Result<Answer, NotDecided> {
    Ok(database.call(Asker::Service, Retry::Unsafe, function, &parameters).await?)
}

fn decided(answer: Answer) -> Result<Decided, NotDecided> {
    let drift = answer.drift.map(Entry::worded);
    match (answer.outcome.as_str(), drift) {
        ("not_found", _) => Err(NotDecided::NotFound),
        ("created", _) => {
            Err(NotDecided::Impossible("The repair made a row, and rows are not deleted: the app owns them."))
        }
        (outcome @ ("reverted" | "excepted" | "done" | "already"), Some(drift)) => {
            let excepted = answer.excepted.map(Entry::worded);
            Ok(Decided { outcome: outcome.to_owned(), drift, excepted })
        }
        (outcome, drift) => {
            let why = match outcome {
                "closed" => "It is closed: there is nothing left to let stand.".to_owned(),
                "observe" => {
                    "REPAIR_MODE, or the policy of its class, is observe: nothing is written, not even back."
                        .to_owned()
                }
                "not_repaired" => "It was not repaired, or has been taken back already.".to_owned(),
                "superseded" => {
                    "Somebody has written the row since: the repair is not taken back.".to_owned()
                }
                _ => format!(
                    "The table refuses it: {}.",
                    answer.reason.as_deref().unwrap_or("the row is another one")
                ),
            };
            Err(NotDecided::Conflict(why, drift.map(Box::new)))
        }
    }
}

/// Takes a repair back.
pub async fn revert(
    database: &Supabase,
    id: Uuid,
    actor: Uuid,
    note: Option<&str>,
    ceiling: Mode,
) -> Result<Decided, NotDecided> {
    let parameters = json!({
        "p_id": id, "p_actor": actor, "p_note": note.unwrap_or_default(), "p_repair_mode": ceiling,
    });
    decided(decide(database, "revert_drift", parameters).await?)
}

/// Lets a difference stand for this many days.
pub async fn except(
    database: &Supabase,
    id: Uuid,
    actor: Uuid,
    days: u32,
    reason: &str,
) -> Result<Decided, NotDecided> {
    let parameters = json!({ "p_id": id, "p_actor": actor, "p_days": days, "p_reason": reason });
    decided(decide(database, "except_drift", parameters).await?)
}

/// Ends an exception.
pub async fn unexcept(
    database: &Supabase,
    id: Uuid,
    actor: Uuid,
    ceiling: Mode,
) -> Result<Decided, NotDecided> {
    let parameters = json!({ "p_id": id, "p_actor": actor, "p_repair_mode": ceiling });
    decided(decide(database, "unexcept_drift", parameters).await?)
}

/// What the next run may write in spite of the circuit breaker.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Allowed {
    /// `allowed`.
    pub outcome: String,
    /// Until when that run may begin.
    pub until: DateTime<Utc>,
}

/// Lets the next run write as many of a class as the circuit breaker holds back now.
pub async fn allow(
    database: &Supabase,
    class: Class,
    count: u32,
    actor: Uuid,
    ceiling: Mode,
) -> Result<Allowed, NotDecided> {
    #[derive(Deserialize)]
    struct Answer {
        outcome: String,
        until: Option<DateTime<Utc>>,
        held: Option<u64>,
    }
    let parameters = json!({
        "p_type": class, "p_count": count, "p_repair_mode": ceiling, "p_actor": actor,
    });
    let answer: Answer =
        database.call(Asker::Service, Retry::Unsafe, "allow_held_drift", &parameters).await?;
    match (answer.outcome, answer.until) {
        (outcome, Some(until)) => Ok(Allowed { outcome, until }),
        (outcome, None) if outcome == "conflict" => {
            let held = answer.held.unwrap_or_default();
            Err(NotDecided::Conflict(format!("{held} of this class are held now, not {count}."), None))
        }
        _ => Err(NotDecided::Conflict("No run writes this class: its mode is not auto.".to_owned(), None)),
    }
}

/// What may follow from differences of a class.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyEntry {
    /// The drift class.
    #[serde(rename = "type")]
    pub class: Class,
    /// What people have set.
    pub mode: Mode,
    /// What counts: the lower of that and `repair_mode`.
    pub effective: Mode,
    /// Whether anything of this class is ever repaired. If not, the mode has no meaning.
    pub repairable: bool,
    /// Rises with each change; to be sent with the next one.
    pub version: u32,
    /// The person who set it.
    pub updated_by: Option<Uuid>,
    /// When they did.
    pub updated_at: Option<DateTime<Utc>>,
    /// What a run would do if the mode were auto.
    pub preview: Preview,
}

/// What a run would repair of what stands now.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// All of it.
    pub repairs: u64,
    /// Of these, how many would give access to somebody who has none.
    pub raises: u64,
    /// How many would take something away.
    pub lowers: u64,
    /// How many would make a row, or point one at another subscription.
    pub creates: u64,
}

/// What may follow from a difference, by class.
#[derive(Debug, Serialize, ToSchema)]
pub struct Policies {
    /// The setting: no session gets above it.
    pub repair_mode: Mode,
    /// Every class.
    pub policies: Vec<PolicyEntry>,
}

/// What is stored of one class.
#[derive(Deserialize)]
struct Set {
    mode: Mode,
    version: u32,
    updated_by: Option<Uuid>,
    updated_at: Option<DateTime<Utc>>,
}

/// What is stored, and what a run would do, by class.
#[derive(Default, Deserialize)]
struct Stored {
    #[serde(default)]
    policies: BTreeMap<String, Set>,
    #[serde(default)]
    previews: BTreeMap<String, Preview>,
}

/// Reads the policies in a person's name.
pub async fn policies(admin: &Admin<'_>, ceiling: Mode) -> Result<Policies, Refusal> {
    Ok(of_every_class(admin.ask("admin_drift_policies", json!({}), "policies").await?, ceiling))
}

fn of_every_class(stored: Stored, ceiling: Mode) -> Policies {
    let Stored { mut policies, mut previews } = stored;
    let entries = Class::VARIANTS.iter().map(|&class| {
        let set = policies.remove(class.as_str()).unwrap_or(Set {
            mode: Mode::Auto,
            version: 0,
            updated_by: None,
            updated_at: None,
        });
        PolicyEntry {
            class,
            mode: set.mode,
            effective: set.mode.min(ceiling),
            repairable: class.is_repairable(),
            version: set.version,
            updated_by: set.updated_by,
            updated_at: set.updated_at,
            preview: previews.remove(class.as_str()).unwrap_or_default(),
        }
    });
    Policies { repair_mode: ceiling, policies: entries.collect() }
}

/// Sets the mode of a class, if nobody has since `version`. Answers all policies as they are then.
pub async fn set_policy(
    database: &Supabase,
    class: Class,
    mode: Mode,
    version: u32,
    actor: Uuid,
    ceiling: Mode,
) -> Result<Policies, NotDecided> {
    #[derive(Deserialize)]
    struct Answer {
        outcome: String,
        #[serde(flatten)]
        stored: Stored,
    }
    let parameters = json!({
        "p_type": class, "p_mode": mode, "p_if_version": version, "p_actor": actor,
    });
    let answer: Answer =
        database.call(Asker::Service, Retry::Unsafe, "set_drift_policy", &parameters).await?;
    if answer.outcome == "done" {
        return Ok(of_every_class(answer.stored, ceiling));
    }
    let why = "Somebody has set this policy since it was shown.".to_owned();
    Err(NotDecided::Conflict(why, None))
}
