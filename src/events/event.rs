//! What an event says that is of use, in either of the two shapes in which Stripe sends one.
//!
//! - Snapshot events hold the object as it was (<https://docs.stripe.com/api/events/object>).
//! - Thin events hold a reference to it (<https://docs.stripe.com/api/v2/core/events/object>). Those of checkouts and invoices refer
//!   to no subscription; Stripe sends one of `v1.customer.subscription.…` with each that changes a subscription.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::stripe::event::{Data, is_of_a_subscription, is_subscription_id, subscription_of};

/// What is known of an event that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// Live or test.
    pub livemode: bool,
    /// Its type as it stands there, such as `customer.subscription.updated`; that of a thin event begins with `v1.` or `v2.`.
    pub kind: String,
    /// `sub_…`: the subscription that it names, if it names one.
    pub subscription: Option<String>,
}

/// Why a body is not an event. The sentences hold nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// Not JSON, or not an object with the fields that every event has.
    #[error("The body is not an event of Stripe's.")]
    Malformed,
    /// Its type says that it names a subscription, but what stands there is not the id of one.
    #[error("The event names no subscription where one of its type does.")]
    NoSubscription,
}

/// An event's outside. What is inside is read once its type says what it is.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    livemode: bool,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    related_object: Option<&'a RawValue>,
}

/// What a thin event is about.
#[derive(Deserialize)]
struct Related<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// Reads the body of a delivery. An event of a type that is of no use is an event, too: it names no subscription. Errors where the
/// body is not an event, and where an event that should name a subscription does not.
pub fn read(body: &[u8]) -> Result<Noticed, NotAnEvent> {
    let event: Envelope<'_> = parse(body)?;
    let subscription = match &*event.object {
        "event" => in_snapshot(&event)?,
        "v2.core.event" => in_reference(&event)?,
        _ => return Err(NotAnEvent::Malformed),
    };
    Ok(Noticed { livemode: event.livemode, kind: event.kind.into_owned(), subscription })
}

fn in_snapshot(event: &Envelope<'_>) -> Result<Option<String>, NotAnEvent> {
    let data = event.data.ok_or(NotAnEvent::Malformed)?;
    let data: Data<'_> = parse(data.get().as_bytes())?;
    subscription_of(&event.kind, data.object).map_err(|_| NotAnEvent::NoSubscription)
}

