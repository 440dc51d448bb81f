//! `GET /api/admin/reconciliation-logs/{id}`: one run with its findings.

use std::sync::Arc;

use http::Method;

use crate::auth;
use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::{LIMIT, NUMBER_CURSOR, describe_cursor, describe_id, describe_type};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::runs::db::{FindingFilter, one};
use crate::runs::run::RunDetail;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/reconciliation-logs/{id}", methods: &[Method::GET, Method::HEAD] };

/// As the OpenAPI document has it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        parameters: vec![
            describe_id(),
            describe_type("Findings of one drift class."),
            LIMIT.describe(),
            describe_cursor(NUMBER_CURSOR),
        ],
        codes: &[(404, "not_found")],
        ..Operation::get("getRun", "One run with its findings.", Caller::Admin, Schema::of::<RunDetail>())
    }]
}

/// Answers the run, its findings by type, and a page of them.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    let id = call.path_id(0)?;
    // The platform adds the path's id to the query.
    let parameters = call.parameters(&["id", "type", "limit", "cursor"])?;
    let filter = FindingFilter {
        finding_type: parameters.name("type")?,
        limit: parameters.whole_number(&LIMIT)?,
        after: parameters.number_cursor()?,
    };
    Reply::ok(&one(&admin, id, &filter).await?)
}
