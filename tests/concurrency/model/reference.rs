//! The model: what runs and alerts are, in vectors, without anything that happens at the same time.

use serde_json::{Value, json};

/// Run keys. The ones that name a request carry parameters that a caller chose; the other one does not.
pub(super) const KEYS: [&str; 3] = ["request_a", "request_b", "scheduled_2026-11-23_10"];
/// Alert keys, in the order in which outcomes are applied.
pub(super) const CONDITIONS: [&str; 3] = ["condition_a", "condition_b", "condition_c"];
/// By rank.
pub(super) const SEVERITIES: [&str; 4] = ["info", "warning", "high", "critical"];
/// How a run can end.
pub(super) const STATUSES: [&str; 3] = ["success", "partial", "error"];

/// What a condition came out as; one that holds has a severity's rank.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    Holds(usize),
    Clear,
    Unknown,
}

#[derive(Debug)]
struct Run {
    key: usize,
    hours: i32,
    attempt: i32,
    status: &'static str,
    live: bool,
    cursor: Option<i32>,
    error_code: Option<&'static str>,
    result: Option<i32>,
    scanned: i64,
    /// The place in the order of ends.
    ended: Option<usize>,
}

#[derive(Debug)]
struct Alert {
    condition: usize,
    severity: usize,
    occurrences: i32,
    resolution: Option<&'static str>,
    previous: Option<usize>,
    history: Vec<&'static str>,
}

/// All runs and alerts, each named by its place.
#[derive(Debug, Default)]
pub(super) struct Reference {
    runs: Vec<Run>,
    alerts: Vec<Alert>,
    ends: usize,
}

impl Reference {
    /// The outcome, the run that it is about, and the cursor that a new one inherits. `again`: a run with that id is there.
    pub(super) fn start(
        &mut self,
        key: usize,
        hours: i32,
        again: Option<usize>,
    ) -> (&'static str, usize, Option<i32>) {
        let latest = self.runs.iter().rposition(|run| run.key == key);
        if let Some(latest) = latest {
            let run = &self.runs[latest];
            if again == Some(latest) {
                return ("created", latest, run.cursor);
            }
            if KEYS[key].starts_with("request_") && run.hours != hours {
                return ("conflict", latest, None);
            }
            if run.status == "running" && run.live {
                return ("existing_running", latest, None);
            }
            if run.status == "success" || run.status == "partial" {
                return ("existing_finished", latest, None);
            }
        }
        let mut outcome = "created";
        if let Some(running) = self.runs.iter().position(|run| run.status == "running") {
            if self.runs[running].live {
                return ("busy", running, None);
            }
            if self.runs[running].key == key {
                outcome = "reclaimed";
            }
            self.end(running, "error", Some("stale_run"));
        }
        let last = self.runs.iter().filter(|run| run.ended.is_some()).max_by_key(|run| run.ended);
        let cursor = last.filter(|run| run.status != "success").and_then(|run| run.cursor);
        let attempt = latest.map_or(1, |latest| self.runs[latest].attempt + 1);
        self.runs.push(Run {
            key,
            hours,
            attempt,
            status: "running",
            live: true,
            cursor,
            error_code: None,
            result: None,
            scanned: 0,
            ended: None,
        });
        (outcome, self.runs.len() - 1, cursor)
    }

    fn end(&mut self, run: usize, status: &'static str, error_code: Option<&'static str>) {
        self.ends += 1;
        let ended = Some(self.ends);
        let run = &mut self.runs[run];
        (run.status, run.error_code, run.live, run.ended) = (status, error_code, false, ended);
    }

    pub(super) fn attempt(&self, run: usize) -> i32 {
        self.runs[run].attempt
    }

    /// What was asked for when a run was started.
    pub(super) fn asked(&self, run: usize) -> (usize, i32) {
        (self.runs[run].key, self.runs[run].hours)
    }

    fn owns(&self, run: usize, attempt: i32) -> bool {
        self.runs[run].status == "running" && self.runs[run].attempt == attempt
    }

