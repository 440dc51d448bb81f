//! What is told of an alert, or of a week, in words, whoever receives it. Pure.
//!
//! A message holds what the alert says, how many it is about and at most five ids; never a secret, an address or an amount.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::channel::Channel;
use super::digest::Digest;
use crate::alerts::alert::Alert;
use crate::alerts::severity::Severity;

/// The most ids that a message holds.
const IDS: usize = 5;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// The condition began to hold.
    Raised,
    /// It became more severe.
    Escalated,
    /// New differences joined it.
    Grown,
    /// It still holds, and nobody has attended to it.
    Repeated,
    /// Somebody attends to it.
    Acknowledged,
    /// It is over.
    Resolved,
    /// So much happened at once that it is told by number.
    Summary,
    /// A week, in numbers.
    Digest,
    /// Somebody wants to see whether messages arrive.
    Test,
}

impl Kind {
    /// The word that stands for it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Several alerts in one message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Summary {
    /// How many messages it stands for.
    pub count: u64,
    /// Of which severities: from the most severe, with their numbers.
    pub by_severity: Vec<(Severity, u64)>,
    /// The alerts of some of them, at most five.
    pub alert_ids: Vec<Uuid>,
}

/// A message that is to be sent to one channel.
#[derive(Debug, Clone)]
pub struct Message {
    /// Stays the same however often it is sent.
    pub id: Uuid,
    /// What happened.
    pub kind: Kind,
    /// How severe it was then.
    pub severity: Severity,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The alert as it is now; none for a summary, a digest or a test.
    pub alert: Option<Alert>,
    /// For a summary.
    pub summary: Option<Summary>,
    /// For a digest.
    pub digest: Option<Digest>,
    /// Where to look at it, if `PUBLIC_URL` is set.
    pub link: Option<Url>,
    /// The channel was told that somebody attends to it, and that has ended.
    pub reopens: bool,
}

impl Message {
    /// A test of a channel.
    pub fn test(id: Uuid, at: DateTime<Utc>, link: Option<Url>) -> Self {
        Self {
            id,
            kind: Kind::Test,
            severity: Severity::Info,
            at,
            alert: None,
            summary: None,
            digest: None,
            link,
            reopens: false,
        }
    }

    /// Whether it says that something is over.
    pub fn is_over(&self) -> bool {
        self.kind == Kind::Resolved
    }

    /// One line for a list: what happened and to what. Holds no line break.
    pub fn title(&self) -> String {
        let name = self
            .alert
            .as_ref()
            .map_or_else(String::new, |alert| one_line(&alert.alert_key.replace('_', " ")));
        let severity = self.severity.as_str().to_uppercase();
        match self.kind {
            Kind::Raised => format!("[{severity}] {name}"),
            Kind::Escalated => format!("[{severity}] {name}: more severe"),
            Kind::Grown => format!("[{severity}] {name}: new ones have joined"),
            Kind::Repeated => format!("[{severity}] {name}: still open{}", self.age_so_far()),
            Kind::Acknowledged => format!("[{severity}] {name}: acknowledged"),
            Kind::Resolved => {
                let after = self.lasted().map_or_else(String::new, |lasted| format!(" after {lasted}"));
                format!("[RESOLVED] {name}{after}")
            }
            Kind::Summary => {
                let count = self.summary.as_ref().map_or(0, |summary| summary.count);
                format!("[{severity}] {count} more alarms at once")
            }
            Kind::Digest => self.digest.as_ref().map_or_else(|| "Weekly digest".to_owned(), Digest::title),
            Kind::Test => "Test of this channel".to_owned(),
        }
    }

    /// What it is about, in a sentence or two.
    pub fn text(&self) -> String {
        match self.kind {
            Kind::Summary => {
                let parts = self.summary.iter().flat_map(|summary| &summary.by_severity);
                let parts: Vec<String> =
                    parts.map(|(severity, count)| format!("{count} {}", severity.as_str())).collect();
                format!("Too many to be sent one by one: {}.", parts.join(", "))
            }
            Kind::Digest => self.digest.as_ref().map_or_else(String::new, Digest::text),
            Kind::Test => "billing-ops can reach this channel. Nothing is wrong.".to_owned(),
            // The alert still says what it said when it was open.
            Kind::Resolved => format!("It is over. It was: {}", self.said()),
            _ => self.said().to_owned(),
        }
    }

    /// How many the alert is about, where it counts them.
    pub fn count(&self) -> Option<u64> {
        match &self.summary {
            Some(summary) => Some(summary.count),
            None => self.alert.as_ref()?.metadata.get("count")?.as_u64(),
        }
    }

