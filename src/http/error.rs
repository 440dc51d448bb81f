//! The one error type of the HTTP surface, and what each status means.
//!
//! | status | code | who should act |
//! | --- | --- | --- |
//! | 400 | `invalid_request` | the caller: the sentence names the parameter |
//! | 401 | `unauthorized` | the caller: no credentials, or wrong ones |
//! | 403 | `forbidden` | an owner, who can make the person an admin |
//! | 404 | `not_found` | the caller |
//! | 405 | `method_not_allowed` | the caller: `allow` lists the methods |
//! | 409 | `conflict` | the caller: another Idempotency-Key |
//! | 413 | `payload_too_large` | the caller |
//! | 429 | `rate_limited` | the caller, after `retry_after` seconds |
//! | 500 | `internal` | us: the log has the details under the request id |
//! | 502 | `stripe_error` | whoever keeps the Stripe key |
//! | 503 | `not_configured` | whoever deploys: the sentence names the setting |
//! | 503 | `database_unavailable`, `stripe_unavailable` | nobody, if it passes |
//!
//! An error has a message for the caller, which holds nothing that the caller must not know, and a detail for the log.

use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value};

use crate::config::SettingError;

/// An answer that is not a success. Made where the failure is understood; logged once, where the answer is sent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code for machines.
    pub code: &'static str,
    /// A sentence for a person.
    pub message: String,
    /// Seconds after which to try again, where waiting helps.
    pub retry_after: Option<u64>,
    /// What the log gets and the caller does not.
    pub detail: Option<String>,
    /// Further fields of the body, such as those of a run that failed.
    pub fields: Map<String, Value>,
    /// The value of `allow`, for 405.
    pub allow: Option<HeaderValue>,
}

impl ApiError {
    /// An error with a status, a code and a sentence.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
            detail: None,
            fields: Map::new(),
            allow: None,
        }
    }

    /// Adds what the log should say beside the answer.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the seconds after which to try again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// 400: the sentence names what is wrong.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 401. One sentence for every reason: which one it is helps only who guesses.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Valid credentials are required.")
    }

    /// 403.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 403 for a person who is no admin.
    #[must_use]
    pub fn admins_only() -> Self {
        Self::forbidden("Only owners and admins of an organization may do this.")
    }

    /// 404.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}."))
    }

    /// 405; `allow` as in <https://www.rfc-editor.org/rfc/rfc9110#field.allow>.
    #[must_use]
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        let mut error = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("This path answers {} only.", allow.to_str().unwrap_or_default()),
        );
        error.allow = Some(allow);
        error
    }

    /// 413.
    #[must_use]
    pub fn payload_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("The body is larger than {} KiB.", limit / 1024),
        )
    }

    /// 429, for so many seconds.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            format!("Too many calls from this address; try again in {retry_after} s."),
        )
        .with_retry_after(retry_after)
    }

    /// 500. The detail goes to the log only.
    #[must_use]
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here. The log has the details under this request id.",
        )
        .with_detail(detail)
    }

    /// 503: a setting is missing or unfit.
    #[must_use]
    pub fn not_configured(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", message)
    }

    /// 503: the database cannot be reached or does not answer in time.
    #[must_use]
    pub fn database_unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message).with_retry_after(30)
    }
}

impl From<SettingError> for ApiError {
    fn from(error: SettingError) -> Self {
        Self::not_configured(error.0)
    }
}
