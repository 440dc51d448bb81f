//! An answer, and how it becomes a response: never cached, with the request's id in a header. Most are JSON, with the id in the body, too.

use std::fmt;
use std::future::Future;

use futures::future::{BoxFuture, FutureExt as _};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;
use vercel_runtime::ResponseBody;

use crate::http::error::ApiError;

/// The header that carries a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that carries the cursor of the next page, where the body has no place for it.
pub const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// The header that says how many items there are on all pages, where the body has no place for it.
pub const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// What a body says.
#[derive(Debug)]
enum Content {
    /// A JSON object, which gets the request's id.
    Json(Map<String, Value>),
    /// A text of a media type.
    Text(&'static str, String),
}

/// A successful answer, and what is done once it is on its way.
pub struct Reply {
    status: StatusCode,
    content: Content,
    headers: Vec<(HeaderName, HeaderValue)>,
    after: Option<BoxFuture<'static, ()>>,
}

impl Reply {
    /// 200 with a body that serializes to a JSON object. Errors: 500 for anything else, which is a bug here.
    pub fn ok(body: &impl Serialize) -> Result<Self, ApiError> {
        match serde_json::to_value(body) {
            Ok(Value::Object(body)) => Ok(Self::of(Content::Json(body))),
            Ok(_) => Err(ApiError::internal("an answer's body is not an object")),
            Err(error) => Err(ApiError::internal(format!("an answer's body does not serialize: {error}"))),
        }
    }

    /// 200 with a text of a media type, for what is not JSON.
    pub fn text(media: &'static str, text: String) -> Self {
        Self::of(Content::Text(media, text))
    }

    fn of(content: Content) -> Self {
        Self { status: StatusCode::OK, content, headers: Vec::new(), after: None }
    }

    /// Adds a header. One whose value is not valid in a header is left out.
    pub fn with_header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
        self
    }

    /// Adds work that nobody waits for: the process ends only when it is done, within the function's time.
    pub fn then(mut self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        self.after = Some(work.boxed());
        self
    }

    /// What is to be done once the answer is on its way.
    pub fn take_after(&mut self) -> Option<BoxFuture<'static, ()>> {
        self.after.take()
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reply")
            .field("status", &self.status)
            .field("content", &self.content)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// The response for an outcome.
pub fn response(outcome: Result<Reply, ApiError>, request_id: Uuid) -> Response<ResponseBody> {
    let (status, body, error) = match outcome {
        Ok(Reply { status, content, headers, .. }) => {
            let mut response = match content {
                Content::Json(body) => json(status, body, request_id),
                Content::Text(media, text) => body_of(status, media, text.into(), request_id),
            };
            response.headers_mut().extend(headers);
            return response;
        }
        Err(error) => {
            let mut body = error.fields.clone();
            body.insert("error".into(), error.message.clone().into());
            body.insert("code".into(), error.code.into());
            if let Some(seconds) = error.retry_after {
                body.insert("retry_after".into(), seconds.into());
            }
            (error.status, body, error)
        }
    };
    let mut response = json(status, body, request_id);
    let headers = response.headers_mut();
    if let Some(seconds) = error.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = error.allow {
        headers.insert(ALLOW, allow);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn json(status: StatusCode, mut body: Map<String, Value>, request_id: Uuid) -> Response<ResponseBody> {
    body.insert("request_id".into(), request_id.to_string().into());
    let body = ResponseBody::from(Value::Object(body));
    body_of(status, "application/json; charset=utf-8", body, request_id)
}

fn body_of(
    status: StatusCode,
    media: &'static str,
    body: ResponseBody,
    request_id: Uuid,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    common_headers(&mut response, request_id);
    response
}

/// 204 for OPTIONS (<https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7>).
pub fn options(allow: HeaderValue, request_id: Uuid) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, allow);
    common_headers(&mut response, request_id);
    response
}

fn common_headers(response: &mut Response<ResponseBody>, request_id: Uuid) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains"));
    if let Ok(value) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
}
