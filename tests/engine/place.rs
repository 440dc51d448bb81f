//! Subscriptions that live and have no row: how many rows may be made at once, and the one row that an owner has.

use std::time::Duration;

use billing_ops::drift::repair::Action;
use billing_ops::reconcile::{Ending, Job, Status};
use chrono::Utc;
use serde_json::json;
use stripe_simulator::{Fault, FaultKind, ItemChange, PRICES, SubscriptionChange, SubscriptionFacts};
use tokio::time::Instant;
use uuid::Uuid;

use crate::store::shape;
use crate::world::{World, alarm, holding, now, of_state, stripe};

fn actions(world: &World, class: &str) -> Vec<Action> {
    let found = world.store.findings().into_iter();
    found.filter(|(found, _)| *found == class).map(|(_, action)| action).collect()
}

/// The rows of so many who pay are gone.
fn lose(world: &World, count: usize) -> Vec<SubscriptionFacts> {
    let lost: Vec<_> = world.with_status("active").into_iter().take(count).collect();
    assert_eq!(lost.len(), count);
    lost.iter().for_each(|facts| world.store.remove(&facts.id));
    lost
}

#[tokio::test]
async fn so_many_rows_may_be_made_at_once_and_one_more_may_not() {
    for (count, made) in [(20, true), (21, false)] {
        let world = World::of(300);
        let lost = lose(&world, count);
        let ending = world.run().await;
        assert_eq!(world.store.row(&lost[0].id).is_some(), made, "{ending:?}");
        assert_eq!(ending.counts.created_count as usize, if made { count } else { 0 });
        assert_eq!(holding(&ending).contains(&"reconcile_circuit_breaker"), !made);
        if !made {
            assert_eq!(actions(&world, "missing_in_database"), vec![Action::Held; count], "each is an entry");
            assert_eq!((ending.status, ending.counts.held_count), (Status::Partial, count as u64));
            assert_eq!(alarm(&ending, "reconcile_circuit_breaker").1["held"][0]["reason"], "creations");
            assert!(of_state(&ending.conditions, Some(false)).is_empty(), "it clears nothing");
        }
    }
}

/// An account with a past and an empty table: a person looks before thousands of rows are made.
#[tokio::test]
async fn a_first_install_puts_every_row_on_record_and_makes_none() {
    let world = World::of(6_000);
    world.store.lock().rows.clear();
    let ending = world.run().await;
    let live: usize = ["trialing", "active", "past_due", "unpaid", "paused"]
        .map(|status| world.with_status(status).len())
        .iter()
        .sum();
    assert!(world.store.lock().rows.is_empty());
    assert_eq!(actions(&world, "missing_in_database"), vec![Action::Held; live], "none is left out");
    assert_eq!((ending.counts.held_count, ending.counts.total_issues), (live as u64, live as u64));
}

/// What another product's customers buy in the same account is no row to be made.
#[tokio::test]
async fn strangers_do_not_stop_what_somebody_is_waiting_for() {
    let world = World::of(200);
    (0..60).for_each(|at| world.stranger(&format!("sub_stranger_{at}"), json!({})));
    lose(&world, 4);
    let ending = world.run().await;
    assert_eq!((ending.counts.created_count, ending.status), (4, Status::Success), "{ending:?}");
}

/// Other products' subscriptions cost no call and are nothing at all; what has a row here is the app's, whatever it is for by now.
#[tokio::test]
async fn an_account_that_is_shared_costs_nothing_for_the_others() {
    let mut world = World::of(200);
    world.terms.scope.metadata.insert("app".to_owned(), "ours".to_owned());
    for (at, app) in [(0, "theirs"), (1, "ours"), (2, "")] {
        world.stranger(&format!("sub_of_app_{at}"), json!({"app": app}));
    }
    let canceled = &world.with_status("canceled")[0];
    world.store.change(&canceled.id, |row| row.status = Some("active".into()));
    let ending = world.run().await;
    assert_eq!(holding(&ending), ["drift_status_mismatch", "drift_organization_unknown"], "{ending:?}");
    assert_eq!(ending.counts.total_issues, 2);
    assert_eq!(world.store.status(&canceled.id), "canceled");
    let asked = world.simulator.stats().by_endpoint["/v1/checkout/sessions"];
    assert_eq!(asked, 2, "the list of what was bought lately, and one question about the app's own");
}

