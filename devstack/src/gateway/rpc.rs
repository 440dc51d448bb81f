//! Calls of database functions: `POST /rest/v1/rpc/<function>` with a JSON object.
//!
//! postrust differs from PostgREST in exactly these calls, and in ways that cannot be put right from outside: a JSON
//! null argument turns into an empty text, a composite argument fails, STABLE functions may write, a function's own
//! `statement_timeout` and the row limit are ignored. So the plain calls, which are all that billing-ops makes, are run
//! here in PostgREST's own way: the body goes to Postgres as it came, `json_to_record` makes the arguments of it, and
//! Postgres makes the answer. The statements of one call travel together, in one round trip.
//!
//! What is left to postrust: GET, filters and `select` on a result, unnamed and variadic arguments, other media types.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use deadpool_postgres::PoolError;
use postrust_auth::AuthResult;
use postrust_core::error::DatabaseError;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

use super::catalog::{Function, Returns};
use super::refusal::{refuse, unavailable};
use super::{MAX_ROWS, Shared};

/// The role's settings before the role, the role before what it says about the request: PostgREST's order.
const SETTINGS: &str = "select set_config('statement_timeout', $1, true), set_config('role', $2, true), \
    set_config('request.jwt.claims', $3, true), set_config('request.method', 'POST', true), \
    set_config('request.path', $4, true), set_config('request.headers', $5, true), \
    set_config('request.cookies', '{}', true), set_config('search_path', '\"public\", \"extensions\"', true)";

/// Whether nothing about the request asks for more than a call and its answer as JSON.
pub(super) fn is_plain(request: &Request) -> bool {
    let header = |name: &str| request.headers().get(name).map_or(Some(""), |value| value.to_str().ok());
    let json = |value: &str| value.is_empty() || value == "*/*" || value.starts_with("application/json");
    request.uri().query().is_none()
        && header("content-type").is_some_and(json)
        && header("accept").is_some_and(json)
        && header("prefer").is_some_and(|prefer| !prefer.contains("count=") && !prefer.contains("params="))
        && header("content-profile").is_some_and(|profile| profile.is_empty() || profile == "public")
}

/// The overloads of `function`, if this module can call them all.
pub(super) fn callable(shared: &Shared, function: &str) -> Option<Vec<Arc<Function>>> {
    let overloads = shared.catalog.overloads(function);
    let plain = |function: &Arc<Function>| {
        function.arguments.iter().all(|argument| !argument.name.is_empty() && !argument.variadic)
    };
    (!overloads.is_empty() && overloads.iter().all(plain)).then_some(overloads)
}

/// Calls the overload that takes the arguments of `body`, as `caller`.
pub(super) async fn call(
    shared: &Shared,
    name: &str,
    overloads: &[Arc<Function>],
    headers: &HeaderMap,
    caller: &AuthResult,
    body: Bytes,
) -> Response {
    let text = match std::str::from_utf8(&body) {
        Ok("") => "{}",
        Ok(text) => text,
        Err(_) => return refuse(StatusCode::BAD_REQUEST, "PGRST102", "Empty or invalid json", None),
    };
    let Ok(arguments) = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text) else {
        return refuse(StatusCode::BAD_REQUEST, "PGRST102", "Empty or invalid json", None);
    };
    let fitting: Vec<&Arc<Function>> =
        overloads.iter().filter(|function| fits(function, &arguments)).collect();
    let function = match fitting.as_slice() {
        [function] => *function,
        [] => return not_found(name, &arguments),
        _ => {
            let message =
                format!("Could not choose the best candidate function between overloads of public.{name}");
            return refuse(StatusCode::MULTIPLE_CHOICES, "PGRST203", &message, None);
        }
    };
    match run(shared, function, &arguments, headers, caller, text).await {
        Ok(answer) => answer.into_response(function.returns),
        Err(failure) => failure.into_response(shared, &caller.role),
    }
}

