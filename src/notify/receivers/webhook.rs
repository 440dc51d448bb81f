//! A signed webhook, as Standard Webhooks 1.0 defines it.
//!
//! The rules: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use url::Url;

use super::receiver::{Outgoing, Receiver, header, secrets_of};
use crate::alerts::alert::Alert;
use crate::alerts::severity::Severity;
use crate::config::notify::{SigningKey, WebhookSettings};
use crate::notify::digest::Digest;
use crate::notify::message::{Kind, Message, Summary, cut};
use crate::secret::Secret;

/// Keeps the whole under 20 kB, even where each character becomes six.
const TEXT: usize = 2000;

/// The same, for the words.
const WORD: usize = 255;

/// A program that wants to know.
#[derive(Debug)]
pub struct Webhook(WebhookSettings);

impl Webhook {
    /// From its settings.
    pub fn new(settings: WebhookSettings) -> Self {
        Self(settings)
    }
}

impl Receiver for Webhook {
    fn request(&self, message: &Message, now: i64) -> Outgoing {
        let body = json!({
            "type": name(message.kind),
            "timestamp": message.at,
            "data": data(message),
        });
        let mut outgoing = Outgoing::new(self.0.url.expose().clone(), HeaderMap::new(), &body);
        let id = format!("msg_{}", message.id);
        let keys = [Some(&self.0.secret), self.0.previous.as_ref()];
        let signatures: Vec<String> =
            keys.into_iter().flatten().map(|key| signature(key, &id, now, &outgoing.body)).collect();
        for (name, value) in [
            ("webhook-id", id.as_str()),
            ("webhook-timestamp", &now.to_string()),
            ("webhook-signature", &signatures.join(" ")),
        ] {
            outgoing.headers.insert(HeaderName::from_static(name), header(value));
        }
        outgoing
    }

    fn secrets(&self) -> Vec<Secret> {
        let keys = [Some(&self.0.secret), self.0.previous.as_ref()];
        let texts = keys.into_iter().flatten().flat_map(|key| {
            let text = key.text();
            [text.clone(), Secret::new(text.expose().trim_start_matches("whsec_"))]
        });
        texts.chain(secrets_of(self.0.url.expose())).collect()
    }
}

