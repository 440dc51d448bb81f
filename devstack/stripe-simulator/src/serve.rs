//! One request below `/v1`: counted, disturbed if that was asked for, authenticated, limited, answered.

use crate::api;
use crate::error::Refusal;
use crate::faults::{FaultKind, malformed};
use crate::generator::{mix, push_base62};
use crate::state::State;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use futures_util::stream;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut on request")
    }
}

impl std::error::Error for Cut {}

/// Counts the request as ended when it is dropped, also when the client has gone.
struct InFlight(Arc<State>, Option<u16>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.with_stats(|stats| stats.end(self.1));
    }
}

/// Answers a request.
pub(crate) async fn serve<B>(state: Arc<State>, request: Request<B>) -> Result<Response<Body>, Cut> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let route = api::route(uri.path());
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let endpoint = route.as_ref().map_or("other", |route| route.name);
    let id = route.as_ref().and_then(|route| route.id);
    state.with_stats(|stats| stats.begin(method.as_str(), target, endpoint, id));
    let mut in_flight = InFlight(Arc::clone(&state), None);

    let scripted = state.run_scripts(uri.path());
    let (delay, fault) = state.disturbance(uri.path());
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    match fault {
        Some(FaultKind::Cut) => {
            in_flight.1 = Some(0);
            return Err(Cut);
        }
        Some(FaultKind::Stall) => std::future::pending().await,
        _ => {}
    }
    let found = match (&fault, scripted) {
        (_, Err(mistake)) => Err(Refusal::invalid("script", mistake)),
        (Some(FaultKind::Status { status, should_retry, retry_after, reason }), _) => {
            Err(disturbed(*status, *should_retry, *retry_after, reason))
        }
        _ => answer(&state, method, uri, headers),
    };
    let request_id = request_id(&state);
    let (status, mut body, extra) = match found {
        Ok(body) => (200, body, vec![]),
        Err(refusal) => {
            let live = key_of(headers).is_some_and(is_live);
            (refusal.status, refusal.body(&request_id, live, state.now()), refusal.headers)
        }
    };
    match &fault {
        Some(FaultKind::Garbage) => body = b"<html>\n<body>upstream connect error</body>\n".to_vec(),
        Some(FaultKind::Malformed { position, object }) => {
            body = malformed(&body, *position, object.as_ref()).unwrap_or(body);
        }
        _ => {}
    }
    in_flight.1 = Some(status);
    let length = body.len();
    let body = match fault {
        Some(FaultKind::CutBody) => half(&body, false),
        Some(FaultKind::StallBody) => half(&body, true),
        _ => Body::from(body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().unwrap_or_default();
    let version = headers.get("stripe-version").cloned();
    let version = version.unwrap_or(HeaderValue::from_static(crate::API_VERSION));
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(header::CONTENT_LENGTH, length.into());
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    fields.insert("stripe-version", version);
    for (name, value) in extra.into_iter().chain([("request-id", request_id)]) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            fields.insert(name, value);
        }
    }
    Ok(response)
}

fn answer(state: &State, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    let path = uri.path();
    let key = key_of(headers).ok_or_else(Refusal::no_key)?;
    if !state.api_keys.iter().any(|known| known == key) {
        return Err(Refusal::wrong_key(key));
    }
    if let Some(version) = headers.get("stripe-version") {
        let version = version.to_str().unwrap_or("?");
        if !is_version(version) {
            return Err(Refusal::invalid_version(version));
        }
    }
    if let Some(limit) = state.limited(path) {
        let refusal = Refusal::rate_limited(&limit.reason);
        return Err(match limit.retry_after {
            Some(seconds) => refusal.header("retry-after", seconds.to_string()),
            None => refusal,
        });
    }
    if method != Method::GET {
        return Err(Refusal::write(method.as_str(), path));
    }
    let route = api::route(path).ok_or_else(|| Refusal::unrecognized_url(method.as_str(), path))?;
    if key.starts_with("rk_") && state.lacks(route.permission) {
        return Err(Refusal::missing_permission(key, api::ACCOUNT, route.permission));
    }
    let account = state.account.read().unwrap_or_else(PoisonError::into_inner);
    api::get(&account, &route, uri.query().unwrap_or(""), is_live(key))
}

fn disturbed(status: u16, should_retry: Option<bool>, retry_after: Option<u64>, reason: &str) -> Refusal {
    let mut refusal =
        if status == 429 { Refusal::rate_limited(reason) } else { Refusal::server_error(status) };
    if let Some(retry) = should_retry {
        refusal = refusal.header("stripe-should-retry", retry.to_string());
    }
    if let Some(seconds) = retry_after {
        refusal = refusal.header("retry-after", seconds.to_string());
    }
    refusal
}

/// The first half of a body, and then an end of the connection, or silence.
fn half(body: &[u8], silence: bool) -> Body {
    let first = Bytes::copy_from_slice(&body[..body.len() / 2]);
    Body::from_stream(stream::unfold(Some(first), move |first| async move {
        match first {
            Some(first) => Some((Ok(first), None)),
            None if silence => std::future::pending().await,
            None => {
                // The server writes what it has when a body makes it wait; without that the half would be lost.
                tokio::task::yield_now().await;
                Some((Err(Cut), None))
            }
        }
    }))
}

/// The key of `Authorization: Bearer …`.
fn key_of(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !key.trim().is_empty()).then(|| key.trim())
}

fn is_live(key: &str) -> bool {
    key.starts_with("sk_live_") || key.starts_with("rk_live_")
}

/// `2024-06-20`, or `2026-10-28.endive` since versions have names.
fn is_version(version: &str) -> bool {
    let (date, name) = version.split_once('.').unwrap_or((version, "a"));
    let shape: Vec<usize> = date.split('-').map(str::len).collect();
    shape == [4, 2, 2]
        && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn request_id(state: &State) -> String {
    let mut id = "req_".to_owned();
    let number = state.next_answer();
    push_base62(&mut id, mix(number), 10);
    push_base62(&mut id, number, 4);
    id
}
