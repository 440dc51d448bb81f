//! `GET /api/admin/reconciliation-logs`: runs for an admin.

use std::sync::Arc;

use http::Method;

use crate::alerts::{self, Cursor};
use crate::auth;
use crate::context::Context;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::runs::RunType;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/reconciliation-logs", methods: &[Method::GET, Method::HEAD] };

/// Answers a page of runs.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let database = context.supabase_for_people()?;
    let person = auth::person(&call.headers)?;
    call.no_body().await?;
    let parameters = call.parameters(&["status", "type", "limit", "cursor"])?;
    let status = parameters.one_of("status", &["running", "success", "partial", "error"])?;
    let run_type = parameters.one_of("type", RunType::WORDS)?;
    let limit = parameters.whole_number("limit", 50, 1, 200)?;
    let cursor = parameters.get("cursor").map(Cursor::parse).transpose()?;
    let page = alerts::list_runs(database, &person, &call.client(), status, run_type, limit, cursor).await?;
    Reply::ok(&page)
}