    /// Some of what it is about: at most five ids of Stripe, or of alerts in a summary.
    pub fn ids(&self) -> Vec<String> {
        if let Some(summary) = &self.summary {
            return summary.alert_ids.iter().take(IDS).map(Uuid::to_string).collect();
        }
        let samples = self.alert.as_ref().and_then(|alert| alert.metadata.get("samples"));
        let samples = samples.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        samples.iter().filter_map(id_of).take(IDS).map(ToOwned::to_owned).collect()
    }

    /// What a receiver knows the episode by, from its first message to its last.
    pub fn episode(&self) -> String {
        self.alert
            .as_ref()
            .map_or_else(|| format!("billing-ops:{}", self.id), |alert| format!("billing-ops:{}", alert.id))
    }

    fn age_so_far(&self) -> String {
        let began = self.alert.as_ref().map(|alert| alert.first_seen_at);
        began.map_or_else(String::new, |began| format!(" after {}", span(self.at - began)))
    }

    /// How long the alert lasted, for a person; none while it is open.
    pub fn lasted(&self) -> Option<String> {
        let alert = self.alert.as_ref()?;
        Some(span(alert.resolved_at? - alert.first_seen_at))
    }

    fn said(&self) -> &str {
        self.alert.as_ref().map_or("", |alert| &alert.message)
    }
}

/// The id in a sample, which is an id or an object that has one. Nothing else of it is told.
fn id_of(sample: &Value) -> Option<&str> {
    let id = sample.as_str().or_else(|| sample.get("stripe_subscription_id")?.as_str())?;
    let known =
        id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    known.then_some(id)
}

/// A length of time for a person: `40 min`, `3 h`, `2 days`.
fn span(time: TimeDelta) -> String {
    match time.num_minutes() {
        minutes if minutes < 1 => "less than a minute".to_owned(),
        minutes if minutes < 120 => format!("{minutes} min"),
        minutes if minutes < 48 * 60 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / (24 * 60)),
    }
}

