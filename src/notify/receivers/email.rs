//! E-mail, by Resend.
//!
//! The rules: <https://resend.com/docs/api-reference/emails/send-email>,
//! <https://resend.com/docs/dashboard/emails/idempotency-keys> and <https://resend.com/docs/api-reference/errors>.
//! Resend refuses requests without a user agent; the shared client sends `billing-ops/<version>` with every request.

use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::facts::{facts, ids};
use super::receiver::{self, Answer, Outgoing, Receiver, Verdict, below, by_status, retry_after, sensitive};
use crate::config::notify::EmailSettings;
use crate::notify::message::{Message, cut, one_line};
use crate::secret::Secret;

/// A list of e-mails shows less than this.
const SUBJECT: usize = 200;

/// Enough for a person.
const TEXT: usize = 4000;

/// Somebody's mailbox.
#[derive(Debug)]
pub struct Email(EmailSettings);

impl Email {
    /// From its settings.
    pub fn new(settings: EmailSettings) -> Self {
        Self(settings)
    }
}

/// An error of Resend.
#[derive(Deserialize)]
struct Refusal {
    name: String,
}

impl Receiver for Email {
    fn request(&self, message: &Message, _: i64) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, sensitive(&format!("Bearer {}", self.0.key.expose())));
        // Makes a second attempt harmless where the first one arrived after all.
        headers.insert(HeaderName::from_static("idempotency-key"), receiver::header(&message.id.to_string()));
        let body = json!({
            "from": self.0.from.expose(),
            "to": self.0.to.iter().map(Secret::expose).collect::<Vec<_>>(),
            "subject": cut(&one_line(&message.title()), SUBJECT),
            "text": text(message),
        });
        Outgoing::new(below(&self.0.base, &["emails"]), headers, &body)
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        let refusal = serde_json::from_str::<Refusal>(&answer.body).ok();
        match (answer.status, refusal.as_ref().map(|refusal| refusal.name.as_str())) {
            // The first attempt is still at work; the next one learns what became of it.
            (StatusCode::CONFLICT, Some("concurrent_idempotent_requests")) => {
                Verdict::Failed(retry_after(&answer.headers))
            }
            // Taken before, under this id, with what the alert said then; only the answer was lost.
            (StatusCode::CONFLICT, Some("invalid_idempotent_request")) => Verdict::Sent,
            _ => by_status(answer),
        }
    }

    fn secrets(&self) -> Vec<Secret> {
        let from = self.0.from.expose();
        let bare = from.split_once('<').map_or(from, |(_, address)| address.trim_end_matches('>'));
        [self.0.key.clone(), self.0.from.clone(), Secret::new(bare)]
            .into_iter()
            .chain(self.0.to.clone())
            .collect()
    }
}

/// Plain text: it is read on whatever is at hand, and nothing in it can be taken for markup.
fn text(message: &Message) -> String {
    let mut parts = vec![cut(&message.text(), TEXT)];
    let mut facts: Vec<String> =
        facts(message).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    facts.extend(ids(message).map(|(name, ids)| format!("{name}: {}", ids.join(", "))));
    if !facts.is_empty() {
        parts.push(facts.join("\n"));
    }
    parts.extend(message.link.as_ref().map(ToString::to_string));
    // The sign by which mail programs know a signature (RFC 3676, 4.3).
    parts.push("-- \nbilling-ops\n".to_owned());
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{Case, answer, body, channel, message, saying, verdicts};
    use super::*;
    use crate::notify::channel::Channel;
    use crate::notify::message::Kind;

    #[test]
    fn the_key_is_the_messages_and_the_password_is_hidden() {
        let message = message(Kind::Raised);
        let sent = channel(Channel::Email).request(&message, 0);
        assert_eq!(sent.headers["idempotency-key"], message.id.to_string().as_str());
        assert_eq!(sent.headers["authorization"], "Bearer re_canary_key");
        assert!(sent.headers["authorization"].is_sensitive());
    }

    #[test]
    fn a_subject_is_one_line() {
        let mut message = saying("a");
        message.alert.as_mut().expect("an alert").alert_key = "a\r\nBcc: b@c.d\u{2028}e".into();
        let sent = body(&channel(Channel::Email).request(&message, 0));
        assert_eq!(sent["subject"], "[HIGH] a Bcc: b@c.d e");
    }

    #[test]
    fn the_link_is_there_if_there_is_one() {
        let receiver = channel(Channel::Email);
        let without = Message { link: None, ..message(Kind::Raised) };
        assert!(!body(&receiver.request(&without, 0))["text"].as_str().expect("a text").contains("http"));
    }

    #[test]
    fn answers_mean_this() {
        verdicts(
            Channel::Email,
            &[
                Case(200, r#"{"id": "x"}"#, Verdict::Sent),
                Case(302, "", Verdict::Failed(None)),
                Case(400, r#"{"name": "validation_error"}"#, Verdict::Refused),
                Case(401, r#"{"name": "restricted_api_key"}"#, Verdict::Gone),
                Case(
                    403,
                    r#"{"name": "validation_error", "message": "The domain is not verified."}"#,
                    Verdict::Gone,
                ),
                Case(409, r#"{"name": "concurrent_idempotent_requests"}"#, Verdict::Failed(None)),
                Case(409, r#"{"name": "invalid_idempotent_request"}"#, Verdict::Sent),
                Case(409, "", Verdict::Refused),
                Case(422, r#"{"name": "invalid_from_address"}"#, Verdict::Refused),
                Case(429, r#"{"name": "daily_quota_exceeded"}"#, Verdict::Failed(None)),
                Case(500, r#"{"name": "application_error"}"#, Verdict::Failed(None)),
            ],
        );
        let limited = answer(429, r#"{"name": "rate_limit_exceeded"}"#, Some("1"));
        let wait = Some(Duration::from_secs(1));
        assert_eq!(channel(Channel::Email).verdict(&limited), Verdict::Failed(wait));
    }
}
