//! What the tests of the gateway share: a Postgres without migrations, a gateway, and a few functions in it.

use devstack::gateway::{Gateway, Program};
use devstack::keys::Keys;
use devstack::postgres::{Migrations, Postgres};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

/// A gateway of its own for one test.
pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    pub(crate) postgres: Postgres,
    pub(crate) keys: Keys,
    pub(crate) http: Client,
    _logs: tempfile::TempDir,
}

/// Functions of every kind that matters to the gateway.
const FUNCTIONS: &str = include_str!("functions.sql");

impl Rig {
    pub(crate) async fn new() -> Rig {
        let logs = tempfile::tempdir().expect("a folder");
        let postgres = Postgres::start(&Migrations::None, &logs.path().join("postgres.log"))
            .await
            .expect("Postgres starts");
        let owner = devstack::postgres::connect(&postgres.socket_config("postgres")).await.expect("connects");
        owner.batch_execute(FUNCTIONS).await.expect("functions are made");
        let keys = Keys::generate().expect("keys");
        let genuine = devstack::settings::postgrest().map(|binary| Program::new(&binary, logs.path()));
        let gateway =
            Gateway::start(&postgres, keys.clone(), genuine.as_ref()).await.expect("the gateway starts");
        Rig { gateway, postgres, keys, http: devstack::http_client().expect("a client"), _logs: logs }
    }

    pub(crate) fn rest(&self, path: &str) -> String {
        format!("{}/rest/v1{path}", self.gateway.url())
    }

    pub(crate) fn auth(&self, path: &str) -> String {
        format!("{}/auth/v1{path}", self.gateway.url())
    }

    /// A call of a function with the secret key.
    pub(crate) fn rpc(&self, function: &str, arguments: &Value) -> RequestBuilder {
        self.http
            .post(self.rest(&format!("/rpc/{function}")))
            .header("apikey", &self.keys.secret_key)
            .json(arguments)
    }

    /// Who the database says that the caller of this request is; or the refusal.
    pub(crate) async fn who(&self, request: RequestBuilder) -> (StatusCode, Value) {
        answer(request.json(&json!({})).send().await.expect("an answer")).await
    }

    pub(crate) fn who_am_i(&self) -> RequestBuilder {
        self.http.post(self.rest("/rpc/who_am_i"))
    }

    /// Adds a person through the admin API.
    pub(crate) async fn person(&self, email: &str, password: &str) -> Value {
        let new = json!({"email": email, "password": password, "email_confirm": true});
        let request =
            self.http.post(self.auth("/admin/users")).header("apikey", &self.keys.secret_key).json(&new);
        let (status, person) = answer(request.send().await.expect("an answer")).await;
        assert_eq!(status, 200, "{person}");
        person
    }
}

pub(crate) async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(crate) async fn sent(request: RequestBuilder) -> (StatusCode, Value) {
    answer(request.send().await.expect("an answer")).await
}
