//! The digest of a week, in words and numbers, whoever receives it. Pure: the database has counted (`digest_facts` in SQL).
//!
//! It holds numbers and a date; never an id, an address or an amount.

use chrono::{Datelike as _, Days, NaiveDate};
use serde::Deserialize;

use crate::alerts::severity::Severity;

/// A week, and how things stood when its digest was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Digest {
    /// The Monday that the week begins with, in UTC.
    pub week: NaiveDate,
    /// Runs that ended in it.
    pub runs: Runs,
    /// Differences that were found or ended in it.
    pub drift: Drift,
    /// What its repairs did to access; none where it was not known which statuses grant it.
    pub access: Option<Access>,
    /// Differences that stood when it was made.
    pub standing: u64,
    /// Those of them that wait for a person.
    pub waiting: Waiting,
    /// Exceptions that ended within a week from then.
    pub exceptions_ending: u64,
    /// Alerts.
    pub alerts: Alerts,
}

/// Runs over everything or over what changed. Passes over what was due are not among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Runs {
    /// All of them.
    pub ended: u64,
    /// Those that did what they were for.
    pub success: u64,
    /// Those that did a part of it.
    pub partial: u64,
    /// Those that failed.
    pub error: u64,
    /// How often one got through everything.
    pub sweeps: u64,
}

/// What became of differences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Drift {
    /// Seen for the first time.
    pub found: u64,
    /// Rows that were put right.
    pub repaired: u64,
    /// Rows that were missing and were made.
    pub created: u64,
    /// Rows that were pointed at the subscription that counts.
    pub moved: u64,
    /// Went away without a repair.
    pub cleared: u64,
}

/// Subscriptions whose access a repair changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Their customers were let in.
    pub raised: u64,
    /// Their customers were no longer let in.
    pub lowered: u64,
}

/// Differences that wait for a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// For an approval.
    pub approval: u64,
    /// Held back by the circuit breaker.
    pub held: u64,
    /// Refused by the table.
    pub refused: u64,
    /// For somebody who finds out what is right.
    pub decision: u64,
}

/// Alerts, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Alerts {
    /// Raised in that week.
    pub raised: u64,
    /// Open when the digest was made.
    pub open: u64,
    /// The open ones: from the most severe, with their numbers.
    pub by_severity: Vec<(Severity, u64)>,
}

impl Waiting {
    /// All of them.
    pub fn total(&self) -> u64 {
        [self.approval, self.held, self.refused, self.decision].into_iter().fold(0, u64::saturating_add)
    }
}

impl Digest {
    /// One line for a list: which week it is of.
    pub fn title(&self) -> String {
        format!("Weekly digest: {}", self.span())
    }

    /// What somebody who reads no further must know of it.
    pub fn text(&self) -> String {
        let runs = match (self.runs.ended, self.runs.sweeps) {
            (0, _) => "No run ended in this week. ",
            (_, 0) => "No run looked at everything in this week. ",
            _ => "",
        };
        let waiting = match self.waiting.total() {
            0 => "Nothing waits for a person.".to_owned(),
            1 => "1 difference waits for a person.".to_owned(),
            many => format!("{many} differences wait for a person."),
        };
        let by_severity = self.alerts.by_severity.iter().map(|(severity, count)| (*count, severity.as_str()));
        let by_severity = counted(by_severity, "");
        let alerts = match self.alerts.open {
            0 => "No alert is open.".to_owned(),
            1 => format!("1 alert is open: {by_severity}."),
            many => format!("{many} alerts are open: {by_severity}."),
        };
        format!("{runs}{waiting} {alerts}")
    }

    /// The rest of it: names and values, each of them a few words. Fewer than ten, which is as many as Slack shows at once.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let (runs, drift, waiting) = (&self.runs, &self.drift, &self.waiting);
        let mut facts = vec![
            (
                "Runs",
                counted(
                    [(runs.success, "complete"), (runs.partial, "partial"), (runs.error, "failed")],
                    "none",
                ),
            ),
            (
                "Looked at everything",
                match runs.sweeps {
                    0 => "never".to_owned(),
                    1 => "once".to_owned(),
                    many => format!("{many} times"),
                },
            ),
            (
                "Differences",
                counted(
                    [(drift.found, "found"), (drift.cleared, "went away"), (self.standing, "stand now")],
                    "none",
                ),
            ),
            (
                "Repairs",
                counted(
                    [
                        (drift.repaired, "put right"),
                        (drift.created, "created"),
                        (drift.moved, "moved to another subscription"),
                    ],
                    "none",
                ),
            ),
        ];
        if let Some(access) = &self.access {
            let changes = [(access.raised, "raised for"), (access.lowered, "lowered for")];
            let changes: Vec<String> = changes
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{word} {count}"))
                .collect();
            let changes = if changes.is_empty() { "unchanged".to_owned() } else { changes.join(", ") };
            facts.push(("Access", changes));
        }
        facts.push((
            "For a person",
            counted(
                [
                    (waiting.approval, "to approve"),
                    (waiting.held, "held back"),
                    (waiting.refused, "refused by the table"),
                    (waiting.decision, "to decide"),
                ],
                "nothing",
            ),
        ));
        if self.exceptions_ending > 0 {
            facts.push(("Exceptions", counted([(self.exceptions_ending, "ending within a week")], "")));
        }
        facts.push((
            "Alerts",
            counted([(self.alerts.raised, "raised"), (self.alerts.open, "open now")], "none"),
        ));
        facts
    }

    /// From Monday to Sunday, in words.
    fn span(&self) -> String {
        let first = self.week;
        let last = first.checked_add_days(Days::new(6)).unwrap_or(first);
        let begins = if first.year() != last.year() {
            "%-d %B %Y"
        } else if first.month() != last.month() {
            "%-d %B"
        } else {
            "%-d"
        };
        format!("{} to {}", first.format(begins), last.format("%-d %B %Y"))
    }
}

