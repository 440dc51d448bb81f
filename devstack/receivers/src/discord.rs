//! A Discord webhook: <https://docs.discord.com/developers/resources/webhook#execute-webhook>, and the limits of
//! embeds, <https://docs.discord.com/developers/resources/message#embed-object-embed-limits>.

use crate::DISCORD_PATH;
use crate::asked::{Asked, Reply, is_link, is_time};
use serde_json::{Value, json};

const REQUIRED: (&str, &str) = ("BASE_TYPE_REQUIRED", "This field is required");

/// Posts a message. `number` is new with every one.
pub(crate) fn answer(asked: &Asked, number: u64) -> Reply {
    let refused = |status, code: u32, message: &str| {
        Reply::refused(status, &json!({ "message": message, "code": code }), message)
    };
    if asked.path != DISCORD_PATH {
        return refused(404, 10015, "Unknown Webhook");
    }
    if !asked.says_json() {
        // It is read as a form then, and no field of one is found.
        return refused(400, 50006, "Cannot send an empty message");
    }
    let Some(message) = asked.json().filter(Value::is_object) else {
        return refused(400, 50109, "The request body contains invalid JSON.");
    };
    let mut form = Form::default();
    form.message(&message);
    if !form.errors.is_null() {
        let body = json!({ "message": "Invalid Form Body", "code": 50035, "errors": form.errors });
        return Reply::refused(400, &body, form.why);
    }
    if form.is_empty {
        return refused(400, 50006, "Cannot send an empty message");
    }
    let mut query = form_urlencoded::parse(asked.query.as_bytes());
    if query.any(|(name, value)| name == "wait" && (value == "true" || value == "1")) {
        Reply::accepted(200, &posted(asked, &message, number))
    } else {
        Reply::accepted(204, &Value::Null)
    }
}

/// The message as it stands in the channel.
fn posted(asked: &Asked, message: &Value, number: u64) -> Value {
    let webhook = asked.path.split('/').nth(4).unwrap_or("");
    let at = chrono::DateTime::<chrono::Utc>::from(asked.at);
    json!({
        "id": (1_310_000_000_000_000_000 + number).to_string(),
        "type": 0,
        "content": message["content"].as_str().unwrap_or(""),
        "channel_id": "1300000000000000002",
        "author": { "id": webhook, "username": "billing-ops", "avatar": null, "discriminator": "0000", "bot": true },
        "attachments": [],
        "embeds": message.get("embeds").unwrap_or(&json!([])),
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": false,
        "pinned": false,
        "tts": false,
        "timestamp": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, false),
        "edited_timestamp": null,
        "flags": 0,
        "components": [],
        "webhook_id": webhook,
    })
}

/// A message under examination.
#[derive(Debug)]
struct Form {
    /// As the answer has them: a tree of names and indices, with `_errors` as its leaves.
    errors: Value,
    /// The first of them, in a line.
    why: String,
    /// Nothing that a reader could see has been found.
    is_empty: bool,
    /// How many characters there are in all embeds.
    total: usize,
}

impl Default for Form {
    fn default() -> Self {
        Self { errors: Value::Null, why: String::new(), is_empty: true, total: 0 }
    }
}

impl Form {
    fn add(&mut self, path: &[&str], code: &str, message: &str) {
        if self.why.is_empty() {
            self.why = format!("{}: {message}", path.join("."));
        }
        let mut node = &mut self.errors;
        for step in path {
            node = &mut node[*step];
        }
        let mut errors = node["_errors"].take();
        if !errors.is_array() {
            errors = json!([]);
        }
        errors
            .as_array_mut()
            .into_iter()
            .for_each(|all| all.push(json!({ "code": code, "message": message })));
        node["_errors"] = errors;
    }

    /// The length of a text as Discord counts it: without the blanks around it, which it takes away.
    fn text(&mut self, object: &Value, path: &[&str], most: usize, is_required: bool) -> usize {
        let name = path.last().copied().unwrap_or_default();
        match object.get(name) {
            None | Some(Value::Null) => {
                if is_required {
                    self.add(path, REQUIRED.0, REQUIRED.1);
                }
                0
            }
            Some(Value::String(text)) => {
                let length = text.trim().chars().count();
                if length > most {
                    self.add(path, "BASE_TYPE_MAX_LENGTH", &format!("Must be {most} or fewer in length."));
                } else if length == 0 && is_required {
                    self.add(path, REQUIRED.0, REQUIRED.1);
                }
                length
            }
            Some(_) => {
                self.add(path, "STRING_TYPE_CONVERT", "Could not interpret as string.");
                0
            }
        }
    }

