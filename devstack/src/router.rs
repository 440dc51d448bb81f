//! The platform's edge: static files first, then functions by path, then rewrites, then path parameters, then 404.
//!
//! As on Vercel, a request reaches a function with its path and method as they were and a path parameter appended to
//! the query; the caller's address comes in `x-vercel-forwarded-for`, and nobody else's headers can claim one.
//! Tests that want to be many callers send `x-devstack-client-ip`.

mod connection;
mod files;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use bytes::{Bytes, BytesMut};
use connection::Connector;
use futures::{StreamExt, future, stream};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::functions::Functions;
use crate::vercel::Configuration;

/// The platform's limit for a request's body: 4.5 MB.
const MAX_BODY_BYTES: usize = 4_500_000;

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
    clients: Clients,
}

/// How functions are called.
struct Clients {
    /// On connections that are used again.
    lasting: Client<Connector, Body>,
    /// For requests with a body, each on a connection of its own: a function that answers without reading the body closes the
    /// connection, which must not hit the next request.
    single: Client<Connector, Body>,
}

impl Clients {
    fn new() -> Clients {
        let mut builder = Client::builder(TokioExecutor::new());
        let lasting = builder.build(Connector);
        Clients { lasting, single: builder.pool_max_idle_per_host(0).build(Connector) }
    }
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
        let edge = Arc::new(Edge { functions, configuration, clients: Clients::new() });
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
            return forward(&self.clients, function, prepare(request, peer, &[])).await;
        }
        for (destination, parameters) in self.configuration.rewritten(path) {
            if let Some(file) = files::find(output, destination).await {
                return files::serve(request.method(), &file).await;
            }
            if let Some(function) = self.functions.find(destination) {
                return forward(&self.clients, function, prepare(request, peer, &parameters)).await;
            }
        }
        if let Some((function, parameters)) = self.functions.find_by_parameters(path) {
            return forward(&self.clients, function, prepare(request, peer, &parameters)).await;
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

/// Takes off what concerns one connection only.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

async fn forward(clients: &Clients, function: &crate::functions::Function, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let length_is_told = parts.headers.contains_key(header::CONTENT_LENGTH);
    let body = match read(body).await {
        Ok(Some(body)) => body,
        Ok(None) => {
            let message = "Request Entity Too Large";
            return platform_error(StatusCode::PAYLOAD_TOO_LARGE, "FUNCTION_PAYLOAD_TOO_LARGE", message);
        }
        // The client is gone, so nobody reads this.
        Err(_) => return platform_error(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "Bad request"),
    };
    let failed = "A server error has occurred";
    let address = match function.address().await {
        Ok(address) => address,
        Err(error) => {
            eprintln!("devstack: {error:#}");
            return platform_error(StatusCode::INTERNAL_SERVER_ERROR, "FUNCTION_INVOCATION_FAILED", failed);
        }
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let Ok(uri) = format!("http://{address}{target}").parse() else {
        return platform_error(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "Bad request");
    };
    parts.uri = uri;
    let head = parts.method == Method::HEAD;
    let client = if body.is_empty() { &clients.lasting } else { &clients.single };
    let body = if body.is_empty() || length_is_told {
        Body::from(body)
    } else {
        // In chunks, as it came.
        Body::from_stream(stream::once(future::ready(Ok::<_, Infallible>(body))))
    };
    // Never sent twice: whether the function did its work before it died is not known here.
    match client.request(Request::from_parts(parts, body)).await {
        Ok(response) => {
            let mut response = response.map(Body::new);
            remove_hop_by_hop(response.headers_mut());
            if head { response.map(|_| Body::empty()) } else { response }
        }
        Err(error) => {
            eprintln!("devstack: {} gave no answer: {:#}", function.source.path, anyhow::Error::from(error));
            platform_error(StatusCode::INTERNAL_SERVER_ERROR, "FUNCTION_INVOCATION_FAILED", failed)
        }
    }
}

/// The body, or `None` if it is beyond the platform's limit. As on the platform, it is read to its end before anyone answers:
/// a client that is still sending might miss the answer.
async fn read(body: Body) -> Result<Option<Bytes>, axum::Error> {
    let mut kept = BytesMut::new();
    let mut length = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        length += chunk.len();
        if length <= MAX_BODY_BYTES {
            kept.extend_from_slice(&chunk);
        }
    }
    Ok((length <= MAX_BODY_BYTES).then(|| kept.freeze()))
}
