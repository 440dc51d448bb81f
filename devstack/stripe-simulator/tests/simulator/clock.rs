//! The simulator's time: what it is set to, and what is dated by it.

use crate::common::Stripe;
use serde_json::json;
use stripe_simulator::{Config, SessionChange, SubscriptionChange};

#[test]
fn time_is_what_it_was_set_to_and_what_happens_is_dated_by_it() {
    let (january, february) = (1_767_225_600, 1_769_904_000);
    let stripe = Stripe::start(Config { now: Some(january), ..Config::default() });
    let simulator = &stripe.simulator;
    let dated = |time: &serde_json::Value, now: i64| {
        let time = time.as_i64().expect("a time");
        // It goes on by itself, so a slow machine may be some seconds late.
        assert!((now..now + 60).contains(&time), "{time} is not {now}");
    };
    let first = simulator.put_subscription(SubscriptionChange::default()).expect("a new one");
    dated(&first["created"], january);

    simulator.set_now(february);
    dated(&json!(simulator.now()), february);
    let second = simulator.put_subscription(SubscriptionChange::default()).expect("a new one");
    dated(&second["created"], february);
    dated(&simulator.put_session(SessionChange::default()).expect("a new one")["created"], february);
    let id = first["id"].as_str().expect("an id");
    let change = SubscriptionChange { status: Some("canceled".into()), ..Default::default() };
    let canceled = simulator.patch_subscription(id, change).expect("it is there");
    dated(&canceled["ended_at"], february);
    assert_eq!(canceled["created"], first["created"]);
    dated(&stripe.get("/v1/events?type=customer.subscription.deleted").data()[0]["created"], february);
    assert_eq!(stripe.get("/v1/subscriptions?status=all").ids(), [second["id"].as_str().expect("an id"), id]);
}
