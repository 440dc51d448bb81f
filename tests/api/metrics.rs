//! What a Prometheus gets: the numbers, from the real database, by the real function.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::function::Function;
use support::disturb::{change_rows, steady};
use support::paths::{DRIFT, METRICS};
use support::{Answer, Stack};

/// A scrape by a process of its own, which remembers nothing.
async fn scrape(stack: &Stack) -> Answer {
    let page = Function::start(stack, "page", &[]);
    page.request(Method::GET, METRICS).bearer(&stack.at.metrics_secret).send().await
}

/// The samples of a text: name and labels, as they are written, to value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

async fn calls(stack: &Stack) -> u64 {
    stack.gateway(Method::GET, "requests", &Value::Null).await["total"].as_u64().expect("a count")
}

#[tokio::test]
async fn metrics_tell_what_is_there_and_no_id() {
    let stack = Stack::setup().argument("--subscriptions").argument("60").start();
    let database = stack.database().await;

    let before = scrape(&stack).await;
    assert_eq!(before.status, 200, "{before:?}");
    assert_eq!(before.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(before.header("cache-control"), Some("no-store"));
    let told = samples(&before.text);
    assert!(!told.contains_key("billing_ops_run_duration_seconds"), "there was no run: {}", before.text);
    assert_eq!(told[&format!("billing_ops_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))], 1.0);

    // One is repaired by a run and taken back by a person; nobody has a channel, and one alert is open.
    let wrong = steady(&database, "active", 1).await.remove(0);
    let sql =
        format!("update public.subscriptions set status = 'unpaid' where stripe_subscription_id = '{wrong}'");
    change_rows(&database, &sql).await;
    let run = stack.run_to_the_end().await;
    let sql = "insert into public.billing_alerts (alert_key, alert_type, severity, message)
               values ('test', 'test', 'high', 'A test.')";
    database.execute(sql, &[]).await.expect("an alert");
    let due = "insert into public.stripe_due (stripe_subscription_id, due_at) values ('sub_due', now() + interval '1 day')";
    database.execute(due, &[]).await.expect("one that is due");

    let repaired = r#"billing_ops_drift_closed_total{type="status_mismatch",action="repaired"}"#;
    let after = scrape(&stack).await;
    let told = samples(&after.text);
    assert_eq!(told[repaired], 1.0, "{}", after.text);
    assert_eq!(
        told["billing_ops_subscriptions_scanned"],
        run.body["scanned_count"].as_f64().expect("a count")
    );
    let last: f64 = told[r#"billing_ops_last_run_timestamp_seconds{scope="all",status="success"}"#];
    assert!((last - chrono::Utc::now().timestamp() as f64).abs() < 600.0, "{last}");
    assert!(told["billing_ops_run_duration_seconds"] >= 0.0);
    assert!(told[r#"billing_ops_alerts_open{severity="high"}"#] >= 1.0);
    assert_eq!(told["billing_ops_due"], 1.0);
    for id in ["sub_", "cus_", "prod_", "price_1"] {
        assert!(!after.text.contains(id), "{id}: {}", after.text);
    }

    let entry = "select id from public.drift where type = 'status_mismatch'";
    let entry: Uuid = database.query_one(entry, &[]).await.expect("one").get(0);
    let revert = stack.post(&format!("{DRIFT}/{entry}/revert")).bearer(&stack.at.admin_token).send().await;
    assert_eq!(revert.body["outcome"], "reverted", "{revert:?}");
    let told = samples(&scrape(&stack).await.text);
    assert_eq!(told[repaired], 1.0, "a counter does not fall");
    assert_eq!(told[r#"billing_ops_drift_closed_total{type="status_mismatch",action="reverted"}"#], 1.0);
    assert_eq!(told[r#"billing_ops_drift_open{type="status_mismatch",action="excepted"}"#], 1.0);
}

#[tokio::test]
async fn a_process_gives_its_answer_again_for_a_while() {
    let stack = Stack::start();
    let page = Function::start(&stack, "page", &[]);
    let ask = async || page.request(Method::GET, METRICS).bearer(&stack.at.metrics_secret).send().await;
    stack.gateway(Method::POST, "reset", &json!({})).await;
    let first = ask().await;
    assert_eq!((first.status, calls(&stack).await), (200, 1), "{first:?}");
    let second = ask().await;
    assert_eq!((second.text.as_str(), calls(&stack).await), (first.text.as_str(), 1));
    // What is remembered is nothing for those who may not have it.
    let wrong = page.request(Method::GET, METRICS).bearer(&stack.at.monitor_secret).send().await;
    assert_eq!((wrong.status, wrong.code()), (401, "unauthorized"), "{wrong:?}");
    assert_eq!(calls(&stack).await, 1, "nor does it cost anything to refuse them");
    let head = page.request(Method::HEAD, METRICS).bearer(&stack.at.metrics_secret).send().await;
    assert_eq!((head.status, head.text.as_str()), (200, ""), "{head:?}");
}

/// Without the database there are no numbers, and old ones are not passed off as new.
#[tokio::test]
async fn without_a_database_a_scrape_fails() {
    let stack = Stack::start();
    stack.gateway(Method::PUT, "faults", &json!({ "outage": "unavailable" })).await;
    let answer = scrape(&stack).await;
    assert_eq!((answer.status, answer.code()), (503, "database_unavailable"), "{answer:?}");
}

#[tokio::test]
async fn scrapes_are_limited_by_address() {
    let stack = Stack::start();
    let database = stack.database().await;
    let page = Function::start(&stack, "page", &[]);
    let ask = async |client: &str| {
        let call = page.request(Method::GET, METRICS).bearer(&stack.at.metrics_secret);
        call.header("x-vercel-forwarded-for", client).send().await
    };
    let sql = "insert into public.rate_limit_windows (route, client, window_started_at, hits) values ('metrics', '192.0.2.1', now(), 60)";
    database.execute(sql, &[]).await.expect("sixty calls");
    let limited = ask("192.0.2.1").await;
    assert_eq!((limited.status, limited.code()), (429, "rate_limited"), "{limited:?}");
    assert_eq!(ask("192.0.2.2").await.status, 200);
    assert_eq!(ask("192.0.2.1").await.status, 200, "what is remembered costs nothing");
}
