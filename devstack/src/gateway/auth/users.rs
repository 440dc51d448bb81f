//! People in `auth.users`. Passwords are hashed and compared by pgcrypto, as bcrypt, like Supabase's.

use std::sync::Arc;

use anyhow::Context;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{AuthError, Shared, TOKEN_LIFETIME, person};
use crate::keys::now;

/// A person as `GET /user` shows one.
const AS_JSON: &str = "jsonb_build_object(
  'id', id, 'aud', aud, 'role', role, 'email', email, 'phone', coalesce(phone, ''),
  'email_confirmed_at', email_confirmed_at, 'confirmed_at', email_confirmed_at, 'last_sign_in_at', last_sign_in_at,
  'app_metadata', raw_app_meta_data, 'user_metadata', raw_user_meta_data, 'identities', '[]'::jsonb,
  'created_at', created_at, 'updated_at', updated_at, 'is_anonymous', is_anonymous
)";

/// What an operator says of a new person.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct NewUser {
    pub(crate) id: Option<Uuid>,
    pub(crate) email: Option<String>,
    pub(crate) password: Option<String>,
    #[serde(default)]
    pub(crate) email_confirm: bool,
    #[serde(default)]
    pub(crate) user_metadata: Option<Value>,
    #[serde(default)]
    pub(crate) app_metadata: Option<Value>,
}

/// Runs a query that answers one person at most.
async fn one(
    shared: &Shared,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> anyhow::Result<Option<Value>> {
    let client = shared.auth_pool.get().await.context("the database does not answer")?;
    let row = client.query_opt(sql, parameters).await?;
    row.map(|row| row.try_get(0)).transpose().map_err(Into::into)
}

/// The person with this id.
pub(super) async fn by_id(shared: &Shared, id: Uuid) -> anyhow::Result<Option<Value>> {
    one(shared, &format!("select {AS_JSON} from auth.users where id = $1"), &[&id]).await
}

/// The person with this address.
pub(super) async fn by_email(shared: &Shared, email: &str) -> anyhow::Result<Option<Value>> {
    one(shared, &format!("select {AS_JSON} from auth.users where email = lower($1)"), &[&email]).await
}

/// The person with this address and password, who thereby signs in.
pub(super) async fn by_password(
    shared: &Shared,
    email: &str,
    password: &str,
) -> anyhow::Result<Option<Value>> {
    let sql = format!(
        "update auth.users set last_sign_in_at = now()
         where email = lower($1) and encrypted_password = extensions.crypt($2, encrypted_password)
         returning {AS_JSON}"
    );
    one(shared, &sql, &[&email, &password]).await
}

/// Notes that the person came by a mailed link or code, which confirms the address.
pub(super) async fn signed_in_by_mail(shared: &Shared, id: Uuid) -> anyhow::Result<Option<Value>> {
    let sql = format!(
        "update auth.users set last_sign_in_at = now(), email_confirmed_at = coalesce(email_confirmed_at, now())
         where id = $1 returning {AS_JSON}"
    );
    one(shared, &sql, &[&id]).await
}

/// Every person, newest first.
pub(super) async fn all(shared: &Shared) -> anyhow::Result<Value> {
    let sql = format!(
        "select coalesce(jsonb_agg({AS_JSON} order by created_at desc), '[]'::jsonb) from auth.users"
    );
    Ok(one(shared, &sql, &[]).await?.unwrap_or_default())
}

/// Adds a person.
pub(super) async fn create(shared: &Shared, new: &NewUser) -> Result<Value, AuthError> {
    let Some(email) = new.email.as_deref().filter(|email| email.contains('@')) else {
        return Err(AuthError::bad_request(
            "validation_failed",
            "Cannot create a user without either an email or phone",
        ));
    };
    let sql = format!(
        "insert into auth.users
           (id, email, encrypted_password, email_confirmed_at, raw_user_meta_data, raw_app_meta_data)
         values (coalesce($1, gen_random_uuid()), lower($2), extensions.crypt($3, extensions.gen_salt('bf', 6)),
           case when $4 then now() end, coalesce($5::jsonb, '{{}}'),
           '{{\"provider\": \"email\", \"providers\": [\"email\"]}}'::jsonb || coalesce($6::jsonb, '{{}}'))
         on conflict do nothing
         returning {AS_JSON}"
    );
    let created = one(
        shared,
        &sql,
        &[&new.id, &email, &new.password, &new.email_confirm, &new.user_metadata, &new.app_metadata],
    )
    .await?;
    created.ok_or_else(|| {
        let message = "A user with this email address has already been registered";
        AuthError::new(StatusCode::UNPROCESSABLE_ENTITY, "email_exists", message)
    })
}

/// Removes a person; says whether there was one.
pub(super) async fn delete(shared: &Shared, id: Uuid) -> anyhow::Result<bool> {
    let sql = format!("delete from auth.users where id = $1 returning {AS_JSON}");
    Ok(one(shared, &sql, &[&id]).await?.is_some())
}

#[derive(Deserialize)]
pub(super) struct Changes {
    password: Option<String>,
    data: Option<Value>,
}

/// `PUT /user`: a person's own new password or metadata.
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(changes): Json<Changes>,
) -> Result<Json<Value>, AuthError> {
    let (user, _) = person(&shared, &headers).await?;
    let sql = format!(
        "update auth.users set updated_at = now(),
           encrypted_password = coalesce(extensions.crypt($2, extensions.gen_salt('bf', 6)), encrypted_password),
           raw_user_meta_data = raw_user_meta_data || coalesce($3::jsonb, '{{}}')
         where id = $1 returning {AS_JSON}"
    );
    let updated = one(&shared, &sql, &[&user, &changes.password, &changes.data]).await?;
    updated.map(Json).ok_or_else(|| AuthError::new(StatusCode::NOT_FOUND, "user_not_found", "User not found"))
}

/// The claims of an access token, as Supabase Auth writes them.
///
/// `issuer` is the auth API's URL; `user` is what `GET /user` answers; the token ends `lifetime` seconds from now.
pub(crate) fn session_claims(issuer: &str, user: &Value, session: Option<Uuid>, lifetime: u64) -> Value {
    let now = now();
    let mut claims = json!({
        "iss": issuer, "sub": user["id"], "aud": "authenticated", "iat": now, "exp": now + lifetime,
        "email": user["email"], "phone": "", "app_metadata": user["app_metadata"],
        "user_metadata": user["user_metadata"], "role": user["role"], "aal": "aal1",
        "amr": [{"method": "password", "timestamp": now}], "is_anonymous": false,
    });
    // A token without a session, for scripts that outlive one.
    if let Some(session) = session {
        claims["session_id"] = json!(session);
    }
    claims
}

/// What a sign-in answers.
pub(super) fn session_body(
    shared: &Shared,
    user: &Value,
    session: Uuid,
    refresh_token: &str,
) -> Result<Value, AuthError> {
    let claims = session_claims(&format!("{}/auth/v1", shared.url), user, Some(session), TOKEN_LIFETIME);
    let access_token = shared.keys.sign(crate::keys::Signer::Es256, &claims)?;
    Ok(json!({
        "access_token": access_token, "token_type": "bearer", "expires_in": TOKEN_LIFETIME,
        "expires_at": claims["exp"], "refresh_token": refresh_token, "user": user,
    }))
}
