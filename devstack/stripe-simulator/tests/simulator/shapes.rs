//! The objects have the shapes that Stripe publishes (<https://github.com/stripe/openapi>, the endive versions).
//!
//! `shapes.json` is an excerpt in few words: of each object the required fields and the type of every field that it
//! may have. `?` means nullable, a list of words an enumeration, `list:x` a list object of x. A field that the excerpt
//! does not name fails, so that none which Stripe has removed comes back (`current_period_end` of a subscription,
//! `plan` of an item).

use crate::common::{Stripe, text};
use serde_json::{Value, json};
use std::collections::HashSet;
use stripe_simulator::{ItemChange, PRICES, SessionChange, SubscriptionChange};

struct Shapes(Value);

impl Shapes {
    fn load() -> Self {
        Self(serde_json::from_str(include_str!("shapes.json")).expect("JSON"))
    }

    /// Everything in which the object differs from the shape.
    fn differences(&self, shape: &str, object: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        self.object(shape, object, shape, &mut differences);
        differences
    }

    fn object(&self, shape: &str, object: &Value, at: &str, out: &mut Vec<String>) {
        let Some(fields) = object.as_object() else { return out.push(format!("{at} is no object")) };
        let shape = &self.0[shape];
        for name in shape["required"].as_array().expect("a list") {
            if !fields.contains_key(name.as_str().expect("a name")) {
                out.push(format!("{at} lacks {name}"));
            }
        }
        for (name, value) in fields {
            let at = format!("{at}.{name}");
            match &shape["properties"][name] {
                Value::String(kind) => self.value(kind, value, &at, out),
                Value::Array(words) if words.contains(value) => {}
                Value::Array(_) => out.push(format!("{at} is {value}")),
                _ => out.push(format!("{at} is unknown")),
            }
        }
    }

    fn value(&self, kind: &str, value: &Value, at: &str, out: &mut Vec<String>) {
        let (kind, nullable) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
        if nullable && value.is_null() {
            return;
        }
        if let Some(shape) = kind.strip_prefix("list:") {
            return self.list(shape, value, at, out);
        }
        let fits = match kind {
            "string" => value.is_string(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "metadata" => value.as_object().is_some_and(|fields| fields.values().all(Value::is_string)),
            shape => return self.object(shape, value, at, out),
        };
        if !fits {
            out.push(format!("{at} is {value}, no {kind}"));
        }
    }

    fn list(&self, shape: &str, value: &Value, at: &str, out: &mut Vec<String>) {
        let names: HashSet<&str> =
            value.as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default();
        let whole = names == HashSet::from(["object", "data", "has_more", "url"])
            && value["object"] == "list"
            && value["has_more"].is_boolean()
            && value["url"].is_string();
        if !whole {
            out.push(format!("{at} is no list"));
        }
        for (place, object) in value["data"].as_array().into_iter().flatten().enumerate() {
            self.object(shape, object, &format!("{at}[{place}]"), out);
        }
    }
}

#[test]
fn generated_objects_have_the_published_shape() {
    let shapes = Shapes::load();
    let stripe = Stripe::with(2_000);
    let mut statuses = HashSet::new();
    for (target, shape) in [
        ("/v1/subscriptions?status=all&limit=100", "subscription"),
        ("/v1/checkout/sessions?limit=100", "checkout.session"),
    ] {
        let objects = stripe.scan(target);
        assert_eq!(objects.len(), 2_000);
        for object in objects {
            assert_eq!(shapes.differences(shape, &object), [""; 0]);
            statuses.insert(text(&object["status"]));
        }
    }
    assert!(statuses.len() >= 7, "{statuses:?}");
    let page = stripe.get("/v1/subscriptions?limit=2").body;
    let mut differences = Vec::new();
    shapes.list("subscription", &page, "page", &mut differences);
    assert_eq!(differences, [""; 0]);
    let bytes =
        stripe.send(reqwest::Method::GET, "/v1/subscriptions?limit=100", Some(stripe_simulator::SECRET_KEY));
    let length = bytes.expect("an answer").text().expect("a body").len();
    assert!((350_000..450_000).contains(&length), "a page of {length} bytes is none of Stripe's");
}

#[test]
fn other_objects_have_the_published_shape() {
    let shapes = Shapes::load();
    let stripe = Stripe::with(3);
    let id = stripe.simulator.generator().facts(1).id;
    let change = SubscriptionChange {
        status: Some("canceled".into()),
        trial_end: Some(1_800_000_000),
        items: Some(vec![ItemChange::default(); 12]),
        price: Some("price_unheard_of".into()),
        ..Default::default()
    };
    for object in [
        stripe.simulator.put_subscription(SubscriptionChange::default()),
        stripe.simulator.patch_subscription(&id, change),
    ] {
        assert_eq!(shapes.differences("subscription", &object.expect("done")), [""; 0]);
    }
    for status in ["open", "expired", "complete"] {
        let change = SessionChange { status: Some(status.into()), ..Default::default() };
        let object = stripe.simulator.put_session(change).expect("a new one");
        assert_eq!(shapes.differences("checkout.session", &object), [""; 0]);
    }
    for event in stripe.get("/v1/events").data() {
        assert_eq!(shapes.differences("event", event), [""; 0]);
    }
    for price in &PRICES {
        let object = stripe.get(&format!("/v1/prices/{}", price.id)).body;
        assert_eq!(shapes.differences("price", &object), [""; 0]);
        assert_eq!(object["metadata"]["tier"], price.tier);
    }
    assert_eq!(shapes.differences("account", &stripe.get("/v1/account").body), [""; 0]);
    for item in stripe.get(&format!("/v1/subscription_items?limit=100&subscription={id}")).data() {
        assert_eq!(shapes.differences("subscription_item", item), [""; 0]);
    }
}

#[test]
fn the_check_sees_what_is_wrong() {
    let shapes = Shapes::load();
    let stripe = Stripe::with(1);
    let mut object = stripe.get("/v1/subscriptions?status=all").data()[0].clone();
    object["current_period_end"] = json!(1_800_000_000);
    object["status"] = json!("asleep");
    object["created"] = json!("today");
    object["items"]["data"][0]["plan"] = json!({});
    object.as_object_mut().expect("an object").remove("customer");
    assert_eq!(
        shapes.differences("subscription", &object),
        [
            "subscription lacks \"customer\"",
            "subscription.created is \"today\", no integer",
            "subscription.current_period_end is unknown",
            "subscription.items[0].plan is unknown",
            "subscription.status is \"asleep\"",
        ]
    );
}
