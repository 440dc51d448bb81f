//! The same sequence of random operations on a simple model in memory and on Postgres: both must say the same at each step
//! and hold the same in the end. What the model does not have (locks, indexes, SQL) is what may be wrong.
//!
//! A sequence that fails is made as short as possible, printed, and its seed is kept in `proptest-regressions/`.

mod reference;

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use reference::{CONDITIONS, KEYS, Reference, SEVERITIES, STATUSES, State};
use support::Stack;
use support::disturb::expire_lease;

/// One thing that a caller can do. Runs and alerts are named by their place in the order of creation, counted round.
#[derive(Debug, Clone)]
enum Operation {
    Start {
        key: usize,
        hours: i32,
    },
    /// The latest start again, as after a lost answer.
    StartAgain,
    Heartbeat {
        run: usize,
        other_attempt: bool,
        cursor: Option<i32>,
        scanned: i64,
    },
    Finish {
        run: usize,
        other_attempt: bool,
        status: usize,
        result: i32,
        outcomes: [State; 3],
    },
    Expire,
    Outcomes([State; 3]),
    Resolve {
        alert: usize,
    },
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        3 => (0..SEVERITIES.len()).prop_map(State::Holds),
        2 => Just(State::Clear),
        1 => Just(State::Unknown),
    ]
}

fn states() -> impl Strategy<Value = [State; 3]> {
    [state(), state(), state()]
}

fn operation() -> impl Strategy<Value = Operation> {
    let other = prop::bool::weighted(0.2);
    prop_oneof![
        6 => (0..KEYS.len(), 1..3).prop_map(|(key, hours)| Operation::Start { key, hours }),
        1 => Just(Operation::StartAgain),
        3 => (0..8_usize, other, prop::option::of(0..9), 0..99_i64).prop_map(|(run, other_attempt, cursor, scanned)| {
            Operation::Heartbeat { run, other_attempt, cursor, scanned }
        }),
        4 => (0..8_usize, other, 0..STATUSES.len(), 0..2, states()).prop_map(
            |(run, other_attempt, status, result, outcomes)| Operation::Finish {
                run, other_attempt, status, result, outcomes
            }
        ),
        2 => Just(Operation::Expire),
        4 => states().prop_map(Operation::Outcomes),
        2 => (0..8_usize).prop_map(|alert| Operation::Resolve { alert }),
    ]
}

/// Both sides, and how the model's numbers are called in Postgres.
struct Both<'a> {
    database: &'a Client,
    model: Reference,
    runs: Vec<Uuid>,
    /// The alerts' ids in the order in which the model opened them.
    alerts: Vec<Uuid>,
}

fn outcomes(states: &[State; 3]) -> Value {
    let all = states.iter().zip(CONDITIONS).map(|(state, key)| match state {
        State::Holds(severity) => json!({"alert_key": key, "alert_type": "drift", "state": "holds",
                                         "severity": SEVERITIES[*severity], "message": "m"}),
        State::Clear => json!({"alert_key": key, "alert_type": "drift", "state": "clear"}),
        State::Unknown => json!({"alert_key": key, "alert_type": "drift", "state": "unknown"}),
    });
    Value::Array(all.collect())
}

