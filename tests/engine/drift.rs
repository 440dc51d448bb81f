//! Each class of drift from end to end: found, repaired or left, counted, and raised as an alert that clears.

use billing_ops::alerts::severity::Severity;
use billing_ops::drift::repair::Action;
use billing_ops::reconcile::Status;
use serde_json::json;
use stripe_simulator::{Action as Step, ItemChange, Script, SessionChange, SubscriptionChange};
use uuid::Uuid;

use crate::world::{World, alarm, holding, now, row};

#[tokio::test]
async fn what_gives_access_is_repaired_from_the_list_and_what_takes_it_after_a_fresh_read() {
    let world = World::of(1_000);
    let active = world.with_status("active");
    let canceled = world.with_status("canceled");
    for facts in &active[..3] {
        world.store.change(&facts.id, |row| row.status = Some("canceled".into()));
    }
    for facts in &canceled[..4] {
        world.store.change(&facts.id, |row| row.status = Some("active".into()));
    }
    let ending = world.run().await;
    assert_eq!(ending.status, Status::Success, "{ending:?}");
    assert_eq!((ending.counts.updated_count, ending.counts.mismatch_count), (7, 7));
    for facts in active[..3].iter().chain(&canceled[..4]) {
        assert_eq!(world.store.status(&facts.id), facts.status);
    }
    let retrieved = world.simulator.stats().retrieved;
    assert_eq!(retrieved.len(), 4);
    assert!(canceled[..4].iter().all(|facts| retrieved.contains_key(&facts.id)));
    assert_eq!(holding(&ending), ["drift_status_mismatch"]);
    assert_eq!(ending.reconciliations.len(), 7);
    assert!(ending.reconciliations.iter().all(|finding| finding.fixed));

    let again = world.run_again(None).await;
    assert_eq!((again.counts.total_issues, holding(&again).len()), (0, 0));
}

#[tokio::test]
async fn every_repairable_field_is_repaired() {
    let world = World::of(400);
    let facts: Vec<_> = world.with_status("active").into_iter().take(6).collect();
    world.store.change(&facts[0].id, |row| row.period_end = Some(0));
    world
        .store
        .change(&facts[1].id, |row| row.cancel_at_period_end = row.cancel_at_period_end.map(|flag| !flag));
    world.store.change(&facts[2].id, |row| row.quantity = Some(100_000));
    world.store.change(&facts[3].id, |row| row.price = Some("price_old".into()));
    world.store.change(&facts[4].id, |row| row.tier = Some("free".into()));
    world.store.change(&facts[5].id, |row| row.period_start = None);
    let ending = world.run().await;
    assert_eq!(ending.counts.updated_count, 6, "{:?}", ending.reconciliations);
    for facts in &facts {
        let (mut row, expected) = (world.store.row(&facts.id).unwrap(), row(facts));
        (row.key, row.version) = (expected.key.clone(), expected.version.clone());
        assert_eq!(row, expected);
    }
    assert_eq!(world.simulator.stats().retrieved.len(), 2, "the quantity and the tier were read afresh");
}

#[tokio::test]
async fn missing_rows_are_created_for_whoever_stripe_names() {
    let world = World::of(200);
    let mut facts = world.with_status("active");
    // Who has ended one may have begun another.
    facts[2] = world.with_status("canceled").remove(0);
    // By the subscription's metadata.
    world.store.remove(&facts[0].id);
    // By the checkout session, which the simulator has for every subscription.
    world.store.remove(&facts[1].id);
    let no_metadata =
        SubscriptionChange { metadata: Some(serde_json::Map::new()), ..SubscriptionChange::default() };
    world.simulator.patch_subscription(&facts[1].id, no_metadata.clone()).unwrap();
    // By the customer.
    let new = SubscriptionChange {
        id: Some("sub_of_a_known_customer".into()),
        customer: Some(facts[2].customer.clone()),
        created: Some(now() - 5_000),
        current_period_start: Some(now() - 5_000),
        status: Some("unpaid".into()),
        ..no_metadata.clone()
    };
    world.simulator.put_subscription(new).unwrap();
    // By nothing.
    let new = SubscriptionChange {
        id: Some("sub_of_nobody".into()),
        customer: Some("cus_nobody".into()),
        created: Some(now() - 6_000),
        current_period_start: Some(now() - 6_000),
        ..no_metadata
    };
    world.simulator.put_subscription(new).unwrap();

    let ending = world.run().await;
    assert_eq!(ending.status, Status::Success, "{ending:?}");
    assert_eq!(
        (ending.counts.created_count, ending.counts.total_issues),
        (3, 4),
        "{:?}",
        ending.reconciliations
    );
    for facts in &facts[..2] {
        let (mut created, expected) = (world.store.row(&facts.id).unwrap(), row(facts));
        (created.key, created.version) = (expected.key.clone(), expected.version.clone());
        assert_eq!(created, expected);
    }
    let by_customer = world.store.row("sub_of_a_known_customer").unwrap();
    assert_eq!(by_customer.owner.as_ref(), Some(&facts[2].organization_id));
    assert!(world.store.row("sub_of_nobody").is_none());
    assert_eq!(holding(&ending), ["drift_missing_in_database", "drift_organization_unknown"]);
}

