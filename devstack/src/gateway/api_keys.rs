//! API keys, as Supabase's edge checks them before PostgREST sees a request.
//!
//! The new keys (`sb_publishable_…`, `sb_secret_…`) stand for a role and are no JWTs; the older ones are JWTs of the
//! roles `anon` and `service_role`, and say who calls only when they are sent as `Authorization` too.
//! <https://supabase.com/docs/guides/api/api-keys>

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::keys::Keys;

/// Which key a request came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// For browsers: the role `anon` unless a user's token says more.
    Publishable,
    /// For servers: the role `service_role` unless a user's token says otherwise.
    Secret,
}

/// Why a key is refused; always 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is none.
    Missing,
    /// It is none of this project's.
    Unknown,
    /// A secret key came from what says it is a browser.
    SecretInBrowser,
}

/// Judges the request's key, and puts the token that PostgREST is to verify into `authorization` (or takes it out).
///
/// # Errors
/// [`Refused`], when PostgREST is not to see the request.
pub fn admit(keys: &Keys, headers: &mut HeaderMap, query: Option<&str>) -> Result<Key, Refused> {
    let from_query = || {
        url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "apikey")
            .map(|(_, value)| value.into_owned())
    };
    let presented = match headers.get("apikey") {
        Some(value) => value.to_str().map_err(|_| Refused::Unknown)?.to_owned(),
        None => from_query().ok_or(Refused::Missing)?,
    };
    let (key, role_token) = if presented == keys.publishable_key {
        (Key::Publishable, Some(&keys.anon_token))
    } else if presented == keys.secret_key {
        (Key::Secret, Some(&keys.service_role_token))
    } else if presented == keys.anon_token {
        (Key::Publishable, None)
    } else if presented == keys.service_role_token {
        (Key::Secret, None)
    } else {
        return Err(Refused::Unknown);
    };
    if presented == keys.secret_key && from_browser(headers) {
        return Err(Refused::SecretInBrowser);
    }
    let Some(role_token) = role_token else { return Ok(key) };
    // A new key may be repeated as the bearer token; any other bearer token is a user's and is PostgREST's to judge.
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    if headers.get(header::AUTHORIZATION).is_none() || bearer == Some(presented.as_str()) {
        let value = HeaderValue::from_str(&format!("Bearer {role_token}")).map_err(|_| Refused::Unknown)?;
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(key)
}

/// The token of an `Authorization` value, whatever the case of its scheme.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn from_browser(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["Mozilla/", "Chrome/", "Safari/", "Firefox/", "Opera/"].iter().any(|browser| agent.contains(browser))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (message, hint) = match self {
            Refused::Missing => {
                ("No API key found in request", "No `apikey` request header or url param was found.")
            }
            Refused::Unknown => {
                ("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
            }
            Refused::SecretInBrowser => (
                "Forbidden use of secret API key in browser",
                "Secret API keys can only be used in a protected environment and should never be used in a browser.",
            ),
        };
        (StatusCode::UNAUTHORIZED, Json(json!({"message": message, "hint": hint}))).into_response()
    }
}