/// `3 raised, 1 open now`: those that are not zero, or a word where all are.
fn counted<'a>(parts: impl IntoIterator<Item = (u64, &'a str)>, none: &str) -> String {
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() { none.to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quiet() -> Digest {
        Digest {
            week: NaiveDate::from_ymd_opt(2026, 11, 16).expect("a date"),
            runs: Runs { ended: 168, success: 168, sweeps: 168, ..Runs::default() },
            drift: Drift::default(),
            access: Some(Access::default()),
            standing: 0,
            waiting: Waiting::default(),
            exceptions_ending: 0,
            alerts: Alerts::default(),
        }
    }

    fn value(digest: &Digest, name: &str) -> Option<String> {
        digest.facts().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    #[test]
    fn a_title_says_of_which_week_it_is() {
        for (year, month, day, expected) in [
            (2026, 11, 16, "Weekly digest: 16 to 22 November 2026"),
            (2026, 11, 30, "Weekly digest: 30 November to 6 December 2026"),
            (2026, 12, 28, "Weekly digest: 28 December 2026 to 3 January 2027"),
        ] {
            let week = NaiveDate::from_ymd_opt(year, month, day).expect("a date");
            assert_eq!(Digest { week, ..quiet() }.title(), expected);
        }
    }

    #[test]
    fn a_quiet_week_is_told_in_two_sentences() {
        assert_eq!(quiet().text(), "Nothing waits for a person. No alert is open.");
        let facts: Vec<String> =
            quiet().facts().into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            facts,
            [
                "Runs: 168 complete",
                "Looked at everything: 168 times",
                "Differences: none",
                "Repairs: none",
                "Access: unchanged",
                "For a person: nothing",
                "Alerts: none",
            ]
        );
    }

    #[test]
    fn what_waits_and_what_is_open_comes_first() {
        let waiting = Waiting { approval: 4, held: 2, refused: 1, decision: 3 };
        let alerts =
            Alerts { raised: 5, open: 3, by_severity: vec![(Severity::Critical, 1), (Severity::Warning, 2)] };
        let digest = Digest { waiting, alerts, ..quiet() };
        assert_eq!(
            digest.text(),
            "10 differences wait for a person. 3 alerts are open: 1 critical, 2 warning."
        );
        let one = Digest {
            waiting: Waiting { held: 1, ..Waiting::default() },
            alerts: Alerts { open: 1, by_severity: vec![(Severity::High, 1)], ..Alerts::default() },
            ..quiet()
        };
        assert_eq!(one.text(), "1 difference waits for a person. 1 alert is open: 1 high.");
        assert_eq!(
            value(&digest, "For a person").as_deref(),
            Some("4 to approve, 2 held back, 1 refused by the table, 3 to decide")
        );
    }

    #[test]
    fn a_week_without_a_run_says_so() {
        let none = Digest { runs: Runs::default(), ..quiet() };
        assert!(none.text().starts_with("No run ended in this week. "), "{}", none.text());
        assert_eq!(value(&none, "Runs").as_deref(), Some("none"));
        let partial = Digest { runs: Runs { ended: 3, partial: 3, ..Runs::default() }, ..quiet() };
        assert!(
            partial.text().starts_with("No run looked at everything in this week. "),
            "{}",
            partial.text()
        );
        assert_eq!(value(&partial, "Looked at everything").as_deref(), Some("never"));
    }

    #[test]
    fn access_is_told_where_it_is_known() {
        let with = |access| value(&Digest { access, ..quiet() }, "Access");
        assert_eq!(with(None), None);
        assert_eq!(
            with(Some(Access { raised: 2, lowered: 1 })).as_deref(),
            Some("raised for 2, lowered for 1")
        );
        assert_eq!(with(Some(Access { raised: 0, lowered: 1 })).as_deref(), Some("lowered for 1"));
    }

    #[test]
    fn numbers_that_a_later_version_counts_are_zero_in_what_an_earlier_one_has_kept() {
        let kept = json!({
            "week": "2026-11-16", "runs": {"ended": 1}, "drift": {}, "access": null, "standing": 0, "waiting": {},
            "exceptions_ending": 0, "alerts": {"open": 1, "by_severity": [["critical", 1]]}, "another": {},
        });
        let digest: Digest = serde_json::from_value(kept).expect("a digest");
        assert_eq!((digest.runs.ended, digest.runs.success, &digest.access), (1, 0, &None));
        assert_eq!(digest.alerts.by_severity, [(Severity::Critical, 1)]);
    }
}
