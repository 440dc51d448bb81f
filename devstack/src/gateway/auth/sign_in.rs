//! The ways in: password, refresh token, mailed link or code, and the PKCE exchange.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use super::{AuthError, Shared, TOKEN_LIFETIME, users};
use crate::gateway::control::Mail;
use crate::gateway::sessions::{Challenge, OneTimeCode, RefreshRefused};

type Parameters = Query<HashMap<String, String>>;

/// The bodies of `/token`, by grant type, in one: what is not sent is empty.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Grant {
    email: String,
    password: String,
    refresh_token: String,
    auth_code: String,
    code_verifier: String,
}

/// `POST /token?grant_type=password|refresh_token|pkce`.
pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    Query(query): Parameters,
    Json(grant): Json<Grant>,
) -> Result<Json<Value>, AuthError> {
    match query.get("grant_type").map_or("", String::as_str) {
        "password" => {
            let user = users::by_password(&shared, &grant.email, &grant.password)
                .await?
                .ok_or_else(|| AuthError::bad_request("invalid_credentials", "Invalid login credentials"))?;
            signed_in(&shared, &user).map(Json)
        }
        "refresh_token" => {
            let (id, session, next) =
                shared.sessions.refresh(&grant.refresh_token).map_err(|refused| match refused {
                    RefreshRefused::Unknown => AuthError::bad_request(
                        "refresh_token_not_found",
                        "Invalid Refresh Token: Refresh Token Not Found",
                    ),
                    RefreshRefused::AlreadyUsed => AuthError::bad_request(
                        "refresh_token_already_used",
                        "Invalid Refresh Token: Already Used",
                    ),
                })?;
            let user = users::by_id(&shared, id).await?.ok_or_else(gone)?;
            users::session_body(&shared, &user, session, &next).map(Json)
        }
        "pkce" => {
            let (id, challenge) = shared.sessions.take_exchange(&grant.auth_code).ok_or_else(|| {
                let message = "invalid flow state, no valid flow state found";
                AuthError::new(StatusCode::NOT_FOUND, "flow_state_not_found", message)
            })?;
            if !answers(&challenge, &grant.code_verifier) {
                let message = "code challenge does not match previously saved code verifier";
                return Err(AuthError::bad_request("bad_code_verifier", message));
            }
            let user = users::signed_in_by_mail(&shared, id).await?.ok_or_else(gone)?;
            signed_in(&shared, &user).map(Json)
        }
        _ => Err(AuthError::bad_request("validation_failed", "unsupported_grant_type")),
    }
}

fn gone() -> AuthError {
    AuthError::new(StatusCode::NOT_FOUND, "user_not_found", "User not found")
}

fn answers(challenge: &Challenge, verifier: &str) -> bool {
    if challenge.method.eq_ignore_ascii_case("s256") {
        return URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge.challenge;
    }
    verifier == challenge.challenge
}

fn signed_in(shared: &Shared, user: &Value) -> Result<Value, AuthError> {
    let id = id_of(user)?;
    let (session, refresh_token) = shared.sessions.open(id);
    users::session_body(shared, user, session, &refresh_token)
}

