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
    set_cursor(&mut parameters, filter.cursor);
    let Answer { items: mut alerts, open } = admin.ask("admin_billing_alerts", parameters, "alert").await?;
    let next_cursor = next_cursor(&mut alerts, filter.limit, |alert| (alert.created_at, alert.id));
    Ok(AlertPage { alerts, open, next_cursor })
}

/// What became of a resolve.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resolved {
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
    Ok(Resolved { alert: answer.alert, already_resolved: outcome == "already_resolved" })
}
