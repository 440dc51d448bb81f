//! Subscriptions that Stripe's events spoke of: a pass over what is due, and the hours in which a run follows events.

use std::collections::BTreeSet;
use std::time::Duration;

use billing_ops::reconcile::job::{Lately, Settled};
use billing_ops::reconcile::{Ending, Job, RunScope, Status};
use stripe_simulator::{Fault, FaultKind, RESTRICTED_KEY, SubscriptionChange, SubscriptionFacts};
use tokio::time::Instant;

use crate::world::{World, alarm, holding, now, of_state, stripe};

/// Notes that events spoke of these, and that they may be read.
fn due(world: &World, ids: &[&str]) {
    world.store.lock().due = ids.iter().map(|id| ((*id).to_owned(), 7)).collect();
}

async fn pass(world: &World) -> Ending {
    world.run_job(Job { scope: RunScope::Due, ..world.job() }).await.unwrap()
}

async fn follow(world: &World, from: i64) -> Ending {
    let job = Job { scope: RunScope::Changed, events_from: from, ..world.job() };
    world.run_job(job).await.unwrap()
}

fn settled(ending: &Ending) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let Settled { done, again } = &ending.due;
    fn ids(list: &[(String, i64)]) -> BTreeSet<&str> {
        list.iter().map(|(id, _)| id.as_str()).collect()
    }
    (ids(done), ids(again))
}

fn status(world: &World, id: &str) -> String {
    world.store.lock().rows[id].status.clone().unwrap()
}

/// Stripe cancels it a moment ago, too short for a scan to call it drift.
fn cancel(world: &World, facts: &SubscriptionFacts) {
    let change = SubscriptionChange { status: Some("canceled".into()), ..SubscriptionChange::default() };
    world.simulator.patch_subscription(&facts.id, change).unwrap();
}

fn active(world: &World, count: usize) -> Vec<SubscriptionFacts> {
    let found: Vec<SubscriptionFacts> = world.with_status("active").into_iter().take(count).collect();
    assert_eq!(found.len(), count);
    found
}

#[tokio::test]
async fn a_pass_repairs_what_is_due_and_looks_at_nothing_else() {
    let world = World::of(200);
    let [spoken_of, other] = &active(&world, 2)[..] else { unreachable!() };
    cancel(&world, spoken_of);
    cancel(&world, other);
    due(&world, &[&spoken_of.id]);

    let ending = pass(&world).await;

    assert_eq!(ending.status, Status::Success);
    assert_eq!(
        (status(&world, &spoken_of.id), status(&world, &other.id)),
        ("canceled".into(), "active".into())
    );
    assert_eq!(settled(&ending), (BTreeSet::from([spoken_of.id.as_str()]), BTreeSet::new()));
    assert_eq!(ending.due.done[0].1, 7, "in the version that was read before Stripe was asked");
    assert_eq!(
        world.simulator.stats().by_endpoint["/v1/subscriptions"],
        1,
        "the customer's others, and no list of all"
    );
}

#[tokio::test]
async fn a_pass_is_no_full_run_and_clears_nothing() {
    let world = World::of(50);
    due(&world, &[&active(&world, 1)[0].id]);

    let ending = pass(&world).await;

    assert_eq!(ending.status, Status::Success);
    assert_eq!(of_state(&ending.conditions, Some(false)), Vec::<&str>::new());
    assert_eq!(holding(&ending), Vec::<&str>::new());
    assert!(
        ending.judged.is_empty() && !ending.covered && ending.cursor.is_none() && ending.events_to.is_none()
    );
}

#[tokio::test]
async fn somebody_who_has_just_paid_gets_a_row() {
    let world = World::of(50);
    let paid = &active(&world, 1)[0];
    world.store.lock().rows.remove(&paid.id);
    due(&world, &[&paid.id]);

    let ending = pass(&world).await;

    assert_eq!((ending.status, ending.counts.created_count), (Status::Success, 1));
    assert_eq!(status(&world, &paid.id), "active");
    assert_eq!(settled(&ending).0, BTreeSet::from([paid.id.as_str()]));
}

