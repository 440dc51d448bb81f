//! The database is down, slow, or its answers are lost: before a run, in its midst, at its end.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use support::Stack;
use support::disturb::{
    DRIFTED, count, deleted, drift, eventually, expire_lease, number, rows, text, watch_writes, writes_seen,
};
use support::shape::Shape;

const FINDINGS: &str = "select count(*) from public.drift where action in ('repaired', 'created')";
const RUNNING: &str = "select count(*) from public.reconciliation_logs where status = 'running'";
const RUNS: &str = "select count(*) from public.reconciliation_logs";

support::over_each_shape!(
    the_database_is_down_before_the_start,
    the_database_goes_down_in_the_middle,
    the_database_is_down_at_the_end,
    lost_answers_are_made_good_within_the_run,
    a_slow_database_changes_nothing,
    postgres_goes_away_in_the_middle,
);

fn stack(shape: Shape) -> Stack {
    with_budget(shape, "60")
}

/// A run waits for the database as long as its time lasts; this one's does not last long.
fn hurried(shape: Shape) -> Stack {
    with_budget(shape, "3")
}

fn with_budget(shape: Shape, seconds: &str) -> Stack {
    shape
        .setup()
        .argument("--subscriptions")
        .argument("120")
        .setting("RECONCILE_BUDGET_SECONDS", seconds)
        .start()
}

/// Everything works again: whatever is stuck is reclaimed, and the next run makes everything good.
async fn recover(stack: &Stack, database: &Client, case: &str, truth: &Value) {
    stack.disturb_rest(&json!({})).await;
    expire_lease(database).await;
    stack.run_to_the_end().await;
    assert_eq!(&rows(database).await, truth, "{case}: the next run repairs everything");
    assert_eq!(count(database, RUNNING).await, 0, "{case}");
}

async fn the_database_is_down_before_the_start(shape: Shape) {
    let stack = stack(shape);
    let database = stack.database().await;
    let truth = rows(&database).await;
    drift(&database).await;
    let before = rows(&database).await;
    let asked = number(&stack.stripe_stats().await, "requests");
    stack.disturb_rest(&json!({"outage": "unavailable"})).await;
    let answer = stack.run().await;
    assert_eq!((answer.status, answer.code()), (503, "database_unavailable"), "{answer:?}");
    assert_eq!(count(&database, RUNS).await, 0, "there is no run");
    assert_eq!(rows(&database).await, before);
    assert_eq!(number(&stack.stripe_stats().await, "requests"), asked, "Stripe was not asked for nothing");
    recover(&stack, &database, "before the start", &truth).await;
}

/// The database refuses one kind of call from some moment on, for longer than the run lasts: what was written before stays, and has its
/// finding; what was to be written with the refused call is not there at all; and the next run goes on from there.
async fn the_database_goes_down_in_the_middle(shape: Shape) {
    let stack = hurried(shape);
    let database = stack.database().await;
    let truth = rows(&database).await;
    let deleted = deleted(&database).await;
    let cases = [
        ("the first read", "read_subscriptions_for_reconcile", 0, "unavailable", false),
        ("a later read", "read_subscriptions_for_reconcile", 2, "unavailable", false),
        ("a read without sense", "read_subscriptions_for_reconcile", 1, "garbage", false),
        ("the rows without a place", "read_unplaced_subscriptions", 0, "drop", false),
        ("the duplicates", "read_duplicate_live_subscriptions", 0, "unavailable", false),
        ("the repairs", "apply_reconciliation_batch", 0, "unavailable", false),
        ("later repairs", "apply_reconciliation_batch", 1, "drop", false),
        ("the word that repairs were made", "apply_reconciliation_batch", 0, "drop", true),
    ];
    for (case, function, after, outage, after_the_work) in cases {
        drift(&database).await;
        let before = rows(&database).await;
        let findings = count(&database, FINDINGS).await;
        stack
            .disturb_rest(&json!({
                "path": function, "after": after, "outage": outage, "after_the_work": after_the_work
            }))
            .await;
        let answer = stack.run().await;
        // Where something had been looked at, the run is not for nothing.
        let partial = number(&answer.body, "scanned_count") > 0 && outage != "garbage";
        let status = if partial { "partial" } else { "error" };
        assert_eq!(answer.body["status"], status, "{case}: {answer:?}");
        if partial {
            assert_eq!((answer.status, &answer.body["success"]), (200, &json!(true)), "{case}");
            assert!(
                text(&answer.body, "message").contains("The next run goes on from here"),
                "{case}: {answer:?}"
            );
        } else {
            assert_eq!((answer.status, answer.code()), (503, "database_unavailable"), "{case}: {answer:?}");
            assert_eq!(answer.body["success"], false, "{case}");
        }
        let id = Uuid::parse_str(text(&answer.body, "reconciliation_log_id")).expect("an id");
        let row = database
            .query_one(
                "select status, error_code, cursor is not null from public.reconciliation_logs where id = $1",
                &[&id],
            )
            .await
            .expect("its row");
        let code = (!partial).then_some("database_unavailable");
        assert_eq!((row.get::<_, &str>(0), row.get::<_, Option<&str>>(1)), (status, code), "{case}");
        assert_eq!(row.get::<_, bool>(2), partial, "{case}: what is left to do");

        let after = rows(&database).await;
        let changed: Vec<&String> =
            truth.as_object().expect("rows").keys().filter(|id| after.get(*id) != before.get(*id)).collect();
        for id in &changed {
            assert_eq!(after[*id], truth[*id], "{case}: {id} is half repaired");
        }
        let told = count(&database, FINDINGS).await - findings;
        assert_eq!(told, i64::try_from(changed.len()).expect("a few"), "{case}: each repair has its finding");
        recover(&stack, &database, case, &truth).await;
        assert_eq!(
            count(&database, FINDINGS).await - findings,
            i64::try_from(DRIFTED + deleted).expect("a few"),
            "{case}: each was repaired once"
        );
    }
}

