//! What holds for all receivers: what they send, how long it may be, and what nobody may see of them.
//!
//! Each message of each receiver is compared with a file in `snapshots/`; `UPDATE_SNAPSHOTS=1` writes these files anew.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use strum::{VariantArray as _, VariantNames};
use uuid::Uuid;

use super::*;
use crate::alerts::alert::Alert;
use crate::notify::digest::{Access, Alerts, Digest, Drift, Runs, Waiting};
use crate::notify::message::{Kind, Message, Summary};

pub(super) const SIGNING: &str = "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5";
pub(super) const PREVIOUS: &str = "whsec_cHJldmlvdXNwcmV2aW91c3ByZXZpb3Vz";

/// 2026-03-02, 02:11:00 UTC.
pub(super) const NOW: i64 = 1_772_417_460;

const SETTINGS: &[(&str, &str)] = &[
    ("NOTIFY_PAGERDUTY_KEY", "canary0canary0canary0canary0cana"),
    ("NOTIFY_SLACK_URL", "https://hooks.slack.example/services/T0/B0/canary-canary-canary"),
    ("NOTIFY_DISCORD_URL", "https://discord.example/api/webhooks/1/canary-canary-canary?thread_id=2"),
    ("RESEND_API_KEY", "re_canary_key"),
    ("NOTIFY_EMAIL_FROM", "Billing <canary-from@example.com>"),
    ("NOTIFY_EMAIL_TO", "canary-to@example.com, canary-too@example.com"),
    ("NOTIFY_WEBHOOK_URL", "https://canary.example/hook?key=canary-canary-canary"),
    ("NOTIFY_WEBHOOK_SECRET", SIGNING),
    ("NOTIFY_WEBHOOK_SECRET_PREVIOUS", PREVIOUS),
];

