//! Stripe or the database failing in every way that they know: what passes is survived, what does not is said, and
//! nothing is half done.

use billing_ops::drift::repair::Action;
use billing_ops::reconcile::store::StoreError;
use billing_ops::reconcile::{Failure, Fenced, Status};
use billing_ops::stripe::StripeError;
use serde_json::json;
use stripe_simulator::{Fault, FaultKind, RateLimit};

use crate::store;
use crate::world::{World, holding, impatient, of_state, stripe};

const LISTS: &str = "/v1/subscriptions";

fn status(status: u16) -> FaultKind {
    FaultKind::Status { status, should_retry: None, retry_after: None, reason: "endpoint-rate".into() }
}

#[tokio::test]
async fn troubles_that_pass_are_survived() {
    for kind in [
        status(500),
        status(503),
        status(409),
        status(429),
        FaultKind::Cut,
        FaultKind::CutBody,
        FaultKind::Garbage,
        FaultKind::Stall,
        FaultKind::StallBody,
    ] {
        let mut world = World::of(600);
        world.stripe = impatient(&world.simulator);
        for after in [0, 4] {
            world.simulator.fault(Fault::new(kind.clone()).path(LISTS).after(after).count(Some(2)));
        }
        let ending = world.run().await;
        assert_eq!(
            (ending.status, ending.counts.scanned_count),
            (Status::Success, 600),
            "{kind:?}: {ending:?}"
        );
    }
}

#[tokio::test]
async fn a_stripe_that_fails_for_good_ends_the_run_and_an_outage_takes_nothing_of_it_away() {
    for (kind, outage) in [
        (status(500), true),
        (FaultKind::Cut, true),
        (FaultKind::CutBody, true),
        (FaultKind::Garbage, false),
        (status(400), false),
    ] {
        for after in [0, 4] {
            let world = World::of(800);
            let facts = world.with_status("active");
            for facts in &facts {
                world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
            }
            world.simulator.fault(Fault::new(kind.clone()).path(LISTS).after(after).count(None));
            let ending = world.run().await;
            let cut_short = outage && after > 0;
            assert_eq!(
                ending.status,
                if cut_short { Status::Partial } else { Status::Error },
                "{kind:?} {after}"
            );
            match &ending.failure {
                None => assert!(
                    cut_short && ending.message.contains("The next run goes on from here"),
                    "{ending:?}"
                ),
                Some(Failure::StripeUnavailable(_)) => assert!(outage && !cut_short),
                Some(failure) => assert!(!outage && matches!(failure, Failure::Stripe(_)), "{failure:?}"),
            }
            assert_eq!(ending.cursor.is_some(), cut_short);
            assert!(of_state(&ending.conditions, Some(false)).is_empty(), "nothing is clear");
            // What had been read is repaired and recorded.
            assert_eq!(ending.counts.updated_count > 0, after > 0, "{kind:?}: {:?}", ending.counts);
            assert_eq!(ending.counts.total_issues, world.store.lock().findings.len() as u64);

            world.simulator.clear_faults();
            let before = if cut_short { ending.counts.scanned_count } else { 0 };
            let cursor = ending.cursor.map(|cursor| serde_json::to_value(cursor).unwrap());
            let again = world.run_again(cursor).await;
            assert_eq!((again.status, again.counts.scanned_count + before), (Status::Success, 800));
            assert!(facts.iter().all(|facts| world.store.status(&facts.id) == "active"));
        }
    }
}

#[tokio::test]
async fn a_refused_key_is_named_and_not_tried_again() {
    let mut world = World::of(100);
    world.stripe = stripe(&world.simulator, "sk_test_another", 1_000_000.0);
    let ending = world.run().await;
    assert!(matches!(&ending.failure, Some(Failure::Stripe(StripeError::Unauthorized { .. }))), "{ending:?}");
    assert_eq!(world.simulator.stats().requests, 1);

    world.stripe = stripe(&world.simulator, stripe_simulator::RESTRICTED_KEY, 1_000_000.0);
    for (permission, words) in [
        ("rak_subscription_read", "Subscriptions: Read"),
        ("rak_checkout_session_read", "Checkout Sessions: Read"),
    ] {
        world.simulator.missing_permissions(&[permission]);
        let ending = world.run_again(None).await;
        let Some(Failure::Stripe(error @ StripeError::MissingPermission { .. })) = &ending.failure else {
            panic!("{ending:?}")
        };
        assert!(error.to_string().contains(words) && error.to_string().contains(permission), "{error}");
    }
}

