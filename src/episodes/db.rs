//! Drift in the database: the pages of entries that admins read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::drift::entry::Entry;
use crate::supabase::judged::{Admin, Refusal, set};
use crate::supabase::page::{PageCursor, next_cursor, set_cursor};

/// Which drift an admin asks for.
#[derive(Debug)]
pub struct DriftFilter<'a> {
    /// `open`, `closed` or `all`.
    pub state: &'a str,
    /// One class.
    pub class: Option<&'a str>,
    /// One severity.
    pub severity: Option<&'a str>,
    /// One owner.
    pub owner: Option<&'a str>,
    /// One action.
    pub action: Option<&'a str>,
    /// At most this many.
    pub limit: u32,
    /// After this place.
    pub cursor: Option<PageCursor>,
}

/// A page of drift.
#[derive(Debug, Serialize, ToSchema)]
pub struct DriftPage {
    /// Newest first.
    pub drift: Vec<Entry>,
    /// How many fit the filters, on whatever page.
    pub count: u64,
    /// The same by class.
    pub by_type: BTreeMap<String, u64>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Cuts a page of entries to its length and puts their actions into words.
pub(crate) fn page(mut entries: Vec<Entry>, limit: u32) -> (Vec<Entry>, Option<String>) {
    let next = next_cursor(&mut entries, limit, |entry| (entry.first_seen_at, entry.id));
    (entries.into_iter().map(Entry::worded).collect(), next)
}

/// Reads a page of drift in a person's name.
pub async fn list(admin: &Admin<'_>, filter: &DriftFilter<'_>) -> Result<DriftPage, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        items: Vec<Entry>,
        count: u64,
        by_type: BTreeMap<String, u64>,
    }
    let mut parameters = json!({ "p_state": filter.state, "p_limit": filter.limit });
    set(&mut parameters, "p_type", filter.class);
    set(&mut parameters, "p_severity", filter.severity);
    set(&mut parameters, "p_owner", filter.owner);
    set(&mut parameters, "p_action", filter.action);
    set_cursor(&mut parameters, filter.cursor);
    let Answer { items, count, by_type } = admin.ask("admin_drift", parameters, "drift").await?;
    let (drift, next_cursor) = page(items, filter.limit);
    Ok(DriftPage { drift, count, by_type, next_cursor })
}
