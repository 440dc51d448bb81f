//! `GET /api/admin/billing-alerts`: alerts for an admin.

use std::sync::Arc;

use http::Method;

use crate::alerts::db::{AlertFilter, AlertPage, list};
use crate::auth;
use crate::config;
use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::{CURSOR, LIMIT, describe_choice, describe_cursor, describe_type};
use crate::http::{ApiError, Call, Endpoint, Reply};

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts", methods: &[Method::GET, Method::HEAD] };

/// The words of `?status=`, `?state=` and `?severity=`.
const STATUSES: &[&str] = &["open", "resolved", "all"];
const STATES: &[&str] = &["unattended", "acknowledged", "snoozed"];
pub(super) const SEVERITIES: &[&str] = &config::notify::SEVERITIES;

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        parameters: vec![
            describe_choice("status", "Which alerts.", STATUSES, Some("open")),
            describe_choice("severity", "Only one severity.", SEVERITIES, None),
            describe_type("Only one alert type."),
            describe_choice(
                "state",
                "Only open ones that nobody attends to, that somebody does, or that are snoozed.",
                STATES,
                None,
            ),
            LIMIT.describe(),
            describe_cursor(CURSOR),
        ],
        ..Operation::get(
            "listAlerts",
            "Alerts, newest first, and the counts of the open ones.",
            Caller::Admin,
            Schema::of::<AlertPage>(),
        )
    }]
}

/// Answers a page of alerts and the counts of the open ones.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    let parameters = call.parameters(&["status", "severity", "type", "state", "limit", "cursor"])?;
    let filter = AlertFilter {
        status: parameters.one_of("status", STATUSES)?.unwrap_or("open"),
        severity: parameters.one_of("severity", SEVERITIES)?,
        alert_type: parameters.name("type")?,
        state: parameters.one_of("state", STATES)?,
        limit: parameters.whole_number(&LIMIT)?,
        cursor: parameters.cursor()?,
    };
    Reply::ok(&list(&admin, &filter).await?)
}
