//! Refusals in PostgREST's form.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal with PostgREST's or Postgres's code for it.
pub(super) fn refuse(status: StatusCode, code: &str, message: &str, details: Option<&str>) -> Response {
    let body = json!({"code": code, "message": message, "details": details, "hint": null});
    (status, axum::Json(body)).into_response()
}

/// How PostgREST says that it has no database.
pub(super) fn unavailable(details: Option<&str>) -> Response {
    let message = "Database client error. Retrying the connection.";
    refuse(StatusCode::SERVICE_UNAVAILABLE, "PGRST001", message, details)
}
