//! One GET: rate, time limits, retries, errors. There is no way to express another method, so nothing that this program
//! does can change anything at Stripe.
//!
//! Retries follow Stripe's own clients (0.5 s doubling to 5 s, on connection errors, 409, 429, 5xx and
//! `Stripe-Should-Retry: true`), with full jitter, and go on until the caller's deadline instead of giving up after two.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use super::bucket::Bucket;
use super::error::{RequestId, StripeError};
use super::key::{InvalidKey, Mode, SecretKey};

/// The API version that the types are written for (<https://docs.stripe.com/changelog>). Without the header the
/// account's own default would decide what the answers look like.
pub const STRIPE_VERSION: &str = "2026-10-28.endive";

/// A page of 100 subscriptions is about 0.4 MB; whatever is far larger is not Stripe's.
const LARGEST_BODY: usize = 32 * 1024 * 1024;
/// Nonsense with status 200 comes from something in between; Stripe is asked this often in all, not for ever.
const ATTEMPTS_AT_NONSENSE: u32 = 3;

/// How failed requests are repeated.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// The first wait is between nothing and this; each further one up to twice the one before.
    pub base: Duration,
    /// No wait is longer, unless Stripe's `Retry-After` asks for it.
    pub cap: Duration,
    /// How often one request is sent at most, refusals for rate excepted: those go on until the deadline.
    pub attempts: u32,
    /// The longest that one attempt may take, body included.
    pub timeout: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(5),
            attempts: 8,
            timeout: Duration::from_secs(30),
        }
    }
}

/// Stripe, to be read.
#[derive(Debug)]
pub struct Stripe {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    mode: Mode,
    bucket: Bucket,
    retries: Retries,
    calls: AtomicU64,
}

/// What one attempt came to.
enum Attempt<T> {
    Done(T),
    /// Not to be repeated.
    Failed(StripeError),
    /// To be repeated, not before `after` is over.
    Again {
        error: StripeError,
        after: Option<Duration>,
        limited: bool,
    },
}

