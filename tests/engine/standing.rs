//! A difference stands until a run that looked does not see it any more; what a run could not judge stays as it is.

use billing_ops::drift::class::Class;
use billing_ops::drift::repair::Action;
use stripe_simulator::SubscriptionChange;
use strum::VariantArray as _;
use tokio::time::Instant;

use crate::world::{World, now};

fn open(world: &World) -> Vec<String> {
    world.store.lock().open.keys().cloned().collect()
}

#[tokio::test]
async fn what_stands_is_one_entry_and_is_closed_by_the_run_that_no_longer_sees_it() {
    let world = World::of(100);
    let facts = &world.with_status("active")[0];
    let key = format!("customer_mismatch:{}", facts.id);
    world.store.change(&facts.id, |row| row.customer = Some("cus_other".into()));

    let first = world.run().await;
    assert_eq!(open(&world), std::slice::from_ref(&key));
    let told = &first.reconciliations[0];
    let second = world.run_again(None).await;
    assert_eq!(open(&world), std::slice::from_ref(&key));
    assert_eq!(second.reconciliations[0].drift_id, told.drift_id, "the same entry");
    assert_eq!((told.action, told.fixed), (Action::None, false));
    assert!(world.store.lock().cleared.is_empty());

    world.store.change(&facts.id, |row| row.customer = Some(facts.customer.clone()));
    let third = world.run_again(None).await;
    assert_eq!(third.counts.total_issues, 0);
    assert!(open(&world).is_empty());
    assert!(world.store.lock().cleared.contains(&key));
}

#[tokio::test]
async fn what_is_repaired_leaves_nothing_standing() {
    let world = World::of(100);
    let facts = &world.with_status("active")[0];
    world.store.change(&facts.id, |row| row.quantity = Some(0));
    let ending = world.run().await;
    assert_eq!((ending.counts.updated_count, ending.reconciliations[0].action), (1, Action::Repaired));
    assert!(open(&world).is_empty());
}

#[tokio::test]
async fn what_changed_a_moment_ago_keeps_its_entry() {
    let world = World::of(100);
    let facts = &world.with_status("active")[0];
    world.store.change(&facts.id, |row| row.customer = Some("cus_other".into()));
    world.run().await;
    // The simulator sets canceled_at to now: nothing is judged while the app's webhook may be under way.
    let cancel = SubscriptionChange { status: Some("canceled".into()), ..Default::default() };
    world.simulator.patch_subscription(&facts.id, cancel).unwrap();
    let ending = world.run_again(None).await;
    assert_eq!(ending.counts.skipped_count, 1);
    assert_eq!(open(&world), [format!("customer_mismatch:{}", facts.id)]);
}

#[tokio::test]
async fn a_subscription_whose_owner_is_unknown_keeps_its_one_entry() {
    let world = World::of(100);
    let new = SubscriptionChange {
        id: Some("sub_stranger".into()),
        customer: Some("cus_stranger".into()),
        created: Some(now() - 10_000),
        ..Default::default()
    };
    world.simulator.put_subscription(new).unwrap();
    for _ in 0..2 {
        world.run_again(None).await;
        assert_eq!(open(&world), ["organization_unknown:sub_stranger"]);
    }
    assert!(world.store.lock().cleared.is_empty());
}

#[tokio::test]
async fn only_a_sweep_over_everything_judges_classes_as_a_whole() {
    let world = World::of(100);
    let ending = world.run().await;
    assert_eq!(ending.judged, Class::VARIANTS);
    let deadline = Instant::now();
    let ending = world.run_job(billing_ops::reconcile::Job { deadline, ..world.job() }).await.unwrap();
    assert!(ending.judged.is_empty(), "{ending:?}");
}
