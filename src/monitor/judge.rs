//! Facts in, outcomes of the conditions out. Pure: the database's clock comes with the facts.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::alerts::condition::{Condition, State};
use crate::alerts::severity::Severity;

/// How many runs must have failed in a row before `reconcile_failing` holds.
const FAILURES_IN_A_ROW: usize = 3;

/// How many times the warning threshold must pass before it is critical that no run has finished, or no sweep has looked at
/// everything: 6 h where the threshold is 2 h.
const CRITICAL_FACTOR: i32 = 3;

/// This many events that were not taken are critical, and so is one that has not been taken for this long.
const UNDELIVERED_ARE_CRITICAL: u64 = 10;
const UNDELIVERED_IS_CRITICAL_AFTER: TimeDelta = TimeDelta::hours(24);

/// How long something that is due may wait: three of the scheduler's passes.
const BACKLOG_AFTER: TimeDelta = TimeDelta::minutes(15);

/// How long things may take before they are alarms.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// Without a good run.
    pub reconcile_stale_after: TimeDelta,
    /// Of an unresolved critical or high alert.
    pub high_severity_stale_after: TimeDelta,
    /// Without a sweep that looked at everything.
    pub sweep_incomplete_after: TimeDelta,
}

/// What the conditions are judged by, as of one snapshot of the database. A fact that is missing makes its condition unknown.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Facts {
    /// The database's clock: the only one that is compared with its times.
    pub now: Option<DateTime<Utc>>,
    /// When the last run with status success or partial ended.
    pub last_good_run_finished_at: Option<DateTime<Utc>>,
    /// When the last run that had looked at everything ended.
    pub last_complete_sweep_at: Option<DateTime<Utc>>,
    /// When the first run of all began.
    pub first_run_started_at: Option<DateTime<Utc>>,
    /// A run under a live lease.
    pub live_run_id: Option<Uuid>,
    /// The last three results, newest first.
    pub latest_results: Option<Vec<RunResult>>,
    /// The oldest unresolved critical or high alert that is not the monitor's own.
    pub oldest_high_severity_alert: Option<HighSeverityAlert>,
    /// How many there are of those.
    pub open_high_severity_count: Option<u64>,
    /// Since when `reconcile_stale` is open.
    pub reconcile_stale_since: Option<DateTime<Utc>>,
    /// Whether messages arrive.
    pub notifications: Option<NotificationFacts>,
    /// When what has been due the longest became due.
    pub oldest_due_at: Option<DateTime<Utc>>,
    /// When Stripe was last asked about the delivery of its events.
    pub deliveries_asked_at: Option<DateTime<Utc>>,
    /// What it said; `None` where it said nothing, or is not asked.
    pub deliveries: Option<Deliveries>,
}

/// What Stripe says of the delivery of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    /// Events about subscriptions and checkouts that have not been taken within half an hour, as many as Stripe puts on a page.
    pub failing: u64,
    /// When the oldest of these was made.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// Whether messages to people arrive.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NotificationFacts {
    /// How many have been due for a quarter of an hour.
    pub overdue: u64,
    /// Since when the oldest of them has been due.
    pub oldest_due_since: Option<DateTime<Utc>>,
    /// How many were given up within a day, in channels where nothing has arrived since.
    pub given_up: u64,
    /// How many channels are off because their destination is gone: they are told nothing until somebody mends that.
    pub off: u64,
    /// The channels of all three.
    pub channels: Vec<String>,
    /// How many channels the database believes to be set up.
    pub configured: u64,
    /// There are channels, and the last attempt of each failed.
    pub none_works: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Deserialize)]
pub struct RunResult {
    /// The run.
    pub id: Uuid,
    /// `success`, `partial` or `error`.
    pub status: String,
    /// Why it failed.
    pub error_code: Option<String>,
}

