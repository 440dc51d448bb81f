//! Observe, approve, auto: one way of deciding, and what follows is another. In observe nothing is ever written.

use std::collections::BTreeMap;

use billing_ops::drift::class::Class;
use billing_ops::drift::policy::Mode;
use billing_ops::drift::repair::Action;
use billing_ops::reconcile::Status;
use serde_json::json;
use stripe_simulator::SubscriptionChange;

use crate::world::{World, alarm, holding};

/// Two that pay and are locked out, one that does not pay and is in, a wrong tier, and one that is missing.
fn world(mode: Mode) -> World {
    let mut world = World::of(200);
    world.terms.repair_mode = mode;
    let active = world.with_status("active");
    for facts in &active[..2] {
        world.store.change(&facts.id, |row| row.status = Some("unpaid".into()));
    }
    world.store.change(&active[2].id, |row| row.tier = Some("none of these".into()));
    let canceled = &world.with_status("canceled")[0];
    world.store.change(&canceled.id, |row| row.status = Some("active".into()));
    world.store.remove(&active[3].id);
    world
}

fn set(world: &World, class: &str, mode: &str) {
    let policies = BTreeMap::from([(class.to_owned(), mode.to_owned())]);
    world.store.lock().policies = Some(policies);
}

/// The classes that were found, with what was done about each.
fn found(world: &World) -> BTreeMap<&'static str, Vec<Action>> {
    let mut found: BTreeMap<&'static str, Vec<Action>> = BTreeMap::new();
    for (class, action) in world.store.findings() {
        found.entry(class).or_default().push(action);
    }
    found
}

#[tokio::test]
async fn the_same_is_found_in_every_mode_and_only_auto_writes() {
    let auto = world(Mode::Auto);
    auto.run().await;
    for (mode, action) in [(Mode::Observe, Action::Observed), (Mode::Approve, Action::Waiting)] {
        let world = world(mode);
        let before = world.store.lock().rows.clone();
        let ending = world.run().await;
        assert_eq!(world.store.lock().rows, before, "{mode:?}");
        assert_eq!(ending.status, Status::Success, "{ending:?}");
        assert_eq!(ending.counts.waiting_count, if mode == Mode::Approve { 5 } else { 0 });
        let found = found(&world);
        assert!(found.values().flatten().all(|found| *found == action), "{found:?}");
        let numbers = |found: &BTreeMap<&'static str, Vec<Action>>| -> Vec<(&'static str, usize)> {
            found.iter().map(|(class, actions)| (*class, actions.len())).collect()
        };
        assert_eq!(numbers(&found), numbers(&self::found(&auto)));
        // The second run has nothing new to look at, and still writes nothing.
        let retrieved = world.simulator.stats().retrieved.len();
        world.run().await;
        assert_eq!(world.store.lock().rows, before);
        assert_eq!(world.simulator.stats().retrieved.len(), retrieved, "what stands costs no call");
    }
}

#[tokio::test]
async fn what_nobody_writes_trips_no_breaker_and_is_looked_at_only_if_there_is_little_of_it() {
    for mode in [Mode::Observe, Mode::Approve] {
        let mut world = World::of(400);
        world.terms.repair_mode = mode;
        for facts in world.with_status("canceled") {
            world.store.change(&facts.id, |row| row.status = Some("active".into()));
        }
        for facts in world.with_status("active") {
            world.store.remove(&facts.id);
        }
        let ending = world.run().await;
        assert_eq!(ending.status, Status::Success, "{ending:?}");
        assert!(!holding(&ending).contains(&"reconcile_circuit_breaker"), "{ending:?}");
        assert!(world.simulator.stats().retrieved.is_empty(), "hundreds of calls for what nobody writes");
        assert_eq!(ending.counts.held_count, 0);
    }
}

