//! Drift, its history and runs as text: CSV (<https://www.rfc-editor.org/rfc/rfc4180>) that is harmless in a spreadsheet, or one JSON
//! object a line (<https://github.com/ndjson/ndjson-spec>).

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::drift::entry::Entry;
use crate::drift::repair::Action;
use crate::runs::run::Run;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum What {
    /// Entries of drift, by when each was first seen.
    Drift,
    /// What became of them, by when it happened.
    History,
    /// Runs, by when each started.
    Runs,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Format {
    /// For spreadsheets.
    Csv,
    /// For programs: the same objects as the lists have.
    Ndjson,
}

/// Something that happened to an entry of drift.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DriftEvent)]
pub struct Event {
    /// The event's id, which rises in the order of events.
    pub id: String,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// The entry's action from then on.
    pub event: Action,
    /// The entry that it happened to.
    pub drift_id: Uuid,
    /// What that entry is deduplicated by while it is open: `<type>:<subject>`.
    pub drift_key: String,
    /// Its drift class.
    #[serde(rename = "type")]
    pub class: String,
    /// Whose it is, where that is known.
    pub owner: Option<String>,
    /// Which subscription.
    pub stripe_subscription_id: Option<String>,
    /// Which customer.
    pub stripe_customer_id: Option<String>,
    /// The run that did it; null where a person did.
    pub run_id: Option<Uuid>,
    /// The person who did it; null where a run did.
    pub actor: Option<Uuid>,
    /// Why, in the entry's or the person's words.
    pub note: Option<String>,
}

/// One row, as a line of NDJSON has it. Which of them depends on what is exported.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ExportedRow)]
pub enum Row {
    /// `what=drift`.
    Drift(Box<Entry>),
    /// `what=history`.
    History(Box<Event>),
    /// `what=runs`.
    Runs(Box<Run>),
}

impl What {
    /// The columns of its CSV: what is asked for most comes first.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            // Without organization_id, which is the owner a second time.
            Self::Drift => &[
                "first_seen_at",
                "last_seen_at",
                "closed_at",
                "severity",
                "type",
                "owner",
                "stripe_subscription_id",
                "stripe_customer_id",
                "livemode",
                "issue",
                "details",
                "proposal",
                "lowers_access",
                "action",
                "action_taken",
                "decided_at",
                "decided_by",
                "note",
                "excepted_until",
                "seen_count",
                "first_run_id",
                "last_run_id",
                "closed_run_id",
                "drift_key",
                "id",
            ],
            Self::History => &[
                "created_at",
                "event",
                "type",
                "owner",
                "stripe_subscription_id",
                "stripe_customer_id",
                "run_id",
                "actor",
                "note",
                "drift_key",
                "drift_id",
                "id",
            ],
            Self::Runs => &[
                "started_at",
                "finished_at",
                "status",
                "run_key",
                "run_type",
                "scope",
                "attempt",
                "triggered_by",
                "duration_ms",
                "scanned_count",
                "created_count",
                "updated_count",
                "mismatch_count",
                "waiting_count",
                "held_count",
                "superseded_count",
                "skipped_count",
                "error_count",
                "total_issues",
                "message",
                "error_code",
                "error_message",
                "lookback_hours",
                "sweep_started_at",
                "heartbeat_at",
                "lease_expires_at",
                "id",
            ],
        }
    }
}

/// The head line of a CSV, with its line end.
pub fn head(what: What) -> String {
    format!("{}\r\n", what.columns().join(","))
}

/// Adds rows to a text for as long as it stays within `room` bytes; the first one always, or there would be no end to the pages. Answers
/// how many were added.
///
/// Errors: a row that does not serialize, which is a bug here.
pub fn append(
    text: &mut String,
    what: What,
    format: Format,
    rows: &[Row],
    room: usize,
) -> Result<usize, serde_json::Error> {
    for (place, row) in rows.iter().enumerate() {
        let line = match format {
            Format::Csv => csv_line(what, row)?,
            Format::Ndjson => serde_json::to_string(row)? + "\n",
        };
        if place > 0 && text.len() + line.len() > room {
            return Ok(place);
        }
        text.push_str(&line);
    }
    Ok(rows.len())
}

