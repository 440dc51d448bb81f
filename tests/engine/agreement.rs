//! Where both sides agree: everything is read once, nothing is written, and it costs what it must.

use billing_ops::reconcile::Status;
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
async fn rows_that_no_run_has_seen_are_completed_without_a_finding() {
    let world = World::of(300);
    for facts in world.simulator.generator().all() {
        world.store.change(&facts.id, |row| {
            row.stripe_created = None;
            row.stripe_price_id = None;
            row.quantity = None;
            row.livemode = None;
            row.cancel_at_period_end = None;
            row.trial_end = None;
        });
    }
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.total_issues), (Status::Success, 0));
    for facts in world.simulator.generator().all() {
        let expected = crate::world::row(&facts);
        let row = world.store.row(&facts.id).unwrap();
        assert_eq!((row.stripe_created, row.quantity), (expected.stripe_created, expected.quantity));
        assert_eq!((row.livemode, row.trial_end), (expected.livemode, expected.trial_end));
    }
    assert!(world.simulator.stats().retrieved.is_empty(), "no row needed a look of its own");
}