/// An alert that somebody should have looked at.
#[derive(Debug, Clone, Deserialize)]
pub struct HighSeverityAlert {
    /// The alert.
    pub id: Uuid,
    /// Its condition.
    pub alert_key: String,
    /// critical or high.
    pub severity: String,
    /// Since when it has been critical or high.
    pub since: DateTime<Utc>,
}

/// Judges the conditions, one after the other. `wrong`: the optional settings that are wrong, each with a sentence
/// that does not hold its value.
pub fn judge(facts: &Facts, thresholds: &Thresholds, wrong: &[(&'static str, String)]) -> [Condition; 8] {
    [
        Condition::new("reconcile_stale", reconcile_stale(facts, thresholds)),
        Condition::new("high_severity_stale", high_severity_stale(facts, thresholds)),
        Condition::new("reconcile_failing", reconcile_failing(facts)),
        Condition::new("sweep_incomplete", sweep_incomplete(facts, thresholds)),
        Condition::new("notifications_failing", notifications_failing(facts)),
        Condition::new("stripe_deliveries_failing", stripe_deliveries_failing(facts)),
        Condition::new("events_backlog", events_backlog(facts)),
        Condition::new("settings_invalid", settings_invalid(wrong)),
    ]
}

fn reconcile_stale(facts: &Facts, thresholds: &Thresholds) -> State {
    let Some(now) = facts.now else { return State::Unknown };
    let metadata = json!({
        "last_good_run_finished_at": facts.last_good_run_finished_at,
        "stale_after_minutes": thresholds.reconcile_stale_after.num_minutes(),
    });
    let Some(last) = facts.last_good_run_finished_at else {
        if facts.live_run_id.is_some() {
            return State::clear("The first run is under way.");
        }
        // Never a good run: the wait counts from the first attempt, or from when this was first noticed.
        let since = facts.first_run_started_at.into_iter().chain(facts.reconcile_stale_since).min();
        let age = since.map_or(TimeDelta::zero(), |since| now - since);
        return State::Holds {
            severity: severity_by_age(age, thresholds.reconcile_stale_after),
            message: "No reconcile run has ever finished.".into(),
            metadata,
        };
    };
    let age = now - last;
    if age < thresholds.reconcile_stale_after {
        State::clear("A reconcile run has finished.")
    } else if facts.live_run_id.is_some() {
        State::clear("A reconcile run is under way.")
    } else {
        State::Holds {
            severity: severity_by_age(age, thresholds.reconcile_stale_after),
            message: format!("No reconcile run has finished for {}.", duration(age)),
            metadata,
        }
    }
}

fn severity_by_age(age: TimeDelta, warning_after: TimeDelta) -> Severity {
    if age >= warning_after * CRITICAL_FACTOR { Severity::Critical } else { Severity::Warning }
}

fn high_severity_stale(facts: &Facts, thresholds: &Thresholds) -> State {
    let (Some(now), Some(count)) = (facts.now, facts.open_high_severity_count) else { return State::Unknown };
    match &facts.oldest_high_severity_alert {
        Some(alert) if now - alert.since >= thresholds.high_severity_stale_after => State::Holds {
            severity: Severity::Critical,
            message: format!(
                "An unresolved {} alert ({}) has been critical or high for {}; {count} of high or critical severity are open.",
                alert.severity,
                alert.alert_key,
                duration(now - alert.since),
            ),
            metadata: json!({
                "oldest_alert_id": alert.id,
                "oldest_alert_key": alert.alert_key,
                "open_count": count,
                "stale_after_minutes": thresholds.high_severity_stale_after.num_minutes(),
            }),
        },
        _ => State::clear("No critical or high alert is waiting for too long."),
    }
}

fn reconcile_failing(facts: &Facts) -> State {
    let Some(results) = &facts.latest_results else { return State::Unknown };
    let failures = results.iter().take_while(|result| result.status == "error").count();
    if failures < FAILURES_IN_A_ROW {
        return State::clear("One of the last three runs did not fail.");
    }
    let codes: Vec<&str> =
        results.iter().map(|result| result.error_code.as_deref().unwrap_or("unknown")).collect();
    State::Holds {
        severity: Severity::Critical,
        message: format!(
            "The last {FAILURES_IN_A_ROW} reconcile runs ended in error ({}).",
            codes.join(", ")
        ),
        metadata: json!({
            "reconciliation_log_ids": results.iter().map(|result| result.id).collect::<Vec<_>>(),
            "error_codes": codes,
        }),
    }
}

fn sweep_incomplete(facts: &Facts, thresholds: &Thresholds) -> State {
    let Some(now) = facts.now else { return State::Unknown };
    // Before the first run there is nothing that could be incomplete: reconcile_stale says that no run comes.
    let Some(since) = facts.last_complete_sweep_at.or(facts.first_run_started_at) else {
        return State::clear("No sweep has begun yet.");
    };
    let age = now - since;
    if age < thresholds.sweep_incomplete_after {
        return State::clear("A sweep has looked at everything.");
    }
    State::Holds {
        severity: severity_by_age(age, thresholds.sweep_incomplete_after),
        message: format!("No sweep has looked at everything for {}.", duration(age)),
        metadata: json!({
            "last_complete_sweep_at": facts.last_complete_sweep_at,
            "incomplete_after_hours": thresholds.sweep_incomplete_after.num_hours(),
        }),
    }
}

fn notifications_failing(facts: &Facts) -> State {
    let (Some(now), Some(notifications)) = (facts.now, &facts.notifications) else { return State::Unknown };
    let NotificationFacts { overdue, given_up, off, channels, oldest_due_since, .. } = notifications;
    if (*overdue, *given_up, *off) == (0, 0, 0) {
        return State::clear("Messages arrive.");
    }
    let waits = oldest_due_since
        .map_or_else(String::new, |since| format!(" (the oldest for {})", duration(now - since)));
    let parts = [
        (*overdue, format!("{overdue} wait to be sent{waits}")),
        (*given_up, format!("{given_up} were given up")),
        (*off, format!("{off} of them switched off")),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, part)| part).collect();
    State::Holds {
        severity: Severity::Critical,
        message: format!("Alarms do not arrive by {}: {}.", channels.join(", "), parts.join(", ")),
        metadata: json!({ "overdue": overdue, "given_up": given_up, "off": off, "channels": channels }),
    }
}

fn stripe_deliveries_failing(facts: &Facts) -> State {
    let (Some(now), Some(Deliveries { failing, oldest_at })) = (facts.now, &facts.deliveries) else {
        return State::Unknown;
    };
    if *failing == 0 {
        return State::clear("Stripe's events are taken.");
    }
    let age = oldest_at.map_or(TimeDelta::zero(), |since| now - since);
    let many = *failing >= UNDELIVERED_ARE_CRITICAL || age >= UNDELIVERED_IS_CRITICAL_AFTER;
    let (events, have) = if *failing == 1 { ("event", "has") } else { ("events", "have") };
    State::Holds {
        severity: if many { Severity::Critical } else { Severity::Warning },
        message: format!(
            "{failing} {events} of Stripe's about subscriptions or checkouts {have} not been taken by a webhook endpoint, the oldest for {}.",
            duration(age)
        ),
        metadata: json!({ "failing": failing, "oldest_at": oldest_at }),
    }
}

fn events_backlog(facts: &Facts) -> State {
    let Some(now) = facts.now else { return State::Unknown };
    match facts.oldest_due_at {
        Some(since) if now - since >= BACKLOG_AFTER => State::Holds {
            severity: Severity::Warning,
            message: format!(
                "A subscription that an event spoke of has waited for {} to be read.",
                duration(now - since)
            ),
            metadata: json!({ "oldest_due_at": since }),
        },
        _ => State::clear("What events speak of is read in time."),
    }
}

fn settings_invalid(wrong: &[(&'static str, String)]) -> State {
    if wrong.is_empty() {
        return State::clear("No optional setting is wrong.");
    }
    let sentences: Vec<&str> = wrong.iter().map(|(_, sentence)| sentence.as_str()).collect();
    let names: Vec<&str> = wrong.iter().map(|(name, _)| *name).collect();
    State::Holds {
        severity: Severity::Warning,
        message: sentences.join(" "),
        metadata: json!({ "settings": names }),
    }
}

/// A length of time for a person: whole minutes up to two hours, then hours, then days.
fn duration(time: TimeDelta) -> String {
    match time.num_minutes() {
        minutes if minutes < 120 => format!("{minutes} minutes"),
        minutes if minutes < 48 * 60 => format!("{} hours", minutes / 60),
        minutes => format!("{} days", minutes / (24 * 60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds {
        reconcile_stale_after: TimeDelta::minutes(120),
        high_severity_stale_after: TimeDelta::minutes(30),
        sweep_incomplete_after: TimeDelta::hours(24),
    };

    fn minutes_ago(minutes: i64) -> DateTime<Utc> {
        now() - TimeDelta::minutes(minutes)
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).expect("a time")
    }

    fn facts() -> Facts {
        Facts {
            now: Some(now()),
            latest_results: Some(Vec::new()),
            open_high_severity_count: Some(0),
            ..Facts::default()
        }
    }

    fn severity(state: &State) -> Option<Severity> {
        match state {
            State::Holds { severity, .. } => Some(*severity),
            _ => None,
        }
    }

    #[test]
    fn stale_follows_the_age_of_the_last_good_run() {
        for (minutes, expected) in [
            (0, None),
            (119, None),
            (120, Some(Severity::Warning)),
            (359, Some(Severity::Warning)),
            (360, Some(Severity::Critical)),
        ] {
            let facts = Facts { last_good_run_finished_at: Some(minutes_ago(minutes)), ..facts() };
            assert_eq!(severity(&reconcile_stale(&facts, &THRESHOLDS)), expected, "{minutes} minutes");
        }
    }

    #[test]
    fn a_run_under_a_live_lease_is_no_alarm() {
        let facts = Facts {
            last_good_run_finished_at: Some(minutes_ago(600)),
            live_run_id: Some(Uuid::from_u128(1)),
            ..facts()
        };
        assert!(matches!(reconcile_stale(&facts, &THRESHOLDS), State::Clear { .. }));
    }

    #[test]
    fn a_cron_that_never_ran_is_an_alarm_that_grows() {
        assert_eq!(severity(&reconcile_stale(&facts(), &THRESHOLDS)), Some(Severity::Warning));
        let noticed = Facts { reconcile_stale_since: Some(minutes_ago(361)), ..facts() };
        assert_eq!(severity(&reconcile_stale(&noticed, &THRESHOLDS)), Some(Severity::Critical));
        let failed = Facts { first_run_started_at: Some(minutes_ago(361)), ..facts() };
        assert_eq!(severity(&reconcile_stale(&failed, &THRESHOLDS)), Some(Severity::Critical));
    }

    #[test]
    fn an_unattended_alert_is_an_alarm_after_half_an_hour() {
        for (minutes, expected) in [(29, None), (30, Some(Severity::Critical))] {
            let facts = Facts {
                oldest_high_severity_alert: Some(HighSeverityAlert {
                    id: Uuid::from_u128(1),
                    alert_key: "drift_status_mismatch".into(),
                    severity: "high".into(),
                    since: minutes_ago(minutes),
                }),
                open_high_severity_count: Some(1),
                ..facts()
            };
            assert_eq!(severity(&high_severity_stale(&facts, &THRESHOLDS)), expected, "{minutes} minutes");
        }
    }

    #[test]
    fn three_failures_in_a_row_are_an_alarm() {
        let result =
            |status: &str| RunResult { id: Uuid::from_u128(1), status: status.into(), error_code: None };
        for (statuses, expected) in [
            (vec![], None),
            (vec!["error", "error"], None),
            (vec!["error", "error", "error"], Some(Severity::Critical)),
            (vec!["error", "error", "partial"], None),
            (vec!["success", "error", "error"], None),
        ] {
            let facts = Facts {
                latest_results: Some(statuses.iter().map(|status| result(status)).collect()),
                ..facts()
            };
            assert_eq!(severity(&reconcile_failing(&facts)), expected, "{statuses:?}");
        }
    }

    #[test]
    fn no_sweep_over_everything_goes_unnoticed_for_longer_than_the_threshold() {
        let hours_ago = |hours: i64| minutes_ago(hours * 60);
        for (hours, expected) in [
            (0, None),
            (23, None),
            (24, Some(Severity::Warning)),
            (71, Some(Severity::Warning)),
            (72, Some(Severity::Critical)),
        ] {
            let facts = Facts {
                last_complete_sweep_at: Some(hours_ago(hours)),
                // Neither parts of a sweep that come on time nor one that is at work change it.
                last_good_run_finished_at: Some(now()),
                live_run_id: Some(Uuid::from_u128(1)),
                first_run_started_at: Some(hours_ago(1_000)),
                ..facts()
            };
            assert_eq!(severity(&sweep_incomplete(&facts, &THRESHOLDS)), expected, "{hours} hours");
            // Where no sweep ever did: since the first run began.
            let facts = Facts { first_run_started_at: Some(hours_ago(hours)), ..self::facts() };
            assert_eq!(severity(&sweep_incomplete(&facts, &THRESHOLDS)), expected, "{hours} hours, never");
        }
        assert!(matches!(sweep_incomplete(&facts(), &THRESHOLDS), State::Clear { .. }), "nothing has begun");
    }

    #[test]
    fn settings_that_are_wrong_are_one_warning_that_names_them() {
        let wrong = ["A", "B"].map(|name| (name, format!("{name} must be a URL.")));
        let State::Holds { severity, message, metadata } = settings_invalid(&wrong) else {
            panic!("it holds")
        };
        assert_eq!(
            (severity, message.as_str(), metadata),
            (Severity::Warning, "A must be a URL. B must be a URL.", json!({"settings": ["A", "B"]}))
        );
    }

    #[test]
    fn stripe_events_that_nobody_takes_are_a_warning_and_many_or_old_ones_critical() {
        let judged = |failing, hours| {
            let deliveries = Deliveries { failing, oldest_at: Some(now() - TimeDelta::hours(hours)) };
            stripe_deliveries_failing(&Facts {
                now: Some(now()),
                deliveries: Some(deliveries),
                ..Facts::default()
            })
        };
        for (failing, hours, expected) in [
            (1, 1, Severity::Warning),
            (9, 23, Severity::Warning),
            (10, 1, Severity::Critical),
            (1, 24, Severity::Critical),
        ] {
            let State::Holds { severity, .. } = judged(failing, hours) else { panic!("it holds") };
            assert_eq!(severity, expected, "{failing} for {hours} h");
        }
        assert!(matches!(judged(0, 0), State::Clear { .. }));
    }

    #[test]
    fn what_an_event_spoke_of_may_wait_for_three_passes() {
        let waits = |minutes| {
            let oldest_due_at = Some(now() - TimeDelta::minutes(minutes));
            events_backlog(&Facts { now: Some(now()), oldest_due_at, ..Facts::default() })
        };
        assert!(matches!(waits(14), State::Clear { .. }) && matches!(waits(15), State::Holds { .. }));
        let nothing = events_backlog(&Facts { now: Some(now()), ..Facts::default() });
        assert!(matches!(nothing, State::Clear { .. }), "nothing is due");
    }

    #[test]
    fn what_could_not_be_read_is_unknown_not_clear() {
        let [outcomes @ .., settings] = judge(&Facts::default(), &THRESHOLDS, &[]);
        assert!(outcomes.iter().all(|outcome| outcome.holds().is_none()), "{outcomes:?}");
        assert_eq!(settings.holds(), Some(false), "which needs nothing of the database");
    }
}
