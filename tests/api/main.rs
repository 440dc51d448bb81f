//! The endpoints over HTTP, as callers see them.

mod access_matrix;
mod attention;
mod canaries;
mod decisions;
mod drift;
mod events;
mod export;
mod function;
mod guards;
mod heartbeat;
mod limits;
mod metrics;
mod notifications;
mod people;
mod raw_http;
mod request_log;
mod round_trips;
mod settings;
mod wrapper;

use support::Stack;
use support::paths::ALERTS;

/// Promise: at most one unresolved alert for a condition, however often the monitor is called.
#[tokio::test]
async fn three_monitor_calls_leave_one_alert_per_condition() {
    let stack = Stack::start();
    for _ in 0..3 {
        let answer = stack.monitor().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["monitoring"]["reconcile_stale"], true);
    }
    let open = stack.admin(ALERTS).await;
    assert_eq!(open.body["count"], 1, "{open:?}");
    assert_eq!(open.body["alerts"][0]["alert_key"], "reconcile_stale");
    assert_eq!(open.body["alerts"][0]["occurrences"], 3);
}