/// A text without line breaks and other control characters: words with a space between them.
pub fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The first `most` characters of a text, with an ellipsis as the last of them where it was longer. Never cuts within a character.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A message as it was claimed: for whom, and under which claim it must be finished.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id in the database.
    pub id: i64,
    /// It can be finished only with this.
    pub claim: Uuid,
    /// To whom.
    pub channel: Channel,
    /// What.
    pub message: Message,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn alert(metadata: Value) -> Alert {
        Alert {
            id: Uuid::from_u128(7),
            alert_key: "drift_status_mismatch".into(),
            alert_type: "drift".into(),
            severity: "high".into(),
            message: "7 subscriptions had a different status.".into(),
            metadata,
            occurrences: 3,
            first_seen_at: time("2026-03-02T01:30:00Z"),
            last_seen_at: time("2026-03-02T02:10:00Z"),
            severe_since: None,
            created_at: time("2026-03-02T01:30:00Z"),
            resolved: false,
            resolved_at: None,
            resolved_by: None,
            resolution: None,
            resolution_note: None,
            previous_alert_id: None,
            acknowledged_at: None,
            acknowledged_by: None,
            acknowledged_until: None,
            snoozed_until: None,
            snoozed_by: None,
            history: Vec::new(),
        }
    }

    fn message(kind: Kind) -> Message {
        Message {
            id: Uuid::from_u128(1),
            kind,
            severity: Severity::High,
            at: time("2026-03-02T06:30:00Z"),
            alert: Some(alert(json!({"count": 7}))),
            summary: None,
            digest: None,
            link: None,
            reopens: false,
        }
    }

    fn resolved() -> Message {
        let mut message = message(Kind::Resolved);
        message.alert.as_mut().expect("an alert").resolved_at = Some(time("2026-03-02T02:10:00Z"));
        message
    }

    fn summary() -> Message {
        let summary = Summary {
            count: 9,
            by_severity: vec![(Severity::High, 2), (Severity::Warning, 7)],
            alert_ids: (1..=9).map(Uuid::from_u128).collect(),
        };
        Message { alert: None, summary: Some(summary), ..message(Kind::Summary) }
    }

    #[test]
    fn a_title_says_what_happened_to_what() {
        for (message, expected) in [
            (message(Kind::Raised), "[HIGH] drift status mismatch"),
            (message(Kind::Escalated), "[HIGH] drift status mismatch: more severe"),
            (message(Kind::Grown), "[HIGH] drift status mismatch: new ones have joined"),
            (message(Kind::Repeated), "[HIGH] drift status mismatch: still open after 5 h"),
            (message(Kind::Acknowledged), "[HIGH] drift status mismatch: acknowledged"),
            (resolved(), "[RESOLVED] drift status mismatch after 40 min"),
            (summary(), "[HIGH] 9 more alarms at once"),
            (Message::test(Uuid::nil(), time("2026-03-02T02:10:00Z"), None), "Test of this channel"),
        ] {
            assert_eq!(message.title(), expected);
        }
    }

    #[test]
    fn a_text_says_what_it_is_about() {
        assert_eq!(message(Kind::Raised).text(), "7 subscriptions had a different status.");
        assert_eq!(resolved().text(), "It is over. It was: 7 subscriptions had a different status.");
        assert_eq!(summary().text(), "Too many to be sent one by one: 2 high, 7 warning.");
        let test = Message::test(Uuid::nil(), time("2026-03-02T02:10:00Z"), None);
        assert_eq!(test.text(), "billing-ops can reach this channel. Nothing is wrong.");
        assert!(resolved().is_over() && !message(Kind::Grown).is_over());
    }

    #[test]
    fn only_ids_are_taken_from_samples_and_at_most_five() {
        let ids =
            |samples: Value| Message { alert: Some(alert(json!({"samples": samples}))), ..resolved() }.ids();
        assert_eq!(
            ids(json!(["sub_1", {"stripe_subscription_id": "sub_2", "email": "a@b.c"}])),
            ["sub_1", "sub_2"]
        );
        assert_eq!(ids(json!(["1", "2", "3", "4", "5", "6"])), ["1", "2", "3", "4", "5"]);
        assert_eq!(ids(json!(["a@b.c", "sub 1", "<b>", "x".repeat(65), 7, null, {"id": "sub_1"}])), [""; 0]);
        assert_eq!(ids(json!("sub_1")), [""; 0]);
        assert_eq!(summary().ids().len(), 5);
    }

    #[test]
    fn a_count_is_that_of_the_alert_or_of_the_summary() {
        assert_eq!(message(Kind::Raised).count(), Some(7));
        assert_eq!(summary().count(), Some(9));
        for metadata in [json!({}), json!(null), json!({"count": -1}), json!({"count": "7"})] {
            let message = Message { alert: Some(alert(metadata)), ..message(Kind::Raised) };
            assert_eq!(message.count(), None);
        }
    }

    #[test]
    fn an_episode_is_known_by_its_alert_and_anything_else_by_itself() {
        assert_eq!(message(Kind::Raised).episode(), resolved().episode());
        assert_eq!(resolved().episode(), "billing-ops:00000000-0000-0000-0000-000000000007");
        assert_eq!(summary().episode(), "billing-ops:00000000-0000-0000-0000-000000000001");
    }

    #[test]
    fn a_length_of_time_is_told_in_the_unit_that_fits() {
        for (minutes, expected) in [
            (-5, "less than a minute"),
            (0, "less than a minute"),
            (1, "1 min"),
            (119, "119 min"),
            (120, "2 h"),
            (47 * 60 + 59, "47 h"),
            (48 * 60, "2 days"),
            (100 * 24 * 60, "100 days"),
        ] {
            assert_eq!(span(TimeDelta::minutes(minutes)), expected);
        }
        assert_eq!(resolved().lasted().as_deref(), Some("40 min"));
        assert_eq!(message(Kind::Raised).lasted(), None);
        assert_eq!(summary().lasted(), None);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("", 0), "");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "ä…");
        assert_eq!(cut("🔴🔴", 1), "…");
        assert_eq!(cut("a\u{301}", 1), "…", "an accent is a character of its own");
    }

    #[test]
    fn a_line_has_no_breaks_in_it() {
        assert_eq!(one_line(" a\r\nb\u{2028}c\u{0}d\u{85} "), "a b c d");
        let mut message = message(Kind::Raised);
        message.alert.as_mut().expect("an alert").alert_key = "a\nBcc:_b".into();
        assert_eq!(message.title(), "[HIGH] a Bcc: b");
    }

    proptest! {
        #[test]
        fn what_is_cut_is_the_beginning_of_what_was_there(text in any::<String>(), most in 1..40_usize) {
            let short = cut(&text, most);
            prop_assert!(short.chars().count() <= most);
            let kept = if short == text { short.as_str() } else { short.strip_suffix('…').expect("an ellipsis") };
            prop_assert!(text.starts_with(kept));
            prop_assert!(!one_line(&text).contains(char::is_control));
        }
    }
}
