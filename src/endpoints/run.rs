//! `GET /api/admin/reconciliation-logs/{id}`: one run with its findings.

use std::sync::Arc;

use http::Method;

use crate::context::Context;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::{alerts, auth};

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/reconciliation-logs/{id}", methods: &[Method::GET, Method::HEAD] };

/// Answers the run, its findings by type, and a page of them.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let database = context.supabase_for_people()?;
    let person = auth::person(&call.headers)?;
    call.no_body().await?;
    let id = call.path_id(0)?;
    // The platform adds the path's id to the query.
    let parameters = call.parameters(&["id", "type", "limit", "cursor"])?;
    let limit = parameters.whole_number("limit", 50, 1, 200)?;
    let after = match parameters.get("cursor") {
        None => 0,
        Some(cursor) => cursor
            .parse::<u64>()
            .ok()
            // Digits that Postgres's bigint always holds: parse() would take a plus sign, too.
            .filter(|_| cursor.len() <= 18 && cursor.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| ApiError::invalid("cursor is none that this list gave."))?,
    };
    let detail =
        alerts::run_detail(database, &person, &call.client(), id, parameters.name("type")?, limit, after)
            .await?;
    Reply::ok(&detail)
}
