//! `GET /api/admin/billing-alerts`: alerts for an admin.

use std::sync::Arc;

use http::Method;

use crate::alerts::{self, AlertFilter, Cursor};
use crate::auth;
use crate::context::Context;
use crate::http::{ApiError, Call, Endpoint, Reply};

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts", methods: &[Method::GET, Method::HEAD] };

/// Answers a page of alerts and the counts of the open ones.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let database = context.supabase_for_people()?;
    let person = auth::person(&call.headers)?;
    call.no_body().await?;
    let parameters = call.parameters(&["status", "severity", "type", "limit", "cursor"])?;
    let filter = AlertFilter {
        status: parameters.one_of("status", &["open", "resolved", "all"])?.unwrap_or("open"),
        severity: parameters.one_of("severity", &["critical", "high", "warning", "info"])?,
        alert_type: parameters.name("type")?,
        limit: parameters.whole_number("limit", 50, 1, 200)?,
        cursor: parameters.get("cursor").map(Cursor::parse).transpose()?,
    };
    Reply::ok(&alerts::list(database, &person, &call.client(), &filter).await?)
}
