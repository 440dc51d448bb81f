//! A client of the receivers, as plain as can be.

use receivers::{Received, Receivers};
use reqwest::{Client, RequestBuilder, redirect};
use serde_json::Value;
use std::time::Duration;

pub(crate) struct Here {
    pub(crate) receivers: Receivers,
    pub(crate) http: Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    /// As a string if it is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn content_type(&self) -> &str {
        self.headers["content-type"].to_str().expect("printable")
    }
}

impl Here {
    pub(crate) fn start() -> Self {
        // Another test of the same process may have installed it, which is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = Client::builder()
            // Generous, so that only what never comes runs into it.
            .timeout(Duration::from_secs(30))
            .redirect(redirect::Policy::none())
            .build()
            .expect("a client");
        Self { receivers: Receivers::start().expect("a free port"), http }
    }

    /// A setting, as billing-ops is given it.
    pub(crate) fn setting(&self, name: &str) -> String {
        let settings = self.receivers.settings();
        settings.into_iter().find(|(known, _)| *known == name).expect("a setting").1
    }

    pub(crate) fn to(&self, url: &str) -> RequestBuilder {
        self.http.post(url)
    }

    pub(crate) async fn post(&self, url: &str, body: &Value) -> Answer {
        answer(self.to(url).json(body)).await
    }

    /// The newest request.
    pub(crate) fn last(&self) -> Received {
        self.receivers.received().pop().expect("a request")
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await.expect("a whole body");
    Answer { status, headers, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) }
}

/// A text of so many characters, none of which is a single byte.
pub(crate) fn long(characters: usize) -> String {
    "é".repeat(characters)
}
