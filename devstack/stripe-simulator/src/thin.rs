//! The notification that a thin endpoint gets in the place of an event (<https://docs.stripe.com/event-destinations>).

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

/// The event without its object: who wants to know more has to ask.
pub(crate) fn notification(event: &Value) -> Value {
    let created = event["created"].as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    json!({
        "id": event["id"],
        "object": "v2.core.event",
        "type": format!("v1.{}", event["type"].as_str().unwrap_or_default()),
        "livemode": event["livemode"],
        "created": created.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true),
        "context": null,
        "reason": null,
        "related_object": related(&event["data"]["object"]),
    })
}

/// `checkout.session` is found below `/v1/checkout/sessions`, and so are all others by their names.
fn related(object: &Value) -> Value {
    match (object["id"].as_str(), object["object"].as_str()) {
        (Some(id), Some(kind)) => {
            json!({ "id": id, "type": kind, "url": format!("/v1/{}s/{id}", kind.replace('.', "/")) })
        }
        _ => Value::Null,
    }
}