impl Stripe {
    /// `base` is `https://api.stripe.com` except in tests; `requests_per_second` is the rate that is never exceeded for
    /// long. The client should follow no redirects: Stripe sends none, and the key must not travel.
    pub fn new(
        http: reqwest::Client,
        base: Url,
        key: &SecretKey,
        requests_per_second: f64,
        retries: Retries,
    ) -> Result<Self, InvalidKey> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, key.authorization()?);
        headers.insert("stripe-version", HeaderValue::from_static(STRIPE_VERSION));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let bucket = Bucket::new(requests_per_second, Instant::now());
        Ok(Self { http, base, headers, mode: key.mode(), bucket, retries, calls: AtomicU64::new(0) })
    }

    /// Live or test, by the key.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Requests sent so far, retries included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Reads `path` (its segments) with `query`, until `decode` accepts the body or it makes no sense to go on.
    pub(super) async fn get<T>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        deadline: Instant,
        decode: impl Fn(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<T, StripeError> {
        let url = self.url(path, query);
        let (mut sent, mut waits) = (0, 0);
        loop {
            let slot = self.bucket.reserve(Instant::now());
            if slot >= deadline {
                return Err(StripeError::Deadline);
            }
            sleep_until(slot).await;
            let (error, after, limited) = match self.attempt(&url, path, deadline, &decode).await {
                Attempt::Done(value) => return Ok(value),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again { error, after, limited } => (error, after, limited),
            };
            if !limited {
                sent += 1;
            }
            let nonsense = matches!(error, StripeError::Malformed { .. });
            if sent >= self.retries.attempts || (nonsense && sent >= ATTEMPTS_AT_NONSENSE) {
                return Err(error);
            }
            let again = Instant::now() + self.wait(waits, after);
            waits += 1;
            tracing::debug!(path = path.join("/"), error = %error, limited, "asking Stripe again");
            if again >= deadline {
                return Err(error);
            }
            sleep_until(again).await;
        }
    }

    /// Full jitter (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), on top of what Stripe
    /// asks for.
    #[allow(clippy::disallowed_methods, reason = "chance is the point of it")]
    fn wait(&self, waits: u32, after: Option<Duration>) -> Duration {
        let ceiling = self.retries.base.saturating_mul(1 << waits.min(16)).min(self.retries.cap);
        after.unwrap_or_default() + ceiling.mul_f64(rand::random::<f64>())
    }

    async fn attempt<T>(
        &self,
        url: &Url,
        path: &[&str],
        deadline: Instant,
        decode: &impl Fn(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Attempt<T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let limit = Instant::now() + self.retries.timeout;
        match timeout_at(limit.min(deadline), self.exchange(url)).await {
            Err(_) if deadline <= limit => Attempt::Failed(StripeError::Deadline),
            Err(_) => again("no answer in time", RequestId::default()),
            Ok(Err(attempt)) => attempt,
            Ok(Ok((status, headers, body))) => self.judge(status, &headers, &body, path, decode),
        }
    }

    async fn exchange<T>(&self, url: &Url) -> Result<(StatusCode, HeaderMap, Vec<u8>), Attempt<T>> {
        let request = self.http.get(url.clone()).headers(self.headers.clone());
        let mut response = request.send().await.map_err(|error| {
            let reason = if error.is_connect() { "no connection" } else { "the connection broke" };
            again(reason, RequestId::default())
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let announced = response.content_length().unwrap_or(0);
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0).min(LARGEST_BODY));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST_BODY => body.extend_from_slice(&chunk),
                Ok(Some(_)) => {
                    let reason = "the answer does not end".to_owned();
                    let request_id = request_id(&headers);
                    return Err(Attempt::Failed(StripeError::Malformed { reason, request_id }));
                }
                Ok(None) => return Ok((status, headers, body)),
                Err(_) => return Err(again("the answer was cut off", request_id(&headers))),
            }
        }
    }

    fn judge<T>(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        path: &[&str],
        decode: &impl Fn(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Attempt<T> {
        let request_id = request_id(headers);
        if status == StatusCode::OK {
            return match decode(body) {
                Ok(value) => Attempt::Done(value),
                Err(error) => {
                    let reason = error.to_string().chars().take(200).collect();
                    let error = StripeError::Malformed { reason, request_id };
                    Attempt::Again { error, after: None, limited: false }
                }
            };
        }
        let after = retry_after(headers);
        let limited = status == StatusCode::TOO_MANY_REQUESTS;
        if limited
            && headers.get("stripe-rate-limited-reason").is_none_or(|reason| reason != "resource-specific")
        {
            // A lock on one object ("resource-specific") does not mean that others should be asked for more slowly.
            self.bucket.slow_down(Instant::now(), after.unwrap_or_default());
        }
        let error = refusal(status, body, path, request_id);
        let told = headers.get("stripe-should-retry").and_then(|value| value.to_str().ok());
        let repeat = match told {
            Some("true") => true,
            Some("false") => false,
            _ => limited || status == StatusCode::CONFLICT || status.is_server_error(),
        };
        if repeat { Attempt::Again { error, after, limited } } else { Attempt::Failed(error) }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn again<T>(reason: &str, request_id: RequestId) -> Attempt<T> {
    let error = StripeError::Unavailable { reason: reason.to_owned(), request_id };
    Attempt::Again { error, after: None, limited: false }
}

fn request_id(headers: &HeaderMap) -> RequestId {
    let id = headers.get("request-id").and_then(|value| value.to_str().ok());
    // An id is short; whatever else stands there is not repeated in errors.
    RequestId(id.filter(|id| id.len() <= 64).map(str::to_owned))
}

/// `Retry-After` in seconds. Stripe documents none; proxies send it in this form.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (0.0..=3_600.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// Stripe's error object (<https://docs.stripe.com/api/errors>).
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorFields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorFields {
    code: Option<String>,
    param: Option<String>,
    message: Option<String>,
}

fn refusal(status: StatusCode, body: &[u8], path: &[&str], request_id: RequestId) -> StripeError {
    let fields = serde_json::from_slice::<ErrorBody>(body).unwrap_or_default().error;
    match status.as_u16() {
        401 => StripeError::Unauthorized { request_id },
        403 => StripeError::MissingPermission {
            permission: permission(fields.message.as_deref(), path),
            request_id,
        },
        429 => StripeError::RateLimited { request_id },
        code if code >= 500 => StripeError::Unavailable { reason: format!("status {code}"), request_id },
        400 | 404 if fields.code.as_deref() == Some("resource_missing") => {
            StripeError::NotFound { parameter: fields.param, request_id }
        }
        code => {
            let words = [fields.code, fields.param];
            let words: Vec<String> = words.into_iter().flatten().map(|word| printable(&word)).collect();
            let words = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
            StripeError::Refused { status: code, code: words, request_id }
        }
    }
}

/// The permission in the dashboard's words, and Stripe's own name for it where the message has one. The message itself
/// is not passed on: it repeats part of the key.
fn permission(message: Option<&str>, path: &[&str]) -> String {
    let own = message.and_then(|message| {
        message
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .find(|word| word.starts_with("rak_"))
    });
    let resource = match path {
        ["subscriptions" | "subscription_items", ..] => "Subscriptions: Read",
        ["checkout", ..] => "Checkout Sessions: Read",
        ["events", ..] => "Events: Read",
        _ => "Read",
    };
    match own {
        Some(own) => format!("{resource}, {}", printable(own)),
        None => resource.to_owned(),
    }
}

fn printable(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_alphanumeric() || "_[].".contains(*c)).take(80).collect()
}