/// Runs that stop early hand on what is to be made: nobody waits for ever, and nobody is asked about twice.
#[tokio::test]
async fn rows_to_be_made_survive_runs_that_stop_early() {
    let world = World::of(4_000);
    let lost = lose(&world, 60);
    let latency = FaultKind::Latency { milliseconds: 400 };
    world.simulator.fault(Fault::new(latency).path("/v1/subscriptions").count(None));
    let (mut resume, mut runs) = (None, 0);
    loop {
        runs += 1;
        let deadline = Instant::now() + Duration::from_millis(1_500);
        let ending = world.run_job(Job { resume, deadline, ..world.job() }).await.unwrap();
        if ending.status == Status::Success {
            break;
        }
        resume = ending.cursor.map(|cursor| serde_json::to_value(cursor).unwrap());
        assert!(runs < 20, "no progress: {resume:?}");
    }
    assert!(runs > 1);
    assert!(lost.iter().all(|facts| world.store.status(&facts.id) == "active"));
    let retrieved = world.simulator.stats().retrieved;
    // Only what was under way when a run ended is asked for again.
    let again: u64 = retrieved.values().map(|times| times - 1).sum();
    assert!(again <= runs * 8, "{again} in {runs} runs");
}

/// Six seconds at Stripe's usual pace are enough to find 3,000 rows that are missing and to make them: one run.
#[tokio::test]
async fn three_thousand_rows_are_made_within_a_budget_of_six_seconds() {
    let mut world = World::of(3_600);
    world.stripe = stripe(&world.simulator, stripe_simulator::SECRET_KEY, 15.0);
    world.store.lock().rows.clear();
    world.store.lock().granting = Some(100_000);
    let (mut resume, mut made, mut runs) = (None, 0, 0);
    loop {
        runs += 1;
        world.store.lock().findings.clear();
        let deadline = Instant::now() + Duration::from_secs(6);
        let ending = world.run_job(Job { resume, deadline, ..world.job() }).await.unwrap();
        made += ending.counts.created_count;
        if ending.status == Status::Success {
            break;
        }
        resume = ending.cursor.map(|cursor| serde_json::to_value(cursor).unwrap());
        // A busy machine may need more: what is left is read again from Stripe first, at its pace.
        assert!(runs == 1 || ending.counts.created_count > 0, "no progress: {made} made");
    }
    assert!(made > 2_500, "{made}");
    assert_eq!(made as usize, world.store.lock().rows.len());
}

/// Whoever looks up strangers with little time gets on with them all the same.
#[tokio::test]
async fn answers_about_checkouts_survive_runs_that_stop_early() {
    let world = World::of(10);
    assert_eq!(world.run().await.status, Status::Success);
    (0..40).for_each(|at| world.stranger(&format!("sub_stranger_{at}"), json!({})));
    let latency = FaultKind::Latency { milliseconds: 100 };
    world.simulator.fault(Fault::new(latency).path("/v1/checkout/sessions").count(None));
    let mut known = Vec::new();
    while known.last() != Some(&40) {
        let deadline = Instant::now() + Duration::from_millis(2_000);
        let ending = world.run_job(Job { deadline, ..world.job() }).await.unwrap();
        assert_eq!(ending.status, Status::Success, "a run has time for the rest: {ending:?}");
        known.push(world.store.lock().looked_up.len());
        assert!(known.len() < 30, "no progress: {known:?}");
    }
    assert!(known.len() > 2 && known.is_sorted(), "{known:?}");
}

// One row for each owner ----------------------------------------------------------------------------------------------

