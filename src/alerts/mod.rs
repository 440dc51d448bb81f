//! Alerts, and the pages of alerts, runs and findings that admins read.
//!
//! Each read is one call in the person's own name: SQL judges them, counts the call and answers. A page is asked for with
//! one row more than is shown, which tells whether there is a next one.

pub mod condition;
pub mod severity;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::error::ApiError;
use crate::runs::Run;
use crate::secret::Secret;
use crate::supabase::{As, Judged, Retry, Supabase};

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

/// A place in a list that is ordered by time and id, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    at: DateTime<Utc>,
    id: Uuid,
}

impl Cursor {
    /// What every cursor matches, and what matches it is one: microseconds since 1970 and an id.
    pub const PATTERN: &str =
        "^(0|[1-9][0-9]{0,15})_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

    /// Reads what [`Cursor::to_text`] wrote, and nothing else. Errors: 400.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        text.split_once('_')
            .filter(|(micros, _)| micros.len() <= 16)
            .and_then(|(micros, id)| {
                let at = DateTime::from_timestamp_micros(micros.parse().ok().filter(|micros| *micros >= 0)?)?;
                Some(Self { at, id: Uuid::try_parse(id).ok()? })
            })
            // Ids and numbers can be written in other ways, too.
            .filter(|cursor| cursor.to_text() == text)
            .ok_or_else(|| ApiError::invalid("cursor is none that this list gave."))
    }

    /// The text that a caller sends back.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{}_{}", self.at.timestamp_micros(), self.id)
    }
}

/// Cuts a page to its length. True where there is more.
fn cut<T>(items: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    more
}

/// What an admin asks of the alerts.
#[derive(Debug)]
pub struct AlertFilter<'a> {
    /// `open`, `resolved` or `all`.
    pub status: &'a str,
    /// One severity.
    pub severity: Option<&'a str>,
    /// One type.
    pub alert_type: Option<&'a str>,
    /// At most so many.
    pub limit: u32,
    /// After this place.
    pub cursor: Option<Cursor>,
}

/// A page of alerts; the counts are of all open alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertPage {
    /// Newest first.
    pub alerts: Vec<Alert>,
    /// Open alerts.
    pub count: u64,
    /// Open critical alerts.
    pub critical_count: u64,
    /// Open high alerts.
    pub high_count: u64,
    /// Open warnings.
    pub warning_count: u64,
    /// Open informations.
    pub info_count: u64,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Reads a page of alerts in a person's name.
pub async fn list(
    database: &Supabase,
    person: &Secret,
    client: &str,
    filter: &AlertFilter<'_>,
) -> Result<AlertPage, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        items: Vec<Alert>,
        #[serde(default)]
        count: u64,
        #[serde(default)]
        critical_count: u64,
        #[serde(default)]
        high_count: u64,
        #[serde(default)]
        warning_count: u64,
        #[serde(default)]
        info_count: u64,
    }
    let mut parameters = json!({
        "p_client": client,
        "p_status": filter.status,
        "p_limit": filter.limit,
    });
    set(&mut parameters, "p_severity", filter.severity);
    set(&mut parameters, "p_type", filter.alert_type);
    set_cursor(&mut parameters, filter.cursor);
    let judged: Judged<Answer> =
        database.call(As::Person(person), Retry::Safe, "admin_billing_alerts", &parameters).await?;
    let (_, mut answer) = judged.admitted("alert")?;
    let more = cut(&mut answer.items, filter.limit);
    let last = answer.items.last().map(|alert| Cursor { at: alert.created_at, id: alert.id });
    Ok(AlertPage {
        alerts: answer.items,
        count: answer.count,
        critical_count: answer.critical_count,
        high_count: answer.high_count,
        warning_count: answer.warning_count,
        info_count: answer.info_count,
        next_cursor: last.filter(|_| more).map(Cursor::to_text),
    })
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

/// Reads a page of runs in a person's name.
pub async fn list_runs(
    database: &Supabase,
    person: &Secret,
    client: &str,
    status: Option<&str>,
    run_type: Option<&str>,
    limit: u32,
    cursor: Option<Cursor>,
) -> Result<RunPage, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        items: Vec<Run>,
    }
    let mut parameters = json!({ "p_client": client, "p_limit": limit });
    set(&mut parameters, "p_status", status);
    set(&mut parameters, "p_type", run_type);
    set_cursor(&mut parameters, cursor);
    let judged: Judged<Answer> =
        database.call(As::Person(person), Retry::Safe, "admin_reconciliation_runs", &parameters).await?;
    let (_, mut answer) = judged.admitted("run")?;
    let more = cut(&mut answer.items, limit);
    let last = answer.items.last().map(|run| Cursor { at: run.started_at, id: run.id });
    Ok(RunPage {
        count: answer.items.len(),
        runs: answer.items,
        next_cursor: last.filter(|_| more).map(Cursor::to_text),
    })
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

