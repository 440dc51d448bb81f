//! `/api/subscriptions/reconcile`: one reconcile run, for cron and for other schedulers.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};
use strum::VariantNames as _;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth;
use crate::context::Context;
use crate::events::passes::follow;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::{HOURS, describe_choice};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::reconcile::{Failure, RunScope};
use crate::runs::answer::{NothingDueAnswer, RunAnswer};
use crate::runs::db::RunRequest;
use crate::runs::key::{RunKey, RunType};
use crate::runs::perform::{Performed, perform};
use crate::runs::run::TriggeredBy;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/subscriptions/reconcile", methods: &[Method::GET, Method::POST] };

/// The words of `?scope=`: whoever asks cannot know what changed.
const SCOPES: &[&str] = &["all", "due"];

/// What the schedulers' endpoint answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ReconcileAnswer {
    /// A run.
    Run(RunAnswer),
    /// A pass over what is due was asked for, and nothing is.
    NothingDue(NothingDueAnswer),
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    let operation = |method, id, summary| Operation {
        method,
        id,
        summary,
        caller: Caller::Machine,
        answer: Schema::of::<ReconcileAnswer>().into(),
        parameters: vec![
            describe_choice(
                "scope",
                "Everything, or what Stripe's events have spoken of since it was last read.",
                SCOPES,
                Some("all"),
            ),
            describe_choice("type", "What the run is for.", RunType::VARIANTS, Some("scheduled")),
            HOURS.describe(),
            json!({
                "name": "Idempotency-Key", "in": "header", "required": false,
                "description": "A UUID. Makes runs of type request and webhook_failure idempotent; ignored for the other types.",
                "schema": { "type": "string", "format": "uuid" }
            }),
        ],
        body: None,
        codes: &[
            (409, "conflict"),
            (429, "rate_limited"),
            (502, "stripe_error"),
            (503, "stripe_unavailable"),
        ],
    };
    vec![
        operation("post", "reconcile", "One reconcile run."),
        operation("get", "reconcileByCron", "One reconcile run, as Vercel's cron asks for it."),
    ]
}

/// Does one run, or answers with the one that stands in its way.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let own = auth::reconcile_secrets(&context.config)?;
    let cron = context.config.machine_secrets("CRON_SECRET")?;
    context.ready_to_reconcile()?;
    let caller =
        auth::machine(&auth::bearer(&call.headers)?, &own, &cron).ok_or_else(ApiError::unauthorized)?;
    call.no_body().await?;
    let came = (Instant::now(), call.received_at);
    let request = read(&call, &caller)?;
    let performed = perform(&context, &request).await?;
    // A pass takes only so much at a time: where there is more, others follow.
    let more = request.scope == RunScope::Due
        && matches!(&performed, Performed::Run(answer, _) if !answer.duplicate);
    let reply = answer(performed)?;
    Ok(if more { reply.then(async move { follow(&context, Duration::ZERO, came).await }) } else { reply })
}

/// 200, or 502 or 503 with the same fields where the run ended in error: a scheduler must see that it failed.
pub(super) fn answer(performed: Performed) -> Result<Reply, ApiError> {
    let (answer, failure): (_, Option<Failure>) = match performed {
        Performed::Run(answer, failure) => (answer, failure),
        Performed::NothingDue(answer) => return Reply::ok(&answer),
    };
    let Some(failure) = failure else { return Reply::ok(&answer) };
    let mut error = ApiError::from(&failure);
    if let Ok(Value::Object(fields)) = serde_json::to_value(&answer) {
        error.fields = fields;
    }
    Err(error)
}

/// What is asked for. Errors: 400.
fn read(call: &Call, caller: &auth::Caller) -> Result<RunRequest, ApiError> {
    let parameters = call.parameters(&["scope", "type", "hours"])?;
    let triggered_by =
        if matches!(caller, auth::Caller::Cron) { TriggeredBy::Cron } else { TriggeredBy::Secret };
    if parameters.one_of("scope", SCOPES)? == Some("due") {
        // There is one type of pass, and no sessions are searched.
        if let Some(name) = ["type", "hours"].into_iter().find(|name| parameters.get(name).is_some()) {
            return Err(ApiError::invalid(format!("{name} has no meaning beside scope=due.")));
        }
        let key = RunKey::due(call.received_at);
        return Ok(RunRequest::due(key, triggered_by, Some(call.client())));
    }
    let run_type = parameters
        .one_of("type", RunType::VARIANTS)?
        .and_then(|word| word.parse().ok())
        .unwrap_or(RunType::Scheduled);
    let lookback_hours = parameters.whole_number(&HOURS)?;
    Ok(RunRequest {
        scope: RunScope::All,
        run_type,
        lookback_hours,
        run_key: RunKey::new(run_type, call.received_at, idempotency_key(call, run_type)?),
        triggered_by,
        user: None,
        client: Some(call.client()),
    })
}

/// The `Idempotency-Key`, for the types of run where it has a meaning. Errors: 400 where it is not a UUID or given twice, for
/// every type: a caller who sends one expects something of it.
fn idempotency_key(call: &Call, run_type: RunType) -> Result<Option<Uuid>, ApiError> {
    let mut values = call.headers.get_all("idempotency-key").iter();
    let key = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|text| Uuid::try_parse(text).ok())
            .ok_or_else(|| ApiError::invalid("Idempotency-Key must be a UUID."))?,
        (Some(_), Some(_)) => return Err(ApiError::invalid("Idempotency-Key is given twice.")),
    };
    Ok((!matches!(run_type, RunType::Scheduled | RunType::Manual)).then_some(key))
}
