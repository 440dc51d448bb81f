//! `/auth/v1`: what `@supabase/auth-js` asks of Supabase Auth to sign a person in (password, magic link, PKCE), keep
//! and end the session, and what an operator's script asks to create people. Answers and error codes are those of
//! <https://github.com/supabase/auth>.

mod admin;
mod sign_in;
mod users;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Shared, api_keys};

pub(crate) use users::session_claims;

/// Life of an access token in seconds, as hosted projects are set at first.
pub(crate) const TOKEN_LIFETIME: u64 = 3600;

pub(super) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let with_key = Router::new()
        .route("/token", post(sign_in::token))
        .route("/otp", post(sign_in::otp))
        .route("/magiclink", post(sign_in::otp))
        .route("/user", get(current_user).put(users::update))
        .route("/logout", post(logout))
        .route("/settings", get(settings))
        .route("/admin/users", get(admin::list).post(admin::create))
        .route("/admin/users/{id}", get(admin::show).delete(admin::delete))
        .layer(from_fn_with_state(shared.clone(), require_key));
    // Links in mails and key sets are fetched without a key.
    let open = Router::new()
        .route("/verify", get(sign_in::follow_link).post(sign_in::verify))
        .route("/health", get(|| async { Json(json!({"name": "GoTrue", "version": "devstack"})) }))
        .route("/.well-known/jwks.json", get(jwks));
    with_key.merge(open)
}

async fn require_key(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let query = request.uri().query().map(str::to_owned);
    match api_keys::admit(&shared.keys, request.headers_mut(), query.as_deref()) {
        Ok(_) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Who calls, by a verified token.
struct Caller {
    role: String,
    user: Option<Uuid>,
    session: Option<Uuid>,
}

async fn caller(shared: &Shared, headers: &HeaderMap) -> Result<Caller, AuthError> {
    let verified = postrust_engine::authenticate(shared.postrust.as_ref(), headers)
        .await
        .map_err(|error| AuthError::new(StatusCode::FORBIDDEN, "bad_jwt", format!("invalid JWT: {error}")))?;
    let id = |claim: &str| verified.claims.get(claim)?.as_str()?.parse().ok();
    Ok(Caller { user: id("sub"), session: id("session_id"), role: verified.role })
}

/// The person whose token came along, if it is one and the session still stands.
async fn person(shared: &Shared, headers: &HeaderMap) -> Result<(Uuid, Option<Uuid>), AuthError> {
    let caller = caller(shared, headers).await?;
    let user = caller.user.ok_or_else(|| {
        AuthError::new(StatusCode::FORBIDDEN, "bad_jwt", "invalid claim: missing sub claim")
    })?;
    if caller.session.is_some_and(|session| !shared.sessions.is_open(session)) {
        let message = "Session from session_id claim in JWT does not exist";
        return Err(AuthError::new(StatusCode::FORBIDDEN, "session_not_found", message));
    }
    Ok((user, caller.session))
}

async fn current_user(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Json<Value>, AuthError> {
    let (user, _) = person(&shared, &headers).await?;
    users::by_id(&shared, user).await?.map(Json).ok_or_else(|| {
        AuthError::new(StatusCode::FORBIDDEN, "user_not_found", "User from sub claim in JWT does not exist")
    })
}

async fn logout(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<StatusCode, AuthError> {
    let (user, session) = person(&shared, &headers).await?;
    match query.get("scope").map_or("global", String::as_str) {
        "global" => shared.sessions.close(user, |_| true),
        "local" => shared.sessions.close(user, |other| Some(other) == session),
        "others" => shared.sessions.close(user, |other| Some(other) != session),
        other => {
            let message = format!("Unsupported logout scope \"{other}\"");
            return Err(AuthError::bad_request("validation_failed", &message));
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn settings() -> Json<Value> {
    Json(json!({
        "external": {"email": true, "phone": false, "anonymous_users": false},
        "disable_signup": true, "mailer_autoconfirm": false, "phone_autoconfirm": false,
        "sms_provider": "", "saml_enabled": false,
    }))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.keys.public_jwks())
}

/// An error in Supabase Auth's form.
#[derive(Debug)]
pub(crate) struct AuthError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl AuthError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> AuthError {
        AuthError { status, code, message: message.into() }
    }

    fn bad_request(code: &'static str, message: &str) -> AuthError {
        AuthError::new(StatusCode::BAD_REQUEST, code, message)
    }
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let body = json!({"code": self.status.as_u16(), "error_code": self.code, "msg": self.message});
        (self.status, Json(body)).into_response()
    }
}

/// Whatever the database said about a query of ours: a fault of the stack, not of the caller.
impl From<anyhow::Error> for AuthError {
    fn from(error: anyhow::Error) -> AuthError {
        AuthError::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", format!("{error:#}"))
    }
}
