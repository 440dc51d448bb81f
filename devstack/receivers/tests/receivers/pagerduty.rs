//! PagerDuty.

use crate::common::{Answer, Here, long};
use receivers::{Incident, IncidentStatus};
use serde_json::{Value, json};

impl Here {
    async fn event(&self, event: &Value) -> Answer {
        self.post(&format!("{}/v2/enqueue", self.setting("NOTIFY_PAGERDUTY_BASE")), event).await
    }

    fn trigger(&self, key: &str) -> Value {
        json!({
            "routing_key": self.setting("NOTIFY_PAGERDUTY_KEY"), "event_action": "trigger", "dedup_key": key,
            "payload": {
                "summary": "Nothing has been reconciled for 2 h", "source": "billing-ops", "severity": "critical",
                "timestamp": "2026-11-27T13:00:00.123Z", "component": "reconcile", "group": "billing",
                "class": "reconcile_stale", "custom_details": { "count": 1 },
            },
            "links": [{ "href": "http://127.0.0.1:3000/?view=alerts", "text": "The alert" }],
            "client": "billing-ops", "client_url": "http://127.0.0.1:3000/",
        })
    }

    fn follow_up(&self, action: &str, key: &str) -> Value {
        json!({
            "routing_key": self.setting("NOTIFY_PAGERDUTY_KEY"), "event_action": action, "dedup_key": key,
        })
    }

    fn states(&self) -> Vec<(IncidentStatus, usize)> {
        self.receivers.incidents().iter().map(|one| (one.status, one.triggers)).collect()
    }
}

#[tokio::test]
async fn an_incident_goes_from_trigger_to_resolve() {
    use IncidentStatus::{Acknowledged, Resolved, Triggered};
    let here = Here::start();
    let taken = here.event(&here.trigger("billing-ops:1")).await;
    let words = json!({ "status": "success", "message": "Event processed", "dedup_key": "billing-ops:1" });
    assert_eq!((taken.status, taken.body), (202, words));
    let first = Incident {
        dedup_key: "billing-ops:1".to_owned(),
        status: Triggered,
        severity: "critical".to_owned(),
        summary: "Nothing has been reconciled for 2 h".to_owned(),
        triggers: 1,
    };
    assert_eq!(here.receivers.incidents(), [first]);

    let mut again = here.trigger("billing-ops:1");
    again["payload"]["severity"] = json!("error");
    here.event(&again).await;
    assert_eq!(here.states(), [(Triggered, 2)]);
    assert_eq!(here.receivers.incidents()[0].severity, "error");
    assert_eq!(here.event(&here.follow_up("acknowledge", "billing-ops:1")).await.status, 202);
    here.event(&again).await;
    assert_eq!(here.states(), [(Acknowledged, 3)], "a trigger does not undo an acknowledgement");
    here.event(&here.follow_up("resolve", "billing-ops:1")).await;
    assert_eq!(here.states(), [(Resolved, 3)]);

    assert_eq!(here.event(&here.follow_up("resolve", "billing-ops:1")).await.status, 202);
    assert_eq!(here.event(&here.follow_up("acknowledge", "another")).await.status, 202);
    assert_eq!(here.states(), [(Resolved, 3)], "taken and dropped");
    here.event(&here.trigger("billing-ops:1")).await;
    assert_eq!(here.states(), [(Resolved, 3), (Triggered, 1)]);
    assert_eq!(here.receivers.accepted("pagerduty").len(), 8);
}

#[tokio::test]
async fn a_trigger_without_a_key_gets_one() {
    let here = Here::start();
    let mut event = here.trigger("");
    event.as_object_mut().expect("an object").remove("dedup_key");
    let first = here.event(&event).await.body["dedup_key"].clone();
    let second = here.event(&event).await.body["dedup_key"].clone();
    assert!(first.is_string() && first != second, "{first} {second}");
    assert_eq!(here.receivers.incidents().len(), 2);
}

