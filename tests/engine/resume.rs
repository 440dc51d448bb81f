//! A run that stops early leaves a cursor, and the next one goes on from there: together they look at everything.

use std::time::Duration;

use billing_ops::reconcile::{Job, Status};
use serde_json::{Value, json};
use stripe_simulator::{Fault, FaultKind};
use tokio::time::Instant;

use crate::world::{World, alarm, holding, of_state};

/// Each list call takes a while, so that there is a middle to stop in.
fn slow(world: &World, milliseconds: u64) {
    world
        .simulator
        .fault(Fault::new(FaultKind::Latency { milliseconds }).path("/v1/subscriptions").count(None));
}

#[tokio::test]
async fn runs_that_stop_at_their_budget_cover_everything_together() {
    let world = World::of(3_000);
    let (active, canceled) = (world.with_status("active"), world.with_status("canceled"));
    for facts in &active {
        world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
    }
    for facts in &canceled[..30] {
        world.store.change(&facts.id, |row| row.status = Some("active".into()));
    }
    slow(&world, 60);
    let (mut resume, mut scanned, mut runs) = (None, 0, 0);
    let mut budget = Duration::from_millis(400);
    loop {
        runs += 1;
        world.store.lock().findings.clear();
        let deadline = Instant::now() + budget;
        let ending = world.run_job(Job { resume: resume.clone(), deadline, ..world.job() }).await.unwrap();
        scanned += ending.counts.scanned_count;
        if ending.status == Status::Success {
            assert_eq!(ending.cursor, None);
            // The last run speaks for the sweep.
            assert_eq!(holding(&ending), ["drift_status_mismatch"]);
            let (_, status) = alarm(&ending, "drift_status_mismatch");
            assert!(status["count"].as_u64().unwrap() >= (active.len() + 30) as u64);
            assert!(of_state(&ending.conditions, Some(false)).contains(&"drift_period_mismatch"));
            break;
        }
        assert_eq!(ending.status, Status::Partial, "{ending:?}");
        assert!(of_state(&ending.conditions, Some(false)).is_empty());
        let cursor = Some(serde_json::to_value(ending.cursor.unwrap()).unwrap());
        // On a busy machine it may take longer than that to get anywhere.
        if cursor == resume {
            budget *= 2;
        }
        resume = cursor;
        assert!(runs < 50, "no progress");
    }
    assert!(runs > 2, "it should not have been done in {runs} runs");
    assert_eq!(scanned, 3_000, "nothing twice");
    for facts in active.iter().chain(&canceled) {
        assert_eq!(world.store.status(&facts.id), facts.status);
    }
}

#[tokio::test]
async fn sigterm_is_the_end_of_the_budget() {
    let world = World::of(6_000);
    slow(&world, 60);
    let stop = async {
        // The first page has been taken in when there are requests after it.
        while world.simulator.stats().by_status.get(&200).is_none_or(|answers| *answers < 4) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.stop.send_replace(true);
    };
    let (ending, ()) = tokio::join!(world.run(), stop);
    assert_eq!(ending.status, Status::Partial);
    let before = ending.counts.scanned_count;
    assert!((1..6_000).contains(&before));
    world.stop.send_replace(false);
    world.simulator.clear_faults();
    let cursor = serde_json::to_value(ending.cursor.unwrap()).unwrap();
    let rest = world.run_again(Some(cursor)).await;
    assert_eq!((rest.status, before + rest.counts.scanned_count), (Status::Success, 6_000));
}

#[tokio::test]
async fn the_cursor_that_is_stored_on_the_way_is_enough_to_go_on_after_a_crash() {
    let world = World::of(6_000);
    for facts in world.simulator.generator().all() {
        world.store.change(&facts.id, |row| row.tier = None);
    }
    slow(&world, 400);
    let cursor = async {
        loop {
            if let Some(cursor) = world.store.lock().cursor.clone() {
                return cursor;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Dropping the run in the middle is what a SIGKILL does to it.
    let cursor = tokio::select! {
        ending = world.run() => panic!("it ended without storing a cursor: {ending:?}"),
        cursor = cursor => cursor,
    };
    let left = cursor["scanned"].as_u64().unwrap();
    assert!(left < 6_000, "{left}");
    world.simulator.clear_faults();
    let rest = world.run_again(Some(cursor)).await;
    assert_eq!(rest.status, Status::Success, "{rest:?}");
    assert_eq!(rest.counts.scanned_count, 6_000 - left);
    let still: Vec<_> = world
        .simulator
        .generator()
        .all()
        .filter(|facts| matches!(facts.status, "active" | "trialing" | "past_due"))
        .filter(|facts| world.store.row(&facts.id).unwrap().tier.is_none())
        .collect();
    assert!(still.is_empty(), "{} rows were never repaired", still.len());
}

#[tokio::test]
async fn a_cursor_that_cannot_be_understood_means_a_new_beginning() {
    let world = World::of(300);
    let cursors: [Value; 4] = [
        json!({"version": 999, "upper": 5, "windows": [], "fresh": [], "scanned": 0, "tally": {}}),
        json!({"version": 1, "upper": 5, "windows": [{"gte": 3, "lt": 3}], "fresh": [], "scanned": 0, "tally": {}}),
        json!({"open": "windows"}),
        json!(7),
    ];
    for cursor in cursors {
        let ending = world.run_again(Some(cursor.clone())).await;
        assert_eq!((ending.status, ending.counts.scanned_count), (Status::Success, 300), "{cursor}");
    }
}

#[tokio::test]
async fn a_budget_too_short_for_one_page_is_partial_and_loses_nothing() {
    let world = World::of(300);
    slow(&world, 500);
    let deadline = Instant::now() + Duration::from_millis(150);
    let ending = world.run_job(Job { deadline, ..world.job() }).await.unwrap();
    assert_eq!((ending.status, ending.counts.scanned_count), (Status::Partial, 0), "{ending:?}");
    world.simulator.clear_faults();
    assert_eq!(ending.cursor, None, "a new sweep looks at what was made since, too");
    assert_eq!(world.run_again(None).await.counts.scanned_count, 300);
}
