//! A whole local stack for one test, and short ways to call it.
//!
//! Each test boots its own: Postgres, PostgREST, Stripe and the real function binaries, on ports of their own. So tests
//! run side by side and none sees another's rows. `SUPABASE_URL`, `SUPABASE_SECRET_KEY` and `DATABASE_URL` in the environment
//! put another Supabase under the same tests; then they must run one at a time.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

/// What `devstack up` prints when everything answers.
#[derive(Debug, Clone, Deserialize)]
pub struct Addresses {
    pub base_url: String,
    pub supabase_url: String,
    pub rest_url: String,
    pub database_url: String,
    pub stripe_url: String,
    pub secret_key: String,
    pub publishable_key: String,
    pub jwt_secret: String,
    pub reconcile_secret: String,
    pub monitor_secret: String,
    pub cron_secret: String,
    pub admin_token: String,
    pub member_token: String,
    pub admin_email: String,
    pub admin_password: String,
    pub logs: PathBuf,
}

/// A running stack. Dropping it stops every process of it.
pub struct Stack {
    pub at: Addresses,
    pub http: reqwest::Client,
    process: Child,
    folder: tempfile::TempDir,
}

/// How a stack is to be.
#[derive(Default)]
pub struct Setup {
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Setup {
    /// A setting of the functions.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// An argument of `devstack up`.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Boots the stack and waits until everything answers.
    #[must_use]
    pub fn start(self) -> Stack {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new(devstack())
            .args(["up", "--port", "0", "--no-build", "--dir"])
            .arg(folder.path())
            .args(&self.arguments)
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("devstack is built: cargo build -p devstack");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let at = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("devstack did not come up ({error}): {line:?}"));
        let http = client();
        Stack { at, http, process, folder }
    }
}

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

/// The local stack's binary, built beside the tests.
fn devstack() -> PathBuf {
    if let Some(path) = std::env::var_os("DEVSTACK_BIN") {
        return path.into();
    }
    let mut path = std::env::current_exe().expect("a test has a path");
    path.pop();
    path.pop();
    path.join("devstack")
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SIGTERM, so that the stack stops its children and removes what it made.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A call that is being put together.
pub struct Request {
    builder: reqwest::RequestBuilder,
}

impl Request {
    pub fn new(builder: reqwest::RequestBuilder) -> Self {
        Self { builder }
    }

    pub fn bearer(self, token: &str) -> Self {
        Self { builder: self.builder.bearer_auth(token) }
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self { builder: self.builder.header(name, value) }
    }

    /// As a client at this address: callers are limited by it.
    pub fn client(self, address: &str) -> Self {
        self.header("x-devstack-client-ip", address)
    }

    pub fn json(self, body: &Value) -> Self {
        Self { builder: self.builder.json(body) }
    }

    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self { builder: self.builder.body(body) }
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let response = self.builder.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body, text: String::from_utf8_lossy(&bytes).into_owned() })
    }
}

impl Stack {
    /// An empty database, and a Stripe without subscriptions.
    #[must_use]
    pub fn start() -> Self {
        Setup::default().start()
    }

    #[must_use]
    pub fn setup() -> Setup {
        Setup::default()
    }

    pub fn request(&self, method: Method, path: &str) -> Request {
        Request { builder: self.http.request(method, format!("{}{path}", self.at.base_url)) }
    }

    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// One scheduled run with the machine secret.
    pub async fn reconcile(&self, query: &str) -> Answer {
        self.post(&format!("/api/subscriptions/reconcile{query}"))
            .bearer(&self.at.reconcile_secret)
            .send()
            .await
    }

    /// One monitor pass with the machine secret.
    pub async fn monitor(&self) -> Answer {
        self.post("/api/admin/billing-alerts/monitor").bearer(&self.at.monitor_secret).send().await
    }

    /// A page of the admin's, by path.
    pub async fn admin(&self, path: &str) -> Answer {
        self.get(path).bearer(&self.at.admin_token).send().await
    }

    /// A direct connection to Postgres, as its owner.
    pub async fn database(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.at.database_url, tokio_postgres::NoTls)
            .await
            .expect("Postgres answers");
        tokio::spawn(connection);
        client
    }

    /// A control call of the Stripe simulator.
    pub async fn stripe(&self, method: Method, path: &str, body: &Value) -> Value {
        let response = self
            .http
            .request(method, format!("{}/_control/{path}", self.at.stripe_url))
            .json(body)
            .send()
            .await
            .expect("the simulator answers");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap_or(Value::Null)
    }

    /// A control call of the gateway that stands for Supabase.
    pub async fn gateway(&self, method: Method, path: &str, body: &Value) -> Value {
        let response = self
            .http
            .request(method, format!("{}/_control/{path}", self.at.supabase_url))
            .json(body)
            .send()
            .await
            .expect("the gateway answers");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap_or(Value::Null)
    }

    /// Everything that the functions have written so far.
    pub fn function_logs(&self) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(&self.at.logs).expect("a folder of logs").flatten() {
            let name = entry.file_name();
            if name != "postgres.log" {
                all.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
        all
    }
}
