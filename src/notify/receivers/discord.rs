//! Discord, by a webhook.
//!
//! The rules: <https://docs.discord.com/developers/resources/webhook#execute-webhook>,
//! <https://docs.discord.com/developers/resources/message#embed-object-embed-limits> and
//! <https://docs.discord.com/developers/topics/rate-limits>.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::facts::{facts, ids};
use super::receiver::{Answer, Outgoing, Receiver, Verdict, by_status, retry_after, seconds, secrets_of};
use crate::alerts::severity::Severity;
use crate::config::notify::SecretUrl;
use crate::notify::message::{Message, cut};
use crate::secret::Secret;

/// The most characters of a title.
const TITLE: usize = 256;

/// Half of what a description takes: title, fields and this may have 6000 together, however they are counted.
const TEXT: usize = 2048;

/// A channel of Discord.
#[derive(Debug)]
pub struct Discord(SecretUrl);

impl Discord {
    /// From its webhook.
    pub fn new(url: SecretUrl) -> Self {
        Self(url)
    }
}

/// What Discord says when it is asked too often.
#[derive(Deserialize)]
struct Limited {
    retry_after: f64,
}

impl Receiver for Discord {
    fn request(&self, message: &Message, _: i64) -> Outgoing {
        // The text may hold anything: whoever it seems to mention is not notified.
        let body = json!({"embeds": [embed(message)], "allowed_mentions": {"parse": []}});
        Outgoing::new(waiting(self.0.expose()), HeaderMap::new(), &body)
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        if answer.status != http::StatusCode::TOO_MANY_REQUESTS {
            return by_status(answer);
        }
        let limited = serde_json::from_str::<Limited>(&answer.body).ok();
        let wait = limited.and_then(|limited| seconds(limited.retry_after));
        Verdict::Failed(wait.or_else(|| retry_after(&answer.headers)))
    }

    fn secrets(&self) -> Vec<Secret> {
        secrets_of(self.0.expose())
    }
}

/// With `wait`, Discord answers when the message is there: without it, a message can be lost behind a 204.
fn waiting(url: &Url) -> Url {
    let others: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| name != "wait").collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("wait", "true");
    url
}

fn embed(message: &Message) -> Value {
    let mut fields: Vec<Value> = facts(message)
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value, "inline": true}))
        .collect();
    if let Some((name, ids)) = ids(message) {
        fields.push(json!({"name": name, "value": format!("`{}`", ids.join("` `"))}));
    }
    let mut embed = json!({
        "title": cut(&message.title(), TITLE),
        "description": cut(&message.text(), TEXT),
        "color": colour(message),
        "timestamp": message.at.to_rfc3339(),
        "footer": {"text": "billing-ops"},
        "fields": fields,
    });
    if let Some(link) = &message.link {
        embed["url"] = json!(link.as_str());
    }
    embed
}

fn colour(message: &Message) -> u32 {
    match message.severity {
        _ if message.is_over() => 0x0012_B76A,
        Severity::Critical => 0x00D9_2D20,
        Severity::High => 0x00F7_9009,
        Severity::Warning => 0x00FD_D835,
        Severity::Info => 0x002E_90FA,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{Case, answer, body, channel, message, saying, verdicts};
    use super::*;
    use crate::notify::channel::Channel;
    use crate::notify::message::Kind;

    #[test]
    fn the_query_of_the_address_is_kept() {
        for (url, expected) in [
            ("https://a.example/x", "https://a.example/x?wait=true"),
            ("https://a.example/x?thread_id=7", "https://a.example/x?thread_id=7&wait=true"),
            ("https://a.example/x?wait=false&thread_id=7", "https://a.example/x?thread_id=7&wait=true"),
        ] {
            assert_eq!(waiting(&url.parse().expect("a URL")).as_str(), expected);
        }
    }

    #[test]
    fn nobody_can_be_mentioned_by_a_text() {
        let sent = body(&channel(Channel::Discord).request(&saying("@everyone <b> & *c*"), 0));
        assert_eq!(sent["allowed_mentions"], json!({"parse": []}));
        assert_eq!(sent["embeds"][0]["description"], "@everyone <b> & *c*");
        assert!(sent.get("content").is_none(), "only there would a mention call somebody: {sent}");
    }

    #[test]
    fn the_title_is_a_link_if_there_is_one() {
        let receiver = channel(Channel::Discord);
        let without = Message { link: None, ..message(Kind::Raised) };
        assert!(body(&receiver.request(&without, 0))["embeds"][0].get("url").is_none());
    }

    #[test]
    fn each_severity_and_the_end_have_a_colour() {
        let mut colours: Vec<u32> = [Severity::Critical, Severity::High, Severity::Warning, Severity::Info]
            .map(|severity| colour(&Message { severity, ..message(Kind::Raised) }))
            .into();
        colours.push(colour(&message(Kind::Resolved)));
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), 5);
    }

    #[test]
    fn answers_mean_this() {
        verdicts(
            Channel::Discord,
            &[
                Case(200, r#"{"id": "1"}"#, Verdict::Sent),
                Case(204, "", Verdict::Sent),
                Case(302, "", Verdict::Failed(None)),
                Case(400, r#"{"code": 50035}"#, Verdict::Refused),
                Case(401, r#"{"code": 50027}"#, Verdict::Gone),
                Case(403, "", Verdict::Gone),
                Case(404, r#"{"code": 10015}"#, Verdict::Gone),
                Case(429, r#"{"retry_after": 0.75}"#, Verdict::Failed(Some(Duration::from_millis(750)))),
                Case(429, r#"{"retry_after": 1e300}"#, Verdict::Failed(Some(Duration::from_secs(86_400)))),
                Case(429, r#"{"retry_after": -1}"#, Verdict::Failed(None)),
                Case(429, "<html>", Verdict::Failed(None)),
                Case(502, "", Verdict::Failed(None)),
            ],
        );
        let limited = answer(429, "error code: 1015", Some("3600"));
        let wait = Some(Duration::from_secs(3600));
        assert_eq!(channel(Channel::Discord).verdict(&limited), Verdict::Failed(wait));
    }
}