fn in_reference(event: &Envelope<'_>) -> Result<Option<String>, NotAnEvent> {
    let is_ours = event.kind.strip_prefix("v1.").is_some_and(is_of_a_subscription);
    // Some are about a part of a subscription, such as an item, and refer to that.
    let Some(related) = event.related_object.filter(|_| is_ours) else { return Ok(None) };
    let related: Related<'_> = parse(related.get().as_bytes())?;
    if related.kind != "subscription" {
        return Ok(None);
    }
    if !is_subscription_id(&related.id) {
        return Err(NotAnEvent::NoSubscription);
    }
    Ok(Some(related.id.into_owned()))
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, NotAnEvent> {
    // Serde takes a list for a struct as well.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(NotAnEvent::Malformed);
    }
    serde_json::from_slice(json).map_err(|_| NotAnEvent::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn noticed(event: &Value) -> Result<Option<String>, NotAnEvent> {
        read(event.to_string().as_bytes()).map(|noticed| noticed.subscription)
    }

    fn snapshot(kind: &str, object: &Value) -> Value {
        json!({"id": "evt_1", "object": "event", "type": kind, "livemode": true, "data": {"object": object}})
    }

    fn thin(kind: &str, related: &Value) -> Value {
        json!({"id": "evt_1", "object": "v2.core.event", "type": kind, "livemode": true, "related_object": related})
    }

    #[test]
    fn both_shapes_name_the_subscription() {
        let expected = |kind: &str| Noticed {
            livemode: true,
            kind: kind.to_owned(),
            subscription: Some("sub_1".to_owned()),
        };
        let kind = "customer.subscription.deleted";
        let event = snapshot(kind, &json!({"id": "sub_1"})).to_string();
        assert_eq!(read(event.as_bytes()), Ok(expected(kind)));
        let kind = "v1.customer.subscription.deleted";
        let event = thin(kind, &json!({"id": "sub_1", "type": "subscription", "url": "/v1/…"})).to_string();
        assert_eq!(read(event.as_bytes()), Ok(expected(kind)));
    }

    #[test]
    fn a_thin_event_names_what_it_refers_to_if_that_is_a_subscription() {
        let subscription = json!({"id": "sub_1", "type": "subscription"});
        for (kind, related, expected) in [
            ("v1.customer.subscription.active", &subscription, Ok(Some("sub_1".to_owned()))),
            (
                "v1.customer.subscription.item_added",
                &json!({"id": "si_1", "type": "subscription_item"}),
                Ok(None),
            ),
            ("v1.customer.subscription.updated", &json!(null), Ok(None)),
            ("v1.invoice.paid", &json!({"id": "in_1", "type": "invoice"}), Ok(None)),
            ("v1.checkout.session.completed", &json!({"id": "cs_1", "type": "checkout.session"}), Ok(None)),
            (
                "v2.core.event_destination.ping",
                &json!({"id": "ed_1", "type": "v2.core.event_destination"}),
                Ok(None),
            ),
            ("customer.subscription.updated", &subscription, Ok(None)),
            ("v1.charge.succeeded", &json!(7), Ok(None)),
            (
                "v1.customer.subscription.updated",
                &json!({"id": "cus_1", "type": "subscription"}),
                Err(NotAnEvent::NoSubscription),
            ),
            (
                "v1.customer.subscription.updated",
                &json!({"type": "subscription"}),
                Err(NotAnEvent::Malformed),
            ),
            ("v1.customer.subscription.updated", &json!("sub_1"), Err(NotAnEvent::Malformed)),
        ] {
            assert_eq!(noticed(&thin(kind, related)), expected, "{kind} {related}");
        }
    }

    #[test]
    fn an_event_of_no_use_is_an_event() {
        let event = snapshot("charge.succeeded", &json!({"id": "ch_1", "subscription": "sub_1"}));
        assert_eq!(noticed(&event), Ok(None));
        let mut event = snapshot("customer.subscription.updated", &json!({"id": "sub_1"}));
        event["related_object"] = json!("what snapshots do not have");
        event["account"] = json!("acct_1");
        assert_eq!(noticed(&event), Ok(Some("sub_1".into())), "unknown fields change nothing");
    }

    #[test]
    fn an_event_of_ours_that_names_something_else_is_none() {
        let event = snapshot("customer.subscription.updated", &json!({"id": "cus_1"}));
        assert_eq!(noticed(&event), Err(NotAnEvent::NoSubscription));
    }

    #[test]
    fn what_lacks_a_field_that_every_event_has_is_none() {
        let whole = snapshot("customer.subscription.updated", &json!({"id": "sub_1"}));
        for field in ["object", "type", "livemode", "data"] {
            let mut event = whole.clone();
            event.as_object_mut().unwrap().remove(field);
            assert_eq!(noticed(&event), Err(NotAnEvent::Malformed), "{field}");
            for odd in [json!(null), json!(7), json!([]), json!("odd")] {
                let mut event = whole.clone();
                event[field] = odd.clone();
                // Any word is a type.
                let expected =
                    if field == "type" && odd.is_string() { Ok(None) } else { Err(NotAnEvent::Malformed) };
                assert_eq!(noticed(&event), expected, "{field} {odd}");
            }
        }
    }

    #[test]
    fn what_is_no_json_object_is_none() {
        for body in
            [&b""[..], b"null", b"[]", b"\"event\"", b"{", b"{}", b"\xff\xfe", b"{\"object\": \"\xff\"}"]
        {
            assert_eq!(read(body), Err(NotAnEvent::Malformed), "{}", String::from_utf8_lossy(body));
        }
        let twice = r#"{"object":"event","object":"event","type":"x","livemode":true,"data":{"object":{}}}"#;
        assert_eq!(
            read(twice.as_bytes()),
            Err(NotAnEvent::Malformed),
            "which of two counts is not to be guessed"
        );
        let event = snapshot("x", &json!({})).to_string();
        assert_eq!(
            read(format!("{event}{event}").as_bytes()),
            Err(NotAnEvent::Malformed),
            "one event a body"
        );
    }

    #[test]
    fn depth_breaks_nothing() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(read(deep.as_bytes()), Err(NotAnEvent::Malformed));
        for (kind, object) in [("x", &deep), ("x", &"{\"a\":".repeat(200_000)), ("invoice.paid", &deep)] {
            let event = format!(
                r#"{{"object": "event", "type": "{kind}", "livemode": true, "data": {{"object": {object}}}}}"#
            );
            let _ = read(event.as_bytes());
        }
    }

    #[test]
    fn errors_hold_nothing_of_the_body() {
        for body in [
            r#"{"object": "canary"}"#,
            r#"{"object": "event", "type": "invoice.paid", "livemode": "canary"}"#,
        ] {
            let error = read(body.as_bytes()).expect_err("none");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }
}
