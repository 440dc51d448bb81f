//! One request, and the careful ways to read it. Nothing in it is trusted until one of these has read it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::http::error::ApiError;
use crate::http::parameters::Parameters;

/// The largest body that is read, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The parts of a path that file names under `api/` leave open, ids aside.
const OPEN_PARTS: [&str; 2] = ["page", "action"];

/// A request with its id.
#[derive(Debug)]
pub struct Call {
    /// The caller's `x-request-id` if it is a UUID, else a new one.
    pub request_id: Uuid,
    /// When it came. A run that it asks for is named after this.
    pub received_at: DateTime<Utc>,
    /// The method.
    pub method: Method,
    /// Path and query as sent.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, not read yet. `None` once it was, and in tests.
    pub body: Option<Incoming>,
}

impl Call {
    /// Takes the runtime's request apart.
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the clock")]
    pub fn new(request: vercel_runtime::Request) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            request_id: request_id(&parts.headers),
            received_at: Utc::now(),
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body: Some(body),
        }
    }

    /// The address that the platform vouches for. IPv6 addresses are cut to their /64, because one customer's line is given
    /// at least that much. Only `x-vercel-forwarded-for` counts: it is the only name under which the platform overwrites what
    /// a caller sends (<https://vercel.com/docs/headers/request-headers>).
    pub fn client(&self) -> String {
        let address = self
            .headers
            .get("x-vercel-forwarded-for")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(',').next())
            .and_then(|first| first.trim().parse::<IpAddr>().ok());
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            None => "unknown".to_owned(),
        }
    }

    /// Reads a body that must be empty or `{}`. Errors: 413, 400.
    pub async fn no_body(&mut self) -> Result<(), ApiError> {
        let body = self.raw_body(BODY_LIMIT).await?;
        let text = body.trim_ascii();
        if text.is_empty()
            || serde_json::from_slice::<BTreeMap<String, ()>>(text).is_ok_and(|map| map.is_empty())
        {
            Ok(())
        } else {
            Err(ApiError::invalid("This endpoint takes no body, or an empty JSON object."))
        }
    }

    /// Reads a JSON body; an empty one counts as `{}`. Errors: 413, and 400 with the place of the mistake.
    pub async fn json_body<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        let body = self.raw_body(BODY_LIMIT).await?;
        let text = body.trim_ascii();
        if text.is_empty() {
            return serde_json::from_str("{}").map_err(|error| what_is_wrong(&error));
        }
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::invalid("A body needs content-type: application/json."));
        }
        // Checked here because serde takes an array for a struct, too, field by field.
        if !text.starts_with(b"{") {
            return Err(ApiError::invalid("The body must be a JSON object."));
        }
        serde_json::from_slice(text).map_err(|error| what_is_wrong(&error))
    }

    /// Reads a body as it was sent, of `limit` bytes at most. Errors: 413, and 400 where it ends early.
    pub async fn raw_body(&mut self, limit: usize) -> Result<Vec<u8>, ApiError> {
        let Some(body) = self.body.take() else { return Ok(Vec::new()) };
        match Limited::new(body, limit).collect().await {
            Ok(read) => Ok(read.to_bytes().to_vec()),
            Err(error) if error.is::<LengthLimitError>() => Err(ApiError::payload_too_large(limit)),
            Err(_) => Err(ApiError::invalid("The request body ended early.")),
        }
    }

    /// The query's parameters, all of which must be among `known` and come once. Errors: 400 naming the odd one.
    ///
    /// The platform adds the parts of a path that a file's name leaves open (`[page].rs`): such a parameter counts as not there if it says
    /// what the path says.
    pub fn parameters(&self, known: &[&str]) -> Result<Parameters, ApiError> {
        let query = self.uri.query().unwrap_or_default();
        let added = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
            OPEN_PARTS.contains(&name.as_ref())
                && !known.contains(&name.as_ref())
                && self.uri.path().split('/').filter_map(percent_decode).any(|part| part == *value)
        };
        let own = url::form_urlencoded::parse(query.as_bytes()).filter(|pair| !added(pair));
        Parameters::of(own, known)
    }

    /// The path's segment in place `index` from the end (0 is the last), percent-decoded, as a UUID. Ids come from the path
    /// alone: in the query a caller could send another. Errors: 400.
    pub fn path_id(&self, index: usize) -> Result<Uuid, ApiError> {
        self.uri
            .path()
            .trim_end_matches('/')
            .rsplit('/')
            .nth(index)
            .and_then(percent_decode)
            .and_then(|text| Uuid::try_parse(&text).ok())
            .ok_or_else(|| ApiError::invalid("The id in the path must be a UUID."))
    }
}

