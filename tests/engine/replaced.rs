//! Before somebody is locked out: what else does the customer pay for?

use billing_ops::drift::repair::Action;
use billing_ops::reconcile::{Ending, Status};
use stripe_simulator::{SubscriptionChange, SubscriptionFacts};

use crate::store::shape;
use crate::world::{World, alarm, holding, now};

/// A row says active and Stripe canceled, of somebody who has a second subscription without a row.
fn replaced(world: &World, at: usize) -> (SubscriptionFacts, String) {
    let facts = world.with_status("active").remove(at);
    let canceled = SubscriptionChange {
        status: Some("canceled".into()),
        object: Some(serde_json::json!({"canceled_at": now() - 600, "ended_at": now() - 600})),
        ..Default::default()
    };
    world.simulator.patch_subscription(&facts.id, canceled).unwrap();
    let id = format!("sub_second_{at}");
    let change = SubscriptionChange {
        id: Some(id.clone()),
        customer: Some(facts.customer.clone()),
        organization_id: Some(facts.organization_id.clone()),
        created: Some(now() - 9_000),
        current_period_start: Some(now() - 9_000),
        ..SubscriptionChange::default()
    };
    world.simulator.put_subscription(change).unwrap();
    (facts, id)
}

fn unfixed(ending: &Ending) -> Vec<&str> {
    ending.reconciliations.iter().filter(|told| !told.fixed).map(|told| told.class.as_str()).collect()
}

#[tokio::test]
async fn who_has_another_subscription_without_a_row_is_not_locked_out() {
    // No row may be inserted, so the other one gets none.
    let world = World::of(200);
    world.store.lock().shape = Ok(shape("update"));
    let (facts, second) = replaced(&world, 0);
    let ending = world.run().await;
    assert_eq!(world.store.status(&facts.id), "active", "{ending:?}");
    assert_eq!(unfixed(&ending), ["missing_in_database", "replaced_subscription"]);
    let (severity, metadata) = alarm(&ending, "drift_replaced_subscription");
    assert_eq!(
        (severity, &metadata["samples"][0]),
        (billing_ops::alerts::severity::Severity::Critical, &facts.id.clone().into())
    );
    let told =
        ending.reconciliations.iter().find(|told| told.class.as_str() == "replaced_subscription").unwrap();
    assert!(told.issue.contains("another subscription, without a row"), "{}", told.issue);

    // Once that one has ended, too, nothing stands against it.
    let canceled = SubscriptionChange {
        status: Some("canceled".into()),
        object: Some(serde_json::json!({"canceled_at": now() - 600, "ended_at": now() - 600})),
        ..Default::default()
    };
    world.simulator.patch_subscription(&second, canceled).unwrap();
    let ending = world.run_again(None).await;
    assert_eq!(world.store.status(&facts.id), "canceled");
    assert_eq!(holding(&ending), ["drift_status_mismatch"], "{ending:?}");
}

#[tokio::test]
async fn where_the_other_one_gets_its_row_in_this_run_the_old_row_is_put_right() {
    let world = World::of(200);
    let (facts, second) = replaced(&world, 0);
    let ending = world.run().await;
    assert_eq!(
        (world.store.status(&second), world.store.status(&facts.id)),
        ("active".into(), "canceled".into())
    );
    assert_eq!(
        (ending.status, ending.counts.created_count, ending.counts.updated_count),
        (Status::Success, 1, 1)
    );
}

/// The last thing that lets somebody in stays, however many of their rows have ended at once.
#[tokio::test]
async fn of_an_owners_rows_that_have_all_ended_none_vouches_for_another() {
    let world = World::of(200);
    world.store.lock().shape = Ok(shape("update"));
    let (facts, _) = replaced(&world, 0);
    let (other, _) = replaced(&world, 1);
    let third = world.with_status("active").remove(2);
    for id in [&other.id, &third.id] {
        let owner = facts.organization_id.clone();
        world.store.change(id, |row| row.owner = Some(owner));
        let metadata =
            SubscriptionChange { organization_id: Some(facts.organization_id.clone()), ..Default::default() };
        world.simulator.patch_subscription(id, metadata).unwrap();
    }
    // A row that stays lets the owner in: the two others may go.
    world.run().await;
    assert_eq!(
        (world.store.status(&facts.id), world.store.status(&other.id)),
        ("canceled".into(), "canceled".into())
    );

    for id in [&facts.id, &other.id] {
        world.store.change(id, |row| row.status = Some("active".into()));
    }
    world.store.remove(&third.id);
    world.simulator.delete_subscription(&third.id).unwrap();
    let ending = world.run_again(None).await;
    assert_eq!(
        (world.store.status(&facts.id), world.store.status(&other.id)),
        ("active".into(), "active".into()),
        "{ending:?}"
    );
}

/// One customer may pay for two organizations: each has its own row, and neither keeps the other in.
#[tokio::test]
async fn another_owners_row_of_the_same_customer_keeps_nobody_in() {
    let world = World::of(200);
    let (facts, second) = replaced(&world, 0);
    let somebody = world.with_status("active").remove(5).organization_id;
    let mine = SubscriptionChange { organization_id: Some(somebody.clone()), ..Default::default() };
    world.simulator.patch_subscription(&second, mine).unwrap();
    let mut row = world.store.row(&facts.id).unwrap();
    (row.key, row.owner, row.stripe_subscription_id) = ("second".to_owned(), Some(somebody), second);
    world.store.insert(row);
    let ending = world.run().await;
    assert_eq!(world.store.status(&facts.id), "canceled", "{ending:?}");
    let held = world.store.findings().iter().filter(|(_, action)| *action == Action::Held).count();
    assert_eq!(held, 0);
}

/// Nothing is asked of Stripe where nobody would lose access.
#[tokio::test]
async fn fewer_seats_and_another_tier_ask_for_no_other_subscription() {
    let world = World::of(100);
    let facts = world.with_status("active").remove(0);
    world.store.change(&facts.id, |row| row.quantity = Some(500));
    world.run().await;
    assert!(!world.simulator.stats().log.iter().any(|line| line.contains("customer=")));
    let (facts, _) = replaced(&world, 1);
    world.run_again(None).await;
    let asked = world.simulator.stats().log.into_iter().filter(|line| line.contains("customer=")).count();
    assert_eq!(asked, 1, "one call for {}", facts.customer);
}