    pub(super) fn heartbeat(
        &mut self,
        run: usize,
        attempt: i32,
        cursor: Option<i32>,
        scanned: i64,
    ) -> &'static str {
        if !self.owns(run, attempt) {
            return "fenced";
        }
        let run = &mut self.runs[run];
        run.live = true;
        run.cursor = cursor.or(run.cursor);
        run.scanned = scanned;
        "extended"
    }

    pub(super) fn finish(
        &mut self,
        run: usize,
        attempt: i32,
        status: &'static str,
        result: i32,
        states: &[State; 3],
    ) -> (&'static str, Option<Value>) {
        let error_code = (status == "error").then_some("stripe_error");
        if !self.owns(run, attempt) {
            let run = &self.runs[run];
            let same = run.attempt == attempt
                && run.status == status
                && run.error_code == error_code
                && run.result == Some(result);
            return (if same { "finished" } else { "fenced" }, None);
        }
        self.end(run, status, error_code);
        self.runs[run].result = Some(result);
        self.runs[run].cursor = (status != "error").then_some(result);
        ("finished", Some(self.apply(states)))
    }

    pub(super) fn expire(&mut self) {
        self.runs.iter_mut().for_each(|run| run.live = false);
    }

    pub(super) fn apply(&mut self, states: &[State; 3]) -> Value {
        let (mut raised, mut refreshed, mut resolved) = (vec![], vec![], vec![]);
        for (condition, state) in states.iter().enumerate() {
            let of_condition = |alert: &Alert| alert.condition == condition;
            let open = self.alerts.iter().position(|alert| of_condition(alert) && alert.resolution.is_none());
            match (state, open) {
                (State::Holds(severity), Some(open)) => {
                    let alert = &mut self.alerts[open];
                    alert.occurrences += 1;
                    if *severity > alert.severity {
                        alert.severity = *severity;
                        alert.history.push("escalated");
                    }
                    refreshed.push(CONDITIONS[condition]);
                }
                (State::Holds(severity), None) => {
                    let previous = self.alerts.iter().rposition(of_condition);
                    self.alerts.push(Alert {
                        condition,
                        severity: *severity,
                        occurrences: 1,
                        resolution: None,
                        previous,
                        history: vec!["raised"],
                    });
                    raised.push(CONDITIONS[condition]);
                }
                (State::Clear, Some(open)) => {
                    self.alerts[open].resolution = Some("auto");
                    self.alerts[open].history.push("resolved");
                    resolved.push(CONDITIONS[condition]);
                }
                (State::Clear, None) | (State::Unknown, _) => {}
            }
        }
        json!({"raised": raised, "refreshed": refreshed, "resolved": resolved})
    }

    pub(super) fn resolve(&mut self, alert: Option<usize>) -> &'static str {
        let Some(alert) = alert.map(|alert| &mut self.alerts[alert]) else { return "not_found" };
        if alert.resolution.is_some() {
            return "already_resolved";
        }
        alert.resolution = Some("manual");
        alert.history.push("resolved");
        "resolved"
    }

    /// The alerts from this place on, and their keys.
    pub(super) fn opened(&self, from: usize) -> Vec<(usize, &'static str)> {
        let alerts = self.alerts.iter().enumerate().skip(from);
        alerts.map(|(place, alert)| (place, CONDITIONS[alert.condition])).collect()
    }

    /// Everything, in the form in which the test reads Postgres.
    pub(super) fn dump(&self) -> Value {
        let runs: Vec<Value> = self
            .runs
            .iter()
            .map(|run| {
                json!({
                    "key": KEYS[run.key], "attempt": run.attempt, "status": run.status, "hours": run.hours,
                    "live": run.live, "cursor": run.cursor, "error_code": run.error_code, "result": run.result,
                    "scanned": run.scanned,
                })
            })
            .collect();
        let alerts: Vec<Value> = self
            .alerts
            .iter()
            .map(|alert| {
                json!({
                    "key": CONDITIONS[alert.condition], "severity": SEVERITIES[alert.severity],
                    "occurrences": alert.occurrences, "resolution": alert.resolution, "previous": alert.previous,
                    "history": alert.history,
                })
            })
            .collect();
        json!({"runs": runs, "alerts": alerts})
    }
}