fn config(pairs: &[(&str, &str)]) -> Config {
    Config::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

pub(super) fn channel(channel: Channel) -> Box<dyn Receiver> {
    let found = configured(&config(SETTINGS)).into_iter().find(|found| found.channel == channel);
    found.expect("configured").receiver.expect("right")
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// Everything that must not be told says "canary".
fn alert() -> Alert {
    Alert {
        id: Uuid::from_u128(0xA1),
        alert_key: "drift_status_mismatch".into(),
        alert_type: "drift".into(),
        severity: "high".into(),
        message: "7 subscriptions had a different status; 6 repaired.".into(),
        metadata: json!({
            "type": "status_mismatch",
            "count": 7,
            "fixed": 6,
            "canary": "canary",
            "samples": [
                {"stripe_subscription_id": "sub_1AbC", "email": "canary@example.com", "amount": "canary"},
                {"stripe_subscription_id": "sub_2DeF"},
                "sub_3GhI",
                {"stripe_subscription_id": "canary canary"},
                {"canary": "canary"},
            ],
        }),
        occurrences: 3,
        first_seen_at: time("2026-03-02T01:30:00Z"),
        last_seen_at: time("2026-03-02T02:05:00Z"),
        severe_since: Some(time("2026-03-02T01:30:00Z")),
        created_at: time("2026-03-02T01:30:00Z"),
        resolved: false,
        resolved_at: None,
        resolved_by: None,
        resolution: None,
        resolution_note: Some("canary".into()),
        previous_alert_id: Some(Uuid::from_u128(0xCA_4A_47)),
        acknowledged_at: Some(time("2026-03-02T01:40:00Z")),
        acknowledged_by: Some(Uuid::from_u128(0xCA)),
        acknowledged_until: None,
        snoozed_until: None,
        snoozed_by: None,
        history: Vec::new(),
    }
}

fn link(query: &str) -> Option<url::Url> {
    Some(format!("https://billing.example.com/?view=alerts{query}").parse().expect("a URL"))
}

pub(super) fn summary() -> Message {
    let summary = Summary {
        count: 9,
        by_severity: vec![(Severity::High, 2), (Severity::Warning, 7)],
        alert_ids: (0xA1..0xA6).map(Uuid::from_u128).collect(),
    };
    Message {
        kind: Kind::Summary,
        alert: None,
        summary: Some(summary),
        link: link(""),
        ..message(Kind::Raised)
    }
}

pub(super) fn digest() -> Message {
    let digest = Digest {
        week: chrono::NaiveDate::from_ymd_opt(2026, 2, 23).expect("a date"),
        runs: Runs { ended: 168, success: 165, partial: 2, error: 1, sweeps: 166 },
        drift: Drift { found: 14, repaired: 9, created: 3, moved: 1, cleared: 2 },
        access: Some(Access { raised: 4, lowered: 1 }),
        standing: 12,
        waiting: Waiting { approval: 4, held: 2, refused: 1, decision: 3 },
        exceptions_ending: 1,
        alerts: Alerts {
            raised: 5,
            open: 3,
            by_severity: vec![(Severity::Critical, 1), (Severity::Warning, 2)],
        },
    };
    Message {
        kind: Kind::Digest,
        severity: Severity::Info,
        alert: None,
        digest: Some(digest),
        link: Some("https://billing.example.com/".parse().expect("a URL")),
        ..message(Kind::Raised)
    }
}

pub(super) fn message(kind: Kind) -> Message {
    let (id, at) = (Uuid::from_u128(0xE1), time("2026-03-02T02:10:00Z"));
    let mut alert = alert();
    match kind {
        Kind::Test => return Message::test(id, at, link("")),
        Kind::Summary => return summary(),
        Kind::Digest => return digest(),
        Kind::Resolved => {
            alert.resolved = true;
            alert.resolved_at = Some(at);
            alert.resolved_by = Some(Uuid::from_u128(0xCA_4A_47));
            alert.resolution = Some("manual".into());
        }
        _ => {}
    }
    let link = link(&format!("&alert={}&status=all", alert.id));
    Message {
        id,
        kind,
        severity: Severity::High,
        at,
        alert: Some(alert),
        summary: None,
        digest: None,
        link,
        reopens: false,
    }
}

/// An alarm that says this.
pub(super) fn saying(text: &str) -> Message {
    let mut message = message(Kind::Raised);
    message.alert.as_mut().expect("an alert").message = text.to_owned();
    message
}

pub(super) fn body(sent: &Outgoing) -> Value {
    serde_json::from_slice(&sent.body).expect("JSON")
}

pub(super) fn answer(status: u16, body: &str, retry_after: Option<&str>) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(value) = retry_after {
        headers.insert("retry-after", value.parse().expect("a header"));
    }
    Answer { status: StatusCode::from_u16(status).expect("a status"), headers, body: body.to_owned() }
}

/// Status, body, and what they mean.
pub(super) struct Case<'a>(pub(super) u16, pub(super) &'a str, pub(super) Verdict);

pub(super) fn verdicts(of: Channel, cases: &[Case<'_>]) {
    let receiver = channel(of);
    for Case(status, body, expected) in cases {
        assert_eq!(receiver.verdict(&answer(*status, body, None)), *expected, "{status} {body}");
    }
}

#[test]
fn every_message_is_as_it_was() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut different = Vec::new();
    for (channel, receiver) in all() {
        // PagerDuty gets no digest.
        let told =
            Kind::VARIANTS.iter().filter(|kind| (channel, **kind) != (Channel::Pagerduty, Kind::Digest));
        for kind in told {
            let sent = receiver.request(&message(*kind), NOW);
            // The order of a body's fields depends on what else is built, and a signature on that order: it is verified separately.
            let header = |name: &str, value: &http::HeaderValue| match (name, value.is_sensitive()) {
                ("webhook-signature", _) => json!("(of the body)"),
                (_, true) => json!("(sensitive)"),
                (_, false) => json!(value.to_str().expect("text")),
            };
            let headers: Map<String, Value> = sent
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), header(name.as_str(), value)))
                .collect();
            let found = json!({"url": sent.url.as_str(), "headers": headers, "body": body(&sent)});
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("src/notify/receivers/snapshots")
                .join(channel.as_str())
                .join(format!("{}.json", kind.as_str()));
            if update {
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
                let text = serde_json::to_string_pretty(&found).expect("JSON") + "\n";
                std::fs::write(&path, text).expect("the file can be written");
            }
            let known = std::fs::read_to_string(&path).unwrap_or_default();
            if serde_json::from_str::<Value>(&known).ok().as_ref() != Some(&found) {
                different.push(format!("{}:\n{found:#}", path.display()));
            }
        }
    }
    assert!(
        different.is_empty(),
        "these messages have changed; if that is meant, run with UPDATE_SNAPSHOTS=1:\n{}",
        different.join("\n")
    );
}

