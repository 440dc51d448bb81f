//! The endpoints over HTTP, as callers see them.

#![allow(unreachable_pub, reason = "modules are shared between test binaries by path")]

mod canaries;
mod everyone;
mod function;
mod guards;
mod heartbeat;
mod limits;
mod logs;

mod people;
mod raw;
mod settings;
mod trips;
mod wrapper;

#[path = "../contract/matrix.rs"]
mod matrix;
#[path = "../support/mod.rs"]
mod support;

use support::Stack;

/// Promise: at most one unresolved alert for a condition, however often the monitor is called.
#[tokio::test]
async fn three_monitor_calls_leave_one_alert_per_condition() {
    let stack = Stack::start();
    for _ in 0..3 {
        let answer = stack.monitor().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["monitoring"]["reconcile_stale"], true);
    }
    let open = stack.admin("/api/admin/billing-alerts").await;
    assert_eq!(open.body["count"], 1, "{open:?}");
    assert_eq!(open.body["alerts"][0]["alert_key"], "reconcile_stale");
    assert_eq!(open.body["alerts"][0]["occurrences"], 3);
}
