//! Runs that fail, as the monitor sees them.

use serde_json::json;

use support::Stack;
use support::disturb::text;

/// A failed run never counts as a recent success; three of them in a row are an alert of their own, and one that succeeds
/// ends both.
#[tokio::test]
async fn a_failed_run_never_counts_as_a_recent_success() {
    let stack = Stack::setup().argument("--subscriptions").argument("10").start();
    let database = stack.database().await;
    let refuse = json!({"kind": {"status": {"status": 401}}, "count": null});
    let good_run = async {
        let answer = stack.run().await;
        assert_eq!(answer.body["status"], "success", "{answer:?}");
        let check = stack.check().await;
        assert_eq!(check.body["monitoring"]["reconcile_stale"], false, "{check:?}");
        check
    };
    stack.disturb_stripe(&refuse).await;
    for failures in 1..=4 {
        let answer = stack.run().await;
        assert_eq!((answer.status, answer.code()), (502, "stripe_error"), "{answer:?}");
        let check = stack.check().await;
        assert_eq!(check.body["monitoring"]["reconcile_stale"], true, "after {failures}: {check:?}");
        assert_eq!(
            check.body["monitoring"]["reconcile_failing"],
            failures >= 3,
            "after {failures}: {check:?}"
        );
        let open = stack.open_alert(&database, "reconcile_failing").await;
        let expected = (failures >= 3).then(|| ("critical".to_owned(), failures - 2));
        assert_eq!(open, expected, "after {failures}");
    }
    stack.heal_stripe().await;
    let check = good_run.await;
    assert_eq!(check.body["monitoring"]["reconcile_failing"], false);
    let mut resolved: Vec<&str> = check.body["alerts"]["resolved"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|key| key.as_str())
        .collect();
    resolved.sort_unstable();
    assert_eq!(resolved, ["reconcile_failing", "reconcile_stale"]);

    // The good run grows old: one that fails now does not make it young again.
    database
        .execute(
            "update public.reconciliation_logs
             set started_at = started_at - interval '3 hours', finished_at = finished_at - interval '3 hours'",
            &[],
        )
        .await
        .expect("an update");
    assert_eq!(stack.check().await.body["monitoring"]["reconcile_stale"], true);
    stack.disturb_stripe(&refuse).await;
    assert_eq!(stack.run().await.status, 502);
    let check = stack.check().await;
    assert_eq!(check.body["monitoring"]["reconcile_stale"], true, "{check:?}");
    assert_eq!(check.body["monitoring"]["reconcile_failing"], false, "one failure is no series");

    // Neither does one that died.
    stack.heal_stripe().await;
    let parameters = json!({
        "p_run_key": "request_dead", "p_run_type": "request", "p_lookback_hours": 24, "p_lease_seconds": 600
    });
    let started = stack.rpc("start_reconciliation_run", &parameters).await;
    assert_eq!(text(&started.body, "outcome"), "created");
    let check = stack.check().await;
    assert_eq!(check.body["monitoring"]["reconcile_stale"], false, "one is under way: {check:?}");
    support::disturb::expire_lease(&database).await;
    let check = stack.check().await;
    assert_eq!(check.body["monitoring"]["reconcile_stale"], true, "its lease is over: {check:?}");
}

/// Runs end in time, one after the other, and none of them gets to the end of the list: what is there is not watched, and
/// `reconcile_stale` has nothing to say.
#[tokio::test]
async fn a_sweep_that_never_ends_does_not_go_unnoticed() {
    let stack = Stack::setup().argument("--subscriptions").argument("10").start();
    let database = stack.database().await;
    assert_eq!(stack.run().await.body["status"], "success");
    let holds = async || {
        let check = stack.check().await;
        assert_eq!(check.body["monitoring"]["reconcile_stale"], false, "{check:?}");
        check.body["monitoring"]["sweep_incomplete"].as_bool().expect("judged")
    };
    assert!(!holds().await);
    let a_day = "update public.reconciliation_logs
                 set started_at = started_at - interval '24 hours', finished_at = finished_at - interval '24 hours'";
    database.execute(a_day, &[]).await.expect("a day goes by");
    let start = json!({
        "p_run_key": "request_part", "p_run_type": "request", "p_lookback_hours": 24, "p_lease_seconds": 600
    });
    let run = stack.rpc("start_reconciliation_run", &start).await.body["run"].clone();
    let part = json!({
        "p_run_id": run["id"], "p_attempt": 1, "p_status": "partial", "p_counts": {}, "p_message": "m",
        "p_cursor": {"windows": []},
    });
    assert_eq!(text(&stack.rpc("finish_reconciliation_run", &part).await.body, "outcome"), "finished");
    assert!(holds().await);
    assert_eq!(stack.open_alert(&database, "sweep_incomplete").await, Some(("warning".to_owned(), 1)));
    assert_eq!(stack.run().await.body["status"], "success");
    assert!(!holds().await);
    assert_eq!(stack.open_alert(&database, "sweep_incomplete").await, None);
}