fn fits(function: &Function, given: &BTreeMap<String, IgnoredAny>) -> bool {
    let known = given.keys().all(|name| function.arguments.iter().any(|argument| argument.name == *name));
    let enough =
        function.arguments.iter().all(|argument| !argument.required || given.contains_key(&argument.name));
    known && enough
}

/// What the call answered.
struct Answer {
    body: String,
    status: Option<String>,
    headers: Option<String>,
}

/// Why there is no answer.
enum Failure {
    /// No connection became free in time.
    Busy,
    /// The connection could not be made, or broke; what exactly happened goes to `details`.
    Lost(String),
    /// Postgres refused.
    Refused(Box<DatabaseError>),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        let Some(refusal) = error.as_db_error() else { return Failure::Lost(error.to_string()) };
        Failure::Refused(Box::new(DatabaseError {
            code: refusal.code().code().to_owned(),
            message: refusal.message().to_owned(),
            details: refusal.detail().map(str::to_owned),
            hint: refusal.hint().map(str::to_owned),
            constraint: refusal.constraint().map(str::to_owned),
            table: refusal.table().map(str::to_owned),
            column: refusal.column().map(str::to_owned),
        }))
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Failure {
        match error {
            PoolError::Timeout(_) => Failure::Busy,
            other => Failure::Lost(other.to_string()),
        }
    }
}

async fn run(
    shared: &Shared,
    function: &Function,
    arguments: &BTreeMap<String, IgnoredAny>,
    headers: &HeaderMap,
    caller: &AuthResult,
    body: &str,
) -> Result<Answer, Failure> {
    let client = shared.rest_pool.get().await?;
    let settings = client.prepare_cached(SETTINGS).await?;
    let statement = client.prepare_cached(&statement(function, arguments)).await?;
    let begin = if function.read_only { "begin read only" } else { "begin" };
    let timeout = function.statement_timeout.as_deref().unwrap_or_else(|| shared.timeouts.of(&caller.role));
    let claims = claims(caller);
    let path = format!("/rpc/{}", function.name);
    let headers = headers_as_json(headers);
    let values: [&(dyn ToSql + Sync); 5] = [&timeout, &caller.role, &claims, &path, &headers];
    let payload: [&(dyn ToSql + Sync); 1] = [&body];
    // Sent in this order and in one go; the first failure makes Postgres refuse the rest and roll back.
    let (begun, set, rows, committed) = tokio::join!(
        biased;
        client.batch_execute(begin),
        client.execute(&settings, &values),
        client.query(&statement, &payload),
        client.batch_execute("commit"),
    );
    begun?;
    set?;
    let rows = rows?;
    // A deferred constraint speaks up only now.
    committed?;
    let row = rows.first().ok_or_else(|| Failure::Lost("the call answered without a row".to_owned()))?;
    Ok(Answer { body: row.try_get(0)?, status: row.try_get(1)?, headers: row.try_get(2)? })
}

/// The statement that calls `function` with the members of `$1`, and makes JSON of what it answers.
fn statement(function: &Function, given: &BTreeMap<String, IgnoredAny>) -> String {
    let arguments: Vec<_> =
        function.arguments.iter().filter(|argument| given.contains_key(&argument.name)).collect();
    let mut columns = String::new();
    let mut passed = String::new();
    for argument in &arguments {
        let separator = if columns.is_empty() { "" } else { ", " };
        let name = quoted(&argument.name);
        // Writing to a String cannot fail.
        let _ = write!(columns, "{separator}{name} {}", argument.sql_type);
        let _ = write!(passed, "{separator}{name} := pgrst_args.{name}");
    }
    let call = format!("public.{}({passed})", quoted(&function.name));
    let source = if arguments.is_empty() {
        // The parameter must occur, or Postgres could not tell its type.
        "(select $1::text) as pgrst_payload".to_owned()
    } else {
        format!(
            "(select $1::text::json as json_data) as pgrst_payload, \
             lateral json_to_record(pgrst_payload.json_data) as pgrst_args ({columns})"
        )
    };
    let (result, body) = match function.returns {
        Returns::Nothing => (value(&call), "''"),
        Returns::Value => (value(&call), "coalesce(to_json(pgrst_source.pgrst_scalar)::text, 'null')"),
        Returns::Values => (value(&call), "coalesce(json_agg(pgrst_source.pgrst_scalar)::text, '[]')"),
        Returns::Row => (rows(&call), "coalesce((json_agg(pgrst_source) -> 0)::text, 'null')"),
        Returns::Rows => (rows(&call), "coalesce(json_agg(pgrst_source)::text, '[]')"),
    };
    format!(
        "with pgrst_source as (select pgrst_call.* from {source}, lateral {result} limit {MAX_ROWS}) \
         select {body}, nullif(current_setting('response.status', true), ''), \
         nullif(current_setting('response.headers', true), '') from pgrst_source"
    )
}

