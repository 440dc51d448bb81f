//! A client of the simulator, as plain as can be.

use reqwest::Method;
use reqwest::blocking::{Client, Response};
use serde_json::Value;
use std::time::Duration;
use stripe_simulator::{Config, RESTRICTED_KEY, SECRET_KEY, Simulator};

pub(crate) struct Stripe {
    pub(crate) simulator: Simulator,
    http: Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn ids(&self) -> Vec<String> {
        self.data().iter().map(|object| text(&object["id"])).collect()
    }

    pub(crate) fn data(&self) -> &[Value] {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["data"].as_array().expect("a list")
    }

    pub(crate) fn has_more(&self) -> bool {
        self.body["has_more"].as_bool().expect("a list")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("printable"))
    }

    /// Status, code, param and message of a refusal.
    pub(crate) fn refusal(&self) -> (u16, Option<&str>, Option<&str>, &str) {
        let error = &self.body["error"];
        let message = error["message"].as_str().unwrap_or_default();
        (self.status, error["code"].as_str(), error["param"].as_str(), message)
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// A client. Its TLS is never used, but must have a provider where another member of the workspace asks for TLS at all.
pub(crate) fn client() -> Client {
    // A second test of the same process finds it installed, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    // Generous, so that only what never comes runs into it.
    Client::builder().timeout(Duration::from_secs(30)).build().expect("a client")
}

impl Stripe {
    pub(crate) fn start(config: Config) -> Self {
        let simulator = Simulator::start(config).expect("a free port");
        Self { simulator, http: client() }
    }

    pub(crate) fn with(subscriptions: u32) -> Self {
        Self::start(Config { subscriptions, ..Config::default() })
    }

    pub(crate) fn send(&self, method: Method, target: &str, key: Option<&str>) -> reqwest::Result<Response> {
        let request = self.http.request(method, format!("{}{target}", self.simulator.url()));
        match key {
            Some(key) => request.bearer_auth(key).send(),
            None => request.send(),
        }
    }

    pub(crate) fn with_key(&self, key: Option<&str>, target: &str) -> Answer {
        answer(self.send(Method::GET, target, key).expect("an answer"))
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.with_key(Some(SECRET_KEY), target)
    }

    pub(crate) fn restricted(&self, target: &str) -> Answer {
        self.with_key(Some(RESTRICTED_KEY), target)
    }

    pub(crate) fn control(&self, method: Method, path: &str, body: &Value) -> Answer {
        let url = format!("{}/_control{path}", self.simulator.url());
        answer(self.http.request(method, url).json(body).send().expect("an answer"))
    }

    /// All pages of a list, as one: `target` has its parameters already.
    pub(crate) fn scan(&self, target: &str) -> Vec<Value> {
        let mut objects: Vec<Value> = Vec::new();
        loop {
            let cursor = match objects.last() {
                Some(last) => format!("&starting_after={}", text(&last["id"])),
                None => String::new(),
            };
            let page = self.get(&format!("{target}{cursor}"));
            objects.extend_from_slice(page.data());
            if !page.has_more() {
                return objects;
            }
        }
    }
}

fn answer(response: Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().expect("a whole body");
    Answer { status, headers, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) }
}
