//! The database, through PostgREST: typed calls of SQL functions, and what their errors mean.
//!
//! The `postgrest` crate composes each request; one shared, maintained HTTP client sends it. The crate's own client has no
//! timeouts and brings a TLS stack that is no longer mended (docs/DESIGN.md). Every change of state is a function in SQL:
//! PostgREST's upsert cannot name the predicate of a partial unique index, and deduplication rests on two of those
//! (<https://github.com/PostgREST/postgrest/issues/2123>).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::http::error::ApiError;
use crate::secret::Secret;

/// How long one call may take. Above the 8 s after which hosted projects end a statement of the service role, so that the
/// database's own word arrives first (<https://supabase.com/docs/guides/database/postgres/timeouts>).
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a call that is safe to send again is sent in all, and how long to wait in between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(150);

const API_KEY: HeaderName = HeaderName::from_static("apikey");

tokio::task_local! {
    static ROUND_TRIPS: AtomicU32;
}

/// Runs a piece of work and says how many calls of the database it made.
pub async fn counting_round_trips<F: Future>(work: F) -> (F::Output, u32) {
    ROUND_TRIPS
        .scope(AtomicU32::new(0), async {
            let output = work.await;
            (output, ROUND_TRIPS.with(|count| count.load(Ordering::Relaxed)))
        })
        .await
}

/// In whose name a call is made.
#[derive(Debug, Clone, Copy)]
pub enum As<'a> {
    /// The service's: may change state.
    Service,
    /// A person's, by their access token: PostgREST verifies it, SQL decides.
    Person(&'a Secret),
}

/// Whether a call that got no answer may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Sending it twice is the same as once.
    Safe,
    /// Only if it surely was not received.
    Unsafe,
}

/// What went wrong with a call. Classified by PostgREST's and Postgres's codes, not by HTTP status, which several share
/// (<https://docs.postgrest.org/en/stable/references/errors.html>).
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// The token or key was not accepted (PGRST301, 302, 303, or 401 from the gateway).
    #[error("not authenticated: {0}")]
    NotAuthenticated(String),
    /// The role may not do this (42501).
    #[error("not permitted: {0}")]
    NotPermitted(String),
    /// A function or table is not there (PGRST202, PGRST205, 42883, 42P01).
    #[error("the migrations are not applied: {0}")]
    MissingMigration(String),
    /// No answer, or one that says to come back (08xxx, 53xxx, 57xxx, 40001, 40P01, PGRST000 to 003, timeouts).
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Anything else: a bug on one of the two sides.
    #[error("unexpected: {0}")]
    Unexpected(String),
}

impl DatabaseError {
    /// What the caller of an endpoint is told when a call in this name failed.
    #[must_use]
    pub fn into_api_error(self, caller: As<'_>) -> ApiError {
        let detail = self.to_string();
        let error = match (self, caller) {
            (Self::NotAuthenticated(_) | Self::NotPermitted(_), As::Person(_)) => ApiError::unauthorized(),
            (Self::NotAuthenticated(_), As::Service) => {
                ApiError::not_configured("Supabase does not accept SUPABASE_SECRET_KEY.")
            }
            (Self::NotPermitted(_) | Self::MissingMigration(_), _) => ApiError::database_unavailable(
                "The database lacks migrations of billing-ops, or grants of them.",
            ),
            (Self::Unavailable(_), _) => {
                ApiError::database_unavailable("The database does not answer at the moment.")
            }
            (Self::Unexpected(_), _) => ApiError::internal(""),
        };
        error.with_detail(detail)
    }
}

/// An error body of PostgREST, or of the gateway before it.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    message: Option<String>,
}

/// The database behind a Supabase URL.
pub struct Supabase {
    rest_url: String,
    secret_key: Secret,
    publishable_key: Option<Secret>,
    http: reqwest::Client,
    /// Wanted by `postgrest`'s builder; never connects.
    composer: postgrest_reqwest::Client,
}

impl std::fmt::Debug for Supabase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Supabase").field("rest_url", &self.rest_url).finish_non_exhaustive()
    }
}

impl Supabase {
    /// Builds the adapter. Errors: 503 naming the setting that is missing or unfit. A publishable key that is not set is no
    /// error here: only calls in a person's name need it.
    pub fn new(config: &Config, http: reqwest::Client) -> Result<Self, ApiError> {
        let url = config.supabase_url()?;
        let publishable_key = if config.is_set("SUPABASE_PUBLISHABLE_KEY") {
            Some(config.supabase_publishable_key()?)
        } else {
            None
        };
        Ok(Self {
            rest_url: format!("{}/rest/v1", url.as_str().trim_end_matches('/')),
            secret_key: config.supabase_secret_key()?,
            publishable_key,
            http,
            composer: postgrest_reqwest::Client::builder()
                .tls_built_in_root_certs(false)
                .build()
                .map_err(|error| ApiError::internal(format!("no HTTP client: {error}")))?,
        })
    }