impl Both<'_> {
    /// What Postgres says to a call of a function whose parameters come as JSON values.
    async fn call(&self, call: &str, parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> Value {
        self.database
            .query_one(&format!("select {call}"), parameters)
            .await
            .unwrap_or_else(|error| panic!("{call}: {error:?}"))
            .get(0)
    }

    async fn start(&mut self, key: usize, hours: i32, id: Uuid) -> (Value, Value) {
        let call = "public.start_reconciliation_run($1, 'request', $2, 600, p_run_id => $3)";
        let said = self.call(call, &[&KEYS[key], &hours, &id]).await;
        let again = self.runs.iter().position(|known| *known == id);
        let (outcome, run, resume) = self.model.start(key, hours, again);
        if run == self.runs.len() {
            self.runs.push(id);
        }
        let mut expected = json!({"outcome": outcome, "run": self.runs[run]});
        let mut told = json!({"outcome": said["outcome"], "run": said["run"]["id"]});
        if outcome == "created" || outcome == "reclaimed" {
            expected["resume"] = json!(resume);
            told["resume"] = said["resume"].clone();
        }
        (told, expected)
    }

    /// The run at this place, and its attempt or one that it is not.
    fn run(&self, run: usize, other_attempt: bool) -> Option<(usize, i32)> {
        let run = run.checked_rem(self.runs.len())?;
        Some((run, self.model.attempt(run) + i32::from(other_attempt)))
    }

    /// Learns the ids of the alerts that the last operation opened, in the model's order.
    async fn learn(&mut self) {
        for (place, key) in self.model.opened(self.alerts.len()) {
            let row = self
                .database
                .query_one(
                    "select id from public.billing_alerts where alert_key = $1 and not resolved",
                    &[&key],
                )
                .await
                .unwrap_or_else(|error| panic!("the model opened alert {place} of {key}: {error}"));
            self.alerts.push(row.get(0));
        }
    }

    /// Does it on both sides: what Postgres said, and what the model expects.
    async fn step(&mut self, operation: &Operation) -> (Value, Value) {
        match operation {
            Operation::Start { key, hours } => self.start(*key, *hours, Uuid::new_v4()).await,
            Operation::StartAgain => match self.runs.last() {
                Some(id) => {
                    let (id, (key, hours)) = (*id, self.model.asked(self.runs.len() - 1));
                    self.start(key, hours, id).await
                }
                None => (Value::Null, Value::Null),
            },
            Operation::Heartbeat { run, other_attempt, cursor, scanned } => {
                let Some((run, attempt)) = self.run(*run, *other_attempt) else {
                    return (Value::Null, Value::Null);
                };
                let (cursor_json, counts) =
                    (cursor.map(|cursor| json!(cursor)), json!({"scanned_count": scanned}));
                let call = "public.heartbeat_reconciliation_run($1, $2, 600, $3, $4)";
                let said = self.call(call, &[&self.runs[run], &attempt, &cursor_json, &counts]).await;
                (said, json!({"outcome": self.model.heartbeat(run, attempt, *cursor, *scanned)}))
            }
            Operation::Finish { run, other_attempt, status, result, outcomes: states } => {
                let Some((run, attempt)) = self.run(*run, *other_attempt) else {
                    return (Value::Null, Value::Null);
                };
                let status = STATUSES[*status];
                let code = (status == "error").then_some("stripe_error");
                // A run that looked at everything leaves none; if it did, nobody may go on with it.
                let cursor = (status != "error").then(|| json!(result));
                let call = "public.finish_reconciliation_run($1, $2, $3, '{}', 'm', $4, null, $5, $6, $7)";
                let said = self
                    .call(
                        call,
                        &[
                            &self.runs[run],
                            &attempt,
                            &status,
                            &code,
                            &json!(result),
                            &cursor,
                            &outcomes(states),
                        ],
                    )
                    .await;
                let (outcome, alerts) = self.model.finish(run, attempt, status, *result, states);
                (
                    json!({"outcome": said["outcome"], "alerts": said.get("alerts")}),
                    json!({"outcome": outcome, "alerts": alerts}),
                )
            }
            Operation::Expire => {
                expire_lease(self.database).await;
                self.model.expire();
                (Value::Null, Value::Null)
            }
            Operation::Outcomes(states) => {
                let said = self.call("public.apply_monitor_outcomes($1)", &[&outcomes(states)]).await;
                (said["alerts"].clone(), self.model.apply(states))
            }
            Operation::Resolve { alert } => {
                let alert = alert.checked_rem(self.alerts.len());
                let id = alert.map_or_else(Uuid::new_v4, |alert| self.alerts[alert]);
                let said = self.call("public.resolve_billing_alert($1, $2)", &[&id, &Uuid::new_v4()]).await;
                (said["outcome"].clone(), json!(self.model.resolve(alert)))
            }
        }
    }

    /// What Postgres holds, in the model's terms.
    async fn held(&self) -> Value {
        let runs: BTreeMap<Uuid, usize> =
            self.runs.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let alerts: BTreeMap<Uuid, usize> =
            self.alerts.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let rows = self
            .database
            .query(
                "select id, jsonb_build_object('key', run_key, 'attempt', attempt, 'status', status, 'hours', lookback_hours,
                   'live', status = 'running' and lease_expires_at > clock_timestamp(), 'cursor', cursor,
                   'error_code', error_code, 'result', result, 'scanned', scanned_count)
                 from public.reconciliation_logs",
                &[],
            )
            .await
            .expect("runs");
        let held_runs: BTreeMap<usize, Value> =
            rows.iter().map(|row| (runs[&row.get(0)], row.get(1))).collect();
        let rows = self
            .database
            .query(
                "select id, previous_alert_id, jsonb_build_object('key', alert_key, 'severity', severity,
                   'occurrences', occurrences, 'resolution', resolution,
                   'history', (select jsonb_agg(e.event order by e.id) from public.billing_alert_events e
                               where e.alert_id = a.id))
                 from public.billing_alerts a",
                &[],
            )
            .await
            .expect("alerts");
        let held_alerts: BTreeMap<usize, Value> = rows
            .iter()
            .map(|row| {
                let mut alert: Value = row.get(2);
                alert["previous"] = json!(row.get::<_, Option<Uuid>>(1).map(|id| alerts[&id]));
                (alerts[&row.get(0)], alert)
            })
            .collect();
        json!({
            "runs": held_runs.into_values().collect::<Vec<_>>(),
            "alerts": held_alerts.into_values().collect::<Vec<_>>(),
        })
    }
}

async fn agree(database: &Client, operations: &[Operation]) -> Result<(), TestCaseError> {
    database
        .batch_execute(
            "truncate public.billing_alert_events, public.billing_alerts, public.drift_events, public.drift,
               public.reconciliation_logs cascade",
        )
        .await
        .expect("an empty database");
    let mut both = Both { database, model: Reference::default(), runs: Vec::new(), alerts: Vec::new() };
    for (place, operation) in operations.iter().enumerate() {
        let (said, expected) = both.step(operation).await;
        prop_assert_eq!(said, expected, "operation {}: {:?}", place, operation);
        both.learn().await;
    }
    let held = both.held().await;
    prop_assert_eq!(held, both.model.dump());
    Ok(())
}

/// Promises 1 to 3 for sequences that nobody thought of.
#[test]
fn random_operations_leave_postgres_and_the_model_in_agreement() {
    let stack = Stack::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(stack.database());
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/concurrency/proptest-regressions/model.txt");
    let config = Config {
        cases: 96,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(kept))),
        max_shrink_iters: 400,
        ..Config::default()
    };
    let outcome = TestRunner::new(config)
        .run(&vec(operation(), 1..50), |operations| runtime.block_on(agree(&database, &operations)));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