#[tokio::test]
async fn mistakes_are_told_by_name() {
    let here = Here::start();
    let set = |pointer: &str, value: Value| {
        let mut event = here.trigger("key");
        *event.pointer_mut(pointer).expect("a field") = value;
        event
    };
    let resolve = |key: Value| {
        let mut event = here.follow_up("resolve", "");
        event["dedup_key"] = key;
        event
    };
    for (event, error) in [
        (
            set("/routing_key", json!("short")),
            "Length of 'routing_key' is incorrect (should be 32 characters)",
        ),
        (
            set("/routing_key", json!("-".repeat(32))),
            "'routing_key' cannot contain non-alphanumeric characters.",
        ),
        (set("/routing_key", json!("a".repeat(32))), "Invalid routing key"),
        (set("/routing_key", Value::Null), "'routing_key' is missing or blank"),
        (
            set("/event_action", json!("open")),
            "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge', 'resolve')",
        ),
        (set("/event_action", Value::Null), "'event_action' is missing or blank"),
        (set("/dedup_key", json!(long(256))), "'dedup_key' is too long (maximum is 255 characters)"),
        (set("/dedup_key", json!(7)), "'dedup_key' is invalid (must be a string)"),
        (resolve(Value::Null), "'dedup_key' is missing or blank"),
        (resolve(json!(" ")), "'dedup_key' is missing or blank"),
        (set("/payload", Value::Null), "'payload' is missing or blank"),
        (set("/payload/summary", json!("  ")), "'payload.summary' is missing or blank"),
        (
            set("/payload/summary", json!(long(1025))),
            "'payload.summary' is too long (maximum is 1024 characters)",
        ),
        (set("/payload/source", Value::Null), "'payload.source' is missing or blank"),
        (set("/payload/severity", Value::Null), "'payload.severity' is missing or blank"),
        (
            set("/payload/severity", json!("high")),
            "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error', 'info')",
        ),
        (set("/payload/timestamp", json!("yesterday")), "'payload.timestamp' is invalid (must be ISO 8601)"),
        (set("/payload/class", json!(7)), "'payload.class' is invalid (must be a string)"),
        (
            set("/payload/custom_details", json!("one")),
            "'payload.custom_details' is invalid (must be an object)",
        ),
        (set("/links/0/href", json!("alerts")), "'links' is invalid (each needs an 'href')"),
        (set("/client_url", json!("billing-ops")), "'client_url' is invalid (must be a URL)"),
    ] {
        let refused = here.event(&event).await;
        let words =
            json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [error] });
        assert_eq!((refused.status, refused.body), (400, words), "{event}");
        assert_eq!(here.last().reason.as_deref(), Some(error));
    }
    assert_eq!(here.receivers.incidents(), []);
    assert!(here.receivers.accepted("pagerduty").is_empty());
}

#[tokio::test]
async fn the_longest_texts_pass_and_the_longest_body_does_not() {
    let here = Here::start();
    let mut event = here.trigger(&long(255));
    event["payload"]["summary"] = json!(long(1024));
    assert_eq!(here.event(&event).await.status, 202);
    event["payload"]["custom_details"] = json!({ "much": "a".repeat(512 * 1024) });
    let refused = here.event(&event).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.body["errors"][0], "Event object is too large (maximum is 512 KB)");
}

#[tokio::test]
async fn what_is_no_event_is_not_recognized() {
    let here = Here::start();
    let base = here.setting("NOTIFY_PAGERDUTY_BASE");
    let refused = crate::common::answer(here.to(&format!("{base}/v2/enqueue")).body("summary=1")).await;
    assert_eq!((refused.status, &refused.body["errors"][0]), (400, &json!("JSON parse error")));
    assert_eq!(here.last().body, "summary=1");
    assert_eq!(here.post(&format!("{base}/v1/enqueue"), &here.trigger("key")).await.status, 404);
    assert_eq!(here.http.get(format!("{base}/v2/enqueue")).send().await.expect("an answer").status(), 405);
}
