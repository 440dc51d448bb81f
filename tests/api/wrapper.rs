//! What surrounds every handler: a panic is a clean 500, and harms nobody else.

use std::process::Command;

use billing_ops::context::Context;
use billing_ops::http::{ApiError, Call, Endpoint, Reply, serve};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::function::Function;
use crate::request_log::{lines_of, request_line};

/// Set in the copy of this program that serves.
const SERVES: &str = "BILLING_OPS_SERVES_A_PANIC";
const CANARY: &str = "what-was-being-worked-on-0123456789";

async fn handle(_context: std::sync::Arc<Context>, call: Call) -> Result<Reply, ApiError> {
    assert!(call.uri.path() != "/api/panics", "{CANARY}");
    Reply::ok(&json!({ "path": call.uri.path() }))
}

#[test]
fn a_panic_is_a_clean_500_with_a_log_line_and_the_function_lives_on() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if std::env::var_os(SERVES).is_some() {
        let endpoint = Endpoint { route: "/api/test", methods: &[Method::GET] };
        runtime.block_on(serve(endpoint, handle)).expect("it serves until it is killed");
        return;
    }
    runtime.block_on(async {
        let http = support::client();
        let start = || {
            let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
            command.args(["--exact", "--nocapture", "--test-threads=1"]);
            command.arg("wrapper::a_panic_is_a_clean_500_with_a_log_line_and_the_function_lives_on");
            command.env(SERVES, "1");
            Function::run(&http, command)
        };
        let function = (0..5).find_map(|_| start()).expect("it starts");
        for _ in 0..3 {
            let id = Uuid::new_v4();
            let call = |path| function.request(Method::GET, path).header("x-request-id", &id.to_string());
            let (panicked, other) =
                tokio::join!(call("/api/panics").send(), function.request(Method::GET, "/api/works").send());
            assert_eq!((panicked.status, panicked.code()), (500, "internal"), "{panicked:?}");
            assert_eq!(panicked.body["request_id"], id.to_string());
            assert_eq!(panicked.header("cache-control"), Some("no-store"));
            assert_eq!((other.status, &other.body["path"]), (200, &json!("/api/works")), "{other:?}");
            let line = request_line(|| logged(&function), id).await;
            assert_eq!((&line["status"], &line["level"]), (&json!(500), &json!("ERROR")), "{line}");
            let place =
                lines_of(&logged(&function), id).into_iter().find(|line| line["message"] == "panicked");
            let place = place.expect("a line says where")["place"].to_string();
            assert!(place.contains("wrapper.rs"), "{place}");
            assert!(
                !panicked.text.contains(CANARY) && !function.output().contains(CANARY),
                "{}",
                function.output()
            );
        }
    });
}

/// The lines of the log, without those of the test harness around it.
fn logged(function: &Function) -> String {
    function.output().lines().filter(|line| line.starts_with('{')).map(|line| format!("{line}\n")).collect()
}
