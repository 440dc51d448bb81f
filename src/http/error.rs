//! The one error type of the HTTP surface, and what each status means.
//!
//! | status | code | who should act |
//! | --- | --- | --- |
//! | 400 | `invalid_request` | the caller: the sentence names the parameter |
//! | 401 | `unauthorized` | the caller: no credentials, or wrong ones |
//! | 403 | `forbidden` | an owner, who can make the person an admin |
//! | 404 | `not_found` | the caller |
//! | 405 | `method_not_allowed` | the caller: `allow` lists the methods |
//! | 409 | `conflict` | the caller: another Idempotency-Key, or a look at what has changed since it was shown |
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
use crate::decisions::approve::NoApproval;
use crate::decisions::db::NotDecided;
use crate::notify::db::NoWish;
use crate::notify::deliver::NotSent;
use crate::reconcile::Failure;
use crate::runs::perform::NoRun;
use crate::supabase::judged::Refusal;
use crate::supabase::{DatabaseError, Fault};

/// An answer that is not a success. What lies below the surface has errors of its own, which become one of these here. It is
/// logged once, where it is sent.
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

    /// Adds what the log should say besides the answer.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the seconds after which to try again.
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// 400: the sentence names what is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 401. The message never says why: the reason would help only someone guessing.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Valid credentials are required.")
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 403 for a person who is not an admin.
    pub fn admins_only() -> Self {
        Self::forbidden("Only owners and admins of an organization may do this.")
    }

    /// 409: it is no longer as the caller saw it, or a setting forbids it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 404.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}."))
    }

    /// 405; `allow` as in <https://www.rfc-editor.org/rfc/rfc9110#field.allow>.
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
    pub fn payload_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("The body is larger than {} KiB.", limit / 1024),
        )
    }

    /// 429, for `retry_after` seconds.
    pub fn rate_limited(retry_after: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            format!("Too many calls from this address; try again in {retry_after} s."),
        )
        .with_retry_after(retry_after)
    }

    /// 500. The detail goes to the log only.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here. The log has the details under this request id.",
        )
        .with_detail(detail)
    }

    /// 503: a setting is missing or unfit.
    pub fn not_configured(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", message)
    }

    /// 503: the database cannot be reached or does not answer in time.
    pub fn database_unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message).with_retry_after(30)
    }
}

impl From<SettingError> for ApiError {
    fn from(error: SettingError) -> Self {
        Self::not_configured(error.0)
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        let detail = error.to_string();
        let told = match (error.fault, error.in_a_persons_name) {
            (Fault::NotAuthenticated | Fault::NotPermitted, true) => Self::unauthorized(),
            (Fault::NotAuthenticated, false) => {
                Self::not_configured("Supabase does not accept SUPABASE_SECRET_KEY.")
            }
            (Fault::NotPermitted | Fault::MissingMigration, _) => {
                Self::database_unavailable("The database lacks migrations of billing-ops, or grants of them.")
            }
            (Fault::Unavailable | Fault::TimedOut, _) => {
                Self::database_unavailable("The database does not answer at the moment.")
            }
            (Fault::NotConfigured, _) => Self::not_configured(error.detail),
            (Fault::NotAdopted, _) => (&Failure::NotAdopted("No table is adopted.".to_owned())).into(),
            (Fault::Unexpected, _) => Self::internal(""),
        };
        told.with_detail(detail)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => Self::unauthorized(),
            Refusal::Forbidden => Self::admins_only(),
            Refusal::RateLimited(seconds) => Self::rate_limited(seconds),
            Refusal::NotFound(what) => Self::not_found(what),
            Refusal::Database(error) => error.into(),
        }
    }
}

impl From<NoRun> for ApiError {
    fn from(no_run: NoRun) -> Self {
        match no_run {
            NoRun::Setting(error) => error.into(),
            NoRun::Refused(refusal) => refusal.into(),
            NoRun::Conflict => {
                Self::conflict("This Idempotency-Key was used before with another type or other hours.")
            }
            NoRun::LeaseLost => Self::database_unavailable(
                "This run lost its lease to another attempt, which goes on with it.",
            ),
            NoRun::EndNotWritten(error) => Self::database_unavailable(
                "The run could not be ended in the database; its lease will expire.",
            )
            .with_detail(error.to_string()),
        }
    }
}

impl From<NotDecided> for ApiError {
    fn from(error: NotDecided) -> Self {
        match error {
            NotDecided::Refused(refusal) => refusal.into(),
            NotDecided::NotFound => Self::not_found("drift"),
            NotDecided::Impossible(why) => Self::invalid(why),
            NotDecided::Conflict(why, drift) => {
                let mut error = Self::conflict(why);
                if let Some(drift) = drift.and_then(|drift| serde_json::to_value(drift).ok()) {
                    error.fields.insert("drift".to_owned(), drift);
                }
                error
            }
        }
    }
}

impl From<NoApproval> for ApiError {
    fn from(error: NoApproval) -> Self {
        match error {
            NoApproval::Setting(error) => error.into(),
            NoApproval::Refused(refusal) => refusal.into(),
            NoApproval::Failed(failure) => (&failure).into(),
        }
    }
}

impl From<NotSent> for ApiError {
    fn from(error: NotSent) -> Self {
        match error {
            NotSent::Setting(error) => error.into(),
            NotSent::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<NoWish> for ApiError {
    fn from(error: NoWish) -> Self {
        match error {
            NoWish::NotConfigured => Self::invalid("This channel is not set up, or its settings are wrong."),
            NoWish::NotDead(status) => Self::conflict(format!(
                "Only what was given up can be sent again; this delivery is {status}."
            )),
            NoWish::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        let (status, retry_after) = match failure {
            Failure::Stripe(_) => (StatusCode::BAD_GATEWAY, None),
            Failure::StripeUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(60)),
            Failure::DatabaseUnavailable(_) | Failure::Database(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, Some(30))
            }
            // Waiting does not help: somebody has to adopt a table.
            Failure::NotAdopted(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
        };
        let mut error = Self::new(status, failure.code(), failure.sentence());
        error.retry_after = retry_after;
        error.detail = failure.detail().map(str::to_owned);
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_token_is_the_callers_and_a_refused_key_is_ours() {
        let error = |fault, in_a_persons_name| {
            let error = ApiError::from(DatabaseError { fault, in_a_persons_name, detail: String::new() });
            (error.status.as_u16(), error.code)
        };
        assert_eq!(error(Fault::NotPermitted, true), (401, "unauthorized"));
        assert_eq!(error(Fault::NotAuthenticated, true), (401, "unauthorized"));
        assert_eq!(error(Fault::NotAuthenticated, false), (503, "not_configured"));
    }
}
