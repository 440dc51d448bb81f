//! `GET /api/metrics`: numbers for a Prometheus.

use std::sync::Arc;

use chrono::TimeDelta;
use http::Method;

use crate::auth;
use crate::context::Context;
use crate::http::operation::{Answer, Caller, Operation, Text};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::report::db::read_metrics;
use crate::report::metrics::{CONTENT_TYPE, render};

/// Its route and methods.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/metrics", methods: &[Method::GET, Method::HEAD] };

/// For how long a process gives the same answer again: two Prometheus that scrape at once cost the database one call.
const KEPT_FOR: TimeDelta = TimeDelta::seconds(15);

/// The version of the functions.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation::get(
        "metrics",
        "Numbers in the text format of Prometheus, up to 15 seconds old.",
        Caller::Machine,
        Answer::Text(Text {
            media: &[("text/plain", "Families of metrics, each with its type and what it means.")],
            headers: &[],
            line: None,
        }),
    )]
}

/// Answers the metrics: one round trip, or none where the process has an answer that is young enough.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let own = auth::metrics_secrets(&context.config)?;
    let database = context.supabase()?;
    auth::machine(&auth::bearer(&call.headers)?, &own, &[]).ok_or_else(ApiError::unauthorized)?;
    call.no_body().await?;
    call.parameters(&[])?;
    let now = call.received_at;
    if let Some(text) = context.metrics.younger_than(KEPT_FOR, now) {
        return Ok(Reply::text(CONTENT_TYPE, text));
    }
    let text = render(&read_metrics(database, &call.client()).await?, VERSION);
    context.metrics.keep(now, &text);
    Ok(Reply::text(CONTENT_TYPE, text))
}
