//! A program in the place of PostgREST, for the gateway's tests: it takes its settings from the same variables, has no schema
//! cache for the first two questions, and from then on answers with what it was asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

/// How often it refuses before its schema cache is there.
const NOT_READY: usize = 2;

static ASKED: AtomicUsize = AtomicUsize::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    if std::env::var_os("PGRST_DB_URI").is_none() {
        eprintln!("there is no PGRST_DB_URI");
        std::process::exit(1);
    }
    let setting = |name: &str| std::env::var(name).unwrap_or_default();
    let address = format!("{}:{}", setting("PGRST_SERVER_HOST"), setting("PGRST_SERVER_PORT"));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, Router::new().fallback(answer)).await
}

async fn answer(request: Request) -> Response {
    let server = [("server", "rest-double/1.0")];
    let asked = ASKED.fetch_add(1, Ordering::SeqCst) + 1;
    if asked <= NOT_READY {
        return (StatusCode::SERVICE_UNAVAILABLE, server, Json(json!({"code": "PGRST002"}))).into_response();
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let headers: Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let environment: Map<String, Value> =
        std::env::vars().map(|(name, value)| (name, value.into())).collect();
    let seen = json!({
        "pid": std::process::id(), "asked": asked, "method": parts.method.as_str(),
        "target": parts.uri.to_string(), "headers": headers, "body": String::from_utf8_lossy(&body),
        "environment": environment,
    });
    (server, Json(seen)).into_response()
}
