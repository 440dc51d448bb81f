//! The calls behind the metrics and the exports.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::export::{Event, Row, What};
use super::metrics::Facts;
use crate::drift::entry::Entry;
use crate::runs::run::Run;
use crate::supabase::judged::{Admin, Refusal, Verdict, set};
use crate::supabase::page::PageCursor;
use crate::supabase::{Asker, Retry, Supabase};

/// Reads what is measured, all of one snapshot: one round trip, which also counts the call by `client`, its address.
///
/// Errors: too many calls from that address, or those of the database.
pub async fn read_metrics(database: &Supabase, client: &str) -> Result<Facts, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        facts: Facts,
    }
    let parameters = json!({ "p_client": client });
    let verdict: Verdict<Answer> =
        database.call(Asker::Service, Retry::Safe, "read_metrics", &parameters).await?;
    let (_, answer) = verdict.admitted("metric")?;
    Ok(answer.facts)
}

/// A place in an export: after the row of this time and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    at: DateTime<Utc>,
    id: String,
}

impl Place {
    /// What every cursor matches: microseconds since 1970, and the id of an entry or a run, or the number of an event.
    pub const PATTERN: &str = "^(0|[1-9][0-9]{0,15})_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[1-9][0-9]{0,17})$";

    /// The place of a row.
    pub fn of(row: &Row) -> Self {
        match row {
            Row::Drift(entry) => Self { at: entry.first_seen_at, id: entry.id.to_string() },
            Row::History(event) => Self { at: event.created_at, id: event.id.clone() },
            Row::Runs(run) => Self { at: run.started_at, id: run.id.to_string() },
        }
    }

    /// Reads what [`Place::to_text`] wrote for an export of the same, and nothing else.
    pub fn parse(what: What, text: &str) -> Option<Self> {
        if what != What::History {
            let PageCursor { at, id } = PageCursor::parse(text)?;
            return Some(Self { at, id: id.to_string() });
        }
        let (micros, number) = text.split_once('_').filter(|(micros, _)| micros.len() <= 16)?;
        let at = DateTime::from_timestamp_micros(micros.parse().ok().filter(|micros| *micros >= 0)?)?;
        // Eighteen digits are always a bigint.
        let id = number.parse::<u64>().ok().filter(|id| *id > 0 && number.len() <= 18)?.to_string();
        // Numbers can be written in other ways, too.
        Some(Self { at, id }).filter(|place| place.to_text() == text)
    }

    /// The text that a caller sends back.
    pub fn to_text(&self) -> String {
        format!("{}_{}", self.at.timestamp_micros(), self.id)
    }
}

/// What an admin asks for.
#[derive(Debug)]
pub struct ExportFilter {
    /// What is exported.
    pub what: What,
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Up to this time, which is left out.
    pub to: Option<DateTime<Utc>>,
    /// At most this many.
    pub limit: u32,
    /// After this place.
    pub cursor: Option<Place>,
}

/// A page of rows, oldest first.
#[derive(Debug)]
pub struct Exported {
    /// One more than was asked for says that there is a next page.
    pub rows: Vec<Row>,
    /// How many the span has, on whatever page. Counted for the first page only.
    pub total: Option<u64>,
}

/// Reads a page in a person's name.
pub async fn export(admin: &Admin<'_>, filter: &ExportFilter) -> Result<Exported, Refusal> {
    #[derive(Deserialize)]
    struct Answer<T> {
        items: Vec<T>,
        total: Option<u64>,
    }
    async fn page<T: DeserializeOwned>(
        admin: &Admin<'_>,
        filter: &ExportFilter,
        row: impl Fn(T) -> Row,
    ) -> Result<Exported, Refusal> {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let what: &str = filter.what.into();
        let mut parameters = json!({ "p_what": what, "p_limit": filter.limit });
        set(&mut parameters, "p_from", filter.from.map(time));
        set(&mut parameters, "p_to", filter.to.map(time));
        let cursor = filter.cursor.as_ref().map(|place| json!({ "at": time(place.at), "id": place.id }));
        set(&mut parameters, "p_cursor", cursor);
        let Answer { items, total } = admin.ask("admin_export", parameters, "export").await?;
        Ok(Exported { rows: items.into_iter().map(row).collect(), total })
    }
    match filter.what {
        What::Drift => page(admin, filter, |entry: Entry| Row::Drift(Box::new(entry.worded()))).await,
        What::History => page(admin, filter, |event: Event| Row::History(Box::new(event))).await,
        What::Runs => page(admin, filter, |run: Run| Row::Runs(Box::new(run))).await,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_place_survives_the_way_to_the_caller_and_back_and_fits_one_list() {
        let at = DateTime::from_timestamp_micros(1_795_000_000_123_456).expect("a time");
        let number = Place { at, id: "7".to_owned() };
        let id = Place { at, id: Uuid::from_u128(7).to_string() };
        assert_eq!(Place::parse(What::History, &number.to_text()), Some(number.clone()));
        for what in [What::Drift, What::Runs] {
            assert_eq!(Place::parse(what, &id.to_text()), Some(id.clone()));
            assert_eq!(Place::parse(what, &number.to_text()), None);
        }
        assert_eq!(Place::parse(What::History, &id.to_text()), None);
        for odd in
            ["", "_", "1", "1_", "_1", "1_0", "1_-1", "1_+1", "1_01", "01_1", "-1_1", "1_1000000000000000000"]
        {
            assert_eq!(Place::parse(What::History, odd), None, "{odd:?}");
        }
        assert!(Place::parse(What::History, "9999999999999999_999999999999999999").is_some());
    }
}
