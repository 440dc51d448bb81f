//! A whole local stack for one test, and short ways to call it.
//!
//! Each test boots its own: Postgres, PostgREST, Stripe and the real function binaries, on ports of their own. So tests
//! run side by side and none sees another's rows. `SUPABASE_URL`, `SUPABASE_SECRET_KEY` and `DATABASE_URL` in the
//! environment put another Supabase under the same tests; then they must run one at a time.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::Value;
use stack_description::Description;

use crate::paths::{MONITOR, RECONCILE};
use crate::request::{Answer, Request, client};

/// A running stack. Dropping it stops every process of it.
pub struct Stack {
    /// Addresses, keys and secrets.
    pub at: Description,
    /// What its requests are sent with.
    pub http: reqwest::Client,
    process: Child,
    _folder: tempfile::TempDir,
}

/// How a stack is to be: one that repairs by itself, unless a setting says otherwise.
pub struct Setup {
    arguments: Vec<String>,
    files: Vec<(String, String)>,
    environment: BTreeMap<String, String>,
}

impl Default for Setup {
    fn default() -> Self {
        let environment = BTreeMap::from([("REPAIR_MODE".to_owned(), "auto".to_owned())]);
        Self { arguments: Vec::new(), files: Vec::new(), environment }
    }
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

    /// An argument of `devstack up` that names a file, with what is in it.
    #[must_use]
    pub fn file_argument(mut self, argument: &str, content: impl Into<String>) -> Self {
        self.files.push((argument.into(), content.into()));
        self
    }

    /// Boots the stack and waits until everything answers.
    #[must_use]
    pub fn start(self) -> Stack {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut arguments = self.arguments;
        for (place, (argument, content)) in self.files.into_iter().enumerate() {
            let path = folder.path().join(format!("argument-{place}"));
            std::fs::write(&path, content).expect("a file");
            arguments.extend([argument, path.display().to_string()]);
        }
        let mut process = Command::new(devstack())
            .args(["up", "--port", "0", "--no-build", "--dir"])
            .arg(folder.path())
            .args(&arguments)
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
        Stack { at, http, process, _folder: folder }
    }
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

impl Stack {
    /// An empty database, and a Stripe without subscriptions.
    #[must_use]
    pub fn start() -> Self {
        Setup::default().start()
    }

    /// A stack that is to be otherwise.
    #[must_use]
    pub fn setup() -> Setup {
        Setup::default()
    }

    /// A call of the deployment.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self.http.request(method, format!("{}{path}", self.at.base_url)))
    }

    /// A GET of the deployment.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// A POST to the deployment.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// One scheduled run with the machine secret.
    pub async fn reconcile(&self, query: &str) -> Answer {
        self.post(&format!("{RECONCILE}{query}")).bearer(&self.at.reconcile_secret).send().await
    }

    /// One monitor pass with the machine secret.
    pub async fn monitor(&self) -> Answer {
        self.post(MONITOR).bearer(&self.at.monitor_secret).send().await
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
            if name != "postgres.log" && name != "postgrest.log" {
                all.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
        all
    }
}
