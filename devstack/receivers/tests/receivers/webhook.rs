//! The signed webhook.

use crate::common::{Answer, Here, answer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    age.as_secs().try_into().expect("a small number")
}

fn message() -> Value {
    json!({
        "type": "billing_alert.raised", "timestamp": "2026-11-27T13:00:00Z",
        "data": { "alert": { "key": "reconcile_stale", "message": "Nothing has been reconciled for 2 h" } },
    })
}

impl Here {
    fn sign(&self, id: &str, at: i64, body: &str) -> String {
        let secret = self.setting("NOTIFY_WEBHOOK_SECRET");
        let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base64");
        assert_eq!(key.len(), 32);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let tag = hmac::sign(&key, format!("{id}.{at}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }

    async fn deliver(&self, id: &str, at: &str, signature: &str, body: &str) -> Answer {
        let request = self.to(&self.setting("NOTIFY_WEBHOOK_URL")).header("content-type", "application/json");
        let request = request.header("webhook-id", id).header("webhook-timestamp", at);
        answer(request.header("webhook-signature", signature).body(body.to_owned())).await
    }

    async fn signed(&self, message: &Value) -> Answer {
        let (at, body) = (now(), message.to_string());
        self.deliver("msg_1", &at.to_string(), &self.sign("msg_1", at, &body), &body).await
    }
}

#[tokio::test]
async fn a_signed_message_is_taken() {
    let here = Here::start();
    let taken = here.signed(&message()).await;
    assert_eq!((taken.status, taken.body), (204, json!("")));
    let received = here.last();
    assert!(received.accepted, "{received:?}");
    assert_eq!(received.headers["webhook-id"], "msg_1");
    assert_eq!(received.body, message());
    assert_eq!(received.title(), "billing_alert.raised: Nothing has been reconciled for 2 h");
    let test = json!({ "type": "billing_alert.test", "timestamp": "2026-11-27T13:00:00+00:00", "data": {} });
    assert_eq!(here.signed(&test).await.status, 204);
}

#[tokio::test]
async fn any_of_several_signatures_is_enough() {
    let here = Here::start();
    let (at, body) = (now(), message().to_string());
    let right = here.sign("msg_1", at, &body);
    let wrong = format!("v1,{}", STANDARD.encode([7; 32]));
    for (signatures, status) in [
        (format!("{wrong} {right}"), 204),
        (format!("{right} {wrong}"), 204),
        (format!("v1a,AAAA {right}"), 204),
        (wrong.clone(), 401),
        (right.replace("v1,", "v2,"), 401),
        (right.replace("v1,", ""), 401),
        (String::new(), 401),
    ] {
        assert_eq!(here.deliver("msg_1", &at.to_string(), &signatures, &body).await.status, status);
    }
}

#[tokio::test]
async fn what_is_signed_otherwise_is_refused() {
    let here = Here::start();
    let (at, body) = (now(), message().to_string());
    let right = here.sign("msg_1", at, &body);
    let text = at.to_string();
    assert_eq!(here.deliver("msg_2", &text, &right, &body).await.status, 401);
    assert_eq!(here.deliver("msg_1", &(at + 1).to_string(), &right, &body).await.status, 401);
    assert_eq!(here.deliver("msg_1", &text, &right, &format!("{body} ")).await.status, 401);
    assert_eq!(here.deliver("a.b", &text, &here.sign("a.b", at, &body), &body).await.status, 401);
    assert_eq!(here.post(&here.setting("NOTIFY_WEBHOOK_URL"), &message()).await.status, 401);
    // A minute on either side, so that a slow machine does not decide.
    for (off, status) in [(-360, 401), (-240, 204), (240, 204), (360, 401)] {
        let at = now() + off;
        let signature = here.sign("msg_1", at, &body);
        assert_eq!(here.deliver("msg_1", &at.to_string(), &signature, &body).await.status, status, "{off}");
    }
    for at in ["", "yesterday", "-1", "99999999999999999999"] {
        assert_eq!(here.deliver("msg_1", at, &right, &body).await.status, 401, "{at}");
    }
}

#[tokio::test]
async fn a_message_has_a_type_a_time_and_data() {
    let here = Here::start();
    for (name, value) in [
        ("type", json!(null)),
        ("type", json!("billing alert")),
        ("type", json!("billing_alert.")),
        ("timestamp", json!("yesterday")),
        ("timestamp", json!(1_764_248_400)),
        ("data", json!(null)),
        ("data", json!("alert")),
    ] {
        let mut message = message();
        message[name] = value;
        assert_eq!(here.signed(&message).await.status, 400, "{message}");
    }
    let at = now();
    let broken = here.deliver("msg_1", &at.to_string(), &here.sign("msg_1", at, "{"), "{").await;
    assert_eq!((broken.status, broken.body), (400, json!({ "error": "no JSON" })));
    assert!(here.receivers.accepted("webhook").is_empty());
}

#[tokio::test]
async fn a_message_stays_under_20_kb() {
    let here = Here::start();
    let of = |length: usize| {
        let mut message = message();
        message["data"]["more"] = json!("");
        let rest = length - message.to_string().len();
        message["data"]["more"] = json!("a".repeat(rest));
        message
    };
    assert_eq!(here.signed(&of(19_999)).await.status, 204);
    assert_eq!(here.signed(&of(20_000)).await.status, 413);
}

#[tokio::test]
async fn another_path_is_another_s() {
    let here = Here::start();
    assert_eq!(here.post(&format!("{}x", here.setting("NOTIFY_WEBHOOK_URL")), &message()).await.status, 404);
}