/// Reads one run in a person's name. Errors: 404 where there is none.
pub async fn run_detail(
    database: &Supabase,
    person: &Secret,
    client: &str,
    id: Uuid,
    finding_type: Option<&str>,
    limit: u32,
    after: u64,
) -> Result<RunDetail, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        run: Option<Run>,
        #[serde(default)]
        finding_counts: BTreeMap<String, u64>,
        #[serde(default)]
        items: Vec<Finding>,
    }
    let mut parameters = json!({ "p_client": client, "p_id": id, "p_limit": limit, "p_after_id": after });
    set(&mut parameters, "p_type", finding_type);
    let judged: Judged<Answer> =
        database.call(As::Person(person), Retry::Safe, "admin_reconciliation_run", &parameters).await?;
    let (_, mut answer) = judged.admitted("run")?;
    let more = cut(&mut answer.items, limit);
    Ok(RunDetail {
        run: answer.run.ok_or_else(|| ApiError::internal("admin_reconciliation_run answered no run"))?,
        finding_counts: answer.finding_counts,
        next_cursor: answer.items.last().filter(|_| more).map(|finding| finding.id.clone()),
        findings: answer.items,
    })
}

/// Asks whether a person may write, and counts the call. Answers their id. Errors: 401, 403, 429.
pub async fn authorize(
    database: &Supabase,
    person: &Secret,
    route: &str,
    client: &str,
) -> Result<Uuid, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        user_id: Option<Uuid>,
    }
    let parameters = json!({ "p_route": route, "p_client": client });
    let judged: Judged<Answer> =
        database.call(As::Person(person), Retry::Safe, "admin_authorize", &parameters).await?;
    let (_, answer) = judged.admitted("person")?;
    answer.user_id.ok_or_else(|| ApiError::internal("admin_authorize answered no user"))
}

/// What became of a resolve.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resolved {
    /// The alert as it is now.
    pub alert: Alert,
    /// True where it was resolved before; then nothing was changed.
    pub already_resolved: bool,
}

/// Resolves an alert in the name of a person who was found to be an admin. Errors: 404.
pub async fn resolve(
    database: &Supabase,
    id: Uuid,
    note: Option<&str>,
    resolved_by: Uuid,
) -> Result<Resolved, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        alert: Option<Alert>,
    }
    let mut parameters = json!({ "p_alert_id": id, "p_resolved_by": resolved_by });
    set(&mut parameters, "p_note", note);
    let judged: Judged<Answer> =
        database.call(As::Service, Retry::Safe, "resolve_billing_alert", &parameters).await?;
    let (outcome, answer) = judged.admitted("alert")?;
    Ok(Resolved {
        alert: answer.alert.ok_or_else(|| ApiError::internal("resolve_billing_alert answered no alert"))?,
        already_resolved: outcome == "already_resolved",
    })
}

/// Sets a parameter that is there. One that is not is left to the function's default: stand-ins for PostgREST differ in what
/// they make of an explicit null.
fn set(parameters: &mut Value, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        parameters[name] = value.into();
    }
}

fn set_cursor(parameters: &mut Value, cursor: Option<Cursor>) {
    if let Some(cursor) = cursor {
        parameters["p_before_at"] = cursor.at.to_rfc3339_opts(SecondsFormat::Micros, true).into();
        parameters["p_before_id"] = cursor.id.to_string().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_to_the_caller_and_back() {
        let cursor = Cursor {
            at: DateTime::from_timestamp_micros(1_795_000_000_123_456).expect("a time"),
            id: Uuid::from_u128(7),
        };
        assert_eq!(Cursor::parse(&cursor.to_text()).expect("parses"), cursor);
        let id = Uuid::from_u128(7);
        assert!(Cursor::parse(&format!("9999999999999999_{id}")).is_ok());
        for odd in ["", "x", "_", "1", "1_", "1_x"] {
            assert!(Cursor::parse(odd).is_err(), "{odd:?}");
        }
        for odd in ["", "-1", "+1", "01", "1.5", "10000000000000000"] {
            assert!(Cursor::parse(&format!("{odd}_{id}")).is_err(), "{odd:?}");
        }
        assert!(Cursor::parse(&format!("1_{}", id.simple())).is_err());
    }

    #[test]
    fn a_page_is_cut_and_says_whether_there_is_more() {
        let mut items = vec![1, 2, 3];
        assert!(cut(&mut items, 2));
        assert_eq!(items, [1, 2]);
        assert!(!cut(&mut items, 2));
    }
}
