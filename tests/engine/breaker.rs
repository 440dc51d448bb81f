//! The circuit breaker: a wrong key or a typo in a setting is not a thousand cancellations.

use billing_ops::drift::repair::Action;
use billing_ops::reconcile::{Ending, Job, Status};
use stripe_simulator::{Config, Simulator, SubscriptionChange};

use crate::world::{World, alarm, holding, now, of_state, stripe};

/// Stripe has ended so many that the database takes for active; the rest agree.
async fn cancellations(world: &World, count: usize) -> (Vec<String>, Ending) {
    let canceled: Vec<String> =
        world.with_status("canceled").into_iter().take(count).map(|facts| facts.id).collect();
    assert_eq!(canceled.len(), count, "there are enough that have ended");
    for id in &canceled {
        world.store.change(id, |row| row.status = Some("active".into()));
    }
    let ending = world.run().await;
    (canceled, ending)
}

fn held(world: &World) -> usize {
    world.store.findings().iter().filter(|(_, action)| *action == Action::Held).count()
}

#[tokio::test]
async fn so_many_may_lose_access_at_once_and_one_more_may_not() {
    for (one_more, believed) in [(0, true), (1, false)] {
        let world = World::of(400);
        // 5 % of the rows that grant access, those that will lose it counted.
        let granting = ["trialing", "active", "past_due"].map(|status| world.with_status(status).len());
        let granting: usize = granting.iter().sum();
        let most = (granting + granting / 20) / 20;
        // What gives access is repaired all the same.
        let active = &world.with_status("active")[0];
        world.store.change(&active.id, |row| row.status = Some("unpaid".into()));
        let (canceled, ending) = cancellations(&world, most + one_more).await;
        assert_eq!(world.store.status(&active.id), "active");
        assert_eq!(world.store.status(&canceled[0]), if believed { "canceled" } else { "active" });
        assert_eq!(holding(&ending).contains(&"reconcile_circuit_breaker"), !believed, "{ending:?}");
        assert_eq!(ending.status, if believed { Status::Success } else { Status::Partial });
        if !believed {
            assert_eq!(held(&world), most + 1, "each is an entry");
            assert!(world.simulator.stats().retrieved.is_empty());
            assert!(
                of_state(&ending.conditions, Some(false)).is_empty(),
                "a run that was held back clears nothing"
            );
            assert!(ending.judged.is_empty());
            assert_eq!(ending.cursor, None, "the next run looks at everything again");
        }
    }
}

/// Fifteen customers: a wrong price map would lower them all.
#[tokio::test]
async fn a_small_company_is_not_lowered_as_a_whole() {
    let mut world = World::of(15);
    for facts in world.simulator.generator().all() {
        let active = SubscriptionChange { status: Some("active".into()), ..Default::default() };
        world.simulator.patch_subscription(&facts.id, active).unwrap();
        world.store.change(&facts.id, |row| row.status = Some("active".into()));
    }
    let before = world.store.lock().rows.clone();
    world.terms.tiers = typo();
    let ending = world.run().await;
    assert_eq!(world.store.lock().rows, before);
    assert_eq!(alarm(&ending, "reconcile_circuit_breaker").1["held"][0]["suspects"], 15);
}

/// Thousands that ended long ago say nothing about how many may lose access today.
#[tokio::test]
async fn those_who_are_long_gone_make_room_for_nobody() {
    let mut world = World::of(3_000);
    let (mut paying, mut changes) = (0, Vec::new());
    for facts in world.simulator.generator().all() {
        let status = if paying < 120 { "active" } else { "canceled" };
        paying += 1;
        changes.push((facts.id, status));
    }
    for (id, status) in &changes {
        let change =
            SubscriptionChange { status: Some((*status).into()), silent: true, ..Default::default() };
        world.simulator.patch_subscription(id, change).unwrap();
        world.store.change(id, |row| row.status = Some((*status).into()));
    }
    let before = world.store.lock().rows.clone();
    world.terms.tiers = typo();
    let ending = world.run().await;
    assert_eq!(world.store.lock().rows, before, "one typo lowers nobody");
    assert_eq!(alarm(&ending, "reconcile_circuit_breaker").1["held"][0]["threshold"], 6);
    assert_eq!(held(&world), 120);
}