fn csv_line(what: What, row: &Row) -> Result<String, serde_json::Error> {
    let fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(row)?)?;
    let cells = what.columns().iter().map(|column| cell(fields.get(*column).unwrap_or(&Value::Null)));
    Ok(cells.collect::<Vec<_>>().join(",") + "\r\n")
}

/// One cell: a text as it is, what has parts as JSON, nothing for null.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => quoted(&harmless(text)),
        // To a spreadsheet a number is a number; the rest begins with a letter, a brace or a bracket.
        value => quoted(&value.to_string()),
    }
}

/// What a spreadsheet would run as a formula gets an apostrophe in front (<https://owasp.org/www-community/attacks/CSV_Injection>):
/// customers can set the names and ids that stand in here.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// What the file is called. The name holds the days of `from` and `to`, where they are given.
pub fn file_name(
    what: What,
    format: Format,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> String {
    let day = |word: &str, at: Option<DateTime<Utc>>| {
        at.map(|at| format!("_{word}_{}", at.format("%Y-%m-%d"))).unwrap_or_default()
    };
    let (what, format): (&str, &str) = (what.into(), format.into());
    format!("billing-ops_{what}{}{}.{format}", day("from", from), day("to", to))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(changes: Value) -> Row {
        let mut entry = json!({
            "id": Uuid::from_u128(1), "drift_key": "status_mismatch:sub_1", "type": "status_mismatch", "severity": "info",
            "owner": "org", "organization_id": "org", "stripe_subscription_id": "sub_1", "stripe_customer_id": null,
            "livemode": false, "issue": "The status differs.", "details": {}, "proposal": null, "lowers_access": false,
            "action": "repaired", "reason": null, "first_seen_at": "2026-01-01T00:00:00Z", "last_seen_at": "2026-01-01T00:00:00.000001Z",
            "seen_count": 1, "first_run_id": Uuid::from_u128(2), "last_run_id": Uuid::from_u128(2), "closed_at": null,
            "closed_run_id": null, "decided_by": null, "decided_at": null, "note": null, "excepted_until": null
        });
        for (name, value) in changes.as_object().expect("an object") {
            entry[name] = value.clone();
        }
        let entry: Entry = serde_json::from_value(entry).expect("an entry");
        Row::Drift(Box::new(entry.worded()))
    }

    fn event() -> Row {
        let event: Event = serde_json::from_value(json!({
            "id": "7", "created_at": "2026-01-01T00:00:00Z", "event": "excepted", "drift_id": Uuid::from_u128(1), "drift_key": "key",
            "type": "status_mismatch", "owner": null, "stripe_subscription_id": "sub_1", "stripe_customer_id": "cus_1",
            "run_id": null, "actor": Uuid::from_u128(3), "note": "two\nlines"
        }))
        .expect("an event");
        Row::History(Box::new(event))
    }

    fn run() -> Row {
        let run: Run = serde_json::from_value(json!({
            "id": Uuid::from_u128(2), "run_key": "manual_1", "run_type": "manual", "scope": "all", "attempt": 1, "status": "running",
            "lookback_hours": 24, "started_at": "2026-01-01T00:00:00Z", "finished_at": null, "heartbeat_at": null,
            "lease_expires_at": null, "duration_ms": null, "sweep_started_at": null, "scanned_count": 12, "created_count": 0,
            "updated_count": 0, "mismatch_count": 0, "waiting_count": 0, "held_count": 0, "superseded_count": 0, "skipped_count": 0,
            "error_count": 0, "total_issues": 0, "message": null, "error_code": null, "error_message": null, "triggered_by": "admin"
        }))
        .expect("a run");
        Row::Runs(Box::new(run))
    }

    fn text(what: What, format: Format, rows: &[Row]) -> String {
        let mut text = String::new();
        assert_eq!(append(&mut text, what, format, rows, usize::MAX).expect("it serializes"), rows.len());
        text
    }

    #[test]
    fn csv_has_every_field_of_a_row_in_a_column() {
        for (what, row) in [(What::Drift, entry(json!({}))), (What::History, event()), (What::Runs, run())] {
            let fields = serde_json::to_value(&row).expect("it serializes");
            let mut fields: Vec<&str> =
                fields.as_object().expect("an object").keys().map(String::as_str).collect();
            fields.retain(|name| *name != "organization_id");
            let mut columns = what.columns().to_vec();
            fields.sort_unstable();
            columns.sort_unstable();
            assert_eq!(columns, fields);
        }
    }

    #[test]
    fn lines_end_as_the_format_says_and_cells_are_quoted_where_they_must_be() {
        assert_eq!(
            text(What::History, Format::Csv, &[event(), event()]).matches("\"two\nlines\"").count(),
            2,
            "a line end within a cell"
        );
        let details = json!({ "details": { "status": { "database": "active", "stripe": "past_due" } }, "issue": "a \"b\", c" });
        let line = text(What::Drift, Format::Csv, &[entry(details)]);
        assert!(
            line.starts_with("2026-01-01T00:00:00Z,2026-01-01T00:00:00.000001Z,,info,status_mismatch,org,sub_1,,false,\"a \"\"b\"\", c\",\
                              \"{\"\"status\"\":{\"\"database\"\":\"\"active\"\",\"\"stripe\"\":\"\"past_due\"\"}}\",,false,repaired,set to what Stripe says,"),
            "{line}"
        );
        assert!(line.ends_with(",status_mismatch:sub_1,00000000-0000-0000-0000-000000000001\r\n"), "{line}");
        let lines = text(What::Runs, Format::Ndjson, &[run(), run()]);
        assert_eq!(lines.lines().count(), 2);
        assert!(lines.ends_with("}\n"));
        for line in lines.lines() {
            let row: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!((&row["scanned_count"], &row["finished_at"]), (&json!(12), &Value::Null));
        }
        assert_eq!(head(What::History).split(',').count(), What::History.columns().len());
        assert!(head(What::History).ends_with("\r\n"));
    }

    #[test]
    fn nothing_in_a_csv_becomes_a_formula() {
        for evil in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"] {
            let line = text(What::Drift, Format::Csv, &[entry(json!({ "owner": evil, "note": evil }))]);
            let safe = quoted(&format!("'{evil}"));
            assert_eq!(line.matches(&safe).count(), 2, "{line}");
            let lines = text(What::Drift, Format::Ndjson, &[entry(json!({ "owner": evil }))]);
            let row: Value = serde_json::from_str(&lines).expect("JSON");
            assert_eq!(row["owner"], evil, "a program gets it as it is");
        }
        assert_eq!(harmless("a=1"), "a=1");
        assert_eq!(cell(&json!(-5)), "-5", "a number is one");
    }

    #[test]
    fn a_page_ends_before_it_is_too_large_and_has_one_row_at_least() {
        let rows = vec![run(), run(), run()];
        let one = text(What::Runs, Format::Ndjson, &rows[..1]).len();
        for (room, expected) in [(0, 1), (one, 1), (2 * one - 1, 1), (2 * one, 2), (10 * one, 3)] {
            let mut text = String::new();
            let added = append(&mut text, What::Runs, Format::Ndjson, &rows, room).expect("it serializes");
            assert_eq!((added, text.len()), (expected, expected * one));
        }
        let mut text = head(What::Runs);
        assert_eq!(append(&mut text, What::Runs, Format::Csv, &[], 0).expect("nothing to serialize"), 0);
        assert_eq!(text, head(What::Runs), "of an empty span");
    }

    #[test]
    fn a_file_is_named_after_what_is_in_it() {
        let at = |text: &str| Some(text.parse().expect("a time"));
        assert_eq!(file_name(What::Drift, Format::Csv, None, None), "billing-ops_drift.csv");
        assert_eq!(
            file_name(What::Runs, Format::Ndjson, at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z")),
            "billing-ops_runs_from_2026-01-01_to_2026-02-01.ndjson"
        );
    }
}
