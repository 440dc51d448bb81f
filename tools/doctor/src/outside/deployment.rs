//! Calls of a deployment, as anyone on the internet can make them.

use std::time::Duration;

use billing_ops::secret::Secret;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Url};
use serde_json::Value;

/// A run may take as long as its budget; anything else answers at once.
const PATIENCE: Duration = Duration::from_secs(320);

/// How long to wait for a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long a rate limit is waited out, where the answer does not say.
const PAUSE: Duration = Duration::from_secs(60);

/// The longest `retry-after` that is believed, in seconds.
const LONGEST_PAUSE: u64 = 999;

/// Lets callers past Vercel's Deployment Protection.
const BYPASS: &str = "x-vercel-protection-bypass";

/// Why a deployment cannot be called at all. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The address: secrets are sent to it, so it must be one that nobody else can read along with.
    #[error("the address must be https://… (or http://… on this machine), without credentials or a query")]
    Address,
    /// A secret that is needed.
    #[error("{0} is not set")]
    NotSet(&'static str),
    /// A secret with characters that no header can carry.
    #[error("{0} holds characters that cannot be sent in a header")]
    NotSendable(&'static str),
    /// The client.
    #[error("TLS cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// A secret as callers send it: `Authorization: Bearer …`.
#[derive(Debug, Clone)]
pub struct Key {
    token: Secret,
    header: HeaderValue,
}

impl Key {
    /// A key. `name` is what a complaint calls it.
    ///
    /// # Errors
    /// When no header can carry it.
    pub fn new(name: &'static str, token: &str) -> Result<Self, Unfit> {
        let header = secret_header(name, &format!("Bearer {token}"))?;
        Ok(Self { token: Secret::new(token), header })
    }

    /// Whether it is the same secret.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.token == other.token
    }
}

fn secret_header(name: &'static str, value: &str) -> Result<HeaderValue, Unfit> {
    let mut header = HeaderValue::from_str(value).map_err(|_| Unfit::NotSendable(name))?;
    header.set_sensitive(true);
    Ok(header)
}

/// A deployment.
#[derive(Debug)]
pub struct Deployment {
    http: Client,
    base: String,
    bypass: Option<HeaderValue>,
    told: Vec<Secret>,
}

impl Deployment {
    /// A deployment by its address: https, or http on this machine.
    ///
    /// # Errors
    /// When the address is another, or TLS cannot be set up.
    pub fn new(address: &str) -> Result<Self, Unfit> {
        let url = Url::parse(address).map_err(|_| Unfit::Address)?;
        let on_this_machine = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !bare || !(url.scheme() == "https" || (url.scheme() == "http" && on_this_machine)) {
            return Err(Unfit::Address);
        }
        // Another part of the process may have chosen already, which is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = Client::builder()
            .user_agent(concat!("billing-ops-doctor/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_PATIENCE)
            .timeout(PATIENCE)
            .tcp_nodelay(true);
        let http = if on_this_machine { http.no_proxy() } else { http };
        Ok(Self {
            http: http.build()?,
            base: address.trim_end_matches('/').to_owned(),
            bypass: None,
            told: Vec::new(),
        })
    }

    /// Sends the secret of Vercel's Protection Bypass for Automation with every call.
    ///
    /// # Errors
    /// When no header can carry it.
    pub fn with_bypass(mut self, name: &'static str, secret: &str) -> Result<Self, Unfit> {
        self.bypass = Some(secret_header(name, secret)?);
        self.told.push(Secret::new(secret));
        Ok(self)
    }

    /// No answer may hold this key.
    #[must_use]
    pub fn keeping_secret(mut self, key: &Key) -> Self {
        self.told.push(key.token.clone());
        self
    }

    /// Its address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Calls it once.
    ///
    /// # Errors
    /// When there is no answer, or one that gives back a secret; in words for a person.
    pub async fn send(&self, method: Method, path: &str, key: Option<&Key>) -> Result<Answer, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, key.header.clone());
        }
        if let Some(bypass) = &self.bypass {
            request = request.header(BYPASS, bypass.clone());
        }
        let no_answer = |error| format!("no answer ({})", root_cause(&error));
        let response = request.send().await.map_err(no_answer)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.map_err(no_answer)?;
        let shown = |text: &[u8]| {
            let found = |secret: &Secret| contains(text, secret.expose().as_bytes());
            self.told.iter().any(found)
        };
        if shown(&bytes) || headers.values().any(|value| shown(value.as_bytes())) {
            return Err(format!("status {status}: the answer holds a secret"));
        }
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer { status, headers, text: String::from_utf8_lossy(&bytes).into_owned(), body })
    }

    /// Calls it, and once more where a rate limit says when to come back.
    ///
    /// # Errors
    /// As [`Deployment::send`].
    pub async fn call(&self, method: Method, path: &str, key: Option<&Key>) -> Result<Answer, String> {
        let answer = self.send(method.clone(), path, key).await?;
        if answer.status != 429 {
            return Ok(answer);
        }
        tokio::time::sleep(answer.retry_after().unwrap_or(PAUSE)).await;
        self.send(method, path, key).await
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

/// What lies under an error: "connection refused" rather than "error sending request".
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where it is not JSON.
    pub body: Value,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    /// A header's value, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A text of the body, or nothing.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    /// After how long to come back, where the answer says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after").parse().ok()?;
        (seconds <= LONGEST_PAUSE).then(|| Duration::from_secs(seconds))
    }

    /// What the answer says of itself, for a failure.
    #[must_use]
    pub fn why(&self) -> String {
        let status = format!("status {}", self.status);
        let is_page = self.text.to_ascii_lowercase().contains("<html");
        if !self.text("code").is_empty() {
            format!("{status}, {}: {}", self.text("code"), self.text("error"))
        } else if is_page && self.header("server").eq_ignore_ascii_case("vercel") {
            format!(
                "{status} (a page of the platform: Deployment Protection? VERCEL_AUTOMATION_BYPASS_SECRET opens it)"
            )
        } else {
            status
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_sent_to_addresses_that_nobody_can_read_along_with() {
        for address in [
            "https://billing.example.com",
            "https://billing.example.com/",
            "http://127.0.0.1:3000",
            "http://localhost:3000",
            "http://[::1]:3000",
        ] {
            assert!(Deployment::new(address).is_ok(), "{address}");
        }
        for address in [
            "",
            "billing.example.com",
            "http://billing.example.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com",
            "https://me:secret@billing.example.com",
            "https://billing.example.com?a=b",
            "ftp://billing.example.com",
            "file:///etc/passwd",
        ] {
            assert!(matches!(Deployment::new(address), Err(Unfit::Address)), "{address}");
        }
    }

    #[test]
    fn a_secret_that_no_header_can_carry_is_refused_by_its_name_and_never_shown() {
        let refusal = Key::new("CRON_SECRET", "canary\nx-admin: yes").expect_err("refused");
        assert_eq!(refusal.to_string(), "CRON_SECRET holds characters that cannot be sent in a header");
        let key = Key::new("CRON_SECRET", "canary").expect("sendable");
        let deployment = Deployment::new("https://billing.example.com").expect("an address");
        let deployment = deployment.with_bypass("BYPASS", "canary").expect("sendable").keeping_secret(&key);
        assert!(!format!("{key:?} {deployment:?}").contains("canary"));
    }

    #[test]
    fn a_page_of_the_platform_is_told_from_an_answer() {
        let answer = |headers: &[(&'static str, &'static str)], text: &str| Answer {
            status: 401,
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (reqwest::header::HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect(),
            text: text.to_owned(),
            body: serde_json::from_str(text).unwrap_or_default(),
        };
        let own = answer(&[], r#"{"code": "unauthorized", "error": "No."}"#);
        assert_eq!(own.why(), "status 401, unauthorized: No.");
        let platform = answer(&[("server", "Vercel")], "<!doctype html><HTML>");
        assert!(platform.why().contains("Deployment Protection"), "{}", platform.why());
        assert_eq!(answer(&[], "<html>").why(), "status 401");
        let limited = |value| answer(&[("retry-after", value)], "").retry_after();
        assert_eq!(limited("7"), Some(Duration::from_secs(7)));
        assert_eq!((limited("1000"), limited("soon")), (None, None));
    }
}
