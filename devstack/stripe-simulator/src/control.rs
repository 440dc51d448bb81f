//! The control endpoint, `/_control`: JSON in, JSON out, for tests that speak HTTP.

use crate::change::{Action, EventInput, InvoiceEventInput, Script, SessionChange, SubscriptionChange};
use crate::delivery_faults::DeliveryFaults;
use crate::faults::{Fault, RateLimit};
use crate::generator::{Generator, Spread, SubscriptionFacts};
use crate::state::State as Simulated;
use crate::stats::Stats;
use crate::webhook::{RegisteredEndpoint, WebhookEndpoint};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Shared = State<Arc<Simulated>>;

/// A mistake of the caller: 400 with a sentence.
struct Mistake(String);

impl IntoResponse for Mistake {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({ "error": self.0 }))).into_response()
    }
}

type Outcome = Result<Json<Value>, Mistake>;

/// The routes below `/_control`.
pub(crate) fn router(state: Arc<Simulated>) -> Router {
    Router::new()
        .route("/_control/health", get(async || Json(json!({ "ok": true }))))
        .route("/_control/facts", get(facts))
        .route("/_control/subscriptions", post(put_subscription).put(put_subscription))
        .route(
            "/_control/subscriptions/{id}",
            get(read_subscription).patch(patch_subscription).delete(delete_subscription),
        )
        .route("/_control/sessions", post(put_session).put(put_session))
        .route("/_control/sessions/{id}", axum::routing::patch(patch_session).delete(delete_session))
        .route("/_control/events", post(put_event))
        .route("/_control/invoice_events", post(put_invoice_event))
        .route(
            "/_control/webhook_endpoints",
            get(webhook_endpoints).post(add_endpoint).delete(remove_endpoints),
        )
        .route("/_control/webhook_endpoints/{id}", put(change_endpoint).delete(remove_endpoint))
        .route("/_control/webhook_endpoints/pause", post(pause_deliveries))
        .route("/_control/webhook_endpoints/resume", post(resume_deliveries))
        .route(
            "/_control/delivery_faults",
            get(delivery_faults).put(set_delivery_faults).delete(clear_delivery_faults),
        )
        .route("/_control/scripts", post(add_script).delete(clear_scripts))
        .route("/_control/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/_control/rate_limit", put(set_rate_limit).delete(clear_rate_limit))
        .route("/_control/missing_permissions", put(set_missing_permissions))
        .route("/_control/stats", get(stats).delete(reset_stats))
        .route("/_control/log", get(log))
        .route("/_control/reset", post(reset))
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(state)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    #[serde(default)]
    from: u32,
    #[serde(default = "a_page")]
    count: u32,
}

fn a_page() -> u32 {
    100
}

async fn facts(State(state): Shared, Query(span): Query<Span>) -> Json<Vec<SubscriptionFacts>> {
    let generator = state.generator();
    let end = span.from.saturating_add(span.count).min(generator.len());
    Json((span.from..end).map(|index| generator.facts(index)).collect())
}

fn outcome(result: Result<Value, String>) -> Outcome {
    result.map(Json).map_err(Mistake)
}

async fn put_subscription(State(state): Shared, Json(change): Json<SubscriptionChange>) -> Outcome {
    outcome(state.apply(Action::PutSubscription(change)))
}

async fn patch_subscription(
    State(state): Shared,
    Path(id): Path<String>,
    Json(change): Json<SubscriptionChange>,
) -> Outcome {
    outcome(state.apply(Action::PatchSubscription(SubscriptionChange { id: Some(id), ..change })))
}

async fn read_subscription(State(state): Shared, Path(id): Path<String>) -> Outcome {
    outcome(state.subscription(&id).ok_or(format!("no subscription {id}")))
}

async fn delete_subscription(State(state): Shared, Path(id): Path<String>) -> Outcome {
    outcome(state.apply(Action::DeleteSubscription(id)))
}

async fn put_session(State(state): Shared, Json(change): Json<SessionChange>) -> Outcome {
    outcome(state.apply(Action::PutSession(change)))
}

async fn patch_session(
    State(state): Shared,
    Path(id): Path<String>,
    Json(change): Json<SessionChange>,
) -> Outcome {
    outcome(state.apply(Action::PatchSession(SessionChange { id: Some(id), ..change })))
}

async fn delete_session(State(state): Shared, Path(id): Path<String>) -> Outcome {
    outcome(state.apply(Action::DeleteSession(id)))
}

async fn put_event(State(state): Shared, Json(event): Json<EventInput>) -> Outcome {
    outcome(state.apply(Action::PutEvent(event)))
}

