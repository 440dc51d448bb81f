//! PagerDuty, Events API v2.
//!
//! The rules: <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/> and
//! <https://developer.pagerduty.com/api-reference/368ae3d938c9e-send-an-event-to-pager-duty>.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::receiver::{Answer, Outgoing, Receiver, Verdict, below, by_status, retry_after};
use crate::alerts::severity::Severity;
use crate::config::notify::PagerdutySettings;
use crate::notify::message::{Kind, Message, cut, one_line};
use crate::secret::Secret;

/// The most characters of a summary.
const SUMMARY: usize = 1024;

/// No limit is known for these; a word need not be longer.
const WORD: usize = 255;

/// Enough for a person; the API takes 512 KB in all.
const TEXT: usize = 2000;

/// A service of PagerDuty.
#[derive(Debug)]
pub struct Pagerduty(PagerdutySettings);

impl Pagerduty {
    /// From its settings.
    pub fn new(settings: PagerdutySettings) -> Self {
        Self(settings)
    }

    fn event(&self, action: &str, message: &Message) -> Value {
        json!({
            "routing_key": self.0.key.expose(),
            "event_action": action,
            "dedup_key": message.episode(),
        })
    }

    fn outgoing(&self, event: &Value) -> Outgoing {
        Outgoing::new(below(&self.0.base, &["v2", "enqueue"]), HeaderMap::new(), event)
    }
}

impl Receiver for Pagerduty {
    /// An acknowledged incident no longer rings, whatever is added to it: it must end so that the alarm opens another.
    fn before(&self, message: &Message) -> Option<Outgoing> {
        message.reopens.then(|| self.outgoing(&self.event("resolve", message)))
    }

    fn request(&self, message: &Message, _: i64) -> Outgoing {
        let mut event = self.event(action(message.kind), message);
        if action(message.kind) == "trigger" {
            event["payload"] = payload(message);
            event["client"] = json!("billing-ops");
            if let Some(link) = &message.link {
                event["client_url"] = json!(link.as_str());
                event["links"] = json!([{"href": link.as_str(), "text": "Open in billing-ops"}]);
            }
        }
        self.outgoing(&event)
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        match answer.status {
            StatusCode::ACCEPTED => Verdict::Sent,
            // PagerDuty says 202 and nothing else: this comes from something in between.
            status if status.is_success() => Verdict::Failed(retry_after(&answer.headers)),
            _ => by_status(answer),
        }
    }

    fn secrets(&self) -> Vec<Secret> {
        vec![self.0.key.clone()]
    }
}

/// A summary and a test each open an incident of their own, which a person closes: nothing would ever resolve it.
/// That of a test is `info`, which is of low urgency where the service goes by severity.
fn action(kind: Kind) -> &'static str {
    match kind {
        Kind::Raised | Kind::Escalated | Kind::Grown | Kind::Repeated | Kind::Summary | Kind::Test => {
            "trigger"
        }
        Kind::Acknowledged => "acknowledge",
        // No digest is queued for PagerDuty. If one comes all the same, it opens nothing: there is no incident of this name to end.
        Kind::Resolved | Kind::Digest => "resolve",
    }
}

fn payload(message: &Message) -> Value {
    let severity = match message.severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let mut payload = json!({
        // The one line that is read out on the phone.
        "summary": cut(&one_line(&format!("{}: {}", message.title(), message.text())), SUMMARY),
        "source": "billing-ops",
        "severity": severity,
        "timestamp": message.at.to_rfc3339(),
        "custom_details": details(message),
    });
    if let Some(alert) = &message.alert {
        payload["component"] = json!(cut(&alert.alert_key, WORD));
        payload["class"] = json!(cut(&alert.alert_type, WORD));
    }
    payload
}

