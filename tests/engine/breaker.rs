//! The circuit breaker: a wrong key is not a thousand cancellations.

use billing_ops::drift::repair::Action;
use billing_ops::reconcile::Status;
use stripe_simulator::{Config, Simulator, SubscriptionChange};

use crate::world::{World, holding, now, of_state, stripe};

#[tokio::test]
async fn twenty_lowering_repairs_are_believed_and_twenty_one_are_not() {
    for (count, believed) in [(20, true), (21, false)] {
        let world = World::of(400);
        let canceled = world.with_status("canceled");
        for facts in &canceled[..count] {
            world.store.change(&facts.id, |row| row.status = Some("active".into()));
        }
        // What gives access is repaired all the same.
        let active = &world.with_status("active")[0];
        world.store.change(&active.id, |row| row.status = Some("unpaid".into()));
        let ending = world.run().await;
        assert_eq!(world.store.status(&active.id), "active");
        let status = world.store.status(&canceled[0].id);
        assert_eq!(status, if believed { "canceled" } else { "active" });
        assert_eq!(holding(&ending).contains(&"reconcile_circuit_breaker"), !believed);
        assert_eq!(ending.status, if believed { Status::Success } else { Status::Partial });
        if !believed {
            let held = world.store.findings().iter().filter(|(_, applied)| *applied == Action::Held).count();
            assert_eq!(held, count);
            assert!(world.simulator.stats().retrieved.is_empty());
            assert!(of_state(&ending.conditions, None).contains(&"drift_missing_in_stripe"));
            assert_eq!(ending.cursor, None, "the next run looks at everything again");
        }
    }
}

#[tokio::test]
async fn five_percent_of_a_large_account_are_believed() {
    let world = World::of(2_000);
    let canceled = world.with_status("canceled");
    for facts in &canceled[..100] {
        world.store.change(&facts.id, |row| row.status = Some("active".into()));
    }
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.updated_count), (Status::Success, 100));
}

#[tokio::test]
async fn an_empty_list_makes_nobody_lose_anything() {
    let mut world = World::of(500);
    let before = world.store.lock().rows.clone();
    let empty = Simulator::start(Config::default()).unwrap();
    world.stripe = stripe(&empty, stripe_simulator::SECRET_KEY, 1_000_000.0);
    let ending = world.run().await;
    assert_eq!(holding(&ending), ["reconcile_circuit_breaker"]);
    assert_eq!(ending.counts.total_issues, 0, "nothing is called missing");
    assert_eq!(world.store.lock().rows, before);
    assert!(empty.stats().retrieved.is_empty());
}

#[tokio::test]
async fn a_key_of_the_other_mode_repairs_nothing() {
    // A few rows only, so that it is not their number that stops the repairs.
    let mut world = World::with(Config { subscriptions: 10, livemode: true, ..Config::default() });
    let before = world.store.lock().rows.clone();
    let test = Simulator::start(Config::default()).unwrap();
    world.stripe = stripe(&test, stripe_simulator::SECRET_KEY, 1_000_000.0);
    let ending = world.run().await;
    assert_eq!(holding(&ending), ["drift_livemode_mismatch", "reconcile_circuit_breaker"]);
    assert_eq!(ending.status, Status::Partial);
    assert_eq!(world.store.lock().rows, before);
}

#[tokio::test]
async fn objects_of_the_other_mode_stop_the_repairs() {
    let world = World::of(300);
    let active = world.with_status("active");
    let live = SubscriptionChange { livemode: Some(true), ..Default::default() };
    world.simulator.patch_subscription(&active[0].id, live).unwrap();
    let stray = SubscriptionChange {
        id: Some("sub_stray".into()),
        livemode: Some(true),
        created: Some(now() - 9_000),
        organization_id: Some(active[1].organization_id.clone()),
        ..Default::default()
    };
    world.simulator.put_subscription(stray).unwrap();
    world.store.change(&active[2].id, |row| row.status = Some("unpaid".into()));
    let ending = world.run().await;
    assert!(holding(&ending).contains(&"reconcile_circuit_breaker"));
    assert!(world.store.row("sub_stray").is_none());
    assert_eq!(world.store.status(&active[2].id), "unpaid");
    assert_eq!(ending.counts.updated_count, 0);
}
