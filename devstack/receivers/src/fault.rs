//! What goes wrong on request.

use serde_json::json;

/// What happens to every request to one receiver until it is healed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This status and this body, whatever was sent; with `Retry-After` in seconds if there is a third value.
    Status(u16, String, Option<u64>),
    /// Nothing, for as long as this lasts. What still waits then is answered as if it had come afterwards; a client
    /// that has hung up by then has reached nobody.
    Stall,
    /// The request is read and the connection closed without an answer: the message has reached nobody.
    Drop,
    /// The message is checked and delivered as usual, and then the connection closed without an answer.
    AcceptThenDrop,
    /// 307 to this address: a client that follows it sends the message once more, with whatever is secret in it.
    Redirect(String),
}

impl Fault {
    /// What the service answers to somebody who sends too much: to be tried again after so many seconds. Discord says
    /// fractions in its body only; the header has the next whole number.
    ///
    /// # Panics
    ///
    /// If there is no such receiver.
    pub fn rate_limited(receiver: &str, seconds: f64) -> Self {
        let body = match crate::word(receiver) {
            "pagerduty" => json!({
                "status": "throttle exceeded",
                "message": "Requests for this service are arriving too quickly.  Please retry later.",
            })
            .to_string(),
            "discord" => {
                json!({ "message": "You are being rate limited.", "retry_after": seconds, "global": false })
                    .to_string()
            }
            "email" => json!({
                "statusCode": 429,
                "name": "rate_limit_exceeded",
                "message": "Too many requests. Please limit the number of requests per second.",
            })
            .to_string(),
            "slack" => "rate_limited".to_owned(),
            _ => "too many requests".to_owned(),
        };
        Self::Status(429, body, Some(seconds.max(0.0).ceil() as u64))
    }
}