    /// Calls a SQL function with named parameters, and decodes what it returns.
    ///
    /// Errors: see [`DatabaseError`], already told as the caller of the endpoint is to hear it. Connections that failed are
    /// tried again, as nothing was sent; lost answers only where `retry` says that it is safe.
    pub async fn call<P: Serialize, R: DeserializeOwned>(
        &self,
        caller: As<'_>,
        retry: Retry,
        function: &str,
        parameters: &P,
    ) -> Result<R, ApiError> {
        let body = serde_json::to_string(parameters)
            .map_err(|error| ApiError::internal(format!("parameters of {function}: {error}")))?;
        let request = self.compose(caller, function, body)?;
        let mut tried = 0;
        loop {
            tried += 1;
            let attempt = request
                .try_clone()
                .ok_or_else(|| ApiError::internal("a request with a buffered body can be cloned"))?;
            match self.send(attempt).await {
                Ok(answer) => {
                    return serde_json::from_slice(&answer)
                        .map_err(|error| ApiError::internal(format!("answer of {function}: {error}")));
                }
                Err(failure) if tried < TRIES && failure.may_retry(retry) => {
                    tracing::warn!(function, tried, error = %failure.error, "database call failed, trying again");
                    tokio::time::sleep(PAUSE * tried).await;
                }
                Err(failure) => {
                    tracing::debug!(function, tried, error = %failure.error, "database call failed");
                    return Err(failure.error.into_api_error(caller));
                }
            }
        }
    }

    /// Lets `postgrest` compose the request, and carries it over to the client that sends it.
    fn compose(&self, caller: As<'_>, function: &str, body: String) -> Result<reqwest::Request, ApiError> {
        let url = format!("{}/rpc/{function}", self.rest_url);
        let composed = postgrest::Builder::new(url, None, Default::default(), self.composer.clone())
            .rpc(body)
            .build()
            .build()
            .map_err(|error| ApiError::internal(format!("composing {function}: {error}")))?;
        let body = composed.body().and_then(postgrest_reqwest::Body::as_bytes).unwrap_or_default().to_vec();

        let (key, token) = match caller {
            As::Service => (&self.secret_key, legacy_token(&self.secret_key)),
            As::Person(token) => (
                self.publishable_key
                    .as_ref()
                    .ok_or_else(|| ApiError::not_configured("SUPABASE_PUBLISHABLE_KEY is not set."))?,
                Some(token),
            ),
        };
        let mut request = self
            .http
            .request(http::Method::POST, composed.url().as_str())
            .timeout(CALL_TIMEOUT)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(API_KEY, sensitive(key.expose())?);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, sensitive(&format!("Bearer {}", token.expose()))?);
        }
        request
            .body(body)
            .build()
            .map_err(|error| ApiError::internal(format!("building {function}: {error}")))
    }

    async fn send(&self, request: reqwest::Request) -> Result<Vec<u8>, Failure> {
        let _ = ROUND_TRIPS.try_with(|count| count.fetch_add(1, Ordering::Relaxed));
        let response = self.http.execute(request).await.map_err(Failure::no_answer)?;
        let status = response.status();
        let body = response.bytes().await.map_err(Failure::no_answer)?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let error: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
        Err(Failure { error: classify(status.as_u16(), &error), received: true })
    }
}

/// A call without a usable answer.
struct Failure {
    error: DatabaseError,
    /// False where the request surely never arrived.
    received: bool,
}

impl Failure {
    fn no_answer(error: reqwest::Error) -> Self {
        let received = !error.is_connect();
        let kind = if error.is_timeout() {
            "no answer in time"
        } else if received {
            "the connection broke"
        } else {
            "no connection"
        };
        // Not the error itself: it names the host.
        Self { error: DatabaseError::Unavailable(kind.into()), received }
    }

    fn may_retry(&self, retry: Retry) -> bool {
        matches!(self.error, DatabaseError::Unavailable(_)) && (retry == Retry::Safe || !self.received)
    }
}

