//! Slack.

use crate::common::{Answer, Here, answer, long};
use serde_json::{Value, json};

impl Here {
    async fn say(&self, message: &Value) -> Answer {
        self.post(&self.setting("NOTIFY_SLACK_URL"), message).await
    }
}

fn message() -> Value {
    json!({
        "text": "[CRITICAL] reconcile stale",
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": "[CRITICAL] reconcile stale" } },
            {
                "type": "section",
                "text": { "type": "mrkdwn", "text": "Nothing has been reconciled for *2 h*." },
                "fields": [{ "type": "mrkdwn", "text": "*Count*\n3" }, { "type": "plain_text", "text": "sub_1" }],
            },
            { "type": "divider" },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": "since 13:00" }] },
            { "type": "actions", "elements": [{
                "type": "button", "text": { "type": "plain_text", "text": "Look at it" }, "style": "danger",
                "url": "http://127.0.0.1:3000/?view=alerts",
            }] },
        ],
    })
}

#[tokio::test]
async fn a_message_is_ok() {
    let here = Here::start();
    let taken = here.say(&message()).await;
    assert_eq!((taken.status, taken.content_type()), (200, "text/html"));
    assert_eq!(taken.body, "ok");
    for alone in ["text", "blocks"] {
        let message = json!({ alone: message()[alone] });
        assert_eq!(here.say(&message).await.status, 200, "{alone} alone is a message");
    }
    assert_eq!(here.receivers.accepted("slack").len(), 3);
    assert_eq!(here.last().title(), "[CRITICAL] reconcile stale");
}

#[tokio::test]
async fn the_longest_parts_pass() {
    let here = Here::start();
    let mut message = message();
    message["blocks"][0]["text"]["text"] = json!(long(150));
    message["blocks"][1]["text"]["text"] = json!(long(3000));
    message["blocks"][1]["fields"] = json!(vec![json!({ "type": "mrkdwn", "text": long(2000) }); 10]);
    message["blocks"][4]["elements"][0]["text"]["text"] = json!(long(75));
    let blocks = message["blocks"].as_array_mut().expect("a list");
    blocks.resize(50, json!({ "type": "divider" }));
    assert_eq!(here.say(&message).await.status, 200, "{:?}", here.last().reason);
}

#[tokio::test]
async fn blocks_over_the_limits_are_invalid() {
    let here = Here::start();
    let set = |pointer: &str, value: Value| {
        let mut message = message();
        *message.pointer_mut(pointer).expect("a field") = value;
        message
    };
    let text = |text: String| json!({ "type": "mrkdwn", "text": text });
    let button = "/blocks/4/elements/0";
    for message in [
        set("/blocks", json!("header")),
        set("/blocks", json!(vec![json!({ "type": "divider" }); 51])),
        set("/blocks/0/type", json!("headline")),
        set("/blocks/0/text/text", json!(long(151))),
        set("/blocks/0/text/text", json!("")),
        set("/blocks/0/text/type", json!("mrkdwn")),
        set("/blocks/0/text", json!({ "type": "plain_text", "text": "a", "verbatim": true })),
        set("/blocks/1/text/text", json!(long(3001))),
        set("/blocks/1/fields", json!(vec![text("a".to_owned()); 11])),
        set("/blocks/1/fields", json!([])),
        set("/blocks/1/fields/0", text(long(2001))),
        set("/blocks/1", json!({ "type": "section" })),
        set("/blocks/2", json!({ "type": "divider", "color": "red" })),
        set("/blocks/2", json!({ "type": "divider", "block_id": long(256) })),
        set("/blocks/3/elements", json!(vec![text("a".to_owned()); 11])),
        set("/blocks/4/elements", json!([{ "type": "datepicker" }])),
        set(&format!("{button}/text/text"), json!(long(76))),
        set(&format!("{button}/text/type"), json!("mrkdwn")),
        set(&format!("{button}/url"), json!(format!("https://example.com/{}", long(3000)))),
        set(&format!("{button}/url"), json!("/?view=alerts")),
        set(&format!("{button}/style"), json!("warning")),
    ] {
        let refused = here.say(&message).await;
        assert_eq!((refused.status, &refused.body), (400, &json!("invalid_blocks")), "{message}");
    }
    let mut twice = message();
    for at in [2, 3] {
        twice["blocks"][at]["block_id"] = json!("same");
    }
    assert_eq!(here.say(&twice).await.body, "invalid_blocks");
    assert!(here.receivers.accepted("slack").is_empty());
    let reason = here.last().reason.expect("a reason");
    assert_eq!(reason, "invalid_blocks, blocks[3].block_id is too long or there twice");
}

#[tokio::test]
async fn what_says_nothing_is_refused() {
    let here = Here::start();
    let url = here.setting("NOTIFY_SLACK_URL");
    for message in [json!({}), json!({ "text": "" }), json!({ "blocks": [] })] {
        let refused = here.say(&message).await;
        assert_eq!((refused.status, &refused.body), (400, &json!("no_text")), "{message}");
    }
    let json = |body: &'static str| here.to(&url).header("content-type", "application/json").body(body);
    for request in
        [json("{"), json("[]"), json(r#"{"text": 7}"#), here.to(&url).body(r#"{"text": "untyped"}"#)]
    {
        let refused = answer(request).await;
        assert_eq!((refused.status, refused.body), (400, json!("invalid_payload")));
    }
}

#[tokio::test]
async fn an_unknown_webhook_is_no_service() {
    let here = Here::start();
    let refused = here.post(&format!("{}x", here.setting("NOTIFY_SLACK_URL")), &message()).await;
    assert_eq!((refused.status, refused.body), (404, json!("no_service")));
}
