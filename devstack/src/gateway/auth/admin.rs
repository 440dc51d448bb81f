//! `/auth/v1/admin`: what a server with the secret key may do to people.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::users::{self, NewUser};
use super::{AuthError, Shared, caller};

async fn require_service_role(shared: &Shared, headers: &HeaderMap) -> Result<(), AuthError> {
    match caller(shared, headers).await?.role.as_str() {
        "service_role" | "supabase_admin" => Ok(()),
        _ => Err(AuthError::new(StatusCode::FORBIDDEN, "not_admin", "User not allowed")),
    }
}

fn unknown() -> AuthError {
    AuthError::new(StatusCode::NOT_FOUND, "user_not_found", "User not found")
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Json<Value>, AuthError> {
    require_service_role(&shared, &headers).await?;
    Ok(Json(json!({"users": users::all(&shared).await?, "aud": "authenticated"})))
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(new): Json<NewUser>,
) -> Result<Json<Value>, AuthError> {
    require_service_role(&shared, &headers).await?;
    users::create(&shared, &new).await.map(Json)
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Json<Value>, AuthError> {
    require_service_role(&shared, &headers).await?;
    users::by_id(&shared, id).await?.map(Json).ok_or_else(unknown)
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Json<Value>, AuthError> {
    require_service_role(&shared, &headers).await?;
    shared.sessions.close(id, |_| true);
    if users::delete(&shared, id).await? { Ok(Json(json!({}))) } else { Err(unknown()) }
}
