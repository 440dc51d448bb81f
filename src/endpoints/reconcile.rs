//! `/api/subscriptions/reconcile`: one reconcile run, for cron and for other schedulers.

use std::sync::Arc;

use chrono::Utc;
use http::Method;
use uuid::Uuid;

use crate::auth::{self, Caller};
use crate::context::Context;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::reconcile::perform::perform;
use crate::runs::{RunKey, RunRequest, RunType, TriggeredBy};

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/subscriptions/reconcile", methods: &[Method::GET, Method::POST] };

/// Does one run, or answers with the one that stands in its way.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let own = auth::reconcile_secrets(&context.config)?;
    let cron = context.config.machine_secrets("CRON_SECRET")?;
    context.ready_to_reconcile()?;
    let caller =
        auth::machine(&auth::bearer(&call.headers)?, &own, &cron).ok_or_else(ApiError::unauthorized)?;
    call.no_body().await?;
    let request = read(&call, &caller)?;
    perform(&context, &request).await
}

/// What is asked for. Errors: 400.
fn read(call: &Call, caller: &Caller) -> Result<RunRequest, ApiError> {
    let parameters = call.parameters(&["type", "hours"])?;
    let run_type =
        parameters.one_of("type", RunType::WORDS)?.and_then(RunType::parse).unwrap_or(RunType::Scheduled);
    let lookback_hours = parameters.whole_number("hours", 24, 1, 168)?;
    Ok(RunRequest {
        run_type,
        lookback_hours,
        run_key: RunKey::new(run_type, Utc::now(), idempotency_key(call, run_type)?),
        triggered_by: if matches!(caller, Caller::Cron) { TriggeredBy::Cron } else { TriggeredBy::Secret },
        user: None,
        client: Some(call.client()),
    })
}

/// The `Idempotency-Key`, for the types of run where it has a meaning. Errors: 400 where it is no UUID or comes twice, for every
/// type: a caller who sends one expects something of it.
fn idempotency_key(call: &Call, run_type: RunType) -> Result<Option<Uuid>, ApiError> {
    let mut values = call.headers.get_all("idempotency-key").iter();
    let key = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|text| Uuid::try_parse(text).ok())
            .ok_or_else(|| ApiError::invalid("Idempotency-Key is no UUID."))?,
        (Some(_), Some(_)) => return Err(ApiError::invalid("Idempotency-Key comes twice.")),
    };
    Ok((!matches!(run_type, RunType::Scheduled | RunType::Manual)).then_some(key))
}
