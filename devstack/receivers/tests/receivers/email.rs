//! Resend.

use crate::common::{Answer, Here, answer, long};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

impl Here {
    fn mail(&self, email: &Value) -> RequestBuilder {
        let url = format!("{}/emails", self.setting("RESEND_API_BASE"));
        self.to(&url).header("user-agent", "billing-ops").json(email)
    }

    async fn send(&self, key: &str, email: &Value) -> Answer {
        let request = self.mail(email).bearer_auth(self.setting("RESEND_API_KEY"));
        answer(if key.is_empty() { request } else { request.header("idempotency-key", key) }).await
    }

    fn email(&self) -> Value {
        let to = self.setting("NOTIFY_EMAIL_TO");
        json!({
            "from": self.setting("NOTIFY_EMAIL_FROM"), "to": to.split(',').collect::<Vec<_>>(),
            "subject": "[HIGH] drift", "text": "3 subscriptions differ.",
        })
    }
}

#[tokio::test]
async fn an_email_gets_an_id() {
    let here = Here::start();
    let first = here.send("", &here.email()).await;
    let second = here.send("", &here.email()).await;
    assert_eq!((first.status, second.status), (200, 200));
    assert!(first.body["id"].is_string() && first.body["id"] != second.body["id"]);
    assert_eq!(here.receivers.accepted("email").len(), 2);
    assert_eq!(here.last().title(), "[HIGH] drift");
    let mut simple = here.email();
    simple["to"] = json!("Somebody <somebody@example.com>");
    assert_eq!(here.send("", &simple).await.status, 200);
}

#[tokio::test]
async fn the_same_idempotency_key_delivers_once() {
    let here = Here::start();
    let first = here.send("message-1", &here.email()).await;
    let again = here.send("message-1", &here.email()).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(here.receivers.accepted("email").len(), 1);
    assert_eq!((here.last().status, here.last().accepted), (Some(200), false));
    let mut other = here.email();
    other["subject"] = json!("another");
    let refused = here.send("message-1", &other).await;
    assert_eq!((refused.status, &refused.body["name"]), (409, &json!("invalid_idempotent_request")));
    assert_ne!(here.send("message-2", &other).await.body["id"], first.body["id"]);
    let refused = here.send(&"k".repeat(257), &other).await;
    assert_eq!((refused.status, &refused.body["name"]), (400, &json!("invalid_idempotency_key")));
    assert_eq!(here.send(&"k".repeat(256), &other).await.status, 200);
}

#[tokio::test]
async fn an_email_that_was_refused_leaves_its_idempotency_key_free() {
    let here = Here::start();
    assert_eq!(here.send("message-1", &json!({})).await.status, 422);
    assert_eq!(here.send("message-1", &here.email()).await.status, 200);
    assert_eq!(here.receivers.accepted("email").len(), 1);
}

#[tokio::test]
async fn who_does_not_say_who_it_is_gets_nowhere() {
    let here = Here::start();
    let missing = answer(here.mail(&here.email())).await;
    let words = json!({ "statusCode": 401, "message": "Missing API Key", "name": "missing_api_key" });
    assert_eq!((missing.status, missing.body), (401, words));
    let wrong = answer(here.mail(&here.email()).bearer_auth("re_another")).await;
    assert_eq!((wrong.status, &wrong.body["message"]), (401, &json!("API key is invalid")));
    let url = format!("{}/emails", here.setting("RESEND_API_BASE"));
    let nobody = answer(here.to(&url).bearer_auth(here.setting("RESEND_API_KEY")).json(&here.email())).await;
    assert_eq!((nobody.status, nobody.body), (403, json!("error code: 1010")));
    assert!(here.receivers.accepted("email").is_empty());
}

#[tokio::test]
async fn mistakes_are_told_by_name() {
    let here = Here::start();
    for name in ["from", "to", "subject", "text"] {
        let mut email = here.email();
        email.as_object_mut().expect("an object").remove(name);
        let refused = here.send("", &email).await;
        assert_eq!((refused.status, &refused.body["name"]), (422, &json!("missing_required_field")));
        assert_eq!(refused.body["message"], format!("Missing `{name}` field."));
    }
    for (name, value) in [
        ("from", json!("billing-ops")),
        ("from", json!(["alarms@example.com"])),
        ("to", json!("a@example.com,b@example.com")),
        ("to", json!(["a@example.com", "b@example"])),
        ("to", json!(vec!["a@example.com"; 51])),
        ("subject", json!("two\nlines")),
        ("text", json!(7)),
    ] {
        let mut email = here.email();
        email[name] = value.clone();
        let refused = here.send("", &email).await;
        assert_eq!((refused.status, &refused.body["name"]), (422, &json!("validation_error")), "{value}");
    }
    for (name, value) in [("to", json!([])), ("subject", json!(" ")), ("text", json!(""))] {
        let mut email = here.email();
        email[name] = value;
        assert_eq!(here.send("", &email).await.status, 422, "{name}");
    }
    assert!(here.receivers.accepted("email").is_empty());
    let mut long_one = here.email();
    long_one["text"] = json!(long(100_000));
    assert_eq!(here.send("", &long_one).await.status, 200);
}

#[tokio::test]
async fn what_is_no_email_is_refused() {
    let here = Here::start();
    let url = format!("{}/emails", here.setting("RESEND_API_BASE"));
    let request = here.to(&url).header("user-agent", "billing-ops");
    let refused = answer(request.bearer_auth(here.setting("RESEND_API_KEY")).body("subject=1")).await;
    assert_eq!((refused.status, &refused.body["name"]), (400, &json!("validation_error")));
    let elsewhere = here.to(&format!("{url}/batch")).header("user-agent", "billing-ops");
    assert_eq!(answer(elsewhere.json(&here.email())).await.status, 404);
}
