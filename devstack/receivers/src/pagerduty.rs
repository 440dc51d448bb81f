//! PagerDuty, Events API v2: <https://developer.pagerduty.com/docs/send-alert-event>.

use crate::PAGERDUTY_KEY;
use crate::asked::{Asked, Reply, filled, is_link, is_time};
use serde_json::{Value, json};

/// The longest body.
const LONGEST: usize = 512 * 1024;
const ACTIONS: [&str; 3] = ["trigger", "acknowledge", "resolve"];
const SEVERITIES: [&str; 4] = ["critical", "warning", "error", "info"];

/// How far an incident has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentStatus {
    /// Somebody is being woken.
    Triggered,
    /// Somebody attends to it. Further triggers wake nobody.
    Acknowledged,
    /// It is over. Nothing opens it again.
    Resolved,
}

/// What PagerDuty makes of the events under one key, from a trigger to a resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// What its events have in common. A later incident may have the same.
    pub dedup_key: String,
    /// How far it has come.
    pub status: IncidentStatus,
    /// The severity of its newest trigger.
    pub severity: String,
    /// The summary of its newest trigger.
    pub summary: String,
    /// How many triggers it had.
    pub triggers: usize,
}

/// Takes an event in. `number` is new with every message.
pub(crate) fn answer(asked: &Asked, incidents: &mut Vec<Incident>, number: u64) -> Reply {
    if asked.path != "/pagerduty/v2/enqueue" {
        return Reply::text(404, "not found", Some(format!("there is no {}", asked.path)));
    }
    if asked.body.len() > LONGEST {
        return invalid(vec!["Event object is too large (maximum is 512 KB)".to_owned()]);
    }
    let Some(event) = asked.json().filter(Value::is_object) else {
        let body = json!({
            "status": "Unrecognized object",
            "message": "Event object format is unrecognized",
            "errors": ["JSON parse error"],
        });
        return Reply::refused(400, &body, "no JSON object");
    };
    let mistakes = mistakes(&event);
    if !mistakes.is_empty() {
        return invalid(mistakes);
    }
    let generated = || format!("{number:032x}");
    let dedup_key = filled(&event, "dedup_key").map_or_else(generated, ToOwned::to_owned);
    apply(&event, &dedup_key, incidents);
    let body = json!({ "status": "success", "message": "Event processed", "dedup_key": dedup_key });
    Reply::accepted(202, &body)
}

fn invalid(errors: Vec<String>) -> Reply {
    let why = errors.join("; ");
    let body = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
    Reply::refused(400, &body, why)
}

fn mistakes(event: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match filled(event, "routing_key") {
        None => found.push("'routing_key' is missing or blank".to_owned()),
        Some(key) => {
            if key.chars().count() != 32 {
                found.push("Length of 'routing_key' is incorrect (should be 32 characters)".to_owned());
            }
            if !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                found.push("'routing_key' cannot contain non-alphanumeric characters.".to_owned());
            }
            if found.is_empty() && key != PAGERDUTY_KEY {
                found.push("Invalid routing key".to_owned());
            }
        }
    }
    let action = one_of(event, "event_action", "event_action", &ACTIONS, &mut found);
    match event.get("dedup_key") {
        None | Some(Value::Null) => {}
        Some(Value::String(key)) => at_most(key, "dedup_key", 255, &mut found),
        Some(_) => found.push("'dedup_key' is invalid (must be a string)".to_owned()),
    }
    match action {
        Some("trigger") => mistakes_of_a_trigger(event, &mut found),
        Some(_) if filled(event, "dedup_key").is_none() => {
            found.push("'dedup_key' is missing or blank".to_owned());
        }
        _ => {}
    }
    found
}

fn mistakes_of_a_trigger(event: &Value, found: &mut Vec<String>) {
    let Some(payload) = event.get("payload").filter(|payload| payload.is_object()) else {
        found.push("'payload' is missing or blank".to_owned());
        return;
    };
    for name in ["summary", "source"] {
        if filled(payload, name).is_none() {
            found.push(format!("'payload.{name}' is missing or blank"));
        }
    }
    at_most(filled(payload, "summary").unwrap_or(""), "payload.summary", 1024, found);
    one_of(payload, "severity", "payload.severity", &SEVERITIES, found);
    if let Some(at) = payload.get("timestamp")
        && !at.as_str().is_some_and(is_time)
    {
        found.push("'payload.timestamp' is invalid (must be ISO 8601)".to_owned());
    }
    for name in ["component", "group", "class"] {
        if payload.get(name).is_some_and(|value| !value.is_string()) {
            found.push(format!("'payload.{name}' is invalid (must be a string)"));
        }
    }
    if payload.get("custom_details").is_some_and(|details| !details.is_object()) {
        found.push("'payload.custom_details' is invalid (must be an object)".to_owned());
    }
    let links = event.get("links").map_or(Some(&[][..]), |links| links.as_array().map(Vec::as_slice));
    let is_whole = |link: &Value| filled(link, "href").is_some_and(is_link);
    if !links.is_some_and(|links| links.iter().all(is_whole)) {
        found.push("'links' is invalid (each needs an 'href')".to_owned());
    }
    if let Some(url) = event.get("client_url")
        && !url.as_str().is_some_and(is_link)
    {
        found.push("'client_url' is invalid (must be a URL)".to_owned());
    }
}

fn one_of<'a>(
    object: &'a Value,
    name: &str,
    path: &str,
    words: &[&str],
    found: &mut Vec<String>,
) -> Option<&'a str> {
    let Some(word) = filled(object, name) else {
        found.push(format!("'{path}' is missing or blank"));
        return None;
    };
    if words.contains(&word) {
        return Some(word);
    }
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    found.push(format!("'{path}' is invalid (must be one of the following: {})", words.join(", ")));
    None
}

fn at_most(text: &str, path: &str, most: usize, found: &mut Vec<String>) {
    if text.chars().count() > most {
        found.push(format!("'{path}' is too long (maximum is {most} characters)"));
    }
}

fn apply(event: &Value, dedup_key: &str, incidents: &mut Vec<Incident>) {
    let open =
        incidents.iter_mut().find(|one| one.dedup_key == dedup_key && one.status != IncidentStatus::Resolved);
    let payload = &event["payload"];
    match (filled(event, "event_action"), open) {
        (Some("trigger"), open) => {
            let severity = filled(payload, "severity").unwrap_or_default().to_owned();
            let summary = filled(payload, "summary").unwrap_or_default().to_owned();
            if let Some(incident) = open {
                incident.severity = severity;
                incident.summary = summary;
                incident.triggers += 1;
            } else {
                let status = IncidentStatus::Triggered;
                let dedup_key = dedup_key.to_owned();
                incidents.push(Incident { dedup_key, status, severity, summary, triggers: 1 });
            }
        }
        (Some("acknowledge"), Some(incident)) => incident.status = IncidentStatus::Acknowledged,
        (Some("resolve"), Some(incident)) => incident.status = IncidentStatus::Resolved,
        // PagerDuty takes these and drops them.
        _ => {}
    }
}