/// Every owner has one row, which follows one of two subscriptions of the same customer: the first is in the row.
fn two_of_one_owner(first: &str, second: &str, row: &str) -> (World, SubscriptionFacts, String) {
    let world = World::of(60);
    let mut each = shape("update_and_insert");
    each.one_row_each = true;
    world.store.lock().shape = Ok(each);
    let facts = world.with_status("active").remove(0);
    let ended = (first == "canceled").then(|| now() - 600);
    let change = SubscriptionChange {
        status: Some(first.into()),
        object: Some(json!({"canceled_at": ended, "ended_at": ended})),
        silent: true,
        ..Default::default()
    };
    world.simulator.patch_subscription(&facts.id, change).unwrap();
    world.store.change(&facts.id, |own| own.status = Some(row.into()));
    let id = "sub_second".to_owned();
    let change = SubscriptionChange {
        id: Some(id.clone()),
        customer: Some(facts.customer.clone()),
        organization_id: Some(facts.organization_id.clone()),
        status: Some(second.into()),
        created: Some(now() - 9_000),
        current_period_start: Some(now() - 9_000),
        ..SubscriptionChange::default()
    };
    world.simulator.put_subscription(change).unwrap();
    (world, facts, id)
}

/// What the row says of each owner at any moment: it is noted before each batch and at the end.
async fn statuses_while_it_runs(world: &World, owner: &str) -> (Ending, Vec<String>) {
    let noted = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (notes, of) = (noted.clone(), owner.to_owned());
    world.store.lock().before_batch = Some(Box::new(move |state| {
        let row = state.rows.values().find(|row| row.owner.as_ref() == Some(&of));
        notes.lock().unwrap().push(row.and_then(|row| row.status.clone()).unwrap_or_default());
    }));
    let ending = world.run().await;
    let mut statuses = noted.lock().unwrap().clone();
    let state = world.store.lock();
    let row = state.rows.values().find(|row| row.owner.as_deref() == Some(owner)).unwrap();
    statuses.push(row.status.clone().unwrap_or_default());
    statuses.dedup();
    (ending, statuses)
}

#[tokio::test]
async fn who_comes_back_after_the_old_subscription_ended_is_let_in() {
    for row in ["canceled", "incomplete", "unpaid", "active"] {
        let (world, facts, second) = two_of_one_owner("canceled", "active", row);
        let (ending, statuses) = statuses_while_it_runs(&world, &facts.organization_id).await;
        assert_eq!(world.store.status(&second), "active", "{row}: {ending:?}");
        assert!(world.store.row(&facts.id).is_none());
        assert_eq!(ending.status, Status::Success);
        // What the row said was put right before, where that gave no access either.
        let before = u64::from(matches!(row, "incomplete" | "unpaid"));
        let moved = (ending.counts.updated_count - before, ending.counts.created_count);
        assert_eq!(moved, (1, 0), "a move is an update");
        assert_eq!(actions(&world, "missing_in_database"), [Action::Moved]);
        assert!(row != "active" || statuses == ["active"], "nobody is locked out on the way: {statuses:?}");
        let again = world.run_again(None).await;
        assert_eq!((again.status, again.counts.total_issues), (Status::Success, 0), "{again:?}");
    }
}

#[tokio::test]
async fn of_two_that_live_a_person_has_to_choose_and_the_row_stays() {
    for (first, second) in
        [("active", "active"), ("past_due", "active"), ("active", "unpaid"), ("unpaid", "unpaid")]
    {
        let (world, facts, _) = two_of_one_owner(first, second, first);
        let before = world.store.row(&facts.id);
        let ending = world.run().await;
        assert_eq!(world.store.row(&facts.id), before);
        assert_eq!(holding(&ending), ["drift_duplicate_live_subscription"], "{first} {second}: {ending:?}");
        assert_eq!((ending.status, ending.counts.total_issues), (Status::Success, 1));
    }
    let (world, facts, second) = two_of_one_owner("unpaid", "active", "unpaid");
    world.run().await;
    assert_eq!(world.store.status(&second), "active", "what gives access takes the place of what does not");
    assert!(world.store.row(&facts.id).is_none());
}

