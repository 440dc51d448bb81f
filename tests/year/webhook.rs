//! How the app is told, and billing-ops where it follows events: by the simulator's events, as Stripe delivers them, which is to say mostly.

use serde_json::Value;
use stripe_simulator::{Delivery, DeliveryFaults, Simulator, WebhookEndpoint};

use crate::company::{HOUR, MINUTE};

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Subscription,
    Checkout,
}

/// What an event says.
pub struct Event {
    pub about: About,
    /// `sub_…`
    pub subscription: String,
    /// When it happened.
    pub created: i64,
    /// The subscription or the checkout session as it was then.
    pub object: Value,
}

impl Event {
    /// `None`: it is of no use to an app that sells subscriptions.
    pub fn read(delivery: &Delivery) -> Option<Self> {
        let mut event: Value = serde_json::from_slice(&delivery.body).expect("JSON");
        let object = event["data"]["object"].take();
        let (about, id) = match event["type"].as_str().expect("a type") {
            "checkout.session.completed" => (About::Checkout, &object["subscription"]),
            kind if kind.starts_with("customer.subscription.") => (About::Subscription, &object["id"]),
            _ => return None,
        };
        let subscription = id.as_str().expect("an id").to_owned();
        Some(Self { about, subscription, created: event["created"].as_i64().expect("a time"), object })
    }
}

/// The account tells the app of everything that happens. What fails comes again after minutes, or hours, or up to three days. Answers the
/// endpoint that billing-ops has, if it follows events.
pub fn begin(simulator: &Simulator, seed: u64, follows: bool) -> Option<String> {
    let pauses = [4 * MINUTE, 40 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 24 * HOUR];
    let endpoint = WebhookEndpoint {
        retries: Some(pauses.map(|seconds| seconds.unsigned_abs() * 1_000).to_vec()),
        ..WebhookEndpoint::in_process("whsec_of_the_app")
    };
    let register =
        |endpoint: WebhookEndpoint| simulator.webhook_endpoint(endpoint).expect("an endpoint like others");
    register(endpoint.clone());
    as_ever(simulator, seed);
    follows.then(|| register(endpoint))
}

/// Some get lost and Stripe believes that they arrived, some fail and come again, some come twice; each overtakes others.
pub fn as_ever(simulator: &Simulator, seed: u64) {
    let usual =
        DeliveryFaults { lose: 0.04, fail: 0.12, double: 0.03, delay: (1_000, 20_000), reorder: true, seed };
    simulator.delivery_faults(usual).expect("they are right");
}

/// Nothing arrives, and Stripe does not know: the app answers 200, and does nothing.
pub fn all_get_lost(simulator: &Simulator) {
    let none = DeliveryFaults { lose: 1.0, ..DeliveryFaults::default() };
    simulator.delivery_faults(none).expect("they are right");
}
