//! Resend: <https://resend.com/docs/api-reference/emails/send-email>, its errors,
//! <https://resend.com/docs/api-reference/errors>, and its idempotency keys,
//! <https://resend.com/docs/dashboard/emails/idempotency-keys>.

use crate::RESEND_KEY;
use crate::asked::{Asked, Reply, filled};
use serde_json::{Value, json};
use std::collections::HashMap;

/// What was sent under an idempotency key.
#[derive(Debug)]
pub(crate) struct Sent {
    body: Value,
    id: String,
}

/// Sends an e-mail. `sent` is by idempotency key; `number` is new with every e-mail.
pub(crate) fn answer(asked: &Asked, sent: &mut HashMap<String, Sent>, number: u64) -> Reply {
    // What stands in front of the service lets nobody through who does not say what it is.
    if asked.header("user-agent").is_none_or(|agent| agent.trim().is_empty()) {
        return Reply::text(403, "error code: 1010", Some("no User-Agent".to_owned()));
    }
    if asked.path != "/resend/emails" {
        return refused(404, "not_found", "The requested endpoint does not exist");
    }
    let key = asked.header("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
    });
    match key {
        None => return refused(401, "missing_api_key", "Missing API Key"),
        // The documentation had 403 `invalid_api_key` here before.
        Some(key) if key != RESEND_KEY => return refused(401, "validation_error", "API key is invalid"),
        Some(_) => {}
    }
    let once = asked.headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()));
    if once.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > 256) {
        let words = "Idempotency keys, if present, must have between 1 and 256 characters.";
        return refused(400, "invalid_idempotency_key", words);
    }
    let Some(email) = asked.json().filter(|email| asked.says_json() && email.is_object()) else {
        return refused(400, "validation_error", "The request body must be a JSON object.");
    };
    if let Some((name, message)) = mistake(&email) {
        return refused(422, name, &message);
    }
    let id = format!("49a3999c-0ce1-4ea6-ab68-{number:012x}");
    let Some(once) = once else { return Reply::accepted(200, &json!({ "id": id })) };
    match sent.get(once.as_ref()) {
        Some(first) if first.body == email => {
            Reply::refused(200, &json!({ "id": first.id }), "sent before under the same idempotency key")
        }
        Some(_) => {
            let words = "Same idempotency key used with a different request payload.";
            refused(409, "invalid_idempotent_request", words)
        }
        None => {
            let reply = Reply::accepted(200, &json!({ "id": id }));
            sent.insert(once.into_owned(), Sent { body: email, id });
            reply
        }
    }
}

fn refused(status: u16, name: &str, message: &str) -> Reply {
    let body = json!({ "statusCode": status, "message": message, "name": name });
    Reply::refused(status, &body, format!("{name}, {message}"))
}

/// What is wrong with an e-mail: the name of the error and its message.
fn mistake(email: &Value) -> Option<(&'static str, String)> {
    let missing = |name: &str| Some(("missing_required_field", format!("Missing `{name}` field.")));
    let invalid = |message: String| Some(("validation_error", message));
    for (name, most) in [("from", 1), ("to", 50)] {
        let addresses = match email.get(name) {
            None | Some(Value::Null) => return missing(name),
            Some(Value::Array(addresses)) if name == "to" => addresses.as_slice(),
            Some(address) => std::slice::from_ref(address),
        };
        if addresses.is_empty() {
            return missing(name);
        }
        if addresses.len() > most {
            return invalid(format!("Invalid `{name}` field. At most {most} addresses are allowed."));
        }
        if !addresses.iter().all(|address| address.as_str().is_some_and(is_address)) {
            return invalid(format!(
                "Invalid `{name}` field. The email address needs to follow the `email@example.com` or `Name \
                 <email@example.com>` format."
            ));
        }
    }
    let Some(subject) = filled(email, "subject") else { return missing("subject") };
    if subject.contains(['\r', '\n']) {
        return invalid("The `\\n` is not allowed in the `subject` field.".to_owned());
    }
    let is_text = |name: &str| email.get(name).is_none_or(Value::is_string);
    if !is_text("text") || !is_text("html") {
        return invalid("The `text` and `html` fields must be strings.".to_owned());
    }
    if filled(email, "text").is_none() && filled(email, "html").is_none() {
        return missing("text");
    }
    None
}

/// `email@example.com` or `Name <email@example.com>`.
fn is_address(text: &str) -> bool {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or(""),
        None => text,
    };
    let is_plain = |part: &str| !part.is_empty() && !part.contains([' ', '<', '>', '@', ',', '\r', '\n']);
    address.split_once('@').is_some_and(|(who, place)| {
        let has_dot = place.split('.').count() > 1 && place.split('.').all(|label| !label.is_empty());
        is_plain(who) && is_plain(place) && has_dot
    })
}
