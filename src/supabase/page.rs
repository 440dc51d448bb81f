//! Pages of lists that are ordered by time and id, newest first.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use uuid::Uuid;

/// A place in a list that is ordered by time and id, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCursor {
    /// The time of the last entry.
    pub at: DateTime<Utc>,
    /// Its id: several may share a time.
    pub id: Uuid,
}

impl PageCursor {
    /// Every cursor matches this, and whatever matches it is one: microseconds since 1970 and an id.
    pub const PATTERN: &str =
        "^(0|[1-9][0-9]{0,15})_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

    /// Reads what [`PageCursor::to_text`] wrote, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        text.split_once('_')
            .filter(|(micros, _)| micros.len() <= 16)
            .and_then(|(micros, id)| {
                let at = DateTime::from_timestamp_micros(micros.parse().ok().filter(|micros| *micros >= 0)?)?;
                Some(Self { at, id: Uuid::try_parse(id).ok()? })
            })
            // Ids and numbers can be written in other ways, too.
            .filter(|cursor| cursor.to_text() == text)
    }

    /// The text that a caller sends back.
    pub fn to_text(self) -> String {
        format!("{}_{}", self.at.timestamp_micros(), self.id)
    }
}

/// Cuts a page to its length. True where there is more: it was asked for with one more than is shown.
fn cut<T>(items: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    more
}

/// Cuts a page to its length, and names the place of its last entry where there is more.
pub fn next_cursor<T>(
    items: &mut Vec<T>,
    limit: u32,
    place: impl Fn(&T) -> (DateTime<Utc>, Uuid),
) -> Option<String> {
    let more = cut(items, limit);
    let (at, id) = place(items.last().filter(|_| more)?);
    Some(PageCursor { at, id }.to_text())
}

/// Sets the parameters of a function that goes on after a place.
pub fn set_cursor(parameters: &mut Value, cursor: Option<PageCursor>) {
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
        let cursor = PageCursor {
            at: DateTime::from_timestamp_micros(1_795_000_000_123_456).expect("a time"),
            id: Uuid::from_u128(7),
        };
        assert_eq!(PageCursor::parse(&cursor.to_text()).expect("parses"), cursor);
        let id = Uuid::from_u128(7);
        assert!(PageCursor::parse(&format!("9999999999999999_{id}")).is_some());
        for odd in ["", "x", "_", "1", "1_", "1_x"] {
            assert!(PageCursor::parse(odd).is_none(), "{odd:?}");
        }
        for odd in ["", "-1", "+1", "01", "1.5", "10000000000000000"] {
            assert!(PageCursor::parse(&format!("{odd}_{id}")).is_none(), "{odd:?}");
        }
        assert!(PageCursor::parse(&format!("1_{}", id.simple())).is_none());
    }

    #[test]
    fn a_page_is_cut_and_says_whether_there_is_more() {
        let mut items = vec![1, 2, 3];
        assert!(cut(&mut items, 2));
        assert_eq!(items, [1, 2]);
        assert!(!cut(&mut items, 2));
    }
}
