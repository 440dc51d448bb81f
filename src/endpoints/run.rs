//! `GET /api/admin/reconciliation-logs/{id}`: one run with its drift.

use std::sync::Arc;

use http::Method;

use crate::auth;
use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::{CURSOR, LIMIT, describe_choice, describe_cursor, describe_id, describe_type};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::runs::db::{RunDriftFilter, one};
use crate::runs::run::RunDetail;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/reconciliation-logs/{id}", methods: &[Method::GET, Method::HEAD] };

/// The words of `?show=`.
const SHOW: &[&str] = &["new", "ended", "standing"];

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        parameters: vec![
            describe_id(),
            describe_choice(
                "show",
                "Drift that was new in the run, that it ended, or that stood at its end.",
                SHOW,
                Some("new"),
            ),
            describe_type("Only one drift class."),
            LIMIT.describe(),
            describe_cursor(CURSOR),
        ],
        codes: &[(404, "not_found")],
        ..Operation::get("getRun", "One run with its drift.", Caller::Admin, Schema::of::<RunDetail>())
    }]
}

/// Answers the run, its drift by class, and a page of it.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    let id = call.path_id(0)?;
    // The platform adds the path's id to the query.
    let parameters = call.parameters(&["id", "show", "type", "limit", "cursor"])?;
    let filter = RunDriftFilter {
        show: parameters.one_of("show", SHOW)?.unwrap_or("new"),
        class: parameters.name("type")?,
        limit: parameters.whole_number(&LIMIT)?,
        cursor: parameters.cursor()?,
    };
    Reply::ok(&one(&admin, id, &filter).await?)
}
