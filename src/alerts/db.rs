//! Alerts in the database: the pages that admins read, and what they do about one.
//!
//! A page is asked for in one call in the person's own name, with one row more than is shown, which tells whether there is a
//! next one.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::alert::Alert;
use crate::supabase::judged::{Admin, Refusal, Verdict, set};
use crate::supabase::page::{PageCursor, next_cursor, set_cursor};
use crate::supabase::{Asker, Retry, Supabase};

/// Which alerts an admin asks for.
#[derive(Debug)]
pub struct AlertFilter<'a> {
    /// `open`, `resolved` or `all`.
    pub status: &'a str,
    /// One severity.
    pub severity: Option<&'a str>,
    /// One type.
    pub alert_type: Option<&'a str>,
    /// Of the open ones, those that are `unattended`, `acknowledged` or `snoozed`.
    pub state: Option<&'a str>,
    /// At most this many.
    pub limit: u32,
    /// After this place.
    pub cursor: Option<PageCursor>,
}

/// How many alerts are open, of all and by severity.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenCounts {
    /// Of any severity.
    pub count: u64,
    /// Critical ones.
    pub critical_count: u64,
    /// High ones.
    pub high_count: u64,
    /// Warnings.
    pub warning_count: u64,
    /// For information.
    pub info_count: u64,
}

/// A page of alerts; the counts are of all open alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertPage {
    /// Newest first.
    pub alerts: Vec<Alert>,
    /// Whatever the filter.
    #[serde(flatten)]
    pub open: OpenCounts,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Reads a page of alerts in a person's name.
pub async fn list(admin: &Admin<'_>, filter: &AlertFilter<'_>) -> Result<AlertPage, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        items: Vec<Alert>,
        #[serde(flatten)]
        open: OpenCounts,
    }
    let mut parameters = json!({ "p_status": filter.status, "p_limit": filter.limit });
    set(&mut parameters, "p_severity", filter.severity);
    set(&mut parameters, "p_type", filter.alert_type);
    set(&mut parameters, "p_state", filter.state);
    set_cursor(&mut parameters, filter.cursor);
    let Answer { items: mut alerts, open } = admin.ask("admin_billing_alerts", parameters, "alert").await?;
    let next_cursor = next_cursor(&mut alerts, filter.limit, |alert| (alert.created_at, alert.id));
    Ok(AlertPage { alerts, open, next_cursor })
}

/// What a person can do about an open alert, besides resolving it.
#[derive(Debug, Clone, Copy)]
pub enum Attention<'a> {
    /// Attend to it, for this many hours or for as long as suits its severity.
    Acknowledge(Option<u32>),
    /// Attend to it no longer.
    Unacknowledge,
    /// Hear nothing of it for this many minutes, and why.
    Snooze(u32, Option<&'a str>),
    /// Hear of it again.
    Unsnooze,
    /// Leave a note.
    Note(&'a str),
}

impl Attention<'_> {
    /// The word that stands for it, in the path and in SQL.
    pub fn word(self) -> &'static str {
        match self {
            Self::Acknowledge(_) => "acknowledge",
            Self::Unacknowledge => "unacknowledge",
            Self::Snooze(..) => "snooze",
            Self::Unsnooze => "unsnooze",
            Self::Note(_) => "note",
        }
    }
}

/// What became of a call that does something about an alert.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Attended {
    /// `done`; `already`, where it was so before; or `alert_resolved`, where there is nothing left to do.
    pub outcome: String,
    /// The alert as it is now.
    pub alert: Alert,
}

/// Does something about an alert in the name of a person who was found to be an admin.
pub async fn attend(
    database: &Supabase,
    id: Uuid,
    attention: Attention<'_>,
    actor: Uuid,
) -> Result<Attended, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        alert: Alert,
    }
    let (minutes, note) = match attention {
        Attention::Acknowledge(hours) => (hours.map(|hours| hours * 60), None),
        Attention::Snooze(minutes, note) => (Some(minutes), note),
        Attention::Note(note) => (None, Some(note)),
        Attention::Unacknowledge | Attention::Unsnooze => (None, None),
    };
    let mut parameters = json!({ "p_alert_id": id, "p_actor": actor, "p_action": attention.word() });
    set(&mut parameters, "p_minutes", minutes);
    set(&mut parameters, "p_note", note);
    // Not sent again if its answer is lost: a note would stand twice.
    let verdict: Verdict<Answer> =
        database.call(Asker::Service, Retry::Unsafe, "attend_billing_alert", &parameters).await?;
    let (outcome, Answer { alert }) = verdict.admitted("alert")?;
    Ok(Attended { outcome, alert })
}

/// What became of a resolve.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resolved {
    /// `done`; or `already`, where it was resolved before.
    pub outcome: &'static str,
    /// The alert as it is now.
    pub alert: Alert,
    /// True where it was resolved before; then nothing was changed.
    pub already_resolved: bool,
}

/// Resolves an alert in the name of a person who was found to be an admin.
pub async fn resolve(
    database: &Supabase,
    id: Uuid,
    note: Option<&str>,
    resolved_by: Uuid,
) -> Result<Resolved, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        alert: Alert,
    }
    let mut parameters = json!({ "p_alert_id": id, "p_resolved_by": resolved_by });
    set(&mut parameters, "p_note", note);
    let verdict: Verdict<Answer> =
        database.call(Asker::Service, Retry::Safe, "resolve_billing_alert", &parameters).await?;
    let (outcome, answer) = verdict.admitted("alert")?;
    let already_resolved = outcome == "already_resolved";
    let outcome = if already_resolved { "already" } else { "done" };
    Ok(Resolved { outcome, alert: answer.alert, already_resolved })
}