#[tokio::test]
async fn limits_are_kept_and_recovered_from() {
    let mut world = World::of(1_000);
    world.stripe = stripe(&world.simulator, stripe_simulator::SECRET_KEY, 60.0);
    world.simulator.rate_limit(Some(RateLimit { burst: Some(2.0), ..RateLimit::per_second(8.0) }));
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.scanned_count), (Status::Success, 1_000), "{ending:?}");
    let limited = world.simulator.stats().rate_limited;
    assert!((1..40).contains(&limited), "{limited} refusals");
}

#[tokio::test]
async fn an_odd_object_is_one_error_and_not_a_lost_page() {
    let world = World::of(250);
    let odd = json!({"id": "sub_odd", "object": "subscription", "status": ["active"]});
    for object in [None, Some(odd)] {
        let kind = FaultKind::Malformed { position: 40, object };
        world.simulator.fault(Fault::new(kind).exact(LISTS));
        let ending = world.run_again(None).await;
        assert_eq!((ending.status, ending.counts.error_count), (Status::Partial, 1), "{ending:?}");
        assert_eq!(ending.counts.scanned_count, 250);
        assert_eq!(holding(&ending), ["drift_malformed_object"]);
        assert!(ending.errors[0].error.contains("cannot be read"));
        assert_eq!(ending.cursor, None);
    }
}

#[tokio::test]
async fn a_database_that_stays_away_ends_the_run_and_the_next_completes_it() {
    let unavailable = StoreError::Unavailable("no connection".into());
    for after in [0, 1, 2, 4, 6] {
        let world = World::of(1_200);
        for facts in &world.with_status("active") {
            world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
        }
        world.store.lock().fails_after = Some((after, unavailable.clone()));
        let ending = world.run().await;
        let scanned = ending.counts.scanned_count;
        if scanned == 0 {
            assert!(matches!(ending.failure, Some(Failure::DatabaseUnavailable(_))), "{ending:?}");
        }
        assert_eq!(
            ending.status,
            if scanned == 0 { Status::Error } else { Status::Partial },
            "{after}: {ending:?}"
        );
        assert_eq!(ending.cursor.is_some(), scanned > 0);
        world.store.lock().fails_after = None;
        let cursor = ending.cursor.map(|cursor| serde_json::to_value(cursor).unwrap());
        let again = world.run_again(cursor).await;
        assert_eq!((again.status, again.counts.scanned_count + scanned), (Status::Success, 1_200));
    }
}

#[tokio::test]
async fn an_attempt_that_was_given_up_stops_at_its_first_write() {
    let world = World::of(1_200);
    for facts in &world.with_status("active") {
        world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
    }
    world.store.lock().fails_after = Some((2, StoreError::Fenced));
    assert_eq!(world.run_job(world.job()).await.unwrap_err(), Fenced);
}

#[tokio::test]
async fn a_row_that_the_table_refuses_is_an_entry_and_everybody_else_is_served() {
    let world = World::of(60);
    let active = world.with_status("active");
    let facts = &active[5..8];
    let owner = facts[0].organization_id.clone();
    for facts in &active[..3] {
        world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
    }
    let why = "check constraint no_paused refuses it (23514)".to_owned();
    world.store.lock().refuses.insert(active[1].id.clone(), why.clone());
    world.store.lock().refuses.insert(facts[1].id.clone(), "unique index one_each refuses it (23505)".into());
    world.store.remove(&facts[1].id);
    world.store.remove(&facts[2].id);
    let change = stripe_simulator::SubscriptionChange { organization_id: Some(owner), ..Default::default() };
    world.simulator.patch_subscription(&facts[1].id, change).unwrap();
    let ending = world.run().await;
    assert_eq!((ending.counts.created_count, ending.counts.updated_count), (1, 2), "{ending:?}");
    assert_eq!(ending.counts.total_issues, 5);
    assert!(world.store.row(&facts[1].id).is_none());
    assert_eq!(ending.status, Status::Partial, "what was to be written was not");
    assert!(ending.message.ends_with("; the table refused a repair"), "{}", ending.message);
    let refused = ending.reconciliations.iter().find(|found| {
        found.stripe_subscription_id.as_ref() == Some(&active[1].id) && found.action == Action::Refused
    });
    assert!(refused.unwrap().action_taken.ends_with(&why));
    assert!(
        of_state(&ending.conditions, Some(false)).contains(&"drift_period_mismatch"),
        "and all was judged"
    );
}

