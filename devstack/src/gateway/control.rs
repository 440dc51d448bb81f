//! What tests need and Supabase has not: how many requests came, faults on demand, and the inbox of sent mails.
//!
//! | call | does |
//! | --- | --- |
//! | `GET /_control/requests` | `{"total": n, "requests": {"POST /rest/v1/rpc/x": n}}` |
//! | `PUT /_control/faults` | sets the faults of `/rest/v1` ([`Faults`]) |
//! | `GET /_control/inbox` | the mails of `/auth/v1/otp`, oldest first |
//! | `POST /_control/reset` | counters to zero, faults off, inbox empty |

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Shared;

/// How `/rest/v1` fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outage {
    /// 503, as PostgREST answers when it has no database.
    Unavailable,
    /// The connection ends in the middle of the answer.
    Drop,
    /// No answer ever comes.
    Stall,
    /// 200 with a body that is no JSON.
    Garbage,
}

/// Faults of `/rest/v1`; the default is none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Added before every request is handled.
    pub latency_ms: u64,
    /// What happens instead of an answer.
    pub outage: Option<Outage>,
    /// Only requests whose path contains this text.
    pub path: Option<String>,
    /// Requests that still pass before the outage begins.
    pub after: u64,
    /// Requests that it hits before it ends; unlimited without.
    pub times: Option<u64>,
    /// Handles the request first and fails only the answer: the caller cannot tell whether it was done.
    pub after_the_work: bool,
}

/// One mail, as a person would get it.
#[derive(Debug, Clone, Serialize)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The link to click.
    pub link: String,
    /// The six digits to type instead.
    pub code: String,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) latency: Duration,
    pub(crate) outage: Option<Outage>,
    pub(crate) after_the_work: bool,
}

/// The state behind `/_control`.
#[derive(Debug, Default)]
pub struct Control {
    requests: Mutex<BTreeMap<String, u64>>,
    faults: Mutex<Faults>,
    inbox: Mutex<Vec<Mail>>,
}

impl Control {
    pub(crate) fn count(&self, method: &Method, path: &str) {
        if !path.starts_with("/_control") {
            *locked(&self.requests).entry(format!("{method} {path}")).or_default() += 1;
        }
    }

    /// Requests so far by `METHOD path`.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        locked(&self.requests).clone()
    }

    /// Sets the faults of `/rest/v1`, in place of those before.
    pub fn set_faults(&self, faults: Faults) {
        *locked(&self.faults) = faults;
    }

    /// The mails sent so far, oldest first.
    pub fn inbox(&self) -> Vec<Mail> {
        locked(&self.inbox).clone()
    }

    pub(crate) fn send(&self, mail: Mail) {
        locked(&self.inbox).push(mail);
    }

    /// Counters to zero, faults off, inbox empty.
    pub fn reset(&self) {
        locked(&self.requests).clear();
        locked(&self.inbox).clear();
        *locked(&self.faults) = Faults::default();
    }

    /// Judges one request of `/rest/v1`, and counts it against `after` and `times`.
    pub(crate) fn judge(&self, path: &str) -> Verdict {
        let mut faults = locked(&self.faults);
        let concerned = faults.path.as_deref().is_none_or(|part| path.contains(part));
        if !concerned {
            return Verdict { latency: Duration::ZERO, outage: None, after_the_work: false };
        }
        let latency = Duration::from_millis(faults.latency_ms);
        let mut outage = faults.outage;
        if outage.is_some() {
            if faults.after > 0 {
                faults.after -= 1;
                outage = None;
            } else if let Some(left) = &mut faults.times {
                match left.checked_sub(1) {
                    Some(rest) => *left = rest,
                    None => outage = None,
                }
            }
        }
        Verdict { latency, outage, after_the_work: faults.after_the_work }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/requests", get(requests))
        .route("/faults", put(faults))
        .route("/inbox", get(|State(shared): State<Arc<Shared>>| async move { Json(shared.control.inbox()) }))
        .route("/reset", post(reset))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let requests = shared.control.requests();
    Json(json!({"total": requests.values().sum::<u64>(), "requests": requests}))
}

async fn faults(State(shared): State<Arc<Shared>>, Json(faults): Json<Faults>) -> StatusCode {
    shared.control.set_faults(faults);
    StatusCode::NO_CONTENT
}

async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.control.reset();
    StatusCode::NO_CONTENT
}
