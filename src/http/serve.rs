//! From the runtime's request to a handler and back, whatever the handler does.
//!
//! A handler's work runs inside `AppState::wait_until` and hands its answer over a channel. So a panic becomes a clean 500
//! (the runtime would close the connection without a word), SIGTERM waits for work in flight (the runtime drops handlers at
//! once), and a caller that hangs up does not stop a run half way.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::future::{BoxFuture, FutureExt as _};
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
use crate::notify::deliver::deliver_news;
use crate::{log, supabase};

/// What an endpoint says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Its route as a template, for the log: an id in a path does not make a new route.
    pub route: &'static str,
    /// The methods it answers, OPTIONS aside.
    pub methods: &'static [Method],
}

/// Stands for a path that no endpoint of a function has.
const NOT_THERE: Endpoint = Endpoint { route: "/api/*", methods: &[] };

impl Endpoint {
    fn allow(&self) -> HeaderValue {
        let names: Vec<&str> = self.methods.iter().map(Method::as_str).chain(["OPTIONS"]).collect();
        HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
    }
}

/// How an endpoint answers a call.
type Handler = Box<dyn Fn(Arc<Context>, Call) -> BoxFuture<'static, Result<Reply, ApiError>> + Send + Sync>;

/// An endpoint with its handler.
pub struct Route {
    endpoint: Endpoint,
    handler: Handler,
}

impl Route {
    /// Joins an endpoint and the function that answers it.
    pub fn new<H, F>(endpoint: Endpoint, handler: H) -> Self
    where
        H: Fn(Arc<Context>, Call) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
    {
        Self { endpoint, handler: Box::new(move |context, call| handler(context, call).boxed()) }
    }

    /// Whether a path is of this route: segment by segment, `{…}` standing for any. A slash at the end does not count.
    fn matches(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        let (own, asked) = (self.endpoint.route.split('/'), path.split('/'));
        own.clone().count() == asked.clone().count()
            && own.zip(asked).all(|(own, asked)| own == asked || (own.starts_with('{') && !asked.is_empty()))
    }
}

/// Serves one endpoint for the life of the process: the whole of a function's `main`.
///
/// Errors: those of the runtime, where the port cannot be had.
pub async fn serve<H, F>(endpoint: Endpoint, handler: H) -> Result<(), vercel_runtime::Error>
where
    H: Fn(Arc<Context>, Call) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    serve_all(vec![Route::new(endpoint, handler)]).await
}

/// The same for a function that several paths lead to. The path tells which of them was asked for, never the query, where a caller
/// could say anything. A path that is none of them is not there.
///
/// Errors: those of the runtime, where the port cannot be had.
pub async fn serve_all(routes: Vec<Route>) -> Result<(), vercel_runtime::Error> {
    let config = Config::from_env();
    log::start(&config);
    let context = Arc::new(Context::new(config));
    // The clients cost half of a cold start: they are built while the listener comes up and the first request arrives.
    context.watch_for_sigterm();
    let warm = Arc::clone(&context);
    tokio::task::spawn_blocking(move || warm.warm_up());

    let routes = Arc::new(routes);
    vercel_runtime::run(vercel_runtime::service_fn(move |request: Request, state: AppState| {
        let (context, routes) = (Arc::clone(&context), Arc::clone(&routes));
        async move { Ok::<_, vercel_runtime::Error>(answer(&routes, context, request, &state).await) }
    }))
    .await
}

async fn answer(
    routes: &Arc<Vec<Route>>,
    context: Arc<Context>,
    request: Request,
    state: &AppState,
) -> Response<ResponseBody> {
    let call = Call::new(request);
    // A function of one endpoint answers whatever leads to it: the platform knows why.
    let place = match routes.as_slice() {
        [_] => Some(0),
        several => several.iter().position(|route| route.matches(call.uri.path())),
    };
    let endpoint = place.map_or(NOT_THERE, |place| routes[place].endpoint);
    let (started, request_id, method) = (Instant::now(), call.request_id, call.method.clone());
    let (sender, receiver) = oneshot::channel();
    let routes = Arc::clone(routes);
    state.wait_until(async move {
        let span = tracing::info_span!("request", %request_id, route = endpoint.route);
        let handler = place.map(|place| &routes[place].handler);
        let (response, after) =
            guarded(endpoint, handler, Arc::clone(&context), call).instrument(span.clone()).await;
        // Nobody listens where the caller hung up; the work is done all the same.
        let _ = sender.send(response);
        // Nor does anybody wait for what people are told about it.
        if context.take_news() {
            deliver_news(&context, started.elapsed())
                .instrument(tracing::info_span!("notify", %request_id))
                .await;
        }
        if let Some(after) = after {
            after.instrument(span).await;
        }
    });
    receiver.await.unwrap_or_else(|_| {
        // The line that says where it panicked has the same request id.
        let error = ApiError::internal("the handler panicked");
        let span = tracing::info_span!("request", %request_id, route = endpoint.route);
        span.in_scope(|| write_log_line(&method, Err(&error), started, 0));
        reply::response(Err(error), request_id)
    })
}

/// Method, origin, handler, log line; and what is to be done once the answer is on its way. Without a handler the path is not there,
/// whatever the method.
async fn guarded(
    endpoint: Endpoint,
    handler: Option<&Handler>,
    context: Arc<Context>,
    call: Call,
) -> (Response<ResponseBody>, Option<BoxFuture<'static, ()>>) {
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

    let (mut round_trips, mut after) = (0, None);
    let mut response = if method == Method::OPTIONS {
        write_log_line(&method, Ok(StatusCode::NO_CONTENT), started, 0);
        reply::options(endpoint.allow(), request_id)
    } else {
        let outcome = match handler {
            None => Err(ApiError::not_found("path")),
            Some(_) if !endpoint.methods.contains(&method) => {
                Err(ApiError::method_not_allowed(endpoint.allow()))
            }
            Some(_) if !own_page && admitted.is_none() => {
                Err(ApiError::forbidden("Pages of other origins may not call this."))
            }
            Some(handler) => {
                let (mut outcome, trips) = supabase::counting_round_trips(handler(context, call)).await;
                round_trips = trips;
                after = outcome.as_mut().ok().and_then(Reply::take_after);
                outcome
            }
        };
        write_log_line(&method, outcome.as_ref().map(Reply::status), started, round_trips);
        reply::response(outcome, request_id)
    };
    if let Some(origin) = admitted {
        allow_origin(response.headers_mut(), &origin, endpoint.allow());
    }
    (response, after)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_endpoint_whatever_its_query_says() {
        let route = |route: &'static str| {
            Route::new(Endpoint { route, methods: &[] }, |_, _| async { Err(ApiError::not_found("path")) })
        };
        let approve = route("/api/admin/drift/{id}/approve");
        assert!(
            approve.matches("/api/admin/drift/17/approve") && approve.matches("/api/admin/drift/17/approve/")
        );
        for other in
            ["/api/admin/drift/17/revert", "/api/admin/drift/approve", "/api/admin/drift//approve", "/"]
        {
            assert!(!approve.matches(other), "{other}");
        }
        assert!(!route("/api/admin/drift").matches("/api/admin/drift/approve"));
    }
}