#[tokio::test]
async fn one_row_that_runs_into_the_timeout_holds_up_nobody_else() {
    let world = World::of(200);
    let active = world.with_status("active");
    for facts in &active[..50] {
        world.store.change(&facts.id, |row| row.status = Some("past_due".into()));
    }
    world.store.lock().slow.insert(active[17].id.clone());
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.updated_count), (Status::Partial, 49), "{ending:?}");
    assert_eq!(world.store.status(&active[17].id), "past_due");
    let refused: Vec<_> = ending.reconciliations.iter().filter(|found| !found.fixed).collect();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].action_taken.ends_with("the statement ran into its timeout (57014)"));
    // Halving: about twice the logarithm of fifty, not fifty.
    assert!(world.store.lock().batches <= 14, "{}", world.store.lock().batches);
}

#[tokio::test]
async fn a_table_that_is_not_adopted_or_has_changed_ends_the_run_before_it_asks_or_writes() {
    let world = World::of(50);
    world.store.change(&world.with_status("active")[0].id, |row| row.status = Some("past_due".into()));
    for why in ["No table is adopted.", "Column tier of public.subscriptions no longer exists."] {
        world.store.lock().shape = Err(why.to_owned());
        let ending = world.run().await;
        assert_eq!(ending.status, Status::Error);
        let failure = ending.failure.unwrap();
        assert_eq!(
            (failure.code(), failure.sentence()),
            ("not_adopted", format!("{why} Run billing_ops.adopt."))
        );
        assert_eq!((world.store.lock().batches, world.simulator.stats().requests), (0, 0));
        assert!(of_state(&ending.conditions, Some(false)).is_empty(), "and nothing is cleared");
    }
}

#[tokio::test]
async fn odd_rows_are_entries_of_their_own() {
    let world = World::of(100);
    let facts = world.with_status("active");
    world.store.change(&facts[0].id, |row| {
        row.owner = None;
        row.odd = Some("owner is null".into());
        row.status = Some("past_due".into());
    });
    world.store.change(&facts[1].id, |row| row.status = Some("past_due".into()));
    world.store.lock().odd.push(("17".into(), None, "the Stripe subscription id is an empty string".into()));
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.updated_count), (Status::Success, 1), "{ending:?}");
    assert_eq!(world.store.status(&facts[0].id), "past_due");
    let open: Vec<String> = world.store.lock().open.keys().cloned().collect();
    assert_eq!(open, ["malformed_row:17".to_owned(), format!("malformed_row:{}", facts[0].id)]);
    assert_eq!(holding(&ending), ["drift_status_mismatch", "drift_malformed_row"]);
}

#[tokio::test]
async fn where_the_mapping_lets_nothing_be_written_everything_is_told_and_nothing_is_written() {
    for writes in ["none", "update"] {
        let world = World::of(200);
        let (active, canceled) = (world.with_status("active"), world.with_status("canceled"));
        world.store.change(&active[0].id, |row| row.status = Some("past_due".into()));
        world.store.change(&canceled[0].id, |row| row.status = Some("active".into()));
        world.store.remove(&active[1].id);
        let before = world.store.lock().rows.clone();
        world.store.lock().shape = Ok(store::shape(writes));
        let ending = world.run().await;
        assert_eq!((ending.status, ending.counts.total_issues), (Status::Success, 3), "{ending:?}");
        let observed =
            world.store.findings().iter().filter(|(_, action)| *action == Action::Observed).count();
        let expected = if writes == "none" { 3 } else { 1 };
        assert_eq!((observed, ending.counts.updated_count), (expected, 3 - expected as u64));
        if writes == "none" {
            assert_eq!(world.store.lock().rows, before);
        }
        assert!(world.store.row(&active[1].id).is_none());
    }
}
