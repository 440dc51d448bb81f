//! Slack, by an incoming webhook.
//!
//! The rules: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks> (the words of answers),
//! <https://docs.slack.dev/reference/block-kit/blocks> (limits) and
//! <https://docs.slack.dev/messaging/formatting-message-text> (escaping).

use http::HeaderMap;
use serde_json::{Value, json};

use super::facts::{facts, ids, minute};
use super::receiver::{Answer, Outgoing, Receiver, Verdict, by_status, retry_after, secrets_of};
use crate::alerts::severity::Severity;
use crate::config::notify::SecretUrl;
use crate::notify::message::{Message, cut};
use crate::secret::Secret;

/// The most characters of a header.
const HEADER: usize = 150;

/// Half of what a section takes, as it is not said whether characters beyond the first plane count twice.
const TEXT: usize = 1500;

/// What a phone shows before the message is opened.
const PREVIEW: usize = 300;

/// What Slack says when it will never take anything at this address.
const GONE: [&str; 7] = [
    "invalid_token",
    "no_service",
    "channel_not_found",
    "channel_is_archived",
    "no_active_hooks",
    "action_prohibited",
    "posting_to_general_channel_denied",
];

/// A channel of Slack.
#[derive(Debug)]
pub struct Slack(SecretUrl);

impl Slack {
    /// From its incoming webhook.
    pub fn new(url: SecretUrl) -> Self {
        Self(url)
    }
}

impl Receiver for Slack {
    fn request(&self, message: &Message, _: i64) -> Outgoing {
        let preview = format!("{}: {}", message.title(), message.text());
        let body = json!({"text": escaped(&preview, PREVIEW), "blocks": blocks(message)});
        Outgoing::new(self.0.expose().clone(), HeaderMap::new(), &body)
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        match answer.status.as_u16() {
            200 if answer.body == "ok" => Verdict::Sent,
            _ if GONE.contains(&answer.body.trim()) => Verdict::Gone,
            200..=299 => Verdict::Failed(retry_after(&answer.headers)),
            _ => by_status(answer),
        }
    }

    fn secrets(&self) -> Vec<Secret> {
        secrets_of(self.0.expose())
    }
}

fn blocks(message: &Message) -> Vec<Value> {
    let title = cut(&format!("{} {}", mark(message), message.title()), HEADER);
    let mut blocks =
        vec![json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": false}})];
    let text = escaped(&message.text(), TEXT);
    // Slack refuses a message with an empty text in it.
    if !text.trim().is_empty() {
        blocks.push(json!({"type": "section", "text": mrkdwn(&text)}));
    }
    let fields: Vec<Value> =
        facts(message).iter().map(|(name, value)| mrkdwn(&format!("*{name}*\n{value}"))).collect();
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let mut context = Vec::new();
    if let Some((name, ids)) = ids(message) {
        context.push(mrkdwn(&format!("{name}: `{}`", ids.join("` `"))));
    }
    context.push(mrkdwn(&format!("billing-ops, {}", minute(message.at))));
    blocks.push(json!({"type": "context", "elements": context}));
    if let Some(link) = &message.link {
        let text = json!({"type": "plain_text", "text": "Open in billing-ops"});
        blocks.push(
            json!({"type": "actions", "elements": [{"type": "button", "text": text, "url": link.as_str()}]}),
        );
    }
    blocks
}

/// Seen before anything is read.
fn mark(message: &Message) -> &'static str {
    match message.severity {
        _ if message.is_over() => "🟢",
        Severity::Critical => "🔴",
        Severity::High => "🟠",
        Severity::Warning => "🟡",
        Severity::Info => "🔵",
    }
}

/// Text with Slack's own marks. `verbatim` keeps Slack from making links of what looks like one.
fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

/// A text in which nobody is mentioned, of at most `most` characters. Cuts before an entity, never within one.
fn escaped(text: &str, most: usize) -> String {
    // Control characters are of no use here, and each would take six characters of JSON.
    let characters = text.chars().filter(|c| *c == '\n' || !c.is_control());
    let mut escaped = String::new();
    let mut length = 0;
    for character in characters {
        let entity = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        length += entity.len().max(1);
        if length >= most {
            escaped.push('…');
            break;
        }
        if entity.is_empty() { escaped.push(character) } else { escaped.push_str(entity) }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{Case, answer, body, channel, message, saying, verdicts};
    use super::*;
    use crate::notify::channel::Channel;
    use crate::notify::message::Kind;

    #[test]
    fn nobody_can_be_mentioned_by_a_text() {
        let receiver = channel(Channel::Slack);
        let sent = body(&receiver.request(&saying("a <!channel> & <https://evil.example|b>"), 0));
        let expected = "a &lt;!channel&gt; &amp; &lt;https://evil.example|b&gt;";
        assert_eq!(sent["blocks"][1]["text"]["text"], expected);
        assert!(sent["text"].as_str().expect("a text").ends_with(expected), "{sent}");
    }

    #[test]
    fn a_text_is_cut_before_an_entity() {
        assert_eq!(escaped("ab", 3), "ab");
        assert_eq!(escaped("abc", 3), "ab…");
        assert_eq!(escaped("a&b", 5), "a…");
        assert_eq!(escaped("a&b", 8), "a&amp;b");
        assert_eq!(escaped("a\u{0}\u{1b}b\nc", 9), "ab\nc");
    }

    #[test]
    fn the_button_is_there_if_there_is_a_link() {
        let receiver = channel(Channel::Slack);
        let without = Message { link: None, ..message(Kind::Raised) };
        assert!(!body(&receiver.request(&without, 0)).to_string().contains("button"));
    }

    #[test]
    fn answers_mean_this() {
        let mut cases = vec![
            Case(200, "ok", Verdict::Sent),
            Case(200, "OK", Verdict::Failed(None)),
            Case(200, "", Verdict::Failed(None)),
            Case(200, "<html>ok</html>", Verdict::Failed(None)),
            Case(204, "ok", Verdict::Failed(None)),
            Case(302, "", Verdict::Failed(None)),
            Case(400, "invalid_payload", Verdict::Refused),
            Case(400, "no_text", Verdict::Refused),
            Case(400, "invalid_blocks", Verdict::Refused),
            Case(401, "", Verdict::Gone),
            Case(403, "team_disabled", Verdict::Gone),
            Case(404, "", Verdict::Gone),
            Case(410, "", Verdict::Gone),
            Case(500, "rollup_error", Verdict::Failed(None)),
        ];
        cases.extend(
            GONE.iter().flat_map(|word| [200, 400, 404].map(|status| Case(status, word, Verdict::Gone))),
        );
        verdicts(Channel::Slack, &cases);
        let limited = answer(429, "rate_limited", Some("30"));
        let wait = Some(std::time::Duration::from_secs(30));
        assert_eq!(channel(Channel::Slack).verdict(&limited), Verdict::Failed(wait));
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_as_it_was(text in any::<String>(), most in 1..60_usize) {
            let short = escaped(&text, most);
            prop_assert!(short.chars().count() <= most);
            let plain = short.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
            prop_assert!(plain == text || text.starts_with(plain.strip_suffix('…').expect("an ellipsis")));
        }
    }
}
