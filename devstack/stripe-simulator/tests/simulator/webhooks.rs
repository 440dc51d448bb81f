//! Webhooks: what is sent to whom, signed how, and again when; and what gets lost on the way.

use crate::common::{Stripe, text};
use crate::receiver::{Receiver, eventually};
use crate::signatures::verifies;
use reqwest::Method;
use serde_json::{Value, json};
use stripe_simulator::{
    Config, Delivery, DeliveryFaults, EventInput, InvoiceEventInput, Outcome, Payload, SessionChange,
    Simulator, SubscriptionChange, WebhookEndpoint,
};

const SECRET: &str = "whsec_of_the_test";
/// 2026-01-01.
const JANUARY: i64 = 1_767_225_600;
/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1/";

fn january() -> Stripe {
    Stripe::start(Config { now: Some(JANUARY), ..Config::default() })
}

/// An event whose id says which one it is.
fn put(simulator: &Simulator, number: usize) -> String {
    let id = format!("evt_{number:03}");
    let object = json!({ "id": "prod_1", "object": "product" });
    let event =
        EventInput { kind: "product.updated".into(), object, id: Some(id.clone()), ..Default::default() };
    simulator.put_event(event).expect("it is put");
    id
}

fn pending(stripe: &Stripe, id: &str) -> i64 {
    stripe.get(&format!("/v1/events/{id}")).body["pending_webhooks"].as_i64().expect("a number")
}

/// How many attempts of the first endpoint came to that end.
fn ended(simulator: &Simulator, outcome: Outcome) -> u64 {
    let stats = simulator.stats();
    stats.deliveries.get("we_1").and_then(|counts| counts.get(&outcome)).copied().unwrap_or(0)
}

#[test]
fn an_endpoint_gets_the_event_as_it_is_listed_signed_and_once() {
    let (stripe, receiver) = (january(), Receiver::start());
    let id = stripe.simulator.webhook_endpoint(WebhookEndpoint::new(&receiver.url(), SECRET)).expect("a URL");
    assert_eq!(id, "we_1");
    stripe.simulator.put_subscription(SubscriptionChange::default()).expect("a new one");
    let received = receiver.received(1).remove(0);
    assert_eq!(received.line, "POST /webhooks/stripe?from=test HTTP/1.1");
    assert_eq!(received.headers["content-type"], "application/json; charset=utf-8");

    // It was pending when it left, and is not any more once Stripe has the answer.
    let mut event = received.json();
    assert_eq!(event["type"], "customer.subscription.created");
    assert_eq!(event["pending_webhooks"], 1);
    let id = text(&event["id"]);
    eventually("it is delivered", || pending(&stripe, &id) == 0);
    event["pending_webhooks"] = json!(0);
    assert_eq!(event, stripe.get(&format!("/v1/events/{id}")).body);
    assert_eq!(stripe.get("/v1/events?delivery_success=true").ids(), [id]);
    assert_eq!(ended(&stripe.simulator, Outcome::Taken), 1);

    assert!(verifies(received.signature(), SECRET, &received.body), "{}", received.signature());
    assert!(!verifies(received.signature(), "whsec_another", &received.body));
    let time = received.signature()[2..].split(',').next().and_then(|time| time.parse().ok());
    let time: i64 = time.expect("a time");
    assert!((JANUARY..JANUARY + 60).contains(&time), "{time} is not the simulator's time");
    assert_eq!(receiver.received(1).len(), 1);
}