fn id_of(user: &Value) -> Result<Uuid, AuthError> {
    user["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(gone)
}

#[derive(Deserialize)]
pub(super) struct Otp {
    email: String,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// `POST /otp`: mails a link and a code to a person who exists; signing up is closed.
pub(super) async fn otp(
    State(shared): State<Arc<Shared>>,
    Query(query): Parameters,
    Json(asked): Json<Otp>,
) -> Result<Json<Value>, AuthError> {
    let Some(user) = users::by_email(&shared, &asked.email).await? else {
        let message = "Signups not allowed for otp";
        return Err(AuthError::new(StatusCode::UNPROCESSABLE_ENTITY, "otp_disabled", message));
    };
    let challenge = asked.code_challenge.filter(|challenge| !challenge.is_empty()).map(|challenge| {
        Challenge { challenge, method: asked.code_challenge_method.unwrap_or_else(|| "plain".to_owned()) }
    });
    let email = asked.email.to_lowercase();
    let code = shared.sessions.mail_code(id_of(&user)?, &email, challenge);
    let redirect_to = query.get("redirect_to").map_or("http://127.0.0.1:3000", String::as_str);
    let mut link = Url::parse(&format!("{}/auth/v1/verify", shared.url)).map_err(anyhow::Error::from)?;
    link.query_pairs_mut()
        .append_pair("token", &code.token_hash)
        .append_pair("type", "magiclink")
        .append_pair("redirect_to", redirect_to);
    shared.control.send(Mail {
        to: email,
        subject: "Your Magic Link".to_owned(),
        link: link.into(),
        code: code.digits,
    });
    Ok(Json(json!({})))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Verification {
    email: String,
    token: String,
    token_hash: String,
}

fn expired() -> AuthError {
    AuthError::new(StatusCode::FORBIDDEN, "otp_expired", "Token has expired or is invalid")
}

/// `POST /verify`: the code that a person typed, or the hash from a link.
pub(super) async fn verify(
    State(shared): State<Arc<Shared>>,
    Json(asked): Json<Verification>,
) -> Result<Json<Value>, AuthError> {
    let matches = |code: &OneTimeCode| {
        if asked.token_hash.is_empty() {
            !asked.token.is_empty() && code.digits == asked.token && code.email == asked.email.to_lowercase()
        } else {
            code.token_hash == asked.token_hash
        }
    };
    let code = shared.sessions.use_code(matches).ok_or_else(expired)?;
    let user = users::signed_in_by_mail(&shared, code.user).await?.ok_or_else(gone)?;
    signed_in(&shared, &user).map(Json)
}

/// `GET /verify`: the link in the mail. It leads back with a code to exchange (PKCE), or with the session itself.
pub(super) async fn follow_link(State(shared): State<Arc<Shared>>, Query(query): Parameters) -> Response {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    let redirect_to = match text("redirect_to") {
        "" => "http://127.0.0.1:3000",
        other => other,
    };
    let Ok(mut target) = Url::parse(redirect_to) else {
        return AuthError::bad_request("validation_failed", "redirect_to is not a URL").into_response();
    };
    match session_after_link(&shared, text("token")).await {
        Ok(LinkOutcome::Exchange(code)) => {
            target.query_pairs_mut().append_pair("code", &code);
        }
        Ok(LinkOutcome::Session(session)) => target.set_fragment(Some(&fragment(&session))),
        Err(error) => {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            pairs
                .append_pair("error", "access_denied")
                .append_pair("error_code", error.code)
                .append_pair("error_description", &error.message);
            target.set_fragment(Some(&pairs.finish()));
        }
    }
    (StatusCode::SEE_OTHER, [(header::LOCATION, target.to_string())]).into_response()
}

enum LinkOutcome {
    Exchange(String),
    Session(Value),
}

async fn session_after_link(shared: &Shared, token: &str) -> Result<LinkOutcome, AuthError> {
    let code = shared.sessions.use_code(|code| code.token_hash == token).ok_or_else(expired)?;
    if let Some(challenge) = code.challenge {
        return Ok(LinkOutcome::Exchange(shared.sessions.offer_exchange(code.user, challenge)));
    }
    let user = users::signed_in_by_mail(shared, code.user).await?.ok_or_else(gone)?;
    signed_in(shared, &user).map(LinkOutcome::Session)
}

fn fragment(session: &Value) -> String {
    let text = |name: &str| session[name].as_str().map_or_else(|| session[name].to_string(), str::to_owned);
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs
        .append_pair("access_token", &text("access_token"))
        .append_pair("expires_at", &text("expires_at"))
        .append_pair("expires_in", &TOKEN_LIFETIME.to_string())
        .append_pair("refresh_token", &text("refresh_token"))
        .append_pair("token_type", "bearer")
        .append_pair("type", "magiclink");
    pairs.finish()
}
