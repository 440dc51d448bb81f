//! What all receivers have in common: the shapes of requests and answers, and what a status means.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use url::Url;

use crate::notify::message::{Message, cut, one_line};
use crate::secret::Secret;

/// The most characters of a receiver's words that are kept.
const WORDS: usize = 200;

/// From this length on, a part of an address is not a word, and may be what makes it secret.
const TOKEN: usize = 16;

/// A request that is ready to be sent: a POST of JSON. `Debug` shows its length only: address and body may hold a secret.
#[derive(Clone)]
pub struct Outgoing {
    /// Where to. May hold a secret.
    pub url: Url,
    /// Besides the content type. What is secret is marked as sensitive.
    pub headers: HeaderMap,
    /// JSON. May hold a secret.
    pub body: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn new(url: Url, headers: HeaderMap, body: &Value) -> Self {
        Self { url, headers, body: body.to_string().into_bytes() }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Outgoing({} bytes)", self.body.len())
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// HTTP headers.
    pub headers: HeaderMap,
    /// The beginning of the body, as text.
    pub body: String,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Sent,
    /// The receiver will never take this message.
    Refused,
    /// The receiver will never take any: the destination is gone or the key is wrong.
    Gone,
    /// To be tried again; no sooner than after this time, where the receiver says so.
    Failed(Option<Duration>),
}

/// Somebody who can be told.
pub trait Receiver: fmt::Debug + Send + Sync {
    /// The request by which they are told. `now`: seconds since 1970, for a signature.
    fn request(&self, message: &Message, now: i64) -> Outgoing;

    /// What they must be told first, where one request cannot say it all. The message is sent only once this is taken.
    fn before(&self, _: &Message) -> Option<Outgoing> {
        None
    }

    /// What their answer means.
    fn verdict(&self, answer: &Answer) -> Verdict {
        by_status(answer)
    }

    /// What must never be seen of them: each of these is taken out of what they answered.
    fn secrets(&self) -> Vec<Secret>;
}

/// What a status means, where a receiver has no words of its own (RFC 9110; 410 is "gone for good" in Standard Webhooks, too).
pub(crate) fn by_status(answer: &Answer) -> Verdict {
    match answer.status.as_u16() {
        200..=299 => Verdict::Sent,
        401 | 403 | 404 | 410 => Verdict::Gone,
        408 | 425 | 429 => Verdict::Failed(retry_after(&answer.headers)),
        400..=499 => Verdict::Refused,
        _ => Verdict::Failed(retry_after(&answer.headers)),
    }
}

/// `Retry-After` in seconds, or as a date (RFC 9110, 10.2.3), which counts from the answer's own `Date`: so nobody's clock matters.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(http::header::RETRY_AFTER)?;
    let date = |text: &str| chrono::DateTime::parse_from_rfc2822(text).ok();
    match after.parse() {
        Ok(number) => seconds(number),
        Err(_) => seconds((date(after)? - date(text(http::header::DATE)?)?).as_seconds_f64()),
    }
}

/// A time to wait, if it is one: a day at most, after which a message is given up anyway.
pub(crate) fn seconds(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)))
}

/// A header's value. Settings have been checked to be fit for a header; what is not becomes empty.
pub(crate) fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

/// A header's value that no log shows.
pub(crate) fn sensitive(value: &str) -> HeaderValue {
    let mut value = header(value);
    value.set_sensitive(true);
    value
}

/// An address below another one, which may have a path of its own.
pub(crate) fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    // Only an address like mailto: has no segments, and the settings let none through.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// What is secret in an address: all of it, and each part that may be a token, as it may be echoed without the rest.
pub(crate) fn secrets_of(url: &Url) -> Vec<Secret> {
    let segments = url.path_segments().into_iter().flatten().map(ToOwned::to_owned);
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    let path = Some(url.path().to_owned()).filter(|path| path.len() > 1);
    // An address without a path is shown with a slash at the end, and may be echoed without it.
    let whole = [url.as_str(), url.as_str().trim_end_matches('/')].map(ToOwned::to_owned);
    let tokens = segments.chain(values).filter(|part| part.len() >= TOKEN);
    whole.into_iter().chain(path).chain(tokens).map(Secret::new).collect()
}

/// What a receiver said, in a line for a person: its secrets taken out, at most 200 characters.
pub fn words(receiver: &dyn Receiver, body: &str) -> String {
    let mut text = one_line(body);
    for secret in receiver.secrets() {
        if !secret.expose().is_empty() {
            text = text.replace(secret.expose(), "…");
        }
    }
    cut(&text, WORDS)
}