    fn url(&mut self, object: &Value, path: &[&str]) {
        let url = object.get(path.last().copied().unwrap_or_default()).filter(|url| !url.is_null());
        if url.is_some_and(|url| !url.as_str().is_some_and(is_link)) {
            self.add(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.");
        }
    }

    fn message(&mut self, message: &Value) {
        if self.text(message, &["content"], 2000, false) > 0 {
            self.is_empty = false;
        }
        self.text(message, &["username"], 80, false);
        let name = message["username"].as_str().unwrap_or("").to_lowercase();
        for taken in ["discord", "clyde"] {
            if name.contains(taken) {
                let words = format!("Username cannot contain \"{taken}\"");
                self.add(&["username"], "USERNAME_INVALID_CONTAINS", &words);
            }
        }
        self.mentions(message.get("allowed_mentions"));
        match message.get("embeds") {
            None | Some(Value::Null) => {}
            Some(Value::Array(embeds)) if embeds.len() > 10 => {
                self.add(&["embeds"], "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.");
            }
            Some(Value::Array(embeds)) => {
                for (index, embed) in embeds.iter().enumerate() {
                    self.embed(embed, &index.to_string());
                }
            }
            Some(_) => self.add(&["embeds"], "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType"),
        }
        if self.total > 6000 {
            self.add(&["embeds"], "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000");
        }
    }

    fn mentions(&mut self, mentions: Option<&Value>) {
        let Some(parse) = mentions.and_then(|mentions| mentions.get("parse")) else { return };
        let is_known = |word: &Value| matches!(word.as_str(), Some("roles" | "users" | "everyone"));
        if !parse.as_array().is_some_and(|words| words.iter().all(is_known)) {
            let words = "Value must be one of ('roles', 'users', 'everyone').";
            self.add(&["allowed_mentions", "parse"], "BASE_TYPE_CHOICES", words);
        }
    }

    fn embed(&mut self, embed: &Value, index: &str) {
        let mut length = self.text(embed, &["embeds", index, "title"], 256, false);
        length += self.text(embed, &["embeds", index, "description"], 4096, false);
        length += self.text(&embed["footer"], &["embeds", index, "footer", "text"], 2048, false);
        length += self.text(&embed["author"], &["embeds", index, "author", "name"], 256, false);
        match embed.get("fields") {
            None | Some(Value::Null) => {}
            Some(Value::Array(fields)) => {
                if fields.len() > 25 {
                    let words = "Must be 25 or fewer in length.";
                    self.add(&["embeds", index, "fields"], "BASE_TYPE_MAX_LENGTH", words);
                }
                for (at, field) in fields.iter().enumerate() {
                    let at = at.to_string();
                    length += self.text(field, &["embeds", index, "fields", &at, "name"], 256, true);
                    length += self.text(field, &["embeds", index, "fields", &at, "value"], 1024, true);
                }
            }
            Some(_) => {
                let words = "Only iterables may be used in a ListType";
                self.add(&["embeds", index, "fields"], "LIST_TYPE_CONVERT", words);
            }
        }
        self.url(embed, &["embeds", index, "url"]);
        if let Some(color) = embed.get("color")
            && color.as_u64().is_none_or(|color| color > 0xff_ff_ff)
        {
            let words = "int value should be between 0 and 16777215.";
            self.add(&["embeds", index, "color"], "NUMBER_TYPE_MAX", words);
        }
        if let Some(at) = embed.get("timestamp").filter(|at| !at.is_null())
            && !at.as_str().is_some_and(is_time)
        {
            let words = format!("Could not parse {at}. Should be ISO8601.");
            self.add(&["embeds", index, "timestamp"], "DATE_TIME_TYPE_PARSE", &words);
        }
        self.total += length;
        if length > 0 {
            self.is_empty = false;
        }
    }
}