/// Every price stands for the wrong tier.
fn typo() -> billing_ops::drift::tiers::Tiers {
    let prices = stripe_simulator::PRICES.iter().map(|price| (price.id.to_owned(), "tpyo".to_owned()));
    billing_ops::drift::tiers::Tiers::new(prices)
}

/// Rows that Stripe does not list stop no cancellation, and are looked up and recorded however many they are.
#[tokio::test]
async fn leftovers_are_recorded_and_stop_no_cancellation() {
    let world = World::of(400);
    for facts in &world.with_status("active")[..25] {
        world.simulator.delete_subscription(&facts.id).unwrap();
    }
    let (canceled, ending) = cancellations(&world, 3).await;
    for id in &canceled {
        assert_eq!(world.store.status(id), "canceled");
    }
    let (_, metadata) = alarm(&ending, "reconcile_circuit_breaker");
    assert_eq!(metadata["held"][0]["reason"], "unlisted");
    let missing = world.store.findings().iter().filter(|(class, _)| *class == "missing_in_stripe").count();
    assert_eq!(missing, 25, "{ending:?}");
}

#[tokio::test]
async fn an_empty_list_makes_nobody_lose_anything() {
    let mut world = World::of(500);
    let before = world.store.lock().rows.clone();
    let empty = Simulator::start(Config::default()).unwrap();
    world.stripe = stripe(&empty, stripe_simulator::SECRET_KEY, 1_000_000.0);
    let ending = world.run().await;
    assert_eq!(holding(&ending), ["drift_missing_in_stripe", "reconcile_circuit_breaker"]);
    assert_eq!(world.store.lock().rows, before);
    assert_eq!(empty.stats().retrieved.len(), 200, "enough are looked up to see what is wrong");
    assert_eq!(ending.counts.total_issues, 200);
}

/// Each run looks at others, so that none waits for ever behind the first.
#[tokio::test]
async fn however_many_leftovers_there_are_each_is_looked_at_in_its_turn() {
    let world = World::of(900);
    for facts in world.simulator.generator().all() {
        world.simulator.delete_subscription(&facts.id).unwrap();
    }
    let began = now();
    for hour in 0..5 {
        let job = Job { started_at: began + hour * 3_600, ..world.job() };
        let ending = world.run_job(job).await.unwrap();
        assert_eq!(holding(&ending), ["drift_missing_in_stripe", "reconcile_circuit_breaker"]);
    }
    let retrieved = world.simulator.stats().retrieved;
    assert_eq!(retrieved.len(), 900, "all of them, by 200 a run");
    assert_eq!(world.store.lock().rows.len(), 900, "and none is touched");
}

#[tokio::test]
async fn a_key_of_the_other_mode_is_noticed_before_anything_is_asked_or_written() {
    // A few rows only, so that it is not their number that stops anything.
    let mut world = World::with(Config { subscriptions: 10, livemode: true, ..Config::default() });
    let before = world.store.lock().rows.clone();
    let marks = world.store.lock().marks.clone();
    let test = Simulator::start(Config { subscriptions: 30, ..Config::default() }).unwrap();
    world.stripe = stripe(&test, stripe_simulator::SECRET_KEY, 1_000_000.0);
    let ending = world.run().await;
    assert_eq!(holding(&ending), ["drift_livemode_mismatch", "reconcile_circuit_breaker"]);
    assert_eq!(ending.status, Status::Partial);
    assert!(ending.message.contains("different modes"), "{}", ending.message);
    assert_eq!((world.store.lock().rows.clone(), test.stats().requests), (before, 0));
    assert_eq!(world.store.lock().marks, marks, "and nothing is remembered of it");
}

/// One stray object or row of the other mode is an entry of its own, and stops nobody else's repair.
#[tokio::test]
async fn one_of_the_other_mode_is_one_entry() {
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
    assert_eq!(holding(&ending), ["drift_status_mismatch", "drift_livemode_mismatch"]);
    assert!(world.store.row("sub_stray").is_none());
    assert_eq!(world.store.status(&active[2].id), "active");
    assert_eq!((ending.status, ending.counts.updated_count), (Status::Success, 1));
}