/// Over `id.timestamp.body`.
fn signature(key: &SigningKey, id: &str, now: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{now}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// What programs tell messages apart by. A digest is about no alert.
fn name(kind: Kind) -> String {
    let about = if kind == Kind::Digest { "billing_ops" } else { "billing_alert" };
    format!("{about}.{}", kind.as_str())
}

fn data(message: &Message) -> Value {
    let alert = message.alert.as_ref().map(|alert| ("alert", of_alert(message, alert)));
    let summary = message.summary.as_ref().map(|summary| ("summary", of_summary(message, summary)));
    let digest = message.digest.as_ref().map(|digest| ("digest", of_digest(message, digest)));
    alert
        .into_iter()
        .chain(summary)
        .chain(digest)
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Map<_, _>>()
        .into()
}

fn of_alert(message: &Message, alert: &Alert) -> Value {
    json!({
        "id": alert.id,
        "key": cut(&alert.alert_key, WORD),
        "type": cut(&alert.alert_type, WORD),
        "severity": message.severity,
        "message": cut(&alert.message, TEXT),
        "count": message.count(),
        "ids": message.ids(),
        "first_seen_at": alert.first_seen_at,
        "resolved_at": alert.resolved_at,
        "resolution": alert.resolution.as_deref().map(|word| cut(word, WORD)),
        "url": message.link.as_ref().map(Url::as_str),
    })
}

fn of_summary(message: &Message, summary: &Summary) -> Value {
    json!({
        "count": summary.count,
        "by_severity": by_severity(&summary.by_severity),
        "alert_ids": message.ids(),
    })
}

fn of_digest(message: &Message, digest: &Digest) -> Value {
    let Digest { runs, drift, access, waiting, alerts, .. } = digest;
    json!({
        "week": digest.week,
        "runs": {
            "ended": runs.ended,
            "success": runs.success,
            "partial": runs.partial,
            "error": runs.error,
            "sweeps": runs.sweeps,
        },
        "drift": {
            "found": drift.found,
            "repaired": drift.repaired,
            "created": drift.created,
            "moved": drift.moved,
            "cleared": drift.cleared,
        },
        "access": access.as_ref().map(|access| json!({"raised": access.raised, "lowered": access.lowered})),
        "standing": digest.standing,
        "waiting": {
            "approval": waiting.approval,
            "held": waiting.held,
            "refused": waiting.refused,
            "decision": waiting.decision,
        },
        "exceptions_ending": digest.exceptions_ending,
        "alerts": {
            "raised": alerts.raised,
            "open": alerts.open,
            "by_severity": by_severity(&alerts.by_severity),
        },
        "url": message.link.as_ref().map(Url::as_str),
    })
}

fn by_severity(counts: &[(Severity, u64)]) -> Map<String, Value> {
    counts.iter().map(|(severity, count)| (severity.as_str().to_owned(), json!(count))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{Case, NOW, PREVIOUS, SIGNING, answer, body, channel, message, verdicts};
    use super::*;
    use crate::notify::channel::Channel;
    use crate::notify::message::Kind;
    use crate::notify::receivers::Verdict;

    fn verified(secret: &str, sent: &Outgoing) -> bool {
        let webhook = standardwebhooks::Webhook::new(secret).expect("a secret");
        webhook.verify(&sent.body, &sent.headers).is_ok()
    }

    #[test]
    fn the_reference_implementation_verifies_both_signatures() {
        // The verifier looks at the clock itself.
        let now = chrono::Utc::now().timestamp();
        let sent = channel(Channel::Webhook).request(&message(Kind::Raised), now);
        assert!(verified(SIGNING, &sent) && verified(PREVIOUS, &sent));
        assert!(!verified("whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4", &sent), "another key");
        let other = Outgoing { body: b"{}".to_vec(), ..sent.clone() };
        assert!(!verified(SIGNING, &other), "another body");
        let mut other = sent.clone();
        other.headers.insert("webhook-timestamp", header(&(now + 1).to_string()));
        assert!(!verified(SIGNING, &other), "another time");
        let mut other = sent;
        other.headers.insert("webhook-id", header("msg_other"));
        assert!(!verified(SIGNING, &other), "another id");
    }

    /// The example of the reference implementation.
    #[test]
    fn a_known_signature_is_made() {
        let pairs = [
            ("NOTIFY_WEBHOOK_URL", "https://a.example"),
            ("NOTIFY_WEBHOOK_SECRET", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        ];
        let config =
            crate::config::Config::from_pairs(pairs.map(|(name, value)| (name.into(), value.into())));
        let key = config.notify_webhook().expect("right").expect("set").secret;
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            signature(&key, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn the_id_stays_and_the_time_is_that_of_the_attempt() {
        let (receiver, message) = (channel(Channel::Webhook), message(Kind::Raised));
        let (first, second) = (receiver.request(&message, NOW), receiver.request(&message, NOW + 60));
        assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
        assert_eq!(first.headers["webhook-id"], format!("msg_{}", message.id).as_str());
        assert_ne!(first.headers["webhook-signature"], second.headers["webhook-signature"]);
        assert_eq!(first.headers["webhook-timestamp"], NOW.to_string().as_str());
        assert_eq!(body(&first), body(&second));
    }

    #[test]
    fn answers_mean_this() {
        verdicts(
            Channel::Webhook,
            &[
                Case(200, "", Verdict::Sent),
                Case(204, "", Verdict::Sent),
                Case(301, "", Verdict::Failed(None)),
                Case(308, "", Verdict::Failed(None)),
                Case(400, "", Verdict::Refused),
                Case(404, "", Verdict::Gone),
                Case(410, "", Verdict::Gone),
                Case(425, "", Verdict::Failed(None)),
                Case(502, "", Verdict::Failed(None)),
                Case(504, "", Verdict::Failed(None)),
            ],
        );
        let busy = answer(503, "", Some("120"));
        let wait = Some(Duration::from_secs(120));
        assert_eq!(channel(Channel::Webhook).verdict(&busy), Verdict::Failed(wait));
    }
}
