//! Stripe's refusals, word for word where the words are public (<https://docs.stripe.com/error-codes>).

use serde_json::{Map, Value, json};

/// One refusal: its HTTP status and what the `error` object says.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
    /// Headers beyond those of every answer.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: "invalid_request_error",
            code: None,
            param: None,
            message: message.into(),
            headers: vec![],
        }
    }

    fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    fn param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 400: a parameter that Stripe does not know.
    pub(crate) fn unknown_parameters(names: &[&str]) -> Self {
        let plural = if names.len() > 1 { "s" } else { "" };
        Self::new(400, format!("Received unknown parameter{plural}: {}", names.join(", ")))
            .code("parameter_unknown")
            .param(names[0])
    }

    /// 400: a value that is none of the allowed ones, out of range, or of the wrong kind.
    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(400, message).param(param)
    }

    /// 400: not a whole number, or one out of range.
    pub(crate) fn invalid_integer(param: &str, message: impl Into<String>) -> Self {
        Self::invalid(param, message).code("parameter_invalid_integer")
    }

    /// 400: a required parameter is not there.
    pub(crate) fn missing_parameter(param: &str) -> Self {
        Self::invalid(param, format!("Missing required param: {param}.")).code("parameter_missing")
    }

    /// No such object: 404 where the path names it, 400 where a parameter does.
    pub(crate) fn missing(object: &str, id: &str, param: &str) -> Self {
        let status = if param == "id" || param == "price" || param == "session" { 404 } else { 400 };
        Self::new(status, format!("No such {object}: '{id}'")).code("resource_missing").param(param)
    }

    /// 404: the object exists, but in the mode that the key is not for.
    pub(crate) fn other_mode(object: &str, id: &str, param: &str, key_is_live: bool) -> Self {
        let (theirs, ours) = if key_is_live { ("test", "live") } else { ("live", "test") };
        let refusal = Self::missing(object, id, param);
        let message = format!(
            "{}; a similar object exists in {theirs} mode, but a {ours} mode key was used to make this request.",
            refusal.message
        );
        Self { message, ..refusal }
    }

    /// 401: no key.
    pub(crate) fn no_key() -> Self {
        Self::new(
            401,
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication \
             for details, or we can help at https://support.stripe.com/.",
        )
        .header("www-authenticate", "Bearer realm=\"Stripe\"")
    }

    /// 401: a key that is not one of the account's.
    pub(crate) fn wrong_key(key: &str) -> Self {
        Self::new(401, format!("Invalid API Key provided: {}", redacted(key, 4)))
            .header("www-authenticate", "Bearer realm=\"Stripe\"")
    }

    /// 403: a restricted key without a permission (`rak_subscription_read` and the like).
    pub(crate) fn missing_permission(key: &str, account: &str, permission: &str) -> Self {
        Self::new(
            403,
            format!(
                "The provided key '{}' does not have the required permissions for this endpoint on account \
                 '{account}'. Having the '{permission}' permission would allow this request to continue.",
                redacted(key, 6)
            ),
        )
    }

    /// 403: the simulator takes no writes, whatever the key.
    pub(crate) fn write(method: &str, path: &str) -> Self {
        Self::new(403, format!("The simulator refuses every write: {method} {path}"))
    }

    /// 404: no such endpoint.
    pub(crate) fn unrecognized_url(method: &str, path: &str) -> Self {
        Self::new(
            404,
            format!(
                "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at \
                 https://support.stripe.com/."
            ),
        )
    }

    /// 400: a `Stripe-Version` that never was one.
    pub(crate) fn invalid_version(version: &str) -> Self {
        Self::new(400, format!("Invalid Stripe API version: {version}"))
    }

    /// 429, with the limiter's name in `Stripe-Rate-Limited-Reason` (<https://docs.stripe.com/rate-limits>).
    pub(crate) fn rate_limited(reason: &str) -> Self {
        Self::new(
            429,
            "Request rate limit exceeded. You can learn more about rate limits here \
             https://stripe.com/docs/rate-limits.",
        )
        .code("rate_limit")
        .header("stripe-rate-limited-reason", reason)
    }

    /// 5xx, or any other status that a test asks for.
    pub(crate) fn server_error(status: u16) -> Self {
        Self {
            kind: "api_error",
            ..Self::new(
                status,
                "Sorry! There was an error while talking to one of our backends. Support has been notified.",
            )
        }
    }

    /// The answer's JSON. `request_id` goes into the link to the dashboard's log.
    pub(crate) fn body(&self, request_id: &str, livemode: bool, now: i64) -> Vec<u8> {
        let mut error = Map::new();
        if let Some(code) = self.code {
            let page = code.replace('_', "-");
            error.insert("code".into(), json!(code));
            error.insert("doc_url".into(), json!(format!("https://stripe.com/docs/error-codes/{page}")));
        }
        error.insert("message".into(), json!(self.message));
        if let Some(param) = &self.param {
            error.insert("param".into(), json!(param));
        }
        if matches!(self.status, 400 | 404) {
            let mode = if livemode { "" } else { "test/" };
            let link = format!("https://dashboard.stripe.com/{mode}logs/{request_id}?t={now}");
            error.insert("request_log_url".into(), json!(link));
        }
        error.insert("type".into(), json!(self.kind));
        serde_json::to_vec_pretty(&json!({ "error": Value::Object(error) }))
            .expect("a Value always serializes")
    }
}

/// A key as Stripe shows it: its kind, stars, and the last few characters.
fn redacted(key: &str, shown: usize) -> String {
    let kind = key.match_indices('_').nth(1).map_or("", |(place, _)| key.get(..=place).unwrap_or(""));
    let length = key.chars().count();
    let tail: String = key.chars().skip(length.saturating_sub(shown)).collect();
    format!("{kind}{}{tail}", "*".repeat(length.saturating_sub(kind.len() + shown)))
}