/// The end cannot be written: the caller hears 503, the run stays `running` until its lease is over, and is then taken over.
async fn the_database_is_down_at_the_end(shape: Shape) {
    let stack = hurried(shape);
    let database = stack.database().await;
    let truth = rows(&database).await;
    drift(&database).await;
    stack.disturb_rest(&json!({"path": "finish_reconciliation_run", "outage": "unavailable"})).await;
    let key = Uuid::new_v4();
    let answer = stack.ask_for_run(key).send().await;
    assert_eq!((answer.status, answer.code()), (503, "database_unavailable"), "{answer:?}");
    assert_eq!(count(&database, RUNNING).await, 1, "its lease holds");
    stack.disturb_rest(&json!({})).await;
    assert_eq!(stack.check().await.body["monitoring"]["reconcile_stale"], false, "it may be alive");
    expire_lease(&database).await;
    assert_eq!(stack.check().await.body["monitoring"]["reconcile_stale"], true, "it is not");
    let again = stack.ask_for_run(key).send().await;
    assert_eq!(
        (&again.body["outcome"], &again.body["status"]),
        (&json!("reclaimed"), &json!("success")),
        "{again:?}"
    );
    assert_eq!(rows(&database).await, truth);
}

/// An answer is lost after the work was done: the call is sent again, and nothing happens twice.
async fn lost_answers_are_made_good_within_the_run(shape: Shape) {
    let stack = stack(shape);
    let database = stack.database().await;
    let truth = rows(&database).await;
    let deleted = deleted(&database).await;
    watch_writes(&database).await;
    for function in [
        "start_reconciliation_run",
        "read_subscriptions_for_reconcile",
        "apply_reconciliation_batch",
        "finish_reconciliation_run",
    ] {
        drift(&database).await;
        let (runs, findings) = (count(&database, RUNS).await, count(&database, FINDINGS).await);
        let written = writes_seen(&database).await;
        let fault = json!({"path": function, "outage": "drop", "after_the_work": true, "times": 2});
        stack.disturb_rest(&fault).await;
        let answer = stack.run().await;
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (200, &json!("success")),
            "{function}: {answer:?}"
        );
        assert_eq!(answer.body["outcome"], "created", "{function}");
        assert_eq!(number(&answer.body, "updated_count"), DRIFTED, "{function}");
        assert_eq!(number(&answer.body, "created_count"), deleted, "{function}");
        assert_eq!(rows(&database).await, truth, "{function}");
        assert_eq!(count(&database, RUNS).await - runs, 1, "{function}: one run");
        let all = i64::try_from(DRIFTED + deleted).expect("a few");
        assert_eq!(count(&database, FINDINGS).await - findings, all, "{function}: one finding each");
        assert_eq!(writes_seen(&database).await - written, all, "{function}: each row was written once");
    }
}

/// A database that is slow, and one that does not answer one call at all, cost time and nothing else.
async fn a_slow_database_changes_nothing(shape: Shape) {
    let stack = stack(shape);
    let database = stack.database().await;
    let truth = rows(&database).await;
    let slow = json!({"latency_ms": 400});
    let silent = json!({"path": "apply_reconciliation_batch", "outage": "stall", "times": 1});
    for fault in [slow, silent] {
        drift(&database).await;
        stack.disturb_rest(&fault).await;
        let answer = stack.run().await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{fault}: {answer:?}");
        assert_eq!(rows(&database).await, truth, "{fault}");
    }
}

/// Postgres itself lets nobody in, in the midst of a run, as while it restarts: the run waits until it is back, and goes on. And where
/// only the connections were cut, the run does not even notice.
async fn postgres_goes_away_in_the_middle(shape: Shape) {
    let stack = stack(shape);
    let database = stack.database().await;
    let truth = rows(&database).await;
    for locked_out in [false, true] {
        drift(&database).await;
        stack.hold_stripe("/v1/subscriptions/").await;
        let key = Uuid::new_v4();
        let outage = async {
            stack.held().await;
            if locked_out {
                database.batch_execute("alter role authenticator nologin").await.expect("locked out");
            }
            let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'authenticator'";
            assert!(count(&database, cut).await > 0, "somebody was connected");
            if locked_out {
                eventually("nobody is connected", async || (count(&database, cut).await == 0).then_some(()))
                    .await;
            }
            stack.heal_stripe().await;
            if locked_out {
                let asked = async || stack.calls_of("apply_reconciliation_batch").await;
                let before = asked().await;
                // More often than a call is sent again by itself.
                eventually("the run asks in vain", async || (asked().await > before + 4).then_some(())).await;
                database.batch_execute("alter role authenticator login").await.expect("let in");
            }
        };
        let (answer, ()) = tokio::join!(stack.ask_for_run(key).send(), outage);
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{answer:?}");
        assert_eq!(rows(&database).await, truth);
    }
}
