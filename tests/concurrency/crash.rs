//! A function's process is killed in the middle of a run, at one place after the other: nothing stays stuck.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use support::Stack;
use support::disturb::{
    DRIFTED, LOWERING, count, deleted, drift, eventually, everything, expire_lease, number, rows, signal,
    text, watch_writes, writes_seen,
};
use support::paths::RECONCILE_NOW;
use support::shape::Shape;

support::over_each_shape!(promise_3_a_killed_process_leaves_nothing_stuck);

/// Where a run is when its process is killed.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// It has started and asks Stripe for the first time.
    Sessions,
    /// It reads Stripe's list.
    Scan,
    /// All that is harmless has been repaired; what lowers access waits for a fresh read.
    FreshLook,
    /// Everything is done, and the database is being told.
    Finish,
    /// The database has ended the run; its answer is on the way.
    Answer,
}

impl Place {
    /// Lets the next run come as far as this and no further.
    async fn hold(self, stack: &Stack) {
        let stall = |after_the_work| json!({"path": "finish_reconciliation_run", "outage": "stall", "after_the_work": after_the_work});
        match self {
            Self::Sessions => stack.hold_stripe("/v1/checkout/sessions").await,
            Self::Scan => {
                let kind = json!({"status": {"status": 429, "reason": "resource-specific"}});
                // The first pages come through.
                let fault = json!({"kind": kind, "path": "/v1/subscriptions", "exact": true, "after": 2, "count": null});
                stack.disturb_stripe(&fault).await;
            }
            Self::FreshLook => stack.hold_stripe("/v1/subscriptions/").await,
            Self::Finish => stack.disturb_rest(&stall(false)).await,
            Self::Answer => stack.disturb_rest(&stall(true)).await,
        }
    }

    /// Waits until the run is there.
    async fn reached(self, stack: &Stack, database: &Client, finishes: u64) {
        match self {
            Self::Sessions | Self::Scan | Self::FreshLook => stack.held().await,
            Self::Finish => {
                eventually("the run wants to end", async || {
                    (stack.calls_of("finish_reconciliation_run").await > finishes).then_some(())
                })
                .await;
            }
            Self::Answer => {
                let running = "select count(*) from public.reconciliation_logs where status = 'running'";
                eventually("the run has ended in the database", async || {
                    let asked = stack.calls_of("finish_reconciliation_run").await > finishes;
                    (asked && count(database, running).await == 0).then_some(())
                })
                .await;
            }
        }
    }
}

/// Kills the run that is under way under `key`, at `place`.
async fn kill_at(stack: &Stack, database: &Client, key: Uuid, place: Place) {
    let finishes = stack.calls_of("finish_reconciliation_run").await;
    place.hold(stack).await;
    let call = stack.ask_for_run(key).send();
    let kill = async {
        place.reached(stack, database, finishes).await;
        stack.end("reconcile", "KILL").await;
    };
    let (answer, ()) = tokio::join!(call, kill);
    assert_eq!(answer.status, 500, "the platform's own answer for a process that died: {answer:?}");
    stack.heal_stripe().await;
    stack.disturb_rest(&json!({})).await;
}

/// Promise 3: a process killed at any instant leaves nothing stuck: its lease expires, the next call reclaims it, everything
/// is repaired, and nothing twice.
async fn promise_3_a_killed_process_leaves_nothing_stuck(shape: Shape) {
    let stack = shape.setup().argument("--subscriptions").argument("250").start();
    let database = stack.database().await;
    let truth = rows(&database).await;
    let deleted = deleted(&database).await;
    watch_writes(&database).await;
    for place in [Place::Sessions, Place::Scan, Place::FreshLook, Place::Finish, Place::Answer] {
        drift(&database).await;
        let written_before = writes_seen(&database).await;
        let findings = "select count(*) from public.drift where action in ('repaired', 'created')";
        let repaired = count(&database, findings).await;
        let key = Uuid::new_v4();
        kill_at(&stack, &database, key, place).await;

        if matches!(place, Place::Answer) {
            let again = stack.ask_for_run(key).send().await;
            assert_eq!(again.body["outcome"], "existing_finished", "{place:?}: {again:?}");
            assert_eq!(again.body["status"], "success");
        } else {
            // As long as its lease lasts nobody can know that it is dead.
            let waiting = stack.ask_for_run(key).send().await;
            assert_eq!(waiting.body["outcome"], "existing_running", "{place:?}: {waiting:?}");
            expire_lease(&database).await;
            let again = stack.ask_for_run(key).send().await;
            assert_eq!(again.status, 200, "{place:?}: {again:?}");
            assert_eq!(again.body["outcome"], "reclaimed", "{place:?}");
            assert_eq!((again.body["attempt"].as_u64(), &again.body["status"]), (Some(2), &json!("success")));
            if matches!(place, Place::FreshLook) {
                let repaired = number(&again.body, "updated_count");
                assert_eq!(repaired, LOWERING, "the first attempt had repaired all the rest");
            }
        }
        let kept = rows(&database).await;
        assert_eq!(kept, truth, "{place:?}: everything is as Stripe has it");
        let repairs = i64::try_from(DRIFTED + deleted).expect("a few");
        assert_eq!(count(&database, findings).await - repaired, repairs, "{place:?}: each was repaired once");
        let written = writes_seen(&database).await - written_before;
        assert_eq!(written, repairs, "{place:?}: no row was written twice");
        let stuck = "select count(*) from public.reconciliation_logs where status = 'running'";
        assert_eq!(count(&database, stuck).await, 0, "{place:?}");
    }
}

