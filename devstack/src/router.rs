//! The platform's edge: static files first, then functions by path, then rewrites, then path parameters, then 404.
//!
//! As on Vercel, a request reaches a function with its path and method as they were and a path parameter appended to
//! the query; the caller's address comes in `x-vercel-forwarded-for`, and nobody else's headers can claim one.
//! Tests that want to be many callers send `x-devstack-client-ip`.

mod files;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::functions::Functions;
use crate::vercel::Configuration;

/// The platform's limit for a request's body: 4.5 MB.
const MAX_BODY_BYTES: u64 = 4_500_000;

/// Headers that concern one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: &[HeaderName] = &[
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A running router; dropping it stops it.
#[derive(Debug)]
pub struct Router {
    url: String,
    task: JoinHandle<()>,
}

struct Edge {
    functions: Arc<Functions>,
    configuration: Configuration,
    client: Client<HttpConnector, Body>,
}

impl Router {
    /// Serves on `port` of 127.0.0.1, or on a free one if that is taken.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(port: u16, functions: Arc<Functions>, configuration: Configuration) -> Result<Router> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
        };
        let url = format!("http://{}", listener.local_addr()?);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let edge = Arc::new(Edge { functions, configuration, client });
        let app = axum::Router::new()
            .route("/_devstack/functions", axum::routing::get(list))
            .fallback(serve)
            .with_state(edge)
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = listener.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("devstack: the router stopped: {error}");
            }
        });
        Ok(Router { url, task })
    }

    /// The deployment's URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `GET /_devstack/functions`: which function runs as which process, for tests that kill one and for benches.
async fn list(State(edge): State<Arc<Edge>>) -> Json<Value> {
    let mut functions = Vec::new();
    for function in edge.functions.iter() {
        functions.push(json!({
            "path": function.source.path, "binary": function.source.binary,
            "pid": function.process_id().await, "starts": function.starts(),
        }));
    }
    Json(json!({"functions": functions}))
}

async fn serve(
    State(edge): State<Arc<Edge>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = edge.answer(&path, peer, request).await;
    for (name, value) in edge.configuration.headers_for(&path) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

impl Edge {
    /// In the order of the routes that `vercel build` writes: files and functions at this very path, rewrites, then
    /// functions by parameters.
    async fn answer(&self, path: &str, peer: SocketAddr, request: Request) -> Response {
        let output = &self.configuration.output;
        if let Some(file) = files::find(output, path).await {
            return files::serve(request.method(), &file).await;
        }
        if let Some(function) = self.functions.find(path) {
            return forward(&self.client, function, prepare(request, peer, &[])).await;
        }
        for (destination, parameters) in self.configuration.rewritten(path) {
            if let Some(file) = files::find(output, destination).await {
                return files::serve(request.method(), &file).await;
            }
            if let Some(function) = self.functions.find(destination) {
                return forward(&self.client, function, prepare(request, peer, &parameters)).await;
            }
        }
        if let Some((function, parameters)) = self.functions.find_by_parameters(path) {
            return forward(&self.client, function, prepare(request, peer, &parameters)).await;
        }
        platform_error(StatusCode::NOT_FOUND, "NOT_FOUND", "The page could not be found")
    }
}

fn platform_error(status: StatusCode, code: &'static str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "message": message}});
    (status, [("x-vercel-error", code)], Json(body)).into_response()
}

/// The request as the function gets it.
fn prepare(mut request: Request, peer: SocketAddr, parameters: &[(&str, &str)]) -> Request {
    *request.uri_mut() = with_parameters(request.uri(), parameters);
    let headers = request.headers_mut();
    let client = headers
        .remove("x-devstack-client-ip")
        .filter(|value| !value.is_empty())
        .or_else(|| HeaderValue::from_str(&peer.ip().to_string()).ok());
    let forged: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            name.as_str().starts_with("x-vercel-") || matches!(name.as_str(), "x-forwarded-for" | "x-real-ip")
        })
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
    remove_hop_by_hop(headers);
    if let Some(client) = client {
        headers.insert("x-vercel-forwarded-for", client);
    }
    request
}

/// Vercel appends path parameters to the query; one that the caller sent under the same name stays as it is.
fn with_parameters(uri: &Uri, parameters: &[(&str, &str)]) -> Uri {
    let query = uri.query().unwrap_or_default();
    let sent = |name: &str| url::form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == name);
    let added =
        parameters.iter().filter(|(name, _)| !sent(name)).map(|(name, value)| format!("{name}={value}"));
    let query: Vec<String> = (!query.is_empty()).then(|| query.to_owned()).into_iter().chain(added).collect();
    let target =
        if query.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), query.join("&")) };
    // Parts of a URI that was one before.
    target.parse().unwrap_or_else(|_| uri.clone())
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

async fn forward(
    client: &Client<HttpConnector, Body>,
    function: &crate::functions::Function,
    mut request: Request,
) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > MAX_BODY_BYTES) {
        let message = "Request Entity Too Large";
        return platform_error(StatusCode::PAYLOAD_TOO_LARGE, "FUNCTION_PAYLOAD_TOO_LARGE", message);
    }
    let failed = "A server error has occurred";
    let address = match function.address().await {
        Ok(address) => address,
        Err(error) => {
            eprintln!("devstack: {error:#}");
            return platform_error(StatusCode::INTERNAL_SERVER_ERROR, "FUNCTION_INVOCATION_FAILED", failed);
        }
    };
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let Ok(uri) = format!("http://{address}{target}").parse() else {
        return platform_error(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "Bad request");
    };
    *request.uri_mut() = uri;
    let head = request.method() == Method::HEAD;
    // Never sent twice: whether the function did its work before it died is not known here.
    match client.request(request).await {
        Ok(response) => {
            let mut response = response.map(Body::new);
            remove_hop_by_hop(response.headers_mut());
            if head { response.map(|_| Body::empty()) } else { response }
        }
        Err(error) => {
            eprintln!("devstack: {} gave no answer: {error}", function.source.path);
            platform_error(StatusCode::INTERNAL_SERVER_ERROR, "FUNCTION_INVOCATION_FAILED", failed)
        }
    }
}
