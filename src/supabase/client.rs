//! One call of a SQL function: composed, sent, sent again where that is safe, decoded.
//!
//! The `postgrest` crate composes each request; one shared, maintained HTTP client sends it. The crate's own client has no
//! timeouts and brings a TLS stack that is no longer maintained (docs/DESIGN.md).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{DatabaseError, Fault, classify};
use crate::config::{Config, SettingError};
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

/// Runs a piece of work and says how many calls to the database it made.
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
pub enum Asker<'a> {
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

/// The database behind a Supabase URL.
pub struct Supabase {
    rest_url: String,
    secret_key: Secret,
    /// Or why calls in a person's name are not possible.
    publishable_key: Result<Secret, SettingError>,
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
    /// Builds the client. Errors: the setting that is missing or unfit. The publishable key may be either: only calls in a
    /// person's name need it.
    pub fn new(config: &Config, http: reqwest::Client) -> Result<Self, SettingError> {
        let url = config.supabase_url()?;
        Ok(Self {
            rest_url: format!("{}/rest/v1", url.as_str().trim_end_matches('/')),
            secret_key: config.supabase_secret_key()?,
            publishable_key: config.supabase_publishable_key(),
            http,
            composer: postgrest_reqwest::Client::builder()
                .tls_built_in_root_certs(false)
                .build()
                .expect("the client's configuration is fixed and valid"),
        })
    }

    /// Calls a SQL function with named parameters, and decodes what it returns.
    ///
    /// A call whose connection failed is tried again, because nothing was sent; one whose answer was lost, only where `retry` says that
    /// it is safe.
    pub async fn call<P: Serialize, R: DeserializeOwned>(
        &self,
        asker: Asker<'_>,
        retry: Retry,
        function: &str,
        parameters: &P,
    ) -> Result<R, DatabaseError> {
        self.answer(asker, retry, function, parameters).await.map_err(|(fault, detail)| DatabaseError {
            fault,
            in_a_persons_name: matches!(asker, Asker::Person(_)),
            detail,
        })
    }

    async fn answer<P: Serialize, R: DeserializeOwned>(
        &self,
        asker: Asker<'_>,
        retry: Retry,
        function: &str,
        parameters: &P,
    ) -> Result<R, (Fault, String)> {
        let unexpected = |what: &str, error: serde_json::Error| {
            (Fault::Unexpected, format!("{what} of {function}: {error}"))
        };
        let body = serde_json::to_string(parameters).map_err(|error| unexpected("parameters", error))?;
        let request = self.compose(asker, function, body)?;
        let mut tried = 0;
        loop {
            tried += 1;
            let attempt = request.try_clone().expect("a request with a buffered body can be cloned");
            match self.send(attempt).await {
                Ok(answer) => {
                    return serde_json::from_slice(&answer).map_err(|error| unexpected("answer", error));
                }
                Err(Unanswered { fault: (fault, detail), received }) => {
                    let again = fault == Fault::Unavailable && (retry == Retry::Safe || !received);
                    if tried == TRIES || !again {
                        tracing::debug!(function, tried, ?fault, detail, "database call failed");
                        return Err((fault, detail));
                    }
                    tracing::warn!(function, tried, ?fault, detail, "database call failed, trying again");
                    tokio::time::sleep(PAUSE * tried).await;
                }
            }
        }
    }

    /// Lets `postgrest` compose the request, and carries it over to the client that sends it.
    fn compose(
        &self,
        asker: Asker<'_>,
        function: &str,
        body: String,
    ) -> Result<reqwest::Request, (Fault, String)> {
        let url = format!("{}/rpc/{function}", self.rest_url);
        let composed = postgrest::Builder::new(url, None, Default::default(), self.composer.clone())
            .rpc(body)
            .build()
            .build()
            .map_err(|error| (Fault::Unexpected, format!("composing {function}: {error}")))?;
        let body = composed.body().and_then(postgrest_reqwest::Body::as_bytes).unwrap_or_default().to_vec();

        let (key, token) = match asker {
            Asker::Service => (&self.secret_key, legacy_token(&self.secret_key)),
            Asker::Person(token) => (
                self.publishable_key
                    .as_ref()
                    .map_err(|SettingError(sentence)| (Fault::NotConfigured, sentence.clone()))?,
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
            .map_err(|error| (Fault::Unexpected, format!("building {function}: {error}")))
    }

    async fn send(&self, request: reqwest::Request) -> Result<Vec<u8>, Unanswered> {
        let _ = ROUND_TRIPS.try_with(|count| count.fetch_add(1, Ordering::Relaxed));
        let response = self.http.execute(request).await.map_err(Unanswered::of)?;
        let status = response.status();
        let body = response.bytes().await.map_err(Unanswered::of)?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let fault = classify(status.as_u16(), &serde_json::from_slice(&body).unwrap_or_default());
        Err(Unanswered { fault, received: true })
    }
}

/// A call without a usable answer.
struct Unanswered {
    fault: (Fault, String),
    /// False where the request surely never arrived.
    received: bool,
}

impl Unanswered {
    fn of(error: reqwest::Error) -> Self {
        let received = !error.is_connect();
        let kind = if error.is_timeout() {
            "no answer in time"
        } else if received {
            "the connection broke"
        } else {
            "no connection"
        };
        // Not the error itself: it names the host.
        Self { fault: (Fault::Unavailable, kind.into()), received }
    }
}

/// Keys of the newer kind travel in `apikey` alone, as they are not JWTs; a legacy key is the bearer token as well
/// (<https://supabase.com/docs/guides/api/api-keys>).
fn legacy_token(key: &Secret) -> Option<&Secret> {
    (!key.expose().starts_with("sb_")).then_some(key)
}

fn sensitive(value: &str) -> Result<HeaderValue, (Fault, String)> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| (Fault::Unexpected, "a key that cannot be a header's value".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_of_the_newer_kind_is_not_sent_as_a_bearer_token() {
        assert!(legacy_token(&Secret::new("sb_secret_x")).is_none());
        assert!(legacy_token(&Secret::new("eyJ.eyJ.x")).is_some());
    }
}
