//! What is kept of a request.

use crate::asked::{Asked, filled};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The most characters of a title in [`line`].
const TITLE: usize = 160;

/// A request to one of the receivers.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Who received it: one of [`RECEIVERS`](crate::RECEIVERS).
    pub receiver: &'static str,
    /// What was answered; none if nothing was.
    pub status: Option<u16>,
    /// Whether the message has reached somebody. False for an e-mail that was sent again under its idempotency key:
    /// it is answered like the first one and delivered once.
    pub accepted: bool,
    /// Why it was not accepted, in more words than the service has for it.
    pub reason: Option<String>,
    /// Headers: names in lower case, several values of one name joined by commas.
    pub headers: BTreeMap<String, String>,
    /// The body; as a string if it was no JSON.
    pub body: Value,
    /// When it had been read.
    pub at: SystemTime,
}

impl Received {
    /// A request that is still to be judged.
    pub(crate) fn new(asked: &Asked) -> Self {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &asked.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|all| *all = format!("{all}, {value}"))
                .or_insert_with(|| value.clone().into_owned());
        }
        let text = || Value::String(String::from_utf8_lossy(&asked.body).into_owned());
        Self {
            receiver: asked.receiver,
            status: None,
            accepted: false,
            reason: None,
            headers,
            body: asked.json().unwrap_or_else(text),
            at: asked.at,
        }
    }

    /// What the message says first: the title that a person would see.
    pub fn title(&self) -> String {
        let body = &self.body;
        let text = match self.receiver {
            "pagerduty" => {
                let action = filled(body, "event_action").unwrap_or("?");
                let payload = &body["payload"];
                match (action, filled(payload, "summary")) {
                    ("trigger", Some(summary)) => {
                        format!("trigger {}: {summary}", filled(payload, "severity").unwrap_or("?"))
                    }
                    _ => format!("{action} {}", filled(body, "dedup_key").unwrap_or("?")),
                }
            }
            "slack" => filled(body, "text").or_else(|| header_of(body)).unwrap_or("").to_owned(),
            "discord" => filled(&body["embeds"][0], "title")
                .or_else(|| filled(body, "content"))
                .unwrap_or("")
                .to_owned(),
            "email" => filled(body, "subject").unwrap_or("").to_owned(),
            _ => {
                let kind = filled(body, "type").unwrap_or("?");
                let alert = &body["data"]["alert"];
                match filled(alert, "message").or_else(|| filled(alert, "key")) {
                    Some(about) => format!("{kind}: {about}"),
                    None => kind.to_owned(),
                }
            }
        };
        // What somebody else wrote must not move the cursor of a terminal.
        let text = text.lines().next().unwrap_or("");
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(TITLE).collect()
    }
}

fn header_of(body: &Value) -> Option<&str> {
    let header = body["blocks"].as_array()?.iter().find(|block| block["type"] == "header")?;
    filled(&header["text"], "text")
}

/// One line for a person: when (UTC), who, whether it was accepted, what about, and why not. Holds no secret.
pub fn line(received: &Received) -> String {
    let at = DateTime::<Utc>::from(received.at).format("%H:%M:%S");
    let fate = match (received.accepted, received.status) {
        (true, _) => "accepted",
        (false, None) => "unanswered",
        (false, Some(200..=299)) => "repeated",
        (false, Some(_)) => "refused",
    };
    let mut line = format!("{at}  {:<9}  {fate:<10}  {}", received.receiver, received.title());
    if let Some(reason) = &received.reason {
        let status = received.status.map_or_else(String::new, |status| format!("{status}: "));
        line.push_str(&format!(" ({status}{reason})"));
    }
    line
}