fn all() -> Vec<(Channel, Box<dyn Receiver>)> {
    <Channel as strum::VariantArray>::VARIANTS.iter().map(|of| (*of, channel(*of))).collect()
}

#[test]
fn nothing_is_told_that_is_not_to_be_told() {
    for (channel, receiver) in all() {
        for kind in Kind::VARIANTS {
            let mut sent = body(&receiver.request(&message(*kind), NOW));
            // What the receiver itself knows, and must be told.
            for own in ["routing_key", "from", "to"] {
                if let Some(own) = sent.get_mut(own) {
                    own.take();
                }
            }
            let sent = sent.to_string();
            assert!(!sent.contains("canary"), "{channel:?} {kind:?}: {sent}");
            assert!(!sent.contains("ca4a47"), "{channel:?} {kind:?} names a person or another alert: {sent}");
        }
    }
}

#[test]
fn a_resolved_message_says_how_long_it_lasted() {
    for (channel, receiver) in all() {
        let sent = body(&receiver.request(&message(Kind::Resolved), NOW)).to_string();
        let expected = match channel {
            // PagerDuty knows it by itself, and a program calculates.
            Channel::Pagerduty => "resolve",
            Channel::Webhook => "resolved_at",
            _ => "40 min",
        };
        assert!(sent.contains(expected), "{channel:?}: {sent}");
    }
}

/// All texts of a JSON value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(values) => values.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn length(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

/// As a program in JavaScript counts, which may be at the other end.
fn units(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.encode_utf16().count())
}

fn is_within_limits(of: Channel, sent: &Outgoing) {
    let body = body(sent);
    let text = |pointer: &str| body.pointer(pointer).cloned().unwrap_or_default();
    match of {
        Channel::Pagerduty => {
            assert!(length(&text("/payload/summary")) <= 1024 && length(&text("/dedup_key")) <= 255);
            assert!(sent.body.len() < 32_000);
        }
        Channel::Slack => {
            assert!(String::from_utf8_lossy(&sent.body).chars().count() < 8000);
            assert!(length(&text("/blocks/0/text/text")) <= 150);
            assert!(units(&text("/blocks/1/text/text")) <= 3000 && length(&text("/text")) <= 300);
            assert!(body["blocks"].as_array().expect("blocks").len() <= 50);
            for block in body["blocks"].as_array().expect("blocks") {
                let fields = block["fields"].as_array().cloned().unwrap_or_default();
                assert!(fields.len() <= 10 && fields.iter().all(|field| length(&field["text"]) <= 2000));
                let text = block["text"]["text"].as_str();
                assert!(text.is_none_or(|text| !text.trim().is_empty()), "Slack takes no empty text");
            }
        }
        Channel::Discord => {
            let embed = &body["embeds"][0];
            assert!(length(&embed["title"]) <= 256 && units(&embed["description"]) <= 4096);
            let fields = embed["fields"].as_array().expect("fields");
            assert!(fields.len() <= 25);
            for field in fields {
                assert!(
                    (1..=256).contains(&length(&field["name"]))
                        && (1..=1024).contains(&length(&field["value"]))
                );
            }
            assert!(texts(embed).iter().map(|text| text.encode_utf16().count()).sum::<usize>() <= 6000);
        }
        Channel::Email => {
            let subject = body["subject"].as_str().expect("a subject");
            assert!(subject.chars().count() <= 200 && !subject.contains(|c: char| c.is_control()));
            assert!(sent.headers["idempotency-key"].len() <= 256);
        }
        Channel::Webhook => {
            assert!(sent.body.len() < 20_000, "{}", sent.body.len());
            assert!(!sent.headers["webhook-id"].as_bytes().contains(&b'.'));
        }
    }
}