#[tokio::test]
async fn a_class_that_a_person_has_lowered_waits_while_the_others_are_repaired() {
    let world = world(Mode::Auto);
    set(&world, "status_mismatch", "approve");
    let ending = world.run().await;
    let found = found(&world);
    assert_eq!(found["status_mismatch"], [Action::Waiting; 3]);
    assert_eq!(found["tier_mismatch"], [Action::Repaired]);
    assert_eq!(found["missing_in_database"], [Action::Created]);
    assert_eq!((ending.status, ending.counts.waiting_count), (Status::Success, 3));
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_counts_as_observe() {
    let world = world(Mode::Auto);
    world.store.lock().policies = None;
    let before = world.store.lock().rows.clone();
    world.run().await;
    assert_eq!(world.store.lock().rows, before);
    assert!(found(&world).values().flatten().all(|action| *action == Action::Observed));
}

#[tokio::test]
async fn what_a_person_lets_stand_is_neither_written_nor_alerted() {
    let world = world(Mode::Auto);
    world.run().await;
    // Another difference of the same subscription comes, which nobody has excepted.
    let active = &world.with_status("active")[0];
    let change = SubscriptionChange { status: Some("past_due".into()), ..SubscriptionChange::default() };
    world.simulator.patch_subscription(&active.id, change).unwrap();
    world.store.change(&active.id, |row| row.tier = Some("none of these".into()));
    let key = format!("status_mismatch:{}", active.id);
    {
        let mut state = world.store.lock();
        state.findings.clear();
        state.open.insert(key.clone(), (uuid::Uuid::new_v4(), chrono::DateTime::UNIX_EPOCH));
        state.excepted.insert(key);
    }
    let ending = world.run().await;
    assert_eq!(world.store.status(&active.id), "active", "it is left as it is");
    assert_ne!(
        world.store.row(&active.id).unwrap().tier.as_deref(),
        Some("none of these"),
        "the rest is not"
    );
    assert_eq!(found(&world)["status_mismatch"], [Action::Excepted]);
    assert!(!holding(&ending).contains(&"drift_status_mismatch"), "{ending:?}");
    assert_eq!(ending.status, Status::Success);
}

#[tokio::test]
async fn what_a_person_allows_in_spite_of_the_breaker_is_written_once() {
    let world = World::of(800);
    let canceled: Vec<String> =
        world.with_status("canceled").into_iter().take(40).map(|facts| facts.id).collect();
    let lower = |ids: &[String]| {
        for id in ids {
            world.store.change(id, |row| row.status = Some("active".into()));
        }
    };
    lower(&canceled);
    let first = world.run().await;
    assert_eq!(first.counts.held_count, 40);

    world.store.lock().allowed = BTreeMap::from([(Class::StatusMismatch, 40)]);
    world.store.lock().findings.clear();
    let second = world.run().await;
    assert_eq!((second.counts.updated_count, second.counts.held_count), (40, 0), "{second:?}");
    assert_eq!(second.status, Status::Success);

    lower(&canceled);
    world.store.lock().findings.clear();
    let third = world.run().await;
    assert_eq!((third.counts.updated_count, third.counts.held_count), (0, 40), "it was allowed once");
}

#[tokio::test]
async fn no_more_is_written_than_was_allowed() {
    let world = World::of(800);
    for facts in world.with_status("canceled").into_iter().take(40) {
        world.store.change(&facts.id, |row| row.status = Some("active".into()));
    }
    world.store.lock().allowed = BTreeMap::from([(Class::StatusMismatch, 25)]);
    let ending = world.run().await;
    assert_eq!((ending.counts.updated_count, ending.counts.held_count), (25, 15), "{ending:?}");
    assert_eq!(alarm(&ending, "reconcile_circuit_breaker").1["held"][0]["reason"], json!("lowering"));
    assert_eq!(ending.status, Status::Partial);
}

#[tokio::test]
async fn rows_that_are_missing_are_made_in_spite_of_the_breaker_where_a_person_allows_it() {
    for (allowed, made) in [(0, 0), (30, 30), (1_000, 40)] {
        let world = World::of(800);
        for facts in world.with_status("active").into_iter().take(40) {
            world.store.remove(&facts.id);
        }
        world.store.lock().allowed = BTreeMap::from([(Class::MissingInDatabase, allowed)]);
        let ending = world.run().await;
        assert_eq!(ending.counts.created_count, made, "{allowed}: {ending:?}");
        assert_eq!(ending.counts.held_count, 40 - made);
        // What was allowed is no alarm, and not counted twice either.
        let tripped = holding(&ending).contains(&"reconcile_circuit_breaker");
        assert_eq!((ending.status == Status::Success, tripped), (made == 40, made < 40), "{ending:?}");
    }
}