/// What is wrong with a body, without the values in it: serde quotes them, and one may have been meant for another place.
fn what_is_wrong(error: &serde_json::Error) -> ApiError {
    let said = error.to_string();
    let place = format!("line {}, column {}", error.line(), error.column());
    if said.starts_with("invalid type") || said.starts_with("invalid value") {
        ApiError::invalid(format!("The body: a value has the wrong type, at {place}."))
    } else if error.is_data() && said.len() < 200 {
        ApiError::invalid(format!("The body: {said}."))
    } else {
        ApiError::invalid(format!("The body is not JSON that this endpoint takes: see {place}."))
    }
}

/// The caller's id for a request if it is a UUID, else a new one.
#[allow(clippy::disallowed_methods, reason = "a request without an id gets one of its own")]
fn request_id(headers: &HeaderMap) -> Uuid {
    headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| Uuid::try_parse(text).ok())
        .unwrap_or_else(Uuid::new_v4)
}

/// One segment of a path, decoded. `None` where it is not UTF-8.
fn percent_decode(segment: &str) -> Option<String> {
    percent_encoding::percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn call(path: &str, headers: &[(&'static str, &str)]) -> Call {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).expect("a header value"));
        }
        Call {
            request_id: request_id(&map),
            received_at: DateTime::UNIX_EPOCH,
            method: Method::GET,
            uri: path.parse().expect("a path"),
            headers: map,
            body: None,
        }
    }

    #[test]
    fn the_client_is_what_the_platform_says_and_ipv6_is_counted_by_its_network() {
        let client = |value: &str| call("/", &[("x-vercel-forwarded-for", value)]).client();
        assert_eq!(client("203.0.113.7"), "203.0.113.7");
        assert_eq!(client("203.0.113.7, 198.51.100.1"), "203.0.113.7");
        assert_eq!(client("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(client("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(client("nonsense"), "unknown");
        assert_eq!(call("/", &[("x-forwarded-for", "203.0.113.7")]).client(), "unknown");
    }

    #[test]
    fn ids_come_from_the_path_decoded() {
        let id = "6c58064d-12d5-42a3-86d5-d3affb929621";
        let plain = call(&format!("/api/admin/billing-alerts/{id}/resolve?id=other"), &[]);
        assert_eq!(plain.path_id(1).expect("an id").to_string(), id);
        let encoded = call("/api/admin/billing-alerts/%36c58064d-12d5-42a3-86d5-d3affb929621/resolve", &[]);
        assert_eq!(encoded.path_id(1).expect("an id").to_string(), id);
        assert!(call("/api/admin/billing-alerts/1/resolve", &[]).path_id(1).is_err());
    }

    #[test]
    fn what_the_platform_adds_is_none_of_the_callers_parameters() {
        // A parameter that the endpoint itself takes is the caller's, whatever it says.
        let own = call("/api/admin/drift?action=drift", &[]);
        assert_eq!(own.parameters(&["action"]).expect("known").get("action"), Some("drift"));
        assert!(call("/api/admin/drift?page=drift&type=a", &[]).parameters(&["type"]).is_ok());
        for odd in
            ["/api/admin/drift?page=2", "/api/admin/drift?page=drift&typ=a", "/api/admin/drift?drift=page"]
        {
            assert!(call(odd, &[]).parameters(&["type"]).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_request_id_is_kept_if_it_is_a_uuid() {
        let id = "6c58064d-12d5-42a3-86d5-d3affb929621";
        assert_eq!(call("/", &[("x-request-id", id)]).request_id.to_string(), id);
        assert_ne!(call("/", &[("x-request-id", "<script>")]).request_id.to_string(), "<script>");
    }
}
