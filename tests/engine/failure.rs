//! Stripe or the database failing in every way that they know: what passes is survived, what does not is said, and
//! nothing is half done.

use billing_ops::reconcile::store::StoreError;
use billing_ops::reconcile::{Failure, Fenced, Status};
use billing_ops::stripe::StripeError;
use serde_json::json;
use stripe_simulator::{Fault, FaultKind, RateLimit};

use crate::world::{World, holding, impatient, stripe};

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
async fn a_stripe_that_fails_for_good_ends_the_run_in_error() {
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
                world.store.change(&facts.id, |row| row.status = "past_due".into());
            }
            world.simulator.fault(Fault::new(kind.clone()).path(LISTS).after(after).count(None));
            let ending = world.run().await;
            assert_eq!(ending.status, Status::Error, "{kind:?} {after}");
            assert_eq!(matches!(ending.failure, Some(Failure::StripeUnavailable(_))), outage, "{ending:?}");
            assert_eq!(matches!(ending.failure, Some(Failure::Stripe(_))), !outage);
            assert_eq!(ending.cursor, None);
            // What had been read is repaired and recorded.
            assert_eq!(ending.counts.updated_count > 0, after > 0, "{kind:?}: {:?}", ending.counts);
            assert_eq!(ending.counts.total_issues, world.store.lock().findings.len() as u64);

            world.simulator.clear_faults();
            let again = world.run_again(None).await;
            assert_eq!((again.status, again.counts.scanned_count), (Status::Success, 800));
            assert!(facts.iter().all(|facts| world.store.row(&facts.id).unwrap().status == "active"));
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
async fn a_database_that_goes_away_ends_the_run_in_error_and_the_next_completes() {
    let unavailable = StoreError::Unavailable("no connection".into());
    for after in [0, 1, 2, 4, 6] {
        let world = World::of(1_200);
        for facts in &world.with_status("active") {
            world.store.change(&facts.id, |row| row.status = "past_due".into());
        }
        world.store.lock().fails_after = Some((after, unavailable.clone()));
        let ending = world.run().await;
        assert_eq!(ending.status, Status::Error);
        assert!(matches!(ending.failure, Some(Failure::DatabaseUnavailable(_))), "{ending:?}");
        world.store.lock().fails_after = None;
        let again = world.run_again(None).await;
        assert_eq!((again.status, again.counts.scanned_count), (Status::Success, 1_200));
    }
}

#[tokio::test]
async fn an_attempt_that_was_given_up_stops_at_its_first_write() {
    let world = World::of(1_200);
    for facts in &world.with_status("active") {
        world.store.change(&facts.id, |row| row.status = "past_due".into());
    }
    world.store.lock().fails_after = Some((2, StoreError::Fenced));
    assert_eq!(world.run_job(world.job()).await.unwrap_err(), Fenced);
}

#[tokio::test]
async fn what_a_constraint_refuses_is_recorded_and_fails_nothing_else() {
    let world = World::of(60);
    let facts: Vec<_> = world.simulator.generator().all().collect();
    world.store.lock().one_per_organization = true;
    let organization = world.store.row(&facts[0].id).unwrap().organization_id;
    world.store.remove(&facts[1].id);
    world.store.remove(&facts[2].id);
    let change = stripe_simulator::SubscriptionChange {
        organization_id: Some(organization.to_string()),
        ..Default::default()
    };
    world.simulator.patch_subscription(&facts[1].id, change).unwrap();
    let ending = world.run().await;
    assert_eq!((ending.status, ending.counts.created_count), (Status::Success, 1), "{ending:?}");
    assert_eq!(ending.counts.total_issues, 2);
    assert!(world.store.row(&facts[1].id).is_none());
}
