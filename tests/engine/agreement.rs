//! Where both sides agree: everything is read once, nothing is written, and it costs what it must.

use billing_ops::reconcile::Status;
use serde_json::json;
use stripe_simulator::{Config, Fault, FaultKind, Spread};

use crate::world::{World, holding, of_state};

#[tokio::test]
async fn what_agrees_is_read_once_and_left_alone() {
    for spread in [Spread::Growth, Spread::Bursts(350)] {
        let world = World::with(Config { subscriptions: 2_500, spread, ..Config::default() });
        let ending = world.run().await;
        assert_eq!(ending.status, Status::Success, "{ending:?}");
        assert_eq!(ending.counts.scanned_count, 2_500);
        assert_eq!(
            (ending.counts.total_issues, ending.counts.error_count),
            (0, 0),
            "{:?}",
            ending.reconciliations
        );
        assert_eq!(ending.message, "0 issues found, 0 created, 0 updated");
        assert_eq!(ending.cursor, None);
        assert_eq!(world.store.lock().batches, 0);
        assert!(holding(&ending).is_empty());
        assert_eq!(of_state(&ending.conditions, Some(false)).len(), ending.conditions.len());
        assert_eq!(world.simulator.stats().writes_refused, 0);
    }
}

#[tokio::test]
async fn a_scan_costs_little_more_than_its_pages() {
    let world = World::of(12_000);
    let latency = FaultKind::Latency { milliseconds: 15 };
    world.simulator.fault(Fault::new(latency).path("/v1/subscriptions").count(None));
    assert_eq!(world.run().await.status, Status::Success);
    let lists = world.simulator.stats().by_endpoint["/v1/subscriptions"];
    assert!((120..=136).contains(&lists), "{lists} list calls for 120 pages");
    assert!(world.simulator.stats().max_in_flight > 1);
    assert!(world.store.lock().reads <= 50, "{} reads", world.store.lock().reads);
}

#[tokio::test]
async fn an_empty_account_and_an_empty_database_agree() {
    let world = World::of(0);
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.scanned_count), (Status::Success, 0));
}

#[tokio::test]
async fn rows_that_no_run_has_seen_need_no_look_of_their_own_and_no_write() {
    let world = World::of(300);
    let marks = std::mem::take(&mut world.store.lock().marks);
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.total_issues), (Status::Success, 0));
    assert_eq!(world.store.lock().marks, marks, "what was seen is remembered");
    assert_eq!(world.store.lock().batches, 0);
    assert!(world.simulator.stats().retrieved.is_empty());
}

#[tokio::test]
async fn promise_11_a_stranger_is_looked_up_once_in_its_life() {
    let world = World::of(50);
    (0..3).for_each(|at| world.stranger(&format!("sub_stranger_{at}"), json!({})));
    let lookups = || world.simulator.stats().by_endpoint.get("/v1/checkout/sessions").copied().unwrap_or(0);
    world.run().await;
    // One list of what was bought lately, and one question for each stranger.
    assert_eq!(lookups(), 4);
    let ending = world.run_again(None).await;
    assert_eq!(lookups(), 5, "from then on the list alone");
    assert_eq!(holding(&ending), ["drift_organization_unknown"]);
}
