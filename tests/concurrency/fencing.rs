//! A process that was given up for dead comes back: whatever it still writes is refused.

use futures::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use support::Stack;
use support::disturb::{
    count, eventually, everything, expire_lease, number, rows, text, watch_writes, writes_seen,
};

const KEY: &str = "request_fenced";

async fn start(stack: &Stack) -> (String, u64) {
    let parameters =
        json!({"p_run_key": KEY, "p_run_type": "request", "p_lookback_hours": 24, "p_lease_seconds": 600});
    let answer = stack.rpc("start_reconciliation_run", &parameters).await;
    assert!(["created", "reclaimed"].contains(&text(&answer.body, "outcome")), "{answer:?}");
    (text(&answer.body["run"], "id").to_owned(), number(&answer.body["run"], "attempt"))
}

/// A subscription's row: its id and version. Its writes are counted from here on.
async fn subscription(database: &Client) -> (Uuid, String) {
    let row = database
        .query_one(
            "with organization as (insert into public.organizations (name) values ('one') returning id)
             insert into public.subscriptions (organization_id, stripe_subscription_id, stripe_customer_id, status)
             select id, 'sub_one', 'cus_one', 'active' from organization returning id, xmin::text",
            &[],
        )
        .await
        .expect("a row");
    watch_writes(database).await;
    (row.get(0), row.get(1))
}

/// All that an attempt can write, each of which would change something.
fn writes(run: &str, attempt: u64, (row, version): &(Uuid, String)) -> Vec<(&'static str, Value)> {
    let fence = |mut parameters: Value| {
        parameters["p_run_id"] = run.into();
        parameters["p_attempt"] = attempt.into();
        parameters
    };
    let cursor = json!({"version": 1});
    vec![
        (
            "heartbeat_reconciliation_run",
            fence(json!({"p_lease_seconds": 900, "p_cursor": cursor, "p_counts": {"scanned_count": 77}})),
        ),
        (
            "apply_reconciliation_batch",
            fence(json!({
                "p_lease_seconds": 900, "p_cursor": cursor, "p_counts": {"updated_count": 77},
                "p_items": [{
                    "kind": "update", "row": {"key": row, "version": version, "status": "canceled"},
                    "findings": [{"drift_key": "k", "type": "status_mismatch", "severity": "info", "issue": "i",
                                  "stripe_subscription_id": "sub_one"}],
                }],
            })),
        ),
        (
            "finish_reconciliation_run",
            fence(json!({
                "p_status": "success", "p_counts": {"scanned_count": 77}, "p_message": "late", "p_result": {"late": true},
                "p_outcomes": [{"alert_key": "drift_late", "alert_type": "drift", "state": "holds",
                                "severity": "critical", "message": "late"}],
            })),
        ),
    ]
}

/// Promise 3: a late writer from a dead attempt changes nothing (fencing by attempt).
#[tokio::test]
async fn promise_3_a_late_writer_of_a_dead_attempt_changes_nothing() {
    let stack = Stack::start();
    let database = stack.database().await;
    let row = subscription(&database).await;
    let (dead, first) = start(&stack).await;
    expire_lease(&database).await;
    let (alive, second) = start(&stack).await;
    assert_eq!((first, second), (1, 2));

    let before = everything(&database).await;
    let unknown = Uuid::new_v4().to_string();
    let strangers =
        [(&dead, first), (&dead, second), (&alive, first), (&alive, second + 1), (&unknown, second)];
    for (run, attempt) in strangers {
        for (function, parameters) in writes(run, attempt, &row) {
            let answer = stack.rpc(function, &parameters).await;
            assert_eq!(answer.body["outcome"], "fenced", "{function} of {run}, {attempt}: {answer:?}");
            assert_eq!(everything(&database).await, before, "{function} of {run}, {attempt} wrote");
        }
    }
    // The same writes of the living attempt do something: the test above could fail.
    for (function, parameters) in writes(&alive, second, &row) {
        let before = everything(&database).await;
        let answer = stack.rpc(function, &parameters).await;
        assert_ne!(answer.body["outcome"], "fenced", "{function}: {answer:?}");
        assert_ne!(everything(&database).await, before, "{function} wrote nothing");
    }
    // And once it has ended, it may write no more either; the same end again is no second end.
    let before = everything(&database).await;
    for (function, parameters) in writes(&alive, second, &row) {
        let answer = stack.rpc(function, &parameters).await;
        let expected = if function == "finish_reconciliation_run" { "finished" } else { "fenced" };
        assert_eq!(answer.body["outcome"], expected, "{function}: {answer:?}");
        assert_eq!(everything(&database).await, before, "{function} wrote after the end");
    }
}

/// A batch that repairs `row`, as the attempt sends it.
fn repair(run: &str, attempt: u64, row: &(Uuid, String)) -> Value {
    writes(run, attempt, row).swap_remove(1).1
}

/// Keeps a row from being written until the answer is dropped.
async fn hold(stack: &Stack, row: Uuid) -> Client {
    let holder = stack.database().await;
    let sql = format!("begin; select 1 from public.subscriptions where id = '{row}' for update");
    holder.batch_execute(&sql).await.expect("held");
    holder
}

/// A run under way, and a row that its batches cannot write yet.
struct Held {
    stack: Stack,
    database: Client,
    row: (Uuid, String),
    run: String,
    attempt: u64,
    holder: Client,
}

