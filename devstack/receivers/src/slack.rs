//! A Slack incoming webhook: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks> and the
//! blocks' own pages, <https://docs.slack.dev/reference/block-kit/blocks>.

use crate::SLACK_PATH;
use crate::asked::{Asked, Reply, filled, is_link};
use serde_json::Value;
use std::collections::HashSet;

/// What is wrong with a block, and where.
type Checked = Result<(), String>;

/// Posts a message.
pub(crate) fn answer(asked: &Asked) -> Reply {
    let html = |status: u16, word: &str, why: Option<String>| {
        let why = why.map(|why| if why.is_empty() { word.to_owned() } else { format!("{word}, {why}") });
        Reply { content_type: "text/html", ..Reply::text(status, word, why) }
    };
    if asked.path != SLACK_PATH {
        return html(404, "no_service", Some("no such webhook".to_owned()));
    }
    if !asked.says_json() {
        return html(400, "invalid_payload", Some("the content type is not JSON".to_owned()));
    }
    let Some(message) = asked.json().filter(Value::is_object) else {
        return html(400, "invalid_payload", Some("no JSON object".to_owned()));
    };
    if message.get("text").is_some_and(|text| !text.is_string()) {
        return html(400, "invalid_payload", Some("text is no string".to_owned()));
    }
    let blocks = message.get("blocks");
    if let Some(blocks) = blocks
        && let Err(why) = check_blocks(blocks)
    {
        return html(400, "invalid_blocks", Some(why));
    }
    let has_blocks = blocks.and_then(Value::as_array).is_some_and(|blocks| !blocks.is_empty());
    if filled(&message, "text").is_none() && !has_blocks {
        return html(400, "no_text", Some(String::new()));
    }
    html(200, "ok", None)
}

fn check_blocks(blocks: &Value) -> Checked {
    let blocks = blocks.as_array().ok_or("blocks is no list")?;
    if blocks.len() > 50 {
        return Err(format!("{} blocks, at most 50", blocks.len()));
    }
    let mut ids = HashSet::new();
    for (index, block) in blocks.iter().enumerate() {
        check_block(block).map_err(|why| format!("blocks[{index}] {why}"))?;
        if let Some(id) = block.get("block_id") {
            let id = id.as_str().ok_or(format!("blocks[{index}].block_id is no string"))?;
            if id.chars().count() > 255 || !ids.insert(id) {
                return Err(format!("blocks[{index}].block_id is too long or there twice"));
            }
        }
    }
    Ok(())
}

fn check_block(block: &Value) -> Checked {
    match filled(block, "type") {
        Some("header") => {
            only(block, &["type", "block_id", "text"])?;
            check_text(block, "text", &["plain_text"], 150)
        }
        Some("section") => {
            only(block, &["type", "block_id", "text", "fields", "accessory", "expand"])?;
            if block.get("text").is_none() && block.get("fields").is_none() {
                return Err("has neither text nor fields".to_owned());
            }
            if block.get("text").is_some() {
                check_text(block, "text", &["plain_text", "mrkdwn"], 3000)?;
            }
            if let Some(fields) = block.get("fields") {
                for field in list(fields, "fields", 10)? {
                    check_text_object(field, &["plain_text", "mrkdwn"], 2000)
                        .map_err(|why| format!("fields {why}"))?;
                }
            }
            block.get("accessory").map_or(Ok(()), check_element)
        }
        Some("context") => {
            only(block, &["type", "block_id", "elements"])?;
            for element in list(block.get("elements").unwrap_or(&Value::Null), "elements", 10)? {
                check_text_object(element, &["plain_text", "mrkdwn"], 3000)
                    .map_err(|why| format!("elements {why}"))?;
            }
            Ok(())
        }
        Some("actions") => {
            only(block, &["type", "block_id", "elements"])?;
            list(block.get("elements").unwrap_or(&Value::Null), "elements", 25)?
                .iter()
                .try_for_each(check_element)
        }
        Some("divider") => only(block, &["type", "block_id"]),
        kind => Err(format!("has the type {kind:?}, which is none that alarms need")),
    }
}

/// A button: the only element that leads somewhere without an app behind it.
fn check_element(button: &Value) -> Checked {
    if button["type"] != "button" {
        return Err(format!("holds an element of type {}", button["type"]));
    }
    only(button, &["type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"])?;
    check_text(button, "text", &["plain_text"], 75)?;
    for (name, most) in [("url", 3000), ("value", 2000), ("action_id", 255), ("accessibility_label", 75)] {
        if let Some(text) = button.get(name) {
            let text = text.as_str().ok_or(format!("button.{name} is no string"))?;
            if text.chars().count() > most {
                return Err(format!("button.{name} is longer than {most}"));
            }
        }
    }
    if button.get("url").is_some() && !filled(button, "url").is_some_and(is_link) {
        return Err("button.url is no address".to_owned());
    }
    match button.get("style") {
        None => Ok(()),
        Some(style) if style == "primary" || style == "danger" => Ok(()),
        Some(style) => Err(format!("button.style is {style}")),
    }
}

fn check_text(object: &Value, name: &str, kinds: &[&str], most: usize) -> Checked {
    let text = object.get(name).ok_or(format!("has no {name}"))?;
    check_text_object(text, kinds, most).map_err(|why| format!("{name} {why}"))
}

fn check_text_object(object: &Value, kinds: &[&str], most: usize) -> Checked {
    let kind = filled(object, "type").unwrap_or("");
    if !kinds.contains(&kind) {
        return Err(format!("has the type {kind:?}, not one of {kinds:?}"));
    }
    only(object, &["type", "text", if kind == "mrkdwn" { "verbatim" } else { "emoji" }])?;
    let length = object["text"].as_str().map_or(0, |text| text.chars().count());
    if length == 0 || length > most {
        return Err(format!("has {length} characters, not 1 to {most}"));
    }
    Ok(())
}

fn list<'a>(value: &'a Value, name: &str, most: usize) -> Result<&'a [Value], String> {
    let list = value.as_array().ok_or(format!("{name} is no list"))?;
    if list.is_empty() || list.len() > most {
        return Err(format!("has {} {name}, not 1 to {most}", list.len()));
    }
    Ok(list)
}

/// Slack refuses what it does not know: "invalid additional property".
fn only(object: &Value, names: &[&str]) -> Checked {
    let object = object.as_object().ok_or("is no object")?;
    match object.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("has an additional property, {name}")),
        None => Ok(()),
    }
}