#[tokio::test]
async fn what_stripe_does_not_know_and_nobody_has_is_nothing_at_all() {
    let world = World::of(20);
    due(&world, &["sub_nobody"]);

    let ending = pass(&world).await;

    assert_eq!((ending.status, ending.counts.total_issues), (Status::Success, 0));
    assert_eq!(settled(&ending).0, BTreeSet::from(["sub_nobody"]));
}

#[tokio::test]
async fn a_stream_of_small_passes_takes_no_more_than_one_run_may() {
    let world = World::of(200);
    let facts = &active(&world, 1)[0];
    cancel(&world, facts);
    due(&world, &[&facts.id]);
    world.store.lock().granting = Some(40);
    let lately = |lowered| Lately { lowered, created: 0 };

    let held = Job { scope: RunScope::Due, lately: lately(3), ..world.job() };
    let held = world.run_job(held).await.unwrap();
    assert_eq!((held.status, status(&world, &facts.id)), (Status::Partial, "active".into()));
    assert_eq!(alarm(&held, "reconcile_circuit_breaker").1["held"][0]["suspects"], 4);
    assert_eq!(settled(&held).0.len(), 1, "it is on record, and a person or the next scan decides");

    world.store.lock().findings.clear();
    let taken = Job { scope: RunScope::Due, lately: lately(2), ..world.job() };
    assert_eq!(world.run_job(taken).await.unwrap().status, Status::Success);
    assert_eq!(status(&world, &facts.id), "canceled");
}

