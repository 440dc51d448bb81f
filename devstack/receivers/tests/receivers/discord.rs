//! Discord.

use crate::common::{Answer, Here, answer, long};
use serde_json::{Value, json};

impl Here {
    async fn tell(&self, message: &Value) -> Answer {
        self.post(&format!("{}?wait=true", self.setting("NOTIFY_DISCORD_URL")), message).await
    }
}

fn message() -> Value {
    json!({
        "embeds": [{
            "title": "[HIGH] drift", "description": "3 subscriptions differ.", "color": 0xe0_1e_5a,
            "url": "http://127.0.0.1:3000/?view=alerts", "timestamp": "2026-11-27T13:00:00Z",
            "fields": [{ "name": "Count", "value": "3", "inline": true }],
            "footer": { "text": "billing-ops" }, "author": { "name": "billing-ops" },
        }],
        "allowed_mentions": { "parse": [] },
    })
}

#[tokio::test]
async fn with_wait_the_message_comes_back() {
    let here = Here::start();
    let first = here.tell(&message()).await;
    assert_eq!((first.status, &first.body["embeds"][0]["title"]), (200, &json!("[HIGH] drift")));
    let second = here.tell(&json!({ "content": "in words" })).await;
    assert_eq!(second.body["content"], "in words");
    assert!(first.body["id"].is_string() && first.body["id"] != second.body["id"]);
    assert_eq!(here.receivers.accepted("discord").len(), 2);
}

#[tokio::test]
async fn without_wait_nothing_comes_back() {
    let here = Here::start();
    let taken = here.post(&here.setting("NOTIFY_DISCORD_URL"), &message()).await;
    assert_eq!((taken.status, taken.body), (204, json!("")));
    assert_eq!(here.last().status, Some(204));
    assert_eq!(here.last().title(), "[HIGH] drift");
}

#[tokio::test]
async fn the_longest_parts_pass() {
    let here = Here::start();
    let field = |name: usize, value: usize| json!({ "name": long(name), "value": long(value) });
    for embed in [
        json!({ "title": long(256), "description": long(4096) }),
        json!({ "title": format!("  {}  ", long(256)) }),
        json!({ "fields": [field(256, 1024)] }),
        json!({ "fields": vec![field(100, 140); 25] }),
    ] {
        let taken = here.tell(&json!({ "embeds": [embed] })).await;
        assert_eq!(taken.status, 200, "{}", taken.body);
    }
    assert_eq!(here.tell(&json!({ "embeds": vec![json!({ "title": "a" }); 10] })).await.status, 200);
}

#[tokio::test]
async fn what_is_over_the_limits_is_an_invalid_form() {
    let here = Here::start();
    let set = |pointer: &str, value: Value| {
        let mut message = message();
        *message.pointer_mut(pointer).expect("a field") = value;
        message
    };
    let field = |name: String, value: String| json!([{ "name": name, "value": value }]);
    let a = || "a".to_owned();
    for (message, place, code) in [
        (set("/embeds/0/title", json!(long(257))), "/embeds/0/title", "BASE_TYPE_MAX_LENGTH"),
        (set("/embeds/0/title", json!(7)), "/embeds/0/title", "STRING_TYPE_CONVERT"),
        (set("/embeds/0/description", json!(long(4097))), "/embeds/0/description", "BASE_TYPE_MAX_LENGTH"),
        (
            set("/embeds/0/fields", json!(vec![json!({ "name": "a", "value": "b" }); 26])),
            "/embeds/0/fields",
            "BASE_TYPE_MAX_LENGTH",
        ),
        (set("/embeds/0/fields", field(long(257), a())), "/embeds/0/fields/0/name", "BASE_TYPE_MAX_LENGTH"),
        (set("/embeds/0/fields", field(a(), long(1025))), "/embeds/0/fields/0/value", "BASE_TYPE_MAX_LENGTH"),
        (
            set("/embeds/0/fields", field(a(), " ".to_owned())),
            "/embeds/0/fields/0/value",
            "BASE_TYPE_REQUIRED",
        ),
        (set("/embeds/0/fields", json!("none")), "/embeds/0/fields", "LIST_TYPE_CONVERT"),
        (set("/embeds/0/footer/text", json!(long(2049))), "/embeds/0/footer/text", "BASE_TYPE_MAX_LENGTH"),
        (set("/embeds/0/author/name", json!(long(257))), "/embeds/0/author/name", "BASE_TYPE_MAX_LENGTH"),
        (set("/embeds/0/url", json!("/alerts")), "/embeds/0/url", "URL_TYPE_INVALID_URL"),
        (set("/embeds/0/color", json!(0x100_0000)), "/embeds/0/color", "NUMBER_TYPE_MAX"),
        (set("/embeds/0/timestamp", json!("now")), "/embeds/0/timestamp", "DATE_TIME_TYPE_PARSE"),
        (set("/embeds", json!(vec![json!({ "title": "a" }); 11])), "/embeds", "BASE_TYPE_MAX_LENGTH"),
        (
            set("/embeds", json!(vec![json!({ "description": long(3001) }); 2])),
            "/embeds",
            "MAX_EMBED_SIZE_EXCEEDED",
        ),
        (set("/allowed_mentions/parse", json!(["here"])), "/allowed_mentions/parse", "BASE_TYPE_CHOICES"),
        (json!({ "content": long(2001) }), "/content", "BASE_TYPE_MAX_LENGTH"),
        (json!({ "content": "a", "username": "Discord" }), "/username", "USERNAME_INVALID_CONTAINS"),
    ] {
        let refused = here.tell(&message).await;
        let body = &refused.body;
        assert_eq!((refused.status, &body["code"]), (400, &json!(50035)), "{message}");
        assert_eq!(body["message"], "Invalid Form Body");
        let found = body.pointer(&format!("/errors{place}/_errors/0/code"));
        assert_eq!(found, Some(&json!(code)), "{body}");
    }
    assert!(here.receivers.accepted("discord").is_empty());
}

#[tokio::test]
async fn what_says_nothing_is_refused() {
    let here = Here::start();
    let url = here.setting("NOTIFY_DISCORD_URL");
    for message in [json!({}), json!({ "content": "  " }), json!({ "embeds": [{}] })] {
        let refused = here.tell(&message).await;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!(50006)), "{message}");
    }
    let untyped = answer(here.to(&url).body(r#"{"content": "untyped"}"#)).await;
    assert_eq!((untyped.status, &untyped.body["code"]), (400, &json!(50006)));
    let broken = answer(here.to(&url).header("content-type", "application/json").body("{")).await;
    assert_eq!((broken.status, &broken.body["code"]), (400, &json!(50109)));
}

#[tokio::test]
async fn an_unknown_token_is_an_unknown_webhook() {
    let here = Here::start();
    let refused = here.post(&format!("{}x", here.setting("NOTIFY_DISCORD_URL")), &message()).await;
    assert_eq!((refused.status, refused.body), (404, json!({ "message": "Unknown Webhook", "code": 10015 })));
}