#[test]
fn a_thin_endpoint_is_told_what_has_changed_and_nothing_of_how() {
    let (stripe, receiver) = (january(), Receiver::start());
    let simulator = &stripe.simulator;
    let thin = WebhookEndpoint { payload: Payload::Thin, ..WebhookEndpoint::new(&receiver.url(), SECRET) };
    simulator.webhook_endpoint(thin).expect("a URL");
    let subscription = simulator.put_subscription(SubscriptionChange::default()).expect("a new one");
    let session = simulator.put_session(SessionChange::default()).expect("a new one");
    let invoice = InvoiceEventInput {
        kind: "invoice.paid".into(),
        subscription: text(&subscription["id"]),
        created: Some(JANUARY + 61),
        ..Default::default()
    };
    let invoice = simulator.put_invoice_event(invoice).expect("it is put");

    let received = receiver.received(3);
    let last = received[2].json();
    assert_eq!(
        last,
        json!({
            "id": invoice["id"],
            "object": "v2.core.event",
            "type": "v1.invoice.paid",
            "livemode": false,
            "created": "2026-01-01T00:01:01.000Z",
            "context": null,
            "reason": null,
            "related_object": {
                "id": invoice["data"]["object"]["id"],
                "type": "invoice",
                "url": format!("/v1/invoices/{}", text(&invoice["data"]["object"]["id"])),
            },
        })
    );
    assert!(verifies(received[2].signature(), SECRET, &received[2].body));
    let related = |place: usize| received[place].json()["related_object"].clone();
    let found = |object: &Value, kind: &str, path: &str| {
        let id = text(&object["id"]);
        json!({ "id": id, "type": kind, "url": format!("{path}/{id}") })
    };
    assert_eq!(related(0), found(&subscription, "subscription", "/v1/subscriptions"));
    assert_eq!(related(1), found(&session, "checkout.session", "/v1/checkout/sessions"));
    // Where it points to, there is the object.
    assert_eq!(stripe.get(&text(&related(1)["url"])).body, session);
}

#[test]
fn an_endpoint_hears_of_what_it_has_asked_for_only() {
    let stripe = Stripe::with(1);
    let simulator = &stripe.simulator;
    let of = |payload, name: &str| WebhookEndpoint {
        payload,
        enabled_events: vec![name.to_owned()],
        ..WebhookEndpoint::in_process(SECRET)
    };
    simulator.webhook_endpoint(of(Payload::Snapshot, "product.updated")).expect("it is right");
    simulator.webhook_endpoint(of(Payload::Thin, "v1.product.updated")).expect("it is right");
    simulator.webhook_endpoint(of(Payload::Thin, "customer.subscription.created")).expect("it is right");
    let product = put(simulator, 1);
    simulator.put_subscription(SubscriptionChange::default()).expect("a new one");
    let created = stripe.get("/v1/events?type=customer.subscription.created").ids().remove(0);
    assert_eq!((pending(&stripe, &product), pending(&stripe, &created)), (2, 1));
    let heard: Vec<(String, String)> = simulator
        .take_deliveries(simulator.now())
        .into_iter()
        .map(|delivery| (delivery.endpoint, delivery.event))
        .collect();
    let heard: Vec<(&str, &str)> = heard.iter().map(|(to, event)| (to.as_str(), event.as_str())).collect();
    assert_eq!(heard, [("we_1", &*product), ("we_2", &*product), ("we_3", &*created)]);
    assert_eq!((pending(&stripe, &product), pending(&stripe, &created)), (0, 0));
}

#[test]
fn while_a_secret_is_rolled_both_sign() {
    let (stripe, receiver) = (Stripe::with(1), Receiver::start());
    let before = WebhookEndpoint::new(&receiver.url(), "whsec_old");
    let id = stripe.simulator.webhook_endpoint(before.clone()).expect("a URL");
    put(&stripe.simulator, 1);
    receiver.received(1);
    let during = WebhookEndpoint {
        secret: "whsec_new".into(),
        previous_secret: Some("whsec_old".into()),
        ..before.clone()
    };
    stripe.simulator.change_webhook_endpoint(&id, during).expect("it is there");
    put(&stripe.simulator, 2);
    receiver.received(2);
    let after = WebhookEndpoint { secret: "whsec_new".into(), ..before };
    stripe.simulator.change_webhook_endpoint(&id, after).expect("it is there");
    put(&stripe.simulator, 3);
    let by = |secret: &str| -> Vec<bool> {
        let received = receiver.received(3);
        received.iter().map(|received| verifies(received.signature(), secret, &received.body)).collect()
    };
    assert_eq!(by("whsec_old"), [true, true, false]);
    assert_eq!(by("whsec_new"), [false, true, true]);
}

