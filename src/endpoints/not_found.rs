//! Answers 404 for every path under `/api` that no function serves; `vercel.json` rewrites those paths here.

use std::sync::Arc;

use http::Method;

use crate::context::Context;
use crate::http::{ApiError, Call, Endpoint, Reply};

/// Its route and methods: a path that is not there is not there for any method.
pub const ENDPOINT: Endpoint = Endpoint {
    route: "/api/*",
    methods: &[Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE],
};

/// Answers 404.
pub async fn handle(_context: Arc<Context>, _call: Call) -> Result<Reply, ApiError> {
    Err(ApiError::not_found("path"))
}