/// Two live, none of them has a row, and the row follows one that has ended: one is followed, the other is for a person, and the run ends.
#[tokio::test]
async fn two_that_want_the_one_row_do_not_end_the_run() {
    let (world, facts, second) = two_of_one_owner("canceled", "active", "active");
    let third = SubscriptionChange {
        id: Some("sub_third".into()),
        customer: Some(facts.customer.clone()),
        organization_id: Some(facts.organization_id.clone()),
        status: Some("active".into()),
        created: Some(now() - 8_000),
        current_period_start: Some(now() - 8_000),
        ..SubscriptionChange::default()
    };
    world.simulator.put_subscription(third).unwrap();
    let ending = world.run().await;
    assert_ne!(ending.status, Status::Error, "{ending:?}");
    let followed =
        [second.as_str(), "sub_third"].into_iter().filter(|id| world.store.row(id).is_some()).count();
    assert_eq!((followed, world.store.row(&facts.id)), (1, None), "{ending:?}");
    let again = world.run_again(None).await;
    assert_eq!(holding(&again), ["drift_duplicate_live_subscription"], "{again:?}");
}

/// Who buys the next plan and lets the old one run out keeps what the row says until then, and nobody is called.
#[tokio::test]
async fn one_that_ends_with_its_period_is_followed_to_its_end() {
    let (world, facts, second) = two_of_one_owner("active", "active", "active");
    let ends = SubscriptionChange { cancel_at_period_end: Some(true), silent: true, ..Default::default() };
    world.simulator.patch_subscription(&facts.id, ends).unwrap();
    world.store.change(&facts.id, |row| row.cancel_at_period_end = Some(true));
    let ending = world.run().await;
    assert!(holding(&ending).is_empty(), "{ending:?}");
    assert_eq!(world.store.status(&facts.id), "active");
    let ended = SubscriptionChange {
        status: Some("canceled".into()),
        object: Some(json!({"canceled_at": now() - 600, "ended_at": now() - 600})),
        ..Default::default()
    };
    world.simulator.patch_subscription(&facts.id, ended).unwrap();
    world.run_again(None).await;
    assert_eq!(world.store.status(&second), "active");
}

/// The new one gives no access, the old one has ended: the row loses access first, by the way on which a person can hold it up.
#[tokio::test]
async fn a_row_that_would_lose_access_by_a_move_loses_it_by_a_fresh_look() {
    let (world, facts, second) = two_of_one_owner("canceled", "unpaid", "active");
    let ending = world.run().await;
    assert_eq!(world.store.status(&second), "unpaid", "{ending:?}");
    assert_eq!(actions(&world, "status_mismatch"), [Action::Repaired]);
    assert_eq!(actions(&world, "missing_in_database"), [Action::Moved]);
    assert!(world.store.row(&facts.id).is_none());
}

#[tokio::test]
async fn a_word_of_the_apps_own_in_the_row_is_never_overwritten() {
    let (world, facts, _) = two_of_one_owner("canceled", "active", "lifetime");
    let before = world.store.row(&facts.id);
    let ending = world.run().await;
    assert_eq!(world.store.row(&facts.id), before);
    assert_eq!(holding(&ending), ["drift_missing_in_database", "drift_unknown_status"], "{ending:?}");
    assert_eq!(ending.status, Status::Partial, "somebody who pays has no row");
    assert_eq!(
        alarm(&ending, "drift_missing_in_database").0,
        billing_ops::alerts::severity::Severity::Critical
    );
}

/// Its row is made, or pointed at it, later in the run: what only a person can know of it stands all the while, and is not news again.
#[tokio::test]
async fn what_stands_beside_a_row_that_is_missing_is_not_cleared_while_that_waits() {
    let world = World::of(20);
    let owner = world.with_status("active")[0].organization_id.clone();
    let item = |price: &str| ItemChange { price: Some(price.into()), ..ItemChange::default() };
    let change = SubscriptionChange {
        id: Some("sub_new".into()),
        organization_id: Some(owner),
        created: Some(now() - 9_000),
        current_period_start: Some(now() - 9_000),
        items: Some(vec![item(PRICES[0].id), item(PRICES[1].id)]),
        ..SubscriptionChange::default()
    };
    world.simulator.put_subscription(change).unwrap();
    let key = "ambiguous_items:sub_new";
    world.store.lock().open.insert(key.to_owned(), (Uuid::from_u128(1), Utc::now()));

    let ending = world.run().await;

    assert_eq!(ending.counts.created_count, 1, "{ending:?}");
    let state = world.store.lock();
    assert!(state.findings.contains_key(key) && !state.cleared.contains(key), "{:?}", state.cleared);
}