fn details(message: &Message) -> Value {
    let mut details = json!({"event": message.kind.as_str(), "text": cut(&message.text(), TEXT)});
    if let Some(count) = message.count() {
        details["count"] = json!(count);
    }
    let ids = message.ids();
    if !ids.is_empty() {
        details["ids"] = json!(ids);
    }
    if let Some(alert) = &message.alert {
        details["since"] = json!(alert.first_seen_at.to_rfc3339());
    }
    details
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Case, answer, body, channel, message, summary, verdicts};
    use super::*;
    use crate::notify::channel::Channel;

    #[test]
    fn an_episode_is_one_incident_from_its_alarm_to_its_end() {
        let receiver = channel(Channel::Pagerduty);
        let event = |kind| body(&receiver.request(&message(kind), 0));
        let alarm = event(Kind::Raised);
        for (kind, expected) in [
            (Kind::Raised, "trigger"),
            (Kind::Escalated, "trigger"),
            (Kind::Grown, "trigger"),
            (Kind::Repeated, "trigger"),
            (Kind::Acknowledged, "acknowledge"),
            (Kind::Resolved, "resolve"),
        ] {
            assert_eq!(event(kind)["event_action"], expected);
            assert_eq!(event(kind)["dedup_key"], alarm["dedup_key"]);
        }
        for kind in [Kind::Summary, Kind::Test] {
            assert_eq!(event(kind)["event_action"], "trigger");
            assert_ne!(event(kind)["dedup_key"], alarm["dedup_key"]);
        }
    }

    #[test]
    fn a_digest_wakes_nobody() {
        let event = body(&channel(Channel::Pagerduty).request(&message(Kind::Digest), 0));
        assert_eq!((&event["event_action"], event.get("payload")), (&json!("resolve"), None));
    }

    #[test]
    fn severities_have_their_words_and_a_test_wakes_nobody() {
        let receiver = channel(Channel::Pagerduty);
        for (severity, expected) in [
            (Severity::Critical, "critical"),
            (Severity::High, "error"),
            (Severity::Warning, "warning"),
            (Severity::Info, "info"),
        ] {
            let event = body(&receiver.request(&Message { severity, ..summary() }, 0));
            assert_eq!(event["payload"]["severity"], expected);
        }
        assert_eq!(body(&receiver.request(&message(Kind::Test), 0))["payload"]["severity"], "info");
    }

    #[test]
    fn an_incident_that_somebody_acknowledged_ends_before_it_rings_again() {
        let receiver = channel(Channel::Pagerduty);
        assert!(receiver.before(&message(Kind::Grown)).is_none());
        let again = Message { reopens: true, ..message(Kind::Grown) };
        let (first, then) =
            (body(&receiver.before(&again).expect("an end")), body(&receiver.request(&again, 0)));
        assert_eq!([&first["event_action"], &then["event_action"]], ["resolve", "trigger"]);
        assert_eq!(first["dedup_key"], then["dedup_key"]);
    }

    #[test]
    fn links_are_there_if_there_is_one() {
        let receiver = channel(Channel::Pagerduty);
        let without = body(&receiver.request(&Message { link: None, ..message(Kind::Raised) }, 0));
        assert_eq!([&without["links"], &without["client_url"]], [&json!(null), &json!(null)]);
    }

    #[test]
    fn answers_mean_this() {
        let seven = Some(std::time::Duration::from_secs(7));
        verdicts(
            Channel::Pagerduty,
            &[
                Case(202, r#"{"status": "success"}"#, Verdict::Sent),
                Case(200, "<html>", Verdict::Failed(None)),
                Case(302, "", Verdict::Failed(None)),
                Case(400, r#"{"status": "invalid event"}"#, Verdict::Refused),
                Case(401, "", Verdict::Gone),
                Case(403, "", Verdict::Gone),
                Case(404, "", Verdict::Gone),
                Case(408, "", Verdict::Failed(None)),
                Case(413, "", Verdict::Refused),
                Case(429, "", Verdict::Failed(None)),
                Case(500, "", Verdict::Failed(None)),
            ],
        );
        let limited = answer(429, "", Some("7"));
        assert_eq!(channel(Channel::Pagerduty).verdict(&limited), Verdict::Failed(seven));
    }
}