#[tokio::test]
async fn what_people_have_allowed_is_left_for_a_run_over_everything() {
    let world = World::of(200);
    let facts = active(&world, 5);
    facts.iter().for_each(|facts| cancel(&world, facts));
    due(&world, &facts.iter().map(|facts| facts.id.as_str()).collect::<Vec<_>>());
    world.store.lock().granting = Some(40);
    world.store.lock().allowed.insert(billing_ops::drift::class::Class::StatusMismatch, 5);

    let ending = pass(&world).await;

    assert_eq!((ending.status, ending.counts.held_count), (Status::Partial, 5));
    assert_eq!(world.store.lock().allowed.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_tried_again_and_holds_up_nothing() {
    let world = World::of(100);
    let [odd, fine] = &active(&world, 2)[..] else { unreachable!() };
    cancel(&world, fine);
    let change = SubscriptionChange { remove: vec!["status".into()], ..SubscriptionChange::default() };
    world.simulator.patch_subscription(&odd.id, change).unwrap();
    due(&world, &[&odd.id, &fine.id]);

    let ending = pass(&world).await;

    assert_eq!((ending.status, ending.counts.error_count), (Status::Partial, 1));
    assert_eq!(settled(&ending), (BTreeSet::from([fine.id.as_str()]), BTreeSet::from([odd.id.as_str()])));
    assert_eq!(status(&world, &fine.id), "canceled");
}

#[tokio::test]
async fn a_row_that_somebody_writes_meanwhile_is_looked_at_again() {
    let world = World::of(100);
    let facts = active(&world, 1)[0].clone();
    cancel(&world, &facts);
    due(&world, &[&facts.id]);
    let id = facts.id.clone();
    world.store.lock().before_batch = Some(Box::new(move |state| {
        state.write(&id, |row| row.tier = Some("theirs".into()));
    }));

    let ending = pass(&world).await;

    assert_eq!(settled(&ending), (BTreeSet::new(), BTreeSet::from([facts.id.as_str()])));
    assert_eq!(status(&world, &facts.id), "active", "their write stands");
}

#[tokio::test]
async fn an_outage_takes_nothing_out_of_what_is_due() {
    let world = World::of(100);
    let facts = &active(&world, 1)[0];
    due(&world, &[&facts.id]);
    let reason = "endpoint-rate".to_owned();
    let kind = FaultKind::Status { status: 500, should_retry: None, retry_after: None, reason };
    world.simulator.fault(Fault::new(kind).count(None));

    let deadline = Instant::now() + Duration::from_secs(1);
    let job = Job { scope: RunScope::Due, deadline, ..world.job() };
    let ending = world.run_job(job).await.unwrap();

    assert_ne!(ending.status, Status::Success);
    assert!(ending.due.is_empty(), "{:?}", ending.due);
}

#[tokio::test]
async fn a_full_run_takes_along_what_is_due() {
    let world = World::of(100);
    let facts = &active(&world, 1)[0];
    cancel(&world, facts);
    due(&world, &[&facts.id]);

    let ending = world.run().await;

    assert_eq!(ending.status, Status::Success);
    assert_eq!(status(&world, &facts.id), "canceled", "the scan itself leaves what has just changed");
    assert_eq!(settled(&ending).0, BTreeSet::from([facts.id.as_str()]));
    assert!(ending.covered && ending.events_to.is_some_and(|moment| (now() - moment).abs() < 120));
}

#[tokio::test]
async fn an_hour_between_full_scans_lists_events_and_reads_what_they_speak_of() {
    let mut world = World::of(1_000);
    world.terms.events_at_once = true;
    let facts = active(&world, 3);
    facts.iter().for_each(|facts| cancel(&world, facts));

    let ending = follow(&world, now() - 3_600).await;

    assert_eq!((ending.status, ending.scope), (Status::Success, RunScope::Changed));
    assert_eq!(ending.counts.updated_count, 3);
    assert!(facts.iter().all(|facts| status(&world, &facts.id) == "canceled"));
    assert_eq!(world.simulator.stats().by_endpoint["/v1/events"], 1);
    assert!(ending.events_to.is_some() && !ending.covered && ending.judged.is_empty());
}

#[tokio::test]
async fn promise_11_an_hour_costs_a_call_for_each_change_however_many_subscriptions_there_are() {
    for (subscriptions, changed) in [(1_000, 0), (5_000, 0), (1_000, 3), (5_000, 3)] {
        let mut world = World::of(subscriptions);
        world.terms.events_at_once = true;
        for facts in &active(&world, 3)[..changed] {
            let change =
                SubscriptionChange { quantity: Some(facts.quantity + 1), ..SubscriptionChange::default() };
            world.simulator.patch_subscription(&facts.id, change).unwrap();
        }
        let job = Job {
            scope: RunScope::Changed,
            events_from: now() - 3_600,
            scanned: subscriptions.into(),
            ..world.job()
        };

        let ending = world.run_job(job).await.unwrap();

        assert_eq!((ending.status, ending.counts.updated_count), (Status::Success, changed as u64));
        let stats = world.simulator.stats();
        assert_eq!(stats.requests, 1 + changed as u64, "{subscriptions} subscriptions: {:?}", stats.log);
    }
}

#[tokio::test]
async fn where_much_has_changed_everything_is_read_as_that_costs_less() {
    let mut world = World::of(1_000);
    world.terms.events_at_once = true;
    let facts = active(&world, 30);
    facts.iter().for_each(|facts| cancel(&world, facts));
    for (scanned, scope) in [(10_000, RunScope::Changed), (1_000, RunScope::All)] {
        world.store.lock().findings.clear();
        world.store.lock().granting = Some(1_000);
        let job = Job { scope: RunScope::Changed, events_from: now() - 3_600, scanned, ..world.job() };
        let ending = world.run_job(job).await.unwrap();
        assert_eq!((ending.status, ending.scope), (Status::Success, scope));
        assert!(facts.iter().all(|facts| status(&world, &facts.id) == "canceled"));
    }
}

#[tokio::test]
async fn what_changed_a_moment_ago_is_noted_and_left_to_the_apps_own_webhook() {
    let world = World::of(100);
    let facts = &active(&world, 1)[0];
    cancel(&world, facts);

    let ending = follow(&world, now() - 3_600).await;

    assert_eq!((ending.status, status(&world, &facts.id)), (Status::Success, "active".into()));
    let noted = world.store.lock().noted.clone();
    assert_eq!(noted.len(), 1);
    assert!(noted[0].0 == facts.id && (100..=120).contains(&noted[0].1), "{noted:?}");
}

#[tokio::test]
async fn a_key_that_may_not_list_events_reads_everything_instead() {
    let mut world = World::of(100);
    world.stripe = stripe(&world.simulator, RESTRICTED_KEY, 1_000_000.0);
    world.simulator.missing_permissions(&["rak_event_read"]);

    let ending = follow(&world, now() - 3_600).await;

    assert_eq!(
        (ending.status, ending.scope, ending.counts.scanned_count),
        (Status::Success, RunScope::All, 100)
    );
    assert!(ending.covered);
}

#[tokio::test]
async fn an_alert_speaks_of_all_that_stands_and_not_of_what_one_pass_has_seen() {
    let world = World::of(200);
    let facts = active(&world, 4);
    for facts in &facts {
        let change =
            SubscriptionChange { price: Some("price_unheard_of".into()), ..SubscriptionChange::default() };
        world.simulator.patch_subscription(&facts.id, change).unwrap();
    }
    let ids: Vec<&str> = facts.iter().map(|facts| facts.id.as_str()).collect();
    due(&world, &ids[..3]);
    let first = pass(&world).await;
    let count = |ending: &Ending| alarm(ending, holding(ending)[0]).1["count"].as_u64().unwrap();
    assert_eq!(count(&first), 3);
    due(&world, &ids[3..]);

    let second = pass(&world).await;

    assert_eq!(count(&second), 4, "{:?}", second.conditions);
}

#[tokio::test]
async fn repairs_are_no_news_where_events_are_followed_at_once() {
    for (at_once, alarms) in [(true, 0), (false, 1)] {
        let mut world = World::of(200);
        world.terms.events_at_once = at_once;
        let facts = &active(&world, 1)[0];
        cancel(&world, facts);
        due(&world, &[&facts.id]);

        let ending = pass(&world).await;

        assert_eq!(
            (status(&world, &facts.id), holding(&ending).len()),
            ("canceled".into(), alarms),
            "{at_once}"
        );
    }
}

#[tokio::test]
async fn what_is_due_before_a_scan_begins_is_settled_by_it_and_costs_no_call() {
    let world = World::of(100);
    let facts = active(&world, 2);
    world.store.change(&facts[0].id, |row| row.status = Some("past_due".into()));
    due(&world, &[&facts[0].id, &facts[1].id]);

    let ending = world.run().await;

    assert_eq!((ending.status, ending.counts.updated_count), (Status::Success, 1));
    assert_eq!(settled(&ending).0.len(), 2, "one agreed, the other one agrees now");
    assert!(world.simulator.stats().retrieved.is_empty(), "{:?}", world.simulator.stats().retrieved);
}

#[tokio::test]
async fn who_bought_after_a_scan_began_is_not_settled_by_it() {
    let world = World::of(20);
    let owner = world.with_status("active")[0].organization_id.clone();
    let change = SubscriptionChange {
        id: Some("sub_new".into()),
        organization_id: Some(owner),
        created: Some(now() + 5),
        ..SubscriptionChange::default()
    };
    world.simulator.put_subscription(change).unwrap();
    due(&world, &["sub_new"]);

    let ending = world.run().await;

    assert_eq!((ending.status, ending.counts.created_count), (Status::Success, 1), "{ending:?}");
    assert_eq!(status(&world, "sub_new"), "active");
}

#[tokio::test]
async fn what_a_full_run_has_just_put_on_record_is_left_to_a_pass() {
    let world = World::of(100);
    let facts = active(&world, 1)[0].clone();
    // The scan repairs it, and while it does an event comes.
    world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
    let id = facts.id.clone();
    world.store.lock().before_batch = Some(Box::new(move |state| {
        state.due.insert(id.clone(), 8);
    }));

    let ending = world.run().await;

    assert_eq!((ending.status, ending.counts.updated_count), (Status::Success, 1));
    let nothing = (BTreeSet::new(), BTreeSet::new());
    assert_eq!(settled(&ending), nothing, "a second repair in one run would pass for the first, sent again");
}

#[tokio::test]
async fn what_a_scan_could_not_judge_is_due_in_a_while() {
    let world = World::of(100);
    let facts = active(&world, 1)[0].clone();
    world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
    let id = facts.id.clone();
    world.store.lock().before_batch = Some(Box::new(move |state| {
        state.write(&id, |row| row.tier = Some("theirs".into()));
    }));

    let ending = world.run().await;

    assert_eq!(ending.counts.superseded_count, 1, "{ending:?}");
    assert_eq!(world.store.lock().noted, [(facts.id.clone(), 120)], "and not in an hour, or a day");
}

#[tokio::test]
async fn somebody_who_waits_for_a_row_that_is_too_much_at_once_waits_an_hour_at_most() {
    let world = World::of(100);
    let facts = &active(&world, 1)[0];
    world.store.lock().rows.remove(&facts.id);
    due(&world, &[&facts.id]);
    world.store.lock().granting = Some(40);

    let job = Job { scope: RunScope::Due, lately: Lately { lowered: 0, created: 20 }, ..world.job() };
    let ending = world.run_job(job).await.unwrap();

    assert_eq!((ending.status, ending.counts.held_count), (Status::Partial, 1), "{ending:?}");
    assert_eq!(settled(&ending), (BTreeSet::new(), BTreeSet::from([facts.id.as_str()])));
}

#[tokio::test]
async fn a_pass_whose_time_is_up_leaves_no_alarm_behind() {
    let world = World::of(200);
    let facts = active(&world, 3);
    facts.iter().for_each(|facts| cancel(&world, facts));
    due(&world, &facts.iter().map(|facts| facts.id.as_str()).collect::<Vec<_>>());
    // They are read once, and the second look does not come back in time.
    let slow = FaultKind::Latency { milliseconds: 5_000 };
    world.simulator.fault(Fault::new(slow).path("/v1/subscriptions/").after(3).count(None));

    let job = Job { scope: RunScope::Due, deadline: Instant::now() + Duration::from_secs(3), ..world.job() };
    let ending = world.run_job(job).await.unwrap();

    assert_eq!(ending.status, Status::Partial, "{ending:?}");
    assert_eq!(holding(&ending), Vec::<&str>::new());
    assert!(ending.due.is_empty(), "they are still due: {:?}", ending.due);
}

#[tokio::test]
async fn an_alarm_about_what_is_too_young_to_be_judged_stays_and_others_are_cleared() {
    let world = World::of(100);
    let facts = &active(&world, 1)[0];
    cancel(&world, facts);
    let key = format!("status_mismatch:{}", facts.id);
    world.store.lock().open.insert(key, (uuid::Uuid::from_u128(1), chrono::Utc::now()));

    let ending = world.run().await;

    assert_eq!((ending.status, ending.counts.skipped_count), (Status::Success, 1), "{ending:?}");
    let cleared = of_state(&ending.conditions, Some(false));
    assert!(
        !cleared.contains(&"drift_status_mismatch") && cleared.contains(&"drift_tier_mismatch"),
        "{cleared:?}"
    );
    assert!(!ending.judged.contains(&billing_ops::drift::class::Class::StatusMismatch));
}
