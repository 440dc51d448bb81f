//! `GET /api/admin/reconciliation-logs`: runs for an admin.

use std::sync::Arc;

use http::Method;
use strum::VariantNames as _;

use crate::auth;
use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::{CURSOR, LIMIT, describe_choice, describe_cursor};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::reconcile::RunScope;
use crate::runs::db::{RunFilter, list};
use crate::runs::key::RunType;
use crate::runs::run::RunPage;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/reconciliation-logs", methods: &[Method::GET, Method::HEAD] };

/// The words of `?status=`.
const STATUSES: &[&str] = &["running", "success", "partial", "error"];

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        parameters: vec![
            describe_choice("status", "Only one status.", STATUSES, None),
            describe_choice("type", "Only one type.", RunType::VARIANTS, None),
            describe_choice("scope", "Only runs that looked at this much.", RunScope::VARIANTS, None),
            LIMIT.describe(),
            describe_cursor(CURSOR),
        ],
        ..Operation::get("listRuns", "Runs, newest first.", Caller::Admin, Schema::of::<RunPage>())
    }]
}

/// Answers a page of runs.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    let parameters = call.parameters(&["status", "type", "scope", "limit", "cursor"])?;
    let filter = RunFilter {
        status: parameters.one_of("status", STATUSES)?,
        run_type: parameters.one_of("type", RunType::VARIANTS)?,
        scope: parameters.one_of("scope", RunScope::VARIANTS)?,
        limit: parameters.whole_number(&LIMIT)?,
        cursor: parameters.cursor()?,
    };
    Reply::ok(&list(&admin, &filter).await?)
}