impl Held {
    async fn start() -> Self {
        let stack = Stack::start();
        let database = stack.database().await;
        let row = subscription(&database).await;
        let (run, attempt) = start(&stack).await;
        let holder = hold(&stack, row.0).await;
        Self { stack, database, row, run, attempt, holder }
    }

    async fn release(&self) {
        self.holder.batch_execute("rollback").await.expect("released");
    }
}

/// Waits until so many calls wait for a lock.
async fn until_blocked(database: &Client, calls: i64) {
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    eventually("calls wait for a lock", async || (count(database, waiting).await >= calls).then_some(()))
        .await;
}

/// Promise 3, at the worst moment: the attempt is given up for dead while its batch is being applied.
#[tokio::test]
async fn promise_3_an_attempt_that_loses_its_run_in_mid_batch_leaves_nothing() {
    let held = Held::start().await;
    let Held { stack, database, row, run: dead, attempt: first, .. } = &held;
    let batch = repair(dead, *first, row);
    let takeover = async {
        until_blocked(database, 1).await;
        expire_lease(database).await;
        assert_eq!(start(stack).await.1, 2);
        let before = everything(database).await;
        held.release().await;
        before
    };
    let (answer, before) = tokio::join!(stack.rpc("apply_reconciliation_batch", &batch), takeover);
    assert_eq!(answer.body, json!({"outcome": "fenced"}));
    assert_eq!(everything(database).await, before);
}

/// An answer is lost and the batch is sent again while the first is still being applied: one repair, one finding, and both
/// callers hear of it.
#[tokio::test]
async fn a_batch_that_is_sent_twice_at_once_is_applied_once() {
    let held = Held::start().await;
    let Held { stack, database, row, run, attempt, .. } = &held;
    let batch = repair(run, *attempt, row);
    let release = async {
        until_blocked(database, 2).await;
        held.release().await;
    };
    let (once, again, ()) = tokio::join!(
        stack.rpc("apply_reconciliation_batch", &batch),
        stack.rpc("apply_reconciliation_batch", &batch),
        release
    );
    assert_eq!(
        (&once.body["outcome"], &once.body["items"]),
        (&"applied".into(), &json!([["repaired", null]]))
    );
    assert_eq!(again.body, once.body);
    assert_eq!(writes_seen(database).await, 1);
    assert_eq!(count(database, "select count(*) from public.drift").await, 1);
}

/// One batch that has to wait keeps no other batch of the run waiting, and no heartbeat.
#[tokio::test]
async fn batches_of_a_run_are_applied_side_by_side() {
    let held = Held::start().await;
    let Held { stack, database, row, run, attempt, .. } = &held;
    let mut other = repair(run, *attempt, row);
    other["p_items"][0] = json!({
        "kind": "none",
        "findings": [{"drift_key": "other", "type": "unknown_price", "severity": "info", "issue": "i"}],
    });
    let waiting = repair(run, *attempt, row);
    let meanwhile = async {
        until_blocked(database, 1).await;
        let answer = stack.rpc("apply_reconciliation_batch", &other).await;
        assert_eq!(
            (&answer.body["outcome"], &answer.body["items"]),
            (&"applied".into(), &json!([["none", null]]))
        );
        let (function, heartbeat) = writes(run, *attempt, row).swap_remove(0);
        assert_eq!(stack.rpc(function, &heartbeat).await.body["outcome"], "extended");
        until_blocked(database, 1).await;
        held.release().await;
    };
    let (answer, ()) = tokio::join!(stack.rpc("apply_reconciliation_batch", &waiting), meanwhile);
    assert_eq!(
        (&answer.body["outcome"], &answer.body["items"]),
        (&"applied".into(), &json!([["repaired", null]]))
    );
}

/// Hundreds of late writers of the dead attempt, in the midst of which the living one repairs a row and ends: only what
/// it wrote is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_late_writers_lose_against_the_living_attempt() {
    let stack = Stack::start();
    let database = stack.database().await;
    let row = subscription(&database).await;
    let (dead, first) = start(&stack).await;
    expire_lease(&database).await;
    let (alive, second) = start(&stack).await;

    let stack = &stack;
    let late = join_all((0..300).map(|writer| {
        let (function, mut parameters) = writes(&dead, first, &row).swap_remove(writer % 3);
        if function == "apply_reconciliation_batch" {
            parameters["p_items"][0]["row"]["status"] = "unpaid".into();
        }
        async move { stack.rpc(function, &parameters).await }
    }));
    let living = async {
        for (function, parameters) in writes(&alive, second, &row) {
            let answer = stack.rpc(function, &parameters).await;
            assert_ne!(answer.body["outcome"], "fenced", "{function}: {answer:?}");
        }
    };
    let (late, ()) = tokio::join!(late, living);
    assert!(late.iter().all(|answer| answer.body["outcome"] == "fenced"), "a late writer got through");
    assert_eq!(rows(&database).await["sub_one"]["status"], "canceled");
    assert_eq!(writes_seen(&database).await, 1);
    assert_eq!(count(&database, "select count(*) from public.drift").await, 1);
    assert_eq!(stack.open_alert(&database, "drift_late").await, Some(("critical".into(), 1)));
    let ended: Vec<(i32, String)> = database
        .query("select attempt, status from public.reconciliation_logs order by attempt", &[])
        .await
        .expect("two rows")
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(ended, [(1, "error".to_owned()), (2, "success".to_owned())]);
}