/// The class of an error by its code; by its status where there is no code, as from a gateway.
fn classify(status: u16, body: &ErrorBody) -> DatabaseError {
    let code = match &body.code {
        serde_json::Value::String(code) => code.as_str(),
        _ => "",
    };
    // Code and message of Postgres can hold values of a row: for the log, the code is what helps.
    let text = format!("HTTP {status}, code {}", if code.is_empty() { "none" } else { code });
    match code {
        "PGRST301" | "PGRST302" | "PGRST303" => DatabaseError::NotAuthenticated(text),
        "42501" => DatabaseError::NotPermitted(text),
        "PGRST202" | "PGRST205" | "PGRST106" | "42883" | "42P01" => DatabaseError::MissingMigration(text),
        "40001" | "40P01" | "55P03" | "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003" => {
            DatabaseError::Unavailable(text)
        }
        _ if ["08", "53", "57"].iter().any(|class| code.len() == 5 && code.starts_with(class)) => {
            DatabaseError::Unavailable(text)
        }
        "" => match status {
            401 => DatabaseError::NotAuthenticated(text),
            403 => DatabaseError::NotPermitted(text),
            429 | 502..=504 => DatabaseError::Unavailable(text),
            // Hosted projects put 52x in front of an origin that does not answer.
            520..=530 => DatabaseError::Unavailable(text),
            _ => DatabaseError::Unexpected(text),
        },
        _ => {
            let message = body.message.as_deref().unwrap_or_default();
            DatabaseError::Unexpected(format!("{text}: {message}"))
        }
    }
}

/// Keys of the newer kind travel in `apikey` alone, as they are no JWTs; a legacy key is the bearer token as well
/// (<https://supabase.com/docs/guides/api/api-keys>).
fn legacy_token(key: &Secret) -> Option<&Secret> {
    (!key.expose().starts_with("sb_")).then_some(key)
}

fn sensitive(value: &str) -> Result<HeaderValue, ApiError> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| ApiError::internal("a key that is no header value"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The part that all functions which judge their caller or count calls answer with.
#[derive(Debug, Deserialize)]
pub struct Judged<T> {
    /// `ok`, `unauthorized`, `forbidden`, `rate_limited`, `not_found`, or a word of the function's own.
    pub outcome: String,
    /// Seconds, where `rate_limited`.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The rest.
    #[serde(flatten)]
    pub rest: T,
}

impl<T> Judged<T> {
    /// The rest, or the refusal as an error: 401, 403, 404, 429.
    pub fn admitted(self, what: &str) -> Result<(String, T), ApiError> {
        match self.outcome.as_str() {
            "unauthorized" => Err(ApiError::unauthorized()),
            "forbidden" => Err(ApiError::admins_only()),
            "rate_limited" => Err(ApiError::rate_limited(self.retry_after.unwrap_or(60))),
            "not_found" => Err(ApiError::not_found(what)),
            _ => Ok((self.outcome, self.rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, code: &str) -> DatabaseError {
        classify(status, &ErrorBody { code: code.into(), message: None })
    }

    #[test]
    fn errors_are_told_apart_by_code_and_only_then_by_status() {
        assert!(matches!(class(401, "PGRST301"), DatabaseError::NotAuthenticated(_)));
        assert!(matches!(class(401, "42501"), DatabaseError::NotPermitted(_)));
        assert!(matches!(class(404, "PGRST202"), DatabaseError::MissingMigration(_)));
        assert!(matches!(class(500, "40P01"), DatabaseError::Unavailable(_)));
        assert!(matches!(class(500, "57014"), DatabaseError::Unavailable(_)));
        assert!(matches!(class(503, "PGRST000"), DatabaseError::Unavailable(_)));
        assert!(matches!(class(409, "23505"), DatabaseError::Unexpected(_)));
        assert!(matches!(class(401, ""), DatabaseError::NotAuthenticated(_)));
        assert!(matches!(class(522, ""), DatabaseError::Unavailable(_)));
    }

    #[test]
    fn what_a_person_hears_of_a_refused_token_is_401() {
        let token = Secret::new("a.b.c");
        let error = class(401, "42501").into_api_error(As::Person(&token));
        assert_eq!(error.status, 401);
        let error = class(401, "PGRST301").into_api_error(As::Service);
        assert_eq!((error.status.as_u16(), error.code), (503, "not_configured"));
    }

    #[test]
    fn a_secret_key_of_the_newer_kind_is_no_bearer_token() {
        assert!(legacy_token(&Secret::new("sb_secret_x")).is_none());
        assert!(legacy_token(&Secret::new("eyJ.eyJ.x")).is_some());
    }
}
