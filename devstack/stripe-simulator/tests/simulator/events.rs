//! Events: what became of their delivery, and those that no change explains.

use crate::common::{Stripe, text};
use reqwest::Method;
use serde_json::{Value, json};
use stripe_simulator::{EventInput, InvoiceEventInput, SubscriptionChange};

fn event(id: &str, delivered: Option<bool>) -> EventInput {
    let object = json!({ "id": "prod_1", "object": "product" });
    EventInput {
        kind: "product.updated".into(),
        object,
        id: Some(id.into()),
        delivered,
        ..Default::default()
    }
}

fn pending(stripe: &Stripe, id: &str) -> Value {
    stripe.get(&format!("/v1/events/{id}")).body["pending_webhooks"].clone()
}

#[test]
fn an_event_counts_as_delivered_where_nobody_listens() {
    let stripe = Stripe::with(1);
    stripe.simulator.put_subscription(SubscriptionChange::default()).expect("a new one");
    let all = stripe.get("/v1/events").ids();
    assert_eq!(all.len(), 1);
    assert_eq!(pending(&stripe, &all[0]), 0);
    assert_eq!(stripe.get("/v1/events?delivery_success=true").ids(), all);
    assert_eq!(stripe.get("/v1/events?delivery_success=false").ids(), [""; 0]);
}

#[test]
fn what_became_of_an_event_can_be_said_and_asked() {
    let stripe = Stripe::with(1);
    for (id, delivered) in [("evt_a", Some(true)), ("evt_b", Some(false)), ("evt_c", None)] {
        stripe.simulator.put_event(event(id, delivered)).expect("it is put");
    }
    let ids = |query: &str| stripe.get(&format!("/v1/events?{query}")).ids();
    assert_eq!(ids("delivery_success=false"), ["evt_b"]);
    assert_eq!(ids("delivery_success=true"), ["evt_c", "evt_a"]);
    assert_eq!(ids("delivery_success=false&type=product.*"), ["evt_b"]);
    assert_eq!(ids("delivery_success=false&type=customer.*"), [""; 0]);
    assert_eq!(["evt_a", "evt_b", "evt_c"].map(|id| pending(&stripe, id)), [0, 1, 0]);

    // Pages are of what is asked for, not of what is left out.
    let page = stripe.get("/v1/events?delivery_success=true&limit=1");
    assert!(page.has_more());
    assert_eq!(ids("delivery_success=true&limit=1&starting_after=evt_c"), ["evt_a"]);

    // The same id again: what became of it after all.
    stripe.simulator.put_event(event("evt_b", Some(true))).expect("it is put again");
    assert_eq!(ids("delivery_success=false"), [""; 0]);
    let answer = stripe.get("/v1/events?delivery_success=perhaps");
    assert_eq!((answer.status, answer.refusal().2), (400, Some("delivery_success")));
}

#[test]
fn an_invoice_names_its_subscription_where_basil_has_it() {
    let stripe = Stripe::with(3);
    let facts = stripe.simulator.generator().facts(1);
    let input = |kind: &str| InvoiceEventInput {
        kind: kind.into(),
        subscription: facts.id.clone(),
        delivered: Some(false),
        ..Default::default()
    };
    let failed = stripe.simulator.put_invoice_event(input("invoice.payment_failed")).expect("it is put");
    let invoice = &failed["data"]["object"];
    let parent = &invoice["parent"];
    assert_eq!(parent["type"], "subscription_details");
    assert_eq!(parent["subscription_details"]["subscription"], facts.id);
    assert_eq!(
        parent["subscription_details"]["metadata"],
        json!({ "organization_id": facts.organization_id })
    );
    assert_eq!((&invoice["object"], &invoice["status"]), (&json!("invoice"), &json!("open")));
    assert!(text(&invoice["id"]).starts_with("in_"));
    assert_eq!(invoice["customer"], facts.customer);
    assert_eq!(invoice["lines"]["data"][0]["pricing"]["price_details"]["price"], facts.price);
    assert!(invoice.get("subscription").is_none(), "basil has taken it away");
    assert_eq!(invoice["amount_remaining"], invoice["amount_due"]);

    let paid = json!({ "type": "invoice.paid", "subscription": facts.id });
    let paid = stripe.control(Method::POST, "/invoice_events", &paid).body;
    assert_eq!(paid["data"]["object"]["status"], "paid");
    assert_eq!(paid["data"]["object"]["amount_remaining"], 0);
    let ids = |query: &str| stripe.get(&format!("/v1/events?{query}")).ids();
    assert_eq!(ids("type=invoice.*"), [text(&paid["id"]), text(&failed["id"])]);
    assert_eq!(ids("type=invoice.*&delivery_success=false"), [text(&failed["id"])]);

    let nobody = InvoiceEventInput { subscription: "sub_none".into(), ..input("invoice.paid") };
    assert_eq!(stripe.simulator.put_invoice_event(nobody), Err("no subscription sub_none".into()));
    assert!(stripe.simulator.put_invoice_event(input("customer.updated")).is_err());
}