#[test]
fn very_long_texts_and_empty_ones_stay_within_the_limits() {
    for long in ["", "a", "ä", "€", "🔴", "&", "<", "\"", "\\", "\u{1}", "\n", "@everyone ", "a\u{301}"]
    {
        let long = long.repeat(30_000);
        for (channel, receiver) in all() {
            for kind in Kind::VARIANTS {
                let mut message = message(*kind);
                if let Some(alert) = &mut message.alert {
                    alert.message = long.clone();
                    alert.alert_key = long.clone();
                    alert.alert_type = long.clone();
                    alert.resolution = Some(long.clone());
                    let samples = vec![Value::from("x".repeat(64)); 90];
                    alert.metadata = json!({"count": u64::MAX, "samples": samples});
                }
                is_within_limits(channel, &receiver.request(&message, i64::MAX));
            }
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let long = proptest::collection::vec(any::<char>(), 0..6000).prop_map(|text| text.into_iter().collect());
    prop_oneof![any::<String>(), long]
}

fn any_message() -> impl Strategy<Value = Message> {
    let kinds = proptest::sample::select(Kind::VARIANTS);
    (kinds, any_text(), any_text(), any::<String>(), any::<Option<u64>>(), any::<Vec<String>>()).prop_map(
        |(kind, text, key, class, count, samples)| {
            let mut message = message(kind);
            if let Some(alert) = &mut message.alert {
                (alert.message, alert.alert_key, alert.alert_type) = (text, key, class);
                alert.metadata = json!({"count": count, "samples": samples});
            }
            message
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_stays_within_the_limits(message in any_message()) {
        for (channel, receiver) in all() {
            is_within_limits(channel, &receiver.request(&message, NOW));
        }
    }
}

#[test]
fn nothing_secret_is_shown() {
    for found in configured(&config(SETTINGS)) {
        let shown = format!("{found:?}");
        assert!(!shown.contains("canary") && !shown.contains("whsec_"), "{shown}");
        let receiver = found.receiver.expect("right");
        let shown = format!("{:?}", receiver.request(&message(Kind::Raised), NOW));
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn words_hold_no_secret_however_it_is_echoed() {
    let echoes = [
        (Channel::Pagerduty, "canary0canary0canary0canary0cana"),
        (Channel::Slack, "https://hooks.slack.example/services/T0/B0/canary-canary-canary"),
        (Channel::Slack, "POST /services/T0/B0/canary-canary-canary"),
        (Channel::Slack, r"https:\/\/hooks.slack.example\/services\/T0\/B0\/canary-canary-canary"),
        (Channel::Discord, "https://discord.example/api/webhooks/1/canary-canary-canary?thread_id=2"),
        (Channel::Discord, "canary-canary-canary"),
        (Channel::Email, "Bearer re_canary_key"),
        (Channel::Email, "from Billing <canary-from@example.com>"),
        (Channel::Email, "to canary-to@example.com and canary-too@example.com from canary-from@example.com"),
        (Channel::Webhook, "https://canary.example/hook?key=canary-canary-canary"),
        (Channel::Webhook, SIGNING),
        (Channel::Webhook, "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"),
        (Channel::Webhook, PREVIOUS),
    ];
    for (of, echo) in echoes {
        let said = words(channel(of).as_ref(), &format!("no: {echo}\n!"));
        assert!(said.starts_with("no: ") && said.ends_with(" !"), "{said}");
        let hidden = ["canary", "Y2Fu", "cHJl"].iter().all(|part| !said.contains(part));
        assert!(hidden, "{of:?}: {said}");
    }
}

#[test]
fn words_are_one_short_line() {
    let receiver = channel(Channel::Slack);
    assert_eq!(words(receiver.as_ref(), " a\r\n\u{0}b\u{1b}[0m "), "a b [0m");
    assert_eq!(words(receiver.as_ref(), &"ä".repeat(500)).chars().count(), 200);
}

#[test]
fn a_time_to_wait_is_one_that_can_be_waited() {
    for (value, expected) in [
        ("0", Some(0)),
        ("60", Some(60)),
        (" 86400 ", Some(86_400)),
        ("86401", Some(86_400)),
        ("1e300", Some(86_400)),
    ] {
        let found = receiver::retry_after(&answer(429, "", Some(value)).headers);
        assert_eq!(found.map(|wait| wait.as_secs()), expected);
    }
    for value in ["-1", "NaN", "inf", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", ""] {
        assert_eq!(receiver::retry_after(&answer(429, "", Some(value)).headers), None, "{value}");
    }
    // A date counts from that of the answer.
    for (date, expected) in
        [("Wed, 21 Oct 2026 07:27:30 GMT", Some(30)), ("Wed, 21 Oct 2026 07:29:00 GMT", None)]
    {
        let mut headers = answer(429, "", Some("Wed, 21 Oct 2026 07:28:00 GMT")).headers;
        headers.insert("date", date.parse().expect("a header"));
        assert_eq!(receiver::retry_after(&headers).map(|wait| wait.as_secs()), expected);
    }
}

#[test]
fn another_address_may_have_a_path() {
    let base = |name| {
        let with: Vec<_> =
            SETTINGS.iter().copied().chain([(name, "http://127.0.0.1:4010/stand-in/")]).collect();
        let sent = configured(&config(&with))
            .into_iter()
            .map(|found| found.receiver.expect("right").request(&message(Kind::Raised), NOW).url.to_string());
        sent.filter(|url| url.contains("stand-in")).collect::<Vec<_>>()
    };
    assert_eq!(base("NOTIFY_PAGERDUTY_BASE"), ["http://127.0.0.1:4010/stand-in/v2/enqueue"]);
    assert_eq!(base("RESEND_API_BASE"), ["http://127.0.0.1:4010/stand-in/emails"]);
}

#[test]
fn a_channel_is_there_if_it_is_set_and_alone_in_what_is_wrong_with_it() {
    assert!(configured(&config(&[])).is_empty());
    let least: Vec<(Channel, Severity)> =
        configured(&config(SETTINGS)).iter().map(|found| (found.channel, found.least)).collect();
    let usual: Vec<_> = <Channel as strum::VariantArray>::VARIANTS
        .iter()
        .map(|channel| (*channel, channel.default_least()))
        .collect();
    assert_eq!(least, usual);

    for (name, value) in [
        ("NOTIFY_PAGERDUTY_KEY", "short"),
        ("NOTIFY_PAGERDUTY_BASE", "http://a.example"),
        ("NOTIFY_SLACK_URL", "http://a.example"),
        ("NOTIFY_DISCORD_URL", "a"),
        ("NOTIFY_EMAIL_TO", "a"),
        ("NOTIFY_EMAIL_FROM", ""),
        ("RESEND_API_BASE", "http://a.example"),
        ("NOTIFY_WEBHOOK_SECRET", ""),
        ("NOTIFY_WEBHOOK_SECRET_PREVIOUS", "a"),
        ("NOTIFY_WEBHOOK_MIN_SEVERITY", "a"),
    ] {
        let others = SETTINGS.iter().copied().filter(|(other, _)| *other != name);
        let found = configured(&config(&others.chain([(name, value)]).collect::<Vec<_>>()));
        assert_eq!(found.len(), 5, "{name}");
        let errors: Vec<&SettingError> =
            found.iter().filter_map(|found| found.receiver.as_ref().err()).collect();
        assert_eq!(errors.len(), 1, "{name}");
        assert!(errors[0].0.contains(name), "{name}: {errors:?}");
    }
}

#[test]
fn the_least_severity_is_what_is_set() {
    let with = |word| {
        let pairs = [("NOTIFY_SLACK_URL", "https://a.example"), ("NOTIFY_SLACK_MIN_SEVERITY", word)];
        configured(&config(&pairs)).remove(0).least
    };
    for (word, severity) in <Severity as VariantNames>::VARIANTS.iter().zip([
        Severity::Info,
        Severity::Warning,
        Severity::High,
        Severity::Critical,
    ]) {
        assert_eq!(with(word), severity);
        assert!(settings::SEVERITIES.contains(word));
    }
    assert_eq!(settings::SEVERITIES.len(), <Severity as VariantNames>::VARIANTS.len());
}
