//! One request, and what it is answered.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use serde_json::Value;
use std::time::SystemTime;

/// A request that has been read to its end.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The word for who is asked.
    pub(crate) receiver: &'static str,
    pub(crate) method: Method,
    /// The whole path.
    pub(crate) path: String,
    /// Without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// When it had been read.
    pub(crate) at: SystemTime,
}

impl Asked {
    /// The body as JSON, if it is.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the body is said to be JSON.
    pub(crate) fn says_json(&self) -> bool {
        let kind = self.header("content-type").and_then(|kind| kind.split(';').next());
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        let age = self.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// Why nothing was delivered; none if the message has reached somebody.
    pub(crate) why: Option<String>,
}

impl Reply {
    /// The message has reached somebody.
    pub(crate) fn accepted(status: u16, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self { status, content_type: "application/json", body, why: None }
    }

    /// The message has reached nobody.
    pub(crate) fn refused(status: u16, body: &Value, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::accepted(status, body) }
    }

    /// The same in plain words.
    pub(crate) fn text(status: u16, body: &str, why: Option<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.to_owned(), why }
    }
}

/// A text that is there and is more than blanks.
pub(crate) fn filled<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|text| !text.trim().is_empty())
}

/// Whether a text is a time as ISO 8601 has it, with or without the colon in its offset.
pub(crate) fn is_time(text: &str) -> bool {
    chrono::DateTime::parse_from_rfc3339(text).is_ok()
        || chrono::DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").is_ok()
}

/// Whether a text is an address that a browser could open.
pub(crate) fn is_link(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !text.contains(char::is_whitespace))
}
