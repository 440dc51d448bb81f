//! Calls over HTTP, and their answers read whole.

use serde_json::Value;

/// A client for plain HTTP on this machine, which follows no redirects.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(no_tls())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client")
}

/// A client configuration without roots: everything that tests call is plain HTTP on this machine.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports them")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as JSON; null where it is none.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// A header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The error's code; empty without one.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A call that is being put together.
pub struct Request {
    builder: reqwest::RequestBuilder,
}

impl Request {
    /// A call as reqwest builds it.
    pub fn new(builder: reqwest::RequestBuilder) -> Self {
        Self { builder }
    }

    /// With this token as `Authorization`.
    pub fn bearer(self, token: &str) -> Self {
        Self { builder: self.builder.bearer_auth(token) }
    }

    /// With one more header.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { builder: self.builder.header(name, value) }
    }

    /// As a client at this address: callers are limited by it.
    pub fn client(self, address: &str) -> Self {
        self.header("x-devstack-client-ip", address)
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        Self { builder: self.builder.json(body) }
    }

    /// With a body as it is.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self { builder: self.builder.body(body) }
    }

    /// The answer. Panics without one.
    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// The answer, or why there is none.
    ///
    /// # Errors
    /// What reqwest says where no whole answer came.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let response = self.builder.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body, text: String::from_utf8_lossy(&bytes).into_owned() })
    }
}
