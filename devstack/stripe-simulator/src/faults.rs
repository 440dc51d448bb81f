//! What goes wrong on request: limits, delays, and answers that no client wants to see.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Instant;

/// What happens to an answer; in JSON `"cut"`, or with details `{"status": {"status": 503}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// An HTTP status with Stripe's error body; 429 is a rate limit.
    Status {
        /// The status, 400 to 599.
        status: u16,
        /// `Stripe-Should-Retry`, if it is to be sent.
        #[serde(default)]
        should_retry: Option<bool>,
        /// `Retry-After` in seconds, if it is to be sent.
        #[serde(default)]
        retry_after: Option<u64>,
        /// `Stripe-Rate-Limited-Reason` of a 429.
        #[serde(default = "endpoint_rate")]
        reason: String,
    },
    /// The answer comes late. Delays add up, and another fault may follow.
    Latency {
        /// By how much.
        milliseconds: u64,
    },
    /// The connection is closed without an answer.
    Cut,
    /// Headers and half of the body come; then the connection is closed.
    CutBody,
    /// Nothing ever comes.
    Stall,
    /// Headers and half of the body come, and then nothing more.
    StallBody,
    /// 200 with a body that is no JSON.
    Garbage,
    /// One object of a list is replaced.
    Malformed {
        /// Which one, from 0; the last one if the page is shorter.
        #[serde(default)]
        position: usize,
        /// By what; by default an object that has lost its id and whose status is a number.
        #[serde(default)]
        object: Option<Value>,
    },
}

/// A fault, and which requests it meets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// Requests whose path begins with this; all by default.
    #[serde(default = "every_path")]
    pub path: String,
    /// Only requests whose path is exactly this: a list and not the objects below it.
    #[serde(default)]
    pub exact: bool,
    /// How many requests it passes over first.
    #[serde(default)]
    pub after: u64,
    /// How many requests it meets; `null` for all that come. One by default.
    #[serde(default = "once")]
    pub count: Option<u64>,
}

impl Fault {
    /// Meets the next request of any path.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, path: every_path(), exact: false, after: 0, count: once() }
    }

    /// The same for paths that begin so.
    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// The same for exactly that path.
    pub fn exact(self, path: &str) -> Self {
        Self { path: path.to_owned(), exact: true, ..self }
    }

    /// The same, passing over so many requests first.
    pub fn after(self, after: u64) -> Self {
        Self { after, ..self }
    }

    /// The same for so many requests; `None` for all.
    pub fn count(self, count: Option<u64>) -> Self {
        Self { count, ..self }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        if self.exact { path == self.path } else { path.starts_with(&self.path) }
    }

    /// Whether it meets this request, which counts.
    fn meets(&mut self, path: &str) -> bool {
        if !self.matches(path) || self.count == Some(0) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        if let Some(count) = &mut self.count {
            *count -= 1;
        }
        true
    }
}

/// Takes from `faults` what meets a request: milliseconds of delay, and at most one other fault.
pub(crate) fn take(faults: &mut Vec<Fault>, path: &str) -> (u64, Option<FaultKind>) {
    let (mut delay, mut taken) = (0, None);
    for fault in faults.iter_mut() {
        if let FaultKind::Latency { milliseconds } = fault.kind {
            if fault.meets(path) {
                delay += milliseconds;
            }
        } else if taken.is_none() && fault.meets(path) {
            taken = Some(fault.kind.clone());
        }
    }
    faults.retain(|fault| fault.count != Some(0));
    (delay, taken)
}

/// The page with one of its objects replaced; as it was if it is no list with something in it.
pub(crate) fn malformed(page: &[u8], position: usize, by: Option<&Value>) -> Option<Vec<u8>> {
    let mut page: Value = serde_json::from_slice(page).ok()?;
    let data = page.get_mut("data")?.as_array_mut()?;
    let place = position.min(data.len().checked_sub(1)?);
    data[place] = by.cloned().unwrap_or_else(|| {
        let mut object = data[place].clone();
        object["status"] = json!(7);
        if let Some(fields) = object.as_object_mut() {
            fields.remove("id");
        }
        object
    });
    serde_json::to_vec_pretty(&page).ok()
}

/// A limit of requests a second, as a token bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second that are let through.
    pub per_second: f64,
    /// How many may come at once after a pause; as many as a second's by default.
    #[serde(default)]
    pub burst: Option<f64>,
    /// Requests whose path begins with this; all by default.
    #[serde(default = "every_path")]
    pub path: String,
    /// `Stripe-Rate-Limited-Reason`: `endpoint-rate` by default.
    #[serde(default = "endpoint_rate")]
    pub reason: String,
    /// `Retry-After` in seconds, if it is to be sent; Stripe documents none.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

impl RateLimit {
    /// So many requests a second over all paths.
    pub fn per_second(per_second: f64) -> Self {
        Self { per_second, burst: None, path: every_path(), reason: endpoint_rate(), retry_after: None }
    }
}

/// A limit at work.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) limit: RateLimit,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(crate) fn new(limit: RateLimit, now: Instant) -> Self {
        Self { tokens: limit.burst.unwrap_or(limit.per_second), limit, filled: now }
    }

    /// Whether a request may pass now.
    pub(crate) fn admits(&mut self, path: &str, now: Instant) -> bool {
        if !path.starts_with(&self.limit.path) {
            return true;
        }
        let capacity = self.limit.burst.unwrap_or(self.limit.per_second).max(1.0);
        let refilled = now.saturating_duration_since(self.filled).as_secs_f64() * self.limit.per_second;
        self.tokens = (self.tokens + refilled).min(capacity);
        self.filled = now;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

fn every_path() -> String {
    "/v1/".to_owned()
}

fn endpoint_rate() -> String {
    "endpoint-rate".to_owned()
}

// serde's default for a field must be a function of the field's type.
#[expect(clippy::unnecessary_wraps)]
fn once() -> Option<u64> {
    Some(1)
}
