//! A genuine PostgREST behind the gateway: how it is started, asked and ended. A program of the test's own stands in its place
//! (`examples/rest-double.rs`), as it tells what it was given.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use devstack::gateway::control::{Faults, Outage};
use devstack::gateway::{Gateway, Program};
use devstack::keys::Keys;
use devstack::postgres::{Migrations, Postgres};
use reqwest::Client;
use serde_json::{Value, json};

use crate::rig::sent;

struct Rig {
    gateway: Gateway,
    postgres: Postgres,
    keys: Keys,
    http: Client,
    _logs: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Rig {
        let logs = tempfile::tempdir().expect("a folder");
        let postgres = Postgres::start(&Migrations::None, &logs.path().join("postgres.log"))
            .await
            .expect("Postgres starts");
        let keys = Keys::generate().expect("keys");
        let program = Program::new(&double(), logs.path());
        let gateway =
            Gateway::start(&postgres, keys.clone(), Some(&program)).await.expect("the gateway starts");
        let http = devstack::http_client().expect("a client");
        Rig { gateway, postgres, keys, http, _logs: logs }
    }

    /// What the program saw of a call of a function with the secret key.
    async fn asked(&self) -> (reqwest::StatusCode, Value) {
        let url = format!("{}/rest/v1/rpc/f?select=a&apikey={}", self.gateway.url(), self.keys.secret_key);
        sent(self.http.post(url).header("prefer", "tx=commit").json(&json!({"a": [1, null]}))).await
    }
}

/// Cargo builds examples beside the tests.
fn double() -> PathBuf {
    devstack::stack::binaries().expect("a folder").join("examples/rest-double")
}

#[tokio::test]
async fn it_is_told_what_the_stand_in_is_told_and_answers_in_its_place() {
    let rig = Rig::new().await;
    assert_eq!(rig.gateway.postgrest(), "rest-double/1.0");
    let (status, seen) = rig.asked().await;
    assert_eq!(status, 200, "{seen}");
    // Two refusals without a schema cache, and the first answer: the gateway was not there before it.
    assert_eq!(seen["asked"], 4);
    let told = |name: &str| seen["environment"][name].as_str().unwrap_or_default();
    assert_eq!(told("PGRST_DB_URI"), rig.postgres.socket_url("authenticator"));
    assert_eq!(
        serde_json::from_str::<Value>(told("PGRST_JWT_SECRET")).expect("a key set"),
        rig.keys.verification_jwks()
    );
    for (name, expected) in [
        ("PGRST_DB_SCHEMAS", "public"),
        ("PGRST_DB_EXTRA_SEARCH_PATH", "public, extensions"),
        ("PGRST_DB_ANON_ROLE", "anon"),
        ("PGRST_DB_POOL", "10"),
        ("PGRST_DB_MAX_ROWS", "1000"),
        ("PGRST_SERVER_HOST", "127.0.0.1"),
    ] {
        assert_eq!(told(name), expected, "{name}");
    }
    assert_eq!(told("HOME"), "", "nothing else of the environment");

    // The prefix and the key were for the gateway; the token that stands for the key is PostgREST's.
    assert_eq!((&seen["method"], &seen["target"]), (&json!("POST"), &json!("/rpc/f?select=a")));
    assert_eq!(seen["headers"]["prefer"], "tx=commit");
    assert_eq!(seen["headers"]["authorization"], format!("Bearer {}", rig.keys.service_role_token));
    assert_eq!(
        serde_json::from_str::<Value>(seen["body"].as_str().expect("text")).expect("JSON"),
        json!({"a": [1, null]})
    );

    // Without a key nothing reaches it.
    let (status, _) = sent(rig.http.get(format!("{}/rest/v1/things", rig.gateway.url()))).await;
    assert_eq!(status, 401);
    assert_eq!(rig.asked().await.1["asked"], 5);
}

#[tokio::test]
async fn faults_come_on_request_in_front_of_it() {
    let rig = Rig::new().await;
    let fault = |after_the_work| Faults {
        outage: Some(Outage::Unavailable),
        after_the_work,
        times: Some(1),
        ..Faults::default()
    };
    let before = rig.asked().await.1["asked"].as_u64().expect("a number");
    rig.gateway.control().set_faults(fault(false));
    assert_eq!(rig.asked().await.0, 503);
    assert_eq!(rig.asked().await.1["asked"], before + 1, "the fault kept the call from it");
    rig.gateway.control().set_faults(fault(true));
    assert_eq!(rig.asked().await.0, 503);
    assert_eq!(rig.asked().await.1["asked"], before + 3, "the work was done and the answer lost");
    assert_eq!(rig.gateway.control().requests()["POST /rest/v1/rpc/f"], 5, "calls are counted as ever");
}

#[tokio::test]
async fn it_ends_with_the_gateway() {
    let rig = Rig::new().await;
    let process = rig.asked().await.1["pid"].as_u64().expect("a number");
    drop(rig.gateway);
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::path::Path::new(&format!("/proc/{process}")).exists() {
        assert!(Instant::now() < deadline, "it is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn one_that_does_not_come_up_is_named_with_its_log() {
    let logs = tempfile::tempdir().expect("a folder");
    let log = logs.path().join("postgres.log");
    let postgres = Postgres::start(&Migrations::None, &log).await.expect("Postgres starts");
    let keys = Keys::generate().expect("keys");
    let program = Program::new(std::path::Path::new("/bin/false"), logs.path());
    let error = Gateway::start(&postgres, keys, Some(&program)).await.expect_err("it does not come up");
    let said = format!("{error:#}");
    assert!(said.contains("/bin/false does not start; see ") && said.contains("postgrest.log"), "{said}");
    assert!(said.contains("it ended at once"), "{said}");
}