#[tokio::test]
async fn many_missing_rows_are_created_in_batches() {
    let world = World::of(1_600);
    world.store.lock().rows.clear();
    // Next to so many who pay, that is no reason to hold anything back.
    world.store.lock().granting = Some(100_000);
    let ending = world.run().await;
    let ended =
        ["canceled", "incomplete", "incomplete_expired"].map(|status| world.with_status(status).len());
    assert!(ended.iter().sum::<usize>() > 50, "some have ended");
    assert_eq!(ending.counts.created_count as usize, 1_600 - ended.iter().sum::<usize>());
    assert_eq!(
        ending.counts.total_issues, ending.counts.created_count,
        "of those that have ended nobody speaks"
    );
    assert_eq!(ending.reconciliations.len(), 200);
    assert!(world.store.lock().batches <= 20, "{} batches", world.store.lock().batches);
    assert_eq!(alarm(&ending, "drift_missing_in_database").0, Severity::Warning);
}

#[tokio::test]
async fn a_row_that_stripe_does_not_know_is_reported_and_kept() {
    let world = World::of(200);
    let facts: Vec<_> = world.simulator.generator().all().collect();
    world.simulator.delete_subscription(&facts[5].id).unwrap();
    world.simulator.delete_subscription(&facts[6].id).unwrap();
    world.store.lock().marks.remove(&facts[6].id);
    let ending = world.run().await;
    assert_eq!(ending.status, Status::Success);
    assert_eq!(world.store.findings(), [("missing_in_stripe", Action::None); 2]);
    for facts in &facts[5..7] {
        assert_eq!(world.store.status(&facts.id), facts.status);
    }
    assert_eq!(holding(&ending), ["drift_missing_in_stripe"]);
}

#[tokio::test]
async fn what_a_person_has_to_judge_is_reported_and_left() {
    let world = World::of(300);
    let active = world.with_status("active");
    let patch = |at: usize, change: SubscriptionChange| {
        world.simulator.patch_subscription(&active[at].id, change).unwrap();
    };
    patch(0, SubscriptionChange { customer: Some("cus_other".into()), ..Default::default() });
    patch(1, SubscriptionChange { price: Some("price_unheard_of".into()), ..Default::default() });
    patch(2, SubscriptionChange { status: Some("hibernating".into()), ..Default::default() });
    let two =
        vec![ItemChange::default(), ItemChange { current_period_end: Some(now() + 9), ..Default::default() }];
    patch(3, SubscriptionChange { items: Some(two), ..Default::default() });
    let owner = world.store.row(&active[4].id).unwrap().owner;
    world.store.change(&active[5].id, |row| row.owner.clone_from(&owner));
    patch(5, SubscriptionChange { organization_id: owner, ..Default::default() });
    let before: Vec<_> = active[..6].iter().map(|facts| world.store.row(&facts.id).unwrap()).collect();

    let ending = world.run().await;
    assert_eq!(
        holding(&ending),
        [
            "drift_price_mismatch",
            "drift_customer_mismatch",
            "drift_duplicate_live_subscription",
            "drift_unknown_price",
            "drift_unknown_status",
            "drift_mixed_item_periods",
        ]
    );
    for (before, facts) in before.iter().zip(&active) {
        let after = world.store.row(&facts.id).unwrap();
        assert_eq!((&after.status, &after.tier), (&before.status, &before.tier));
        assert_eq!(after.customer, before.customer);
        assert_eq!(after.period_end, before.period_end);
    }
}

#[tokio::test]
async fn items_behind_the_first_ten_are_read() {
    let world = World::of(50);
    let facts = &world.with_status("active")[0];
    let mut items = vec![ItemChange::default(); 12];
    items[11].current_period_end = Some(now() + 77);
    let change = SubscriptionChange { items: Some(items), ..Default::default() };
    world.simulator.patch_subscription(&facts.id, change).unwrap();
    let ending = world.run().await;
    assert_eq!(holding(&ending), ["drift_mixed_item_periods"]);
    assert_eq!(world.simulator.stats().by_endpoint["/v1/subscription_items"], 1);
}

#[tokio::test]
async fn what_has_just_changed_is_left_to_the_next_run() {
    let world = World::of(100);
    let facts = &world.with_status("active")[0];
    // The simulator sets canceled_at to now.
    let cancel = SubscriptionChange { status: Some("canceled".into()), ..Default::default() };
    world.simulator.patch_subscription(&facts.id, cancel).unwrap();
    let new = SubscriptionChange {
        id: Some("sub_new".into()),
        organization_id: Some(facts.organization_id.clone()),
        created: Some(now() - 60),
        ..Default::default()
    };
    world.simulator.put_subscription(new).unwrap();
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.total_issues), (Status::Success, 0));
    assert_eq!(ending.counts.skipped_count, 2);
    assert_eq!(world.store.status(&facts.id), "active");
}