fn value(call: &str) -> String {
    format!("(select {call} as pgrst_scalar) as pgrst_call")
}

fn rows(call: &str) -> String {
    format!("{call} as pgrst_call")
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn claims(caller: &AuthResult) -> String {
    let mut claims: serde_json::Map<String, Value> =
        caller.claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    claims.insert("role".to_owned(), Value::String(caller.role.clone()));
    Value::Object(claims).to_string()
}

fn headers_as_json(headers: &HeaderMap) -> String {
    let headers: BTreeMap<&str, &str> = headers
        .iter()
        .filter(|(name, _)| *name != header::COOKIE)
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    json!(headers).to_string()
}

impl Answer {
    fn into_response(self, returns: Returns) -> Response {
        let mut response = Response::new(Body::from(self.body));
        match returns {
            Returns::Nothing => *response.status_mut() = StatusCode::NO_CONTENT,
            _ => {
                let json = HeaderValue::from_static("application/json; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response.headers_mut().insert(header::CONTENT_RANGE, HeaderValue::from_static("0-0/*"));
            }
        }
        if let Some(status) = self.status {
            match status.parse().ok().and_then(|status: u16| StatusCode::from_u16(status).ok()) {
                Some(status) => *response.status_mut() = status,
                None => {
                    let message = "response.status guc must be a valid status code";
                    return refuse(StatusCode::INTERNAL_SERVER_ERROR, "PGRST112", message, None);
                }
            }
        }
        for (name, value) in self.headers.as_deref().map(parse_headers).unwrap_or_default() {
            response.headers_mut().append(name, value);
        }
        response
    }
}

fn parse_headers(headers: &str) -> Vec<(HeaderName, HeaderValue)> {
    let objects: Vec<BTreeMap<String, String>> = serde_json::from_str(headers).unwrap_or_default();
    objects
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_str(&value).ok()?)))
        .collect()
}

impl Failure {
    fn into_response(self, shared: &Shared, role: &str) -> Response {
        match self {
            Failure::Busy => {
                let message = "Timed out acquiring connection from connection pool.";
                refuse(StatusCode::GATEWAY_TIMEOUT, "PGRST003", message, None)
            }
            Failure::Lost(details) => unavailable(Some(&details)),
            Failure::Refused(refusal) => {
                let no_permission = refusal.code == "42501";
                let error = postrust_core::Error::Database(*refusal);
                let mut response =
                    postrust_engine::error_response_for(&shared.postrust.config, error).map(Body::from);
                if no_permission && role != "anon" {
                    *response.status_mut() = StatusCode::FORBIDDEN;
                    response.headers_mut().remove(header::WWW_AUTHENTICATE);
                }
                response
            }
        }
    }
}

fn not_found(name: &str, arguments: &BTreeMap<String, IgnoredAny>) -> Response {
    let names: Vec<&str> = arguments.keys().map(String::as_str).collect();
    let signature = if names.is_empty() {
        format!("public.{name} without parameters")
    } else {
        format!("public.{name}({})", names.join(", "))
    };
    let message = format!("Could not find the function {signature} in the schema cache");
    let details =
        format!("Searched for the function {signature}, but no matches were found in the schema cache.");
    refuse(StatusCode::NOT_FOUND, "PGRST202", &message, Some(&details))
}