#[test]
fn what_is_refused_comes_again_and_redirects_are_refusals() {
    let (stripe, receiver, elsewhere) = (Stripe::with(1), Receiver::start(), Receiver::start());
    let endpoint =
        WebhookEndpoint { retries: Some(vec![5; 5]), ..WebhookEndpoint::new(&receiver.url(), SECRET) };
    stripe.simulator.webhook_endpoint(endpoint).expect("a URL");
    let moved = format!("302 Found\r\nlocation: {}", elsewhere.url());
    receiver.answers(&["500 Internal Server Error", &moved, "204 No Content"]);
    let id = put(&stripe.simulator, 1);
    eventually("it is taken", || pending(&stripe, &id) == 0);
    let received = receiver.received(3);
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|received| received.json()["id"] == *id));
    assert!(elsewhere.received(0).is_empty(), "Stripe follows no redirect");
    let outcomes = [Outcome::Refused, Outcome::Taken].map(|outcome| ended(&stripe.simulator, outcome));
    assert_eq!(outcomes, [2, 1]);
}

#[test]
fn what_nobody_takes_is_pending_for_ever() {
    let (stripe, receiver) = (Stripe::with(1), Receiver::start());
    let simulator = &stripe.simulator;
    let endpoint = WebhookEndpoint { retries: Some(vec![1, 1]), ..WebhookEndpoint::new(NOBODY, SECRET) };
    let lost = simulator.webhook_endpoint(endpoint).expect("a URL");
    simulator.webhook_endpoint(WebhookEndpoint::new(&receiver.url(), SECRET)).expect("a URL");
    let id = put(simulator, 1);
    eventually("all attempts have failed", || ended(simulator, Outcome::Unreachable) == 3);
    // The one that works is not held up by the other.
    eventually("one has taken it", || pending(&stripe, &id) == 1);
    assert_eq!(receiver.received(1).len(), 1);
    assert_eq!(stripe.get("/v1/events?delivery_success=false").ids(), [id.as_str()]);

    // The next one gets through once the endpoint is where it says.
    let moved = WebhookEndpoint { retries: Some(vec![1]), ..WebhookEndpoint::new(&receiver.url(), SECRET) };
    simulator.change_webhook_endpoint(&lost, moved).expect("it is there");
    let next = put(simulator, 2);
    eventually("both have taken it", || pending(&stripe, &next) == 0);
    assert_eq!(stripe.get("/v1/events?delivery_success=false").ids(), [id.as_str()]);
    assert_eq!(receiver.received(3).len(), 3);

    simulator.remove_webhook_endpoint(&lost).expect("it is there");
    assert_eq!(stripe.get("/v1/events?delivery_success=false").ids(), [""; 0]);
    assert!(simulator.remove_webhook_endpoint(&lost).is_err());
}

