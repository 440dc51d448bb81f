//! Every endpoint, asked by everyone, with every method: the table of `support::matrix` over HTTP.

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::Value;

use crate::people::{People, with_previous_secrets};
use support::Answer;
use support::matrix::{ENDPOINTS, METHODS, TABLE, expected};
use support::paths::{ALERTS, METRICS};

/// How many calls are under way at once.
const AT_ONCE: usize = 12;

#[tokio::test]
async fn promise_7_everyone_gets_what_the_table_says_and_nothing_else() {
    let stack = with_previous_secrets().start();
    if stack.at.jwt_secret.is_empty() {
        eprintln!("NOT TESTED: another Supabase keeps the secret that the matrix's tokens are signed with");
        return;
    }
    let people = People::settle(&stack).await;
    let raised = stack.monitor().await;
    assert_eq!(raised.status, 200, "{raised:?}");
    let run = stack.reconcile("").await;
    assert_eq!(run.status, 200, "{run:?}");
    let run = run.body["reconciliation_log_id"].as_str().expect("a run").to_owned();
    let alerts = stack.admin(ALERTS).await;
    let alert = alerts.body["alerts"][0]["id"].as_str().expect("an alert").to_owned();

    let mut cells = Vec::new();
    for (who, description, row) in TABLE {
        for (column, endpoint) in ENDPOINTS.iter().enumerate() {
            for method in METHODS {
                let nothing = "00000000-0000-4000-8000-000000000000";
                let path = endpoint.path.replace("{alert}", &alert).replace("{run}", &run);
                let path = path.replace("{nothing}", nothing);
                cells.push((*who, *description, column, method, path, expected(row, column, method)));
            }
        }
    }
    let total = cells.len();
    let answered = futures::stream::iter(cells.into_iter().enumerate())
        .map(|(number, (who, description, column, method, path, expected))| {
            let (stack, people) = (&stack, &people);
            async move {
                // Each cell is a client of its own: rate limits have their own tests.
                let client = format!("10.{}.{}.{}", number / 65536, number / 256 % 256, number % 256);
                let method_value = Method::from_bytes(method.as_bytes()).expect("a method");
                let mut request = people.call(stack, who, method_value, &path).client(&client);
                if let Some(body) = ENDPOINTS[column].body(method) {
                    request = request.json(&body);
                }
                let wrong = match request.try_send().await {
                    Ok(answer) => problem(&answer, method, column, expected),
                    Err(error) => Some(format!("no answer: {error}")),
                };
                wrong.map(|wrong| format!("{method} {} as {description}: {wrong}", ENDPOINTS[column].name))
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    assert_eq!(answered.len(), total);
    let problems: Vec<String> = answered.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{} of {total} cells:\n{}", problems.len(), problems.join("\n"));
}

/// What is wrong with an answer: its status, or what every answer must have.
fn problem(answer: &Answer, method: &str, column: usize, expected: u16) -> Option<String> {
    let status = answer.status;
    if status != expected {
        return Some(format!("{status} instead of {expected}: {}", answer.body));
    }
    let header = |name: &str| answer.header(name).unwrap_or_default();
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        if header(name) != value {
            return Some(format!("{name}: {:?}", header(name)));
        }
    }
    if header("strict-transport-security").is_empty() || header("x-request-id").is_empty() {
        return Some(format!("headers are missing: {:?}", answer.headers));
    }
    if answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")) {
        return Some("the answer is open to other origins".into());
    }
    if (status == 401) != (header("www-authenticate") == "Bearer") {
        return Some(format!("www-authenticate: {:?}", header("www-authenticate")));
    }
    let allow = ENDPOINTS[column].methods.iter().copied().chain(["OPTIONS"]).collect::<Vec<_>>().join(", ");
    let allow = if matches!(status, 405 | 204) { allow.as_str() } else { "" };
    if header("allow") != allow {
        return Some(format!("allow: {:?}", header("allow")));
    }
    if method == "HEAD" || status == 204 {
        return (answer.body != Value::Null).then(|| "a body where none may be".into());
    }
    if status == 200 && ENDPOINTS[column].path == METRICS {
        return (!answer.text.starts_with("# HELP ")).then(|| format!("no metrics: {}", answer.text));
    }
    // What is not JSON has it in the header only.
    let json = header("content-type").starts_with("application/json");
    if json && answer.body["request_id"] != header("x-request-id") {
        return Some(format!("request_id: {}", answer.body["request_id"]));
    }
    let code = match status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        409 => "conflict",
        _ => return None,
    };
    let said = answer.body["error"].as_str().unwrap_or_default();
    (answer.code() != code || said.is_empty()).then(|| format!("the body is {}", answer.body))
}