#[tokio::test]
async fn a_newer_write_wins() {
    let world = World::of(100);
    let facts = world.with_status("active");
    // Written after the rows were read, before the batch arrives.
    world.store.change(&facts[1].id, |row| row.status = Some("past_due".into()));
    let other = facts[1].id.clone();
    world.store.lock().before_batch = Some(Box::new(move |state| state.write(&other, |_| ())));
    let ending = world.run().await;
    assert_eq!((ending.counts.superseded_count, ending.counts.updated_count), (1, 0));
    assert_eq!(ending.status, Status::Success);
    assert!(holding(&ending).is_empty());
    assert_eq!(world.store.status(&facts[1].id), "past_due");
}

#[tokio::test]
async fn what_was_written_while_stripe_was_asked_is_looked_at_afresh_row_first() {
    let world = World::of(300);
    // On the first page, so that there is a second one to change something at.
    let newest = world.with_status("active").pop().unwrap();
    // The first page says active. Then Stripe cancels, and the app's webhook commits before the rows are read.
    let cancel = SubscriptionChange {
        id: Some(newest.id.clone()),
        status: Some("canceled".into()),
        ..SubscriptionChange::default()
    };
    let actions = vec![Step::PatchSubscription(cancel)];
    world.simulator.script(Script { path: "/v1/subscriptions".into(), at: 2, actions });
    let ahead = world.store.lock().transaction + 1_000;
    world.store.change(&newest.id, |row| {
        row.status = Some("canceled".into());
        row.version = ahead.to_string();
    });
    let key = world.store.row(&newest.id).unwrap().key;
    world.store.lock().written.insert(key, ahead);
    // Another one was written meanwhile and is wrong all the same.
    let wrong = &world.with_status("active")[0];
    world.store.change(&wrong.id, |row| row.status = Some("past_due".into()));
    let key = world.store.row(&wrong.id).unwrap().key;
    world.store.lock().written.insert(key, ahead);

    let ending = world.run().await;
    assert_eq!(world.store.status(&newest.id), "canceled", "the page was older than the row");
    assert_eq!(world.store.status(&wrong.id), "active");
    assert_eq!((ending.status, ending.counts.updated_count), (Status::Success, 1), "{ending:?}");
    let retrieved = world.simulator.stats().retrieved;
    assert!(retrieved.contains_key(&newest.id) && retrieved.contains_key(&wrong.id));
}

#[tokio::test]
async fn however_many_rows_are_written_meanwhile_the_breaker_counts_none_of_them() {
    let world = World::of(400);
    let active = world.with_status("active");
    for facts in &active[..40] {
        world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
        let key = world.store.row(&facts.id).unwrap().key;
        world.store.lock().written.insert(key, 10_000);
    }
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.updated_count), (Status::Success, 40), "{ending:?}");
}

#[tokio::test]
async fn a_bought_subscription_that_stripe_does_not_list_is_created() {
    let world = World::of(50);
    let owner = Uuid::new_v4().to_string();
    world.store.lock().owners.insert(owner.clone());
    let clock = json!({"test_clock": "clock_1"});
    let hidden = SubscriptionChange {
        id: Some("sub_hidden".into()),
        created: Some(now() - 4_000),
        current_period_start: Some(now() - 4_000),
        metadata: Some(serde_json::Map::new()),
        object: Some(clock),
        ..Default::default()
    };
    world.simulator.put_subscription(hidden).unwrap();
    let session = SessionChange {
        subscription: Some("sub_hidden".into()),
        organization_id: Some(owner.clone()),
        created: Some(now() - 4_060),
        ..Default::default()
    };
    world.simulator.put_session(session).unwrap();
    let ending = world.run().await;
    assert_eq!(ending.counts.created_count, 1, "{ending:?}");
    assert_eq!(world.store.row("sub_hidden").unwrap().owner, Some(owner));
    assert_eq!(world.run_again(None).await.counts.total_issues, 0);
}

#[tokio::test]
async fn nothing_is_missed_or_counted_twice_while_stripe_changes() {
    let world = World::of(2_400);
    let facts: Vec<_> = world.simulator.generator().all().collect();
    for (at, facts) in facts.iter().rev().step_by(40).enumerate() {
        let other = SubscriptionChange {
            id: Some(facts.id.clone()),
            status: Some("past_due".into()),
            ..Default::default()
        };
        let new = SubscriptionChange { id: Some(format!("sub_during_{at}")), ..Default::default() };
        let actions = vec![Step::PatchSubscription(other), Step::PutSubscription(new)];
        world.simulator.script(Script { path: "/v1/subscriptions".into(), at: 2 + at as u64 / 3, actions });
    }
    // The object that a page ends with disappears: the next page's cursor no longer exists.
    let at = world.simulator.generator().len() - 100;
    let last_of_first_page = world.simulator.generator().facts(at).id;
    let delete = Step::DeleteSubscription(last_of_first_page);
    world.simulator.script(Script { path: "/v1/subscriptions".into(), at: 2, actions: vec![delete] });
    let ending = world.run().await;
    assert_eq!(ending.status, Status::Success, "{ending:?}");
    assert_eq!(ending.counts.scanned_count, 2_400);
    assert!(world.store.row("sub_during_1").is_none());
}
