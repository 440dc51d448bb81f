//! `/rest/v1`: API keys and faults first, then PostgREST.
//!
//! Where a genuine PostgREST runs, it answers. Where postrust's answer differs from PostgREST's, it is corrected here: a refusal for want of permission is 403 to
//! whoever has signed in, an outage is 503, and a table that nobody may touch exists all the same.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::Deserialize;

use super::control::Outage;
use super::refusal::{refuse, unavailable};
use super::{MAX_BODY_BYTES, Shared, api_keys, rpc};

const PREFIX: &str = "/rest/v1";

pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let verdict = shared.control.judge(request.uri().path());
    if !verdict.latency.is_zero() {
        tokio::time::sleep(verdict.latency).await;
    }
    match verdict.outage {
        None => serve(&shared, request).await,
        Some(outage) => {
            if verdict.after_the_work {
                serve(&shared, request).await;
            }
            fail(outage).await
        }
    }
}

async fn fail(outage: Outage) -> Response {
    match outage {
        Outage::Unavailable => unavailable(None),
        Outage::Drop => {
            let cut = stream::once(async { Ok(Bytes::from_static(b"{")) })
                .chain(stream::once(async { Err(std::io::Error::other("cut on purpose")) }));
            let mut response = Response::new(Body::from_stream(cut));
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("1000"));
            response
        }
        Outage::Stall => std::future::pending().await,
        Outage::Garbage => {
            ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], "{\"ok\": tru").into_response()
        }
    }
}

async fn serve(shared: &Shared, mut request: Request) -> Response {
    let query = request.uri().query().map(str::to_owned);
    if let Err(refused) = api_keys::admit(&shared.keys, request.headers_mut(), query.as_deref()) {
        return refused.into_response();
    }
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
    if let Some(genuine) = &shared.genuine {
        *request.uri_mut() = without_prefix(&path, query.as_deref());
        return genuine.handle(request).await;
    }
    let caller = match postrust_engine::authenticate(shared.postrust.as_ref(), request.headers()).await {
        Ok(caller) => caller,
        Err(error) => {
            return from_postrust(postrust_engine::error_response_for(&shared.postrust.config, error));
        }
    };
    if request.method() == Method::POST
        && let Some(function) = path.strip_prefix("/rpc/")
        && rpc::is_plain(&request)
        && let Some(overloads) = rpc::callable(shared, function)
    {
        let function = function.to_owned();
        let (parts, body) = request.into_parts();
        return match axum::body::to_bytes(body, MAX_BODY_BYTES).await {
            Ok(body) => rpc::call(shared, &function, &overloads, &parts.headers, &caller, body).await,
            Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        };
    }
    *request.uri_mut() = without_prefix(&path, query.as_deref());
    let response = from_postrust(postrust_engine::handle(shared.postrust.as_ref(), request).await);
    if response.status().is_success() {
        return response;
    }
    correct(shared, &caller.role, &path, response).await
}

fn without_prefix(path: &str, query: Option<&str>) -> Uri {
    let path = if path.is_empty() { "/" } else { path };
    // The key was for the gateway; PostgREST would take it for a filter.
    let query: Vec<&str> = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.starts_with("apikey="))
        .collect();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
    // Part of a URI that was one before.
    target.parse().unwrap_or_default()
}

fn from_postrust(response: axum::http::Response<Bytes>) -> Response {
    response.map(Body::from)
}

#[derive(Deserialize)]
struct ErrorBody {
    code: Option<String>,
}

async fn correct(shared: &Shared, role: &str, path: &str, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let code = serde_json::from_slice::<ErrorBody>(&body).ok().and_then(|body| body.code).unwrap_or_default();
    match code.as_str() {
        "42501" if role != "anon" => {
            parts.status = StatusCode::FORBIDDEN;
            parts.headers.remove(header::WWW_AUTHENTICATE);
        }
        "PGRST500" => return unavailable(None),
        "PGRST205" => {
            if let Some(refusal) = refused_table(shared, role, path).await {
                return refusal;
            }
        }
        _ => {}
    }
    Response::from_parts(parts, Body::from(body))
}

/// postrust does not see tables without any grant; PostgREST does, and Postgres refuses them.
async fn refused_table(shared: &Shared, role: &str, path: &str) -> Option<Response> {
    let table = path.trim_matches('/');
    let client = shared.rest_pool.get().await.ok()?;
    let exists = client
        .query_opt(
            "select 1 from pg_catalog.pg_class as relation
             where relation.relnamespace = 'public'::pg_catalog.regnamespace
               and relation.relname = $1 and relation.relkind in ('r', 'p', 'v', 'm', 'f')",
            &[&table],
        )
        .await
        .ok()?;
    exists?;
    let status = if role == "anon" { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
    let message = format!("permission denied for table {table}");
    Some(refuse(status, "42501", &message, None))
}
