//! What is told besides the text, wherever people read: how bad, since when, how many, and which; or a week in numbers.

use chrono::{DateTime, Utc};

use crate::notify::digest::Digest;
use crate::notify::message::Message;

/// Names and values, each of them a few words.
pub(super) fn facts(message: &Message) -> Vec<(&'static str, String)> {
    let Some(alert) = &message.alert else {
        return message.digest.as_ref().map_or_else(Vec::new, Digest::facts);
    };
    let mut facts =
        vec![("Severity", message.severity.as_str().to_owned()), ("Since", minute(alert.first_seen_at))];
    if message.is_over() {
        facts.extend(message.lasted().map(|lasted| ("Lasted", lasted)));
        facts.extend(resolution(alert.resolution.as_deref()).map(|how| ("Resolved", how.to_owned())));
    }
    facts.extend(message.count().map(|count| ("Count", count.to_string())));
    facts
}

/// What the ids are, and the ids; `None` where there are none. A summary's are those of alerts: nothing to read, and the link leads there.
pub(super) fn ids(message: &Message) -> Option<(&'static str, Vec<String>)> {
    message.alert.as_ref()?;
    let ids = message.ids();
    let name = match message.count() {
        Some(count) if count > ids.len() as u64 => "Some of them",
        _ => "Which",
    };
    (!ids.is_empty()).then_some((name, ids))
}

/// A time for a person. UTC, as nobody knows where they are.
pub(super) fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// By whom it was resolved, without a name.
fn resolution(word: Option<&str>) -> Option<&'static str> {
    match word? {
        "manual" => Some("by a person"),
        "auto" => Some("by itself"),
        _ => None,
    }
}