/// SIGTERM is the end of the time budget: the run ends as `partial`, says what is left, and the next one completes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_process_told_to_stop_hands_the_rest_to_the_next_run() {
    let stack = Stack::setup().argument("--subscriptions").argument("250").start();
    let database = stack.database().await;
    let truth = rows(&database).await;
    for place in [Place::Scan, Place::FreshLook, Place::Sessions] {
        drift(&database).await;
        place.hold(&stack).await;
        let key = Uuid::new_v4();
        let call = stack.ask_for_run(key).try_send();
        let stop = async {
            place.reached(&stack, &database, 0).await;
            stack.end("reconcile", "TERM").await;
        };
        // The platform may drop the connection of a process that it stops: the row is what counts.
        let (_, ()) = tokio::join!(call, stop);
        let run: Value = database
            .query_one(
                "select to_jsonb(r) from public.reconciliation_logs r where r.run_key = $1",
                &[&format!("request_{key}")],
            )
            .await
            .expect("its row")
            .get(0);
        assert_eq!(text(&run, "status"), "partial", "{place:?}: {run}");
        // Where nothing had been read, the next run begins anew.
        let begun = !matches!(place, Place::Sessions);
        assert_eq!(run["cursor"].is_object(), begun, "{place:?}: what is left is written down: {run}");
        stack.heal_stripe().await;

        let next = stack.run().await;
        assert_eq!((next.status, &next.body["status"]), (200, &json!("success")), "{place:?}: {next:?}");
        assert_eq!(rows(&database).await, truth, "{place:?}");
        let scanned = number(&run, "scanned_count") + number(&next.body, "scanned_count");
        assert_eq!(scanned, 250, "{place:?}: together they have read each subscription once");
    }
}

/// Promise 3, the hardest case: a process that was only asleep. Its lease is over, another function's run does the work, and
/// then it wakes up and goes on: what it writes is refused, and its caller hears so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_process_that_wakes_up_too_late_changes_nothing() {
    let stack = Stack::setup().argument("--subscriptions").argument("250").start();
    let database = stack.database().await;
    let truth = rows(&database).await;
    drift(&database).await;
    Place::FreshLook.hold(&stack).await;
    let sleeper = stack.ask_for_run(Uuid::new_v4()).send();
    let meanwhile = async {
        stack.held().await;
        let process_id = stack.process_of("reconcile").await.expect("it runs");
        signal("STOP", process_id);
        stack.heal_stripe().await;
        expire_lease(&database).await;
        let run = stack.post(RECONCILE_NOW).bearer(&stack.at.admin_token).send().await;
        assert_eq!((run.status, &run.body["outcome"]), (200, &json!("created")), "{run:?}");
        assert_eq!(run.body["status"], "success", "{run:?}");
        assert_eq!(rows(&database).await, truth);
        let before = everything(&database).await;
        signal("CONT", process_id);
        before
    };
    let (late, before) = tokio::join!(sleeper, meanwhile);
    assert_eq!((late.status, late.code()), (503, "database_unavailable"), "{late:?}");
    assert!(text(&late.body, "error").contains("lost its lease"), "{late:?}");
    assert_eq!(everything(&database).await, before, "it wrote something");
}
