//! `GET /api/admin/drift`: what differs between Stripe and the database, one entry for as long as it stands.

use std::sync::Arc;

use http::Method;
use strum::VariantNames as _;

use super::alerts::SEVERITIES;
use crate::auth;
use crate::context::Context;
use crate::drift::repair::Action;
use crate::episodes::db::{DriftFilter, DriftPage, list};
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::{
    CURSOR, LIMIT, describe_choice, describe_cursor, describe_text, describe_type,
};
use crate::http::{ApiError, Call, Endpoint, Reply};

/// Its route and methods.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/admin/drift", methods: &[Method::GET, Method::HEAD] };

/// The words of `?state=`.
const STATES: &[&str] = &["open", "closed", "all"];

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        parameters: vec![
            describe_choice("state", "Which entries.", STATES, Some("open")),
            describe_type("Only one drift class."),
            describe_choice("severity", "Only one severity.", SEVERITIES, None),
            describe_text("owner", "Only one owner."),
            describe_choice("action", "Only one action.", Action::VARIANTS, None),
            LIMIT.describe(),
            describe_cursor(CURSOR),
        ],
        ..Operation::get(
            "listDrift",
            "Drift, newest first: one entry for as long as a difference stands.",
            Caller::Admin,
            Schema::of::<DriftPage>(),
        )
    }]
}

/// Answers a page of drift, and how much of it there is by class.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    let parameters = call.parameters(&["state", "type", "severity", "owner", "action", "limit", "cursor"])?;
    let filter = DriftFilter {
        state: parameters.one_of("state", STATES)?.unwrap_or("open"),
        class: parameters.name("type")?,
        severity: parameters.one_of("severity", SEVERITIES)?,
        owner: parameters.text("owner")?,
        action: parameters.one_of("action", Action::VARIANTS)?,
        limit: parameters.whole_number(&LIMIT)?,
        cursor: parameters.cursor()?,
    };
    Reply::ok(&list(&admin, &filter).await?)
}
