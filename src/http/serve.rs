//! From the runtime's request to a handler and back, whatever the handler does.
//!
//! A handler's work runs inside `AppState::wait_until` and hands its answer over a channel. So a panic becomes a clean 500
//! (the runtime would close the connection without a word), SIGTERM waits for work in flight (the runtime drops handlers at
//! once), and a caller that hangs up does not stop a run half way.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use http::header::HeaderValue;
use http::{Method, Response, StatusCode};
use tokio::sync::oneshot;
use tracing::Instrument as _;
use vercel_runtime::{AppState, Request, ResponseBody};

use crate::config::Config;
use crate::context::Context;
use crate::http::call::Call;
use crate::http::error::ApiError;
use crate::http::origin::{allow_origin, other_origin};
use crate::http::reply::{self, Reply};
use crate::{log, supabase};

/// What an endpoint says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Its route as a template, for the log: an id in a path does not make a new route.
    pub route: &'static str,
    /// The methods it answers, OPTIONS aside.
    pub methods: &'static [Method],
}

impl Endpoint {
    fn allow(&self) -> HeaderValue {
        let names: Vec<&str> = self.methods.iter().map(Method::as_str).chain(["OPTIONS"]).collect();
        HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
    }
}

/// Serves one endpoint for the life of the process: the whole of a function's `main`.
///
/// Errors: those of the runtime, where the port cannot be had.
pub async fn serve<H, F>(endpoint: Endpoint, handler: H) -> Result<(), vercel_runtime::Error>
where
    H: Fn(Arc<Context>, Call) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    let config = Config::from_env();
    log::start(&config);
    let context = Arc::new(Context::new(config));
    // The clients cost half of a cold start: they are built while the listener comes up and the first request arrives.
    context.watch_for_sigterm();
    let warm = Arc::clone(&context);
    tokio::task::spawn_blocking(move || warm.warm_up());

    vercel_runtime::run(vercel_runtime::service_fn(move |request: Request, state: AppState| {
        let context = Arc::clone(&context);
        async move { Ok::<_, vercel_runtime::Error>(answer(endpoint, handler, context, request, &state).await) }
    }))
    .await
}

async fn answer<H, F>(
    endpoint: Endpoint,
    handler: H,
    context: Arc<Context>,
    request: Request,
    state: &AppState,
) -> Response<ResponseBody>
where
    H: Fn(Arc<Context>, Call) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    let call = Call::new(request);
    let (started, request_id, method) = (Instant::now(), call.request_id, call.method.clone());
    let (sender, receiver) = oneshot::channel();
    state.wait_until(async move {
        let span = tracing::info_span!("request", %request_id, route = endpoint.route);
        let response = guarded(endpoint, handler, context, call).instrument(span).await;
        // Nobody listens where the caller hung up; the work is done all the same.
        let _ = sender.send(response);
    });
    receiver.await.unwrap_or_else(|_| {
        // The line that says where it panicked has the same request id.
        let error = ApiError::internal("the handler panicked");
        let span = tracing::info_span!("request", %request_id, route = endpoint.route);
        span.in_scope(|| write_log_line(&method, Err(&error), started, 0));
        reply::response(Err(error), request_id)
    })
}

/// Method, origin, handler, log line.
async fn guarded<H, F>(
    endpoint: Endpoint,
    handler: H,
    context: Arc<Context>,
    call: Call,
) -> Response<ResponseBody>
where
    H: Fn(Arc<Context>, Call) -> F,
    F: Future<Output = Result<Reply, ApiError>>,
{
    let started = Instant::now();
    let (request_id, method) = (call.request_id, call.method.clone());
    let (other_origin, own_page) = match other_origin(&call.headers) {
        Some(origin) => (Some(origin), false),
        None => (None, true),
    };
    let admitted = match context.config.dashboard_origin() {
        Ok(allowed) => other_origin.filter(|origin| allowed.as_deref() == Some(origin.as_str())),
        Err(_) => None,
    };

    let mut round_trips = 0;
    let mut response = if method == Method::OPTIONS {
        write_log_line(&method, Ok(StatusCode::NO_CONTENT), started, 0);
        reply::options(endpoint.allow(), request_id)
    } else {
        let outcome = if !endpoint.methods.contains(&method) {
            Err(ApiError::method_not_allowed(endpoint.allow()))
        } else if !own_page && admitted.is_none() {
            Err(ApiError::forbidden("Pages of other origins may not call this."))
        } else {
            let (outcome, trips) = supabase::counting_round_trips(handler(context, call)).await;
            round_trips = trips;
            outcome
        };
        write_log_line(&method, outcome.as_ref().map(Reply::status), started, round_trips);
        reply::response(outcome, request_id)
    };
    if let Some(origin) = admitted {
        allow_origin(response.headers_mut(), &origin, endpoint.allow());
    }
    response
}

/// One line for each request. What a caller did wrong is information; what went wrong here is an error.
fn write_log_line(
    method: &Method,
    outcome: Result<StatusCode, &ApiError>,
    started: Instant,
    round_trips: u32,
) {
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(status) => {
            tracing::info!(%method, status = status.as_u16(), duration_ms, round_trips, "request");
        }
        Err(error) => {
            let (status, code) = (error.status.as_u16(), error.code);
            let detail = error.detail.as_deref().unwrap_or_default();
            if error.status.is_server_error() {
                tracing::error!(%method, status, code, detail, duration_ms, round_trips, "request");
            } else {
                tracing::info!(%method, status, code, detail, duration_ms, round_trips, "request");
            }
        }
    }
}