#[test]
fn days_between_attempts_pass_with_the_simulators_clock() {
    let (stripe, receiver) = (january(), Receiver::start());
    let simulator = &stripe.simulator;
    let (day, patient) = (86_400, Some(vec![86_400_000; 2]));
    let endpoint = WebhookEndpoint { retries: patient, ..WebhookEndpoint::new(&receiver.url(), SECRET) };
    simulator.webhook_endpoint(endpoint).expect("a URL");
    receiver.answers(&["503 Service Unavailable"; 2]);
    let id = put(simulator, 1);
    for attempt in 1..=2 {
        eventually("it is refused", || ended(simulator, Outcome::Refused) == attempt);
        assert_eq!((receiver.received(0).len() as u64, pending(&stripe, &id)), (attempt, 1));
        // The attempt was some moments after the clock was set.
        simulator.set_now(JANUARY + attempt as i64 * (day + 60));
    }
    eventually("it is taken", || pending(&stripe, &id) == 0);
    let last = receiver.received(3).remove(2);
    let time: i64 =
        last.signature()[2..].split(',').next().and_then(|time| time.parse().ok()).expect("a time");
    assert!((JANUARY + 2 * day..JANUARY + 2 * day + 240).contains(&time), "{time}");
    assert!(verifies(last.signature(), SECRET, &last.body));
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_wait_longer() {
    let stripe = january();
    let simulator = &stripe.simulator;
    simulator.webhook_endpoint(WebhookEndpoint::in_process(SECRET)).expect("it is right");
    let late = DeliveryFaults { delay: (600_000, 600_000), ..Default::default() };
    simulator.delivery_faults(late).expect("it is right");
    let id = put(simulator, 1);
    let december = JANUARY - 30 * 86_400;
    simulator.set_now(december);
    assert_eq!(simulator.take_deliveries(december + 500), []);
    let taken = simulator.take_deliveries(december + 700);
    assert_eq!(taken.iter().map(|delivery| delivery.event.as_str()).collect::<Vec<_>>(), [id]);
}

#[test]
fn events_queue_up_while_deliveries_are_paused_and_come_in_order() {
    let (stripe, receiver) = (Stripe::with(1), Receiver::start());
    let simulator = &stripe.simulator;
    simulator.webhook_endpoint(WebhookEndpoint::new(&receiver.url(), SECRET)).expect("a URL");
    simulator.pause_deliveries();
    let ids: Vec<String> = (0..70).map(|number| put(simulator, number)).collect();
    assert!(ids.iter().all(|id| pending(&stripe, id) == 1));
    assert_eq!(stripe.get("/v1/events?delivery_success=false&limit=100").ids().len(), 70);
    assert!(receiver.received(0).is_empty());
    simulator.resume_deliveries();
    let received = receiver.received(70);
    let came: Vec<String> = received.iter().map(|received| text(&received.json()["id"])).collect();
    assert_eq!(came, ids);
    eventually("all are taken", || ids.iter().all(|id| pending(&stripe, id) == 0));
}

#[test]
fn an_event_that_is_put_again_is_sent_again_and_the_old_one_is_forgotten() {
    let stripe = january();
    let simulator = &stripe.simulator;
    simulator.webhook_endpoint(WebhookEndpoint::in_process(SECRET)).expect("it is right");
    let again = |delivered| {
        let object = json!({ "id": "prod_1", "object": "product" });
        let (id, created) = (Some("evt_again".to_owned()), Some(JANUARY));
        simulator.put_event(EventInput { kind: "product.updated".into(), object, id, created, delivered })
    };
    let taken = || simulator.take_deliveries(JANUARY + 600).len();
    again(None).expect("it is put");
    again(None).expect("it is put");
    assert_eq!((pending(&stripe, "evt_again"), taken(), pending(&stripe, "evt_again")), (1, 1, 0));
    again(None).expect("it is put");
    again(Some(false)).expect("it is put");
    assert_eq!((pending(&stripe, "evt_again"), taken(), pending(&stripe, "evt_again")), (1, 0, 1));
    again(Some(true)).expect("it is put");
    assert_eq!((pending(&stripe, "evt_again"), taken()), (0, 0));
}

#[test]
fn what_is_handed_out_in_the_process_can_be_refused() {
    let stripe = january();
    let simulator = &stripe.simulator;
    let endpoint = WebhookEndpoint { retries: Some(vec![3_600_000]), ..WebhookEndpoint::in_process(SECRET) };
    simulator.webhook_endpoint(endpoint).expect("it is right");
    let id = put(simulator, 1);
    let first = simulator.take_deliveries(JANUARY + 60).remove(0);
    assert!(verifies(&first.signature, SECRET, &first.body));
    assert_eq!((first.attempt, pending(&stripe, &id)), (1, 0));
    simulator.refuse(&first);
    assert_eq!(pending(&stripe, &id), 1);
    assert_eq!(simulator.take_deliveries(first.at + 3_599), []);
    let second = simulator.take_deliveries(first.at + 3_600).remove(0);
    assert_eq!((second.attempt, second.at, pending(&stripe, &id)), (2, first.at + 3_600, 0));
    let outcomes = [Outcome::Refused, Outcome::Taken].map(|outcome| ended(simulator, outcome));
    assert_eq!(outcomes, [1, 1]);
    simulator.reset_stats();
    assert!(simulator.stats().deliveries.is_empty());
}

/// What an endpoint of a fresh simulator hears of a minute with an event every second.
fn a_minute(faults: &DeliveryFaults, retries: &[u64]) -> (Stripe, Vec<Delivery>) {
    let stripe = january();
    let endpoint = WebhookEndpoint { retries: Some(retries.to_vec()), ..WebhookEndpoint::in_process(SECRET) };
    stripe.simulator.webhook_endpoint(endpoint).expect("it is right");
    stripe.simulator.delivery_faults(faults.clone()).expect("it is right");
    for second in 0..60 {
        stripe.simulator.set_now(JANUARY + second);
        put(&stripe.simulator, second as usize);
    }
    let heard = stripe.simulator.take_deliveries(JANUARY + 86_400);
    (stripe, heard)
}

fn events(heard: &[Delivery]) -> Vec<&str> {
    heard.iter().map(|delivery| delivery.event.as_str()).collect()
}

#[test]
fn the_same_seed_has_the_same_faults() {
    let faults =
        |seed| DeliveryFaults { lose: 0.2, fail: 0.2, double: 0.2, delay: (500, 8_000), reorder: true, seed };
    let heard = |seed| a_minute(&faults(seed), &[60_000]).1;
    let first = heard(7);
    assert_eq!(first, heard(7));
    assert_ne!(events(&first), events(&heard(8)));
    assert!(first.iter().any(|delivery| delivery.attempt == 2), "some come by the second attempt only");
}

#[test]
fn what_is_lost_is_never_heard_of_and_nobody_knows() {
    let (stripe, heard) = a_minute(&DeliveryFaults { lose: 0.5, ..Default::default() }, &[1_000]);
    let lost = ended(&stripe.simulator, Outcome::Lost);
    assert!((15..45).contains(&lost), "{lost} of 60 is not about half");
    assert_eq!(heard.len() as u64, 60 - lost);
    assert_eq!(stripe.get("/v1/events?delivery_success=false").ids(), [""; 0]);
}

#[test]
fn what_fails_is_tried_again_and_pending() {
    let (stripe, heard) = a_minute(&DeliveryFaults { fail: 1.0, ..Default::default() }, &[1_000, 1_000]);
    assert_eq!(heard, []);
    assert_eq!(ended(&stripe.simulator, Outcome::Failed), 180);
    assert_eq!(stripe.get("/v1/events?delivery_success=false&limit=100").ids().len(), 60);
}

#[test]
fn what_comes_twice_counts_once() {
    let (stripe, heard) = a_minute(&DeliveryFaults { double: 1.0, ..Default::default() }, &[1_000]);
    let twice: Vec<String> =
        (0..60).flat_map(|number| [format!("evt_{number:03}"), format!("evt_{number:03}")]).collect();
    assert_eq!(events(&heard), twice);
    assert_eq!(stripe.get("/v1/events?delivery_success=false").ids(), [""; 0]);
}

#[test]
fn delays_reorder_events_only_where_that_was_asked_for() {
    let late = |reorder| DeliveryFaults { delay: (1_000, 20_000), reorder, ..Default::default() };
    let in_order: Vec<String> = (0..60).map(|number| format!("evt_{number:03}")).collect();
    let (_, kept) = a_minute(&late(false), &[]);
    assert_eq!(events(&kept), in_order);
    let (_, mixed) = a_minute(&late(true), &[]);
    assert_ne!(events(&mixed), in_order);
    let mut sorted = events(&mixed);
    sorted.sort_unstable();
    assert_eq!(sorted, in_order);
    for delivery in kept.iter().chain(&mixed) {
        let created = JANUARY + delivery.event["evt_".len()..].parse::<i64>().expect("a number");
        let late = delivery.at - created;
        assert!((1..=20).contains(&late), "{} came {late} seconds late", delivery.event);
    }
}

#[test]
fn over_http_the_same_faults_befall_the_same_events() {
    let faults = DeliveryFaults {
        lose: 0.2,
        double: 0.2,
        delay: (0, 400),
        reorder: true,
        seed: 3,
        ..Default::default()
    };
    let receiver = Receiver::start();
    let heard = |endpoint: WebhookEndpoint| {
        let stripe = january();
        stripe.simulator.webhook_endpoint(endpoint).expect("it is right");
        stripe.simulator.delivery_faults(faults.clone()).expect("it is right");
        stripe.simulator.pause_deliveries();
        (0..24).for_each(|number| drop(put(&stripe.simulator, number)));
        stripe.simulator.resume_deliveries();
        stripe
    };
    let expected = heard(WebhookEndpoint::in_process(SECRET)).simulator.take_deliveries(JANUARY + 60);
    let mut expected: Vec<String> = expected.into_iter().map(|delivery| delivery.event).collect();
    let stripe = heard(WebhookEndpoint::new(&receiver.url(), SECRET));
    let received = receiver.received(expected.len());
    eventually("all have come to an end", || {
        stripe.get("/v1/events?delivery_success=false").ids().is_empty()
    });
    let mut came: Vec<String> = received.iter().map(|received| text(&received.json()["id"])).collect();
    assert_ne!(
        expected.iter().collect::<std::collections::BTreeSet<_>>().len(),
        expected.len(),
        "some came twice"
    );
    // Connections that are made within the same millisecond may be taken in either order.
    expected.sort_unstable();
    came.sort_unstable();
    assert_eq!(came, expected);
}

#[test]
fn nothing_is_sent_to_other_machines_and_mistakes_are_told() {
    let stripe = Stripe::with(1);
    let simulator = &stripe.simulator;
    for url in [
        "https://127.0.0.1:1/",
        "http://example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://user@localhost/",
        "http://10.0.0.1/",
        "http://[::1]:1/",
        "ftp://localhost/",
        "/hooks",
        "localhost",
        "",
    ] {
        let mistake = simulator.webhook_endpoint(WebhookEndpoint::new(url, SECRET)).expect_err(url);
        assert_eq!(mistake, format!("{url} is not http://127.0.0.1 or http://localhost"));
    }
    let right = WebhookEndpoint::new(NOBODY, SECRET);
    for wrong in [
        WebhookEndpoint { secret: "whsec_".into(), ..right.clone() },
        WebhookEndpoint { previous_secret: Some("sk_test_1".into()), ..right.clone() },
        WebhookEndpoint { enabled_events: vec![], ..right.clone() },
        WebhookEndpoint { enabled_events: vec!["customer.*".into()], ..right.clone() },
    ] {
        assert!(simulator.webhook_endpoint(wrong.clone()).is_err(), "{wrong:?}");
    }
    assert_eq!(simulator.webhook_endpoints(), []);
    let id = simulator.webhook_endpoint(right.clone()).expect("it is right");
    assert!(
        simulator.change_webhook_endpoint(&id, WebhookEndpoint::new("http://example.com/", SECRET)).is_err()
    );
    assert!(simulator.change_webhook_endpoint("we_none", right.clone()).is_err());
    assert_eq!(simulator.webhook_endpoints()[0].endpoint, right);
    for wrong in [
        DeliveryFaults { lose: 1.5, ..Default::default() },
        DeliveryFaults { lose: 0.6, fail: 0.6, ..Default::default() },
        DeliveryFaults { double: f64::NAN, ..Default::default() },
        DeliveryFaults { delay: (2, 1), ..Default::default() },
        DeliveryFaults { reorder: true, ..Default::default() },
    ] {
        assert!(simulator.delivery_faults(wrong.clone()).is_err(), "{wrong:?}");
    }
}

#[test]
fn all_of_it_can_be_had_over_http() {
    let (stripe, receiver) = (Stripe::with(1), Receiver::start());
    let control = |method: Method, path: &str, body: Value| stripe.control(method, path, &body);
    let url = receiver.url().replace("127.0.0.1", "localhost");
    let endpoint = json!({ "url": url, "secret": SECRET, "payload": "thin", "enabled_events": ["*"] });
    let id = text(&control(Method::POST, "/webhook_endpoints", endpoint.clone()).body["id"]);
    let listed = control(Method::GET, "/webhook_endpoints", Value::Null).body;
    let expected = json!([{
        "id": id, "url": url, "secret": SECRET, "previous_secret": null, "payload": "thin",
        "enabled_events": ["*"], "retries": null,
    }]);
    assert_eq!(listed, expected);
    for wrong in [json!({ "secret": SECRET }), json!({ "url": "http://example.com", "secret": SECRET })] {
        assert_eq!(control(Method::POST, "/webhook_endpoints", wrong).status, 400);
    }

    assert_eq!(control(Method::POST, "/webhook_endpoints/pause", Value::Null).status, 204);
    let event = json!({ "type": "product.updated", "object": { "id": "prod_1", "object": "product" } });
    let event = text(&control(Method::POST, "/events", event).body["id"]);
    assert_eq!(pending(&stripe, &event), 1);
    assert_eq!(control(Method::POST, "/webhook_endpoints/resume", Value::Null).status, 204);
    assert_eq!(receiver.received(1)[0].json()["type"], "v1.product.updated");
    eventually("it is delivered", || pending(&stripe, &event) == 0);
    let stats = control(Method::GET, "/stats", Value::Null).body;
    assert_eq!(stats["deliveries"], json!({ id.clone(): { "taken": 1 } }));

    let faults = json!({ "lose": 1.0, "delay": [1, 2], "seed": 5 });
    assert_eq!(control(Method::PUT, "/delivery_faults", faults).status, 200);
    let faults = control(Method::GET, "/delivery_faults", Value::Null).body;
    let expected = json!({
        "lose": 1.0, "fail": 0.0, "double": 0.0, "delay": [1, 2], "reorder": false, "seed": 5,
    });
    assert_eq!(faults, expected);
    assert_eq!(control(Method::PUT, "/delivery_faults", json!({ "lose": 2.0 })).status, 400);
    put(&stripe.simulator, 1);
    eventually("it is lost", || ended(&stripe.simulator, Outcome::Lost) == 1);
    assert_eq!(control(Method::DELETE, "/delivery_faults", Value::Null).status, 200);
    let snapshots = json!({ "url": url, "secret": SECRET });
    assert_eq!(control(Method::PUT, &format!("/webhook_endpoints/{id}"), snapshots).status, 200);
    put(&stripe.simulator, 2);
    assert_eq!(receiver.received(2)[1].json()["object"], "event");

    assert_eq!(control(Method::DELETE, &format!("/webhook_endpoints/{id}"), Value::Null).status, 200);
    assert_eq!(control(Method::DELETE, &format!("/webhook_endpoints/{id}"), Value::Null).status, 400);
    control(Method::POST, "/webhook_endpoints", endpoint);
    assert_eq!(control(Method::DELETE, "/webhook_endpoints", Value::Null).status, 200);
    assert_eq!(control(Method::GET, "/webhook_endpoints", Value::Null).body, json!([]));
}