async fn put_invoice_event(State(state): Shared, Json(event): Json<InvoiceEventInput>) -> Outcome {
    outcome(state.apply(Action::PutInvoiceEvent(event)))
}

async fn webhook_endpoints(State(state): Shared) -> Json<Vec<RegisteredEndpoint>> {
    Json(state.webhook_endpoints())
}

/// Over HTTP nobody can take deliveries but where they are sent: without a URL they would be waited for in vain.
fn with_url(endpoint: WebhookEndpoint) -> Result<WebhookEndpoint, String> {
    if endpoint.url.is_some() { Ok(endpoint) } else { Err("the endpoint needs a url".to_owned()) }
}

async fn add_endpoint(State(state): Shared, Json(endpoint): Json<WebhookEndpoint>) -> Outcome {
    let id = with_url(endpoint).and_then(|endpoint| state.add_webhook_endpoint(endpoint));
    outcome(id.map(|id| json!({ "id": id })))
}

async fn change_endpoint(
    State(state): Shared,
    Path(id): Path<String>,
    Json(endpoint): Json<WebhookEndpoint>,
) -> Outcome {
    let changed = with_url(endpoint).and_then(|endpoint| state.change_webhook_endpoint(&id, endpoint));
    outcome(changed.map(|()| json!({ "id": id })))
}

async fn remove_endpoint(State(state): Shared, Path(id): Path<String>) -> Outcome {
    outcome(state.remove_webhook_endpoint(&id).map(|()| Value::Null))
}

async fn remove_endpoints(State(state): Shared) -> Outcome {
    let all = state.webhook_endpoints();
    let removed = all.iter().try_for_each(|endpoint| state.remove_webhook_endpoint(&endpoint.id));
    outcome(removed.map(|()| Value::Null))
}

async fn pause_deliveries(State(state): Shared) -> StatusCode {
    state.pause_deliveries(true);
    StatusCode::NO_CONTENT
}

async fn resume_deliveries(State(state): Shared) -> StatusCode {
    state.pause_deliveries(false);
    StatusCode::NO_CONTENT
}

async fn delivery_faults(State(state): Shared) -> Json<DeliveryFaults> {
    Json(state.delivery_faults())
}

async fn set_delivery_faults(State(state): Shared, Json(faults): Json<DeliveryFaults>) -> Outcome {
    outcome(state.set_delivery_faults(faults).map(|()| Value::Null))
}

async fn clear_delivery_faults(State(state): Shared) -> Outcome {
    outcome(state.set_delivery_faults(DeliveryFaults::default()).map(|()| Value::Null))
}

async fn add_script(State(state): Shared, Json(script): Json<Script>) -> StatusCode {
    state.add_script(script);
    StatusCode::NO_CONTENT
}

async fn clear_scripts(State(state): Shared) -> StatusCode {
    state.clear_scripts();
    StatusCode::NO_CONTENT
}

async fn list_faults(State(state): Shared) -> Json<Vec<Fault>> {
    Json(state.faults())
}

async fn add_fault(State(state): Shared, Json(fault): Json<Fault>) -> StatusCode {
    state.add_fault(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(state): Shared) -> StatusCode {
    state.clear_faults();
    StatusCode::NO_CONTENT
}

async fn set_rate_limit(State(state): Shared, Json(limit): Json<RateLimit>) -> StatusCode {
    state.set_rate_limit(Some(limit));
    StatusCode::NO_CONTENT
}

async fn clear_rate_limit(State(state): Shared) -> StatusCode {
    state.set_rate_limit(None);
    StatusCode::NO_CONTENT
}

async fn set_missing_permissions(State(state): Shared, Json(permissions): Json<Vec<String>>) -> StatusCode {
    state.set_missing_permissions(permissions);
    StatusCode::NO_CONTENT
}

async fn stats(State(state): Shared) -> Json<Stats> {
    Json(state.stats())
}

async fn reset_stats(State(state): Shared) -> StatusCode {
    state.reset_stats();
    StatusCode::NO_CONTENT
}

async fn log(State(state): Shared) -> Json<Vec<String>> {
    Json(state.with_stats(|stats| stats.log.clone()))
}

/// What is not given stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    seed: Option<u64>,
    subscriptions: Option<u32>,
    spread: Option<Spread>,
}

async fn reset(State(state): Shared, Json(reset): Json<Reset>) -> StatusCode {
    let old = state.generator();
    let generator = Generator::new(
        reset.seed.unwrap_or_else(|| old.seed()),
        reset.subscriptions.unwrap_or_else(|| old.len()),
    );
    let spread = reset.spread.unwrap_or_else(|| old.spread_of_created());
    state.reset(generator.at(state.now()).spread(spread).livemode(old.is_livemode()));
    StatusCode::NO_CONTENT
}
