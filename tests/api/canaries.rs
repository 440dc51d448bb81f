//! Secrets, tokens, keys and customers' addresses are fed through every path, those that fail included; then everything that
//! was written and everything that was answered is searched for them.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::function::Function;
use crate::people::{
    CRON_PREVIOUS, METRICS_PREVIOUS, MONITOR_PREVIOUS, People, RECONCILE_PREVIOUS, with_previous_secrets,
};
use crate::request_log::{lines, lines_of, request_line};
use support::matrix::Principal;
use support::paths::{ALERTS, CONFIG, HEALTH, METRICS, MONITOR, RECONCILE, RECONCILE_NOW, RUNS};
use support::{Answer, Request, Stack};

const CUSTOMER: &str = "customer.canary@example.test";
const NAME: &str = "Canary Customer Name";
const WRONG: &str = "wrong-secret-canary-0123456789";
const STRIPE_KEY: &str = "sk_test_canary0stripe0key0123456789";
const SUPABASE_KEY: &str = "sb_secret_canary0supabase0key_0123";
const HEARTBEAT: &str = "heartbeat-canary-0123456789";
const PASSWORD: &str = "password-canary-0123456789";
const PAYLOAD: &str = "payload-canary-0123456789";

/// Every call that was made, by its request id, with its answer.
#[derive(Default)]
struct Journal {
    answers: BTreeMap<Uuid, Answer>,
    last: Uuid,
}

impl Journal {
    async fn send(&mut self, request: Request) -> &Answer {
        let id = Uuid::new_v4();
        self.last = id;
        let client = format!("10.1.{}.{}", self.answers.len() / 256, self.answers.len() % 256);
        let request = request.header("x-request-id", &id.to_string()).client(&client);
        let answer = request.header("x-vercel-forwarded-for", &client).send().await;
        self.answers.entry(id).or_insert(answer)
    }
}

/// A Stripe whose objects hold what a customer would not want in a log, and which differ from the database.
async fn customers(stack: &Stack) {
    let personal = json!({
        "customer": {"id": "cus_canary", "object": "customer", "email": CUSTOMER, "name": NAME},
        "description": CUSTOMER, "customer_email": CUSTOMER,
        "default_payment_method": {"billing_details": {"email": CUSTOMER, "name": NAME}},
    });
    for number in 0..4 {
        let subscription = json!({
            "id": format!("sub_canary{number}"), "metadata": {"note": CUSTOMER}, "object": personal,
            "status": if number == 0 { "a_status_nobody_knows" } else { "active" },
            "created": chrono::Utc::now().timestamp() - 86_400,
        });
        stack.stripe(Method::POST, "subscriptions", &subscription).await;
    }
    let served = stack.stripe(Method::GET, "subscriptions/sub_canary1", &json!({})).await.to_string();
    assert!(
        served.contains(CUSTOMER) && served.contains(NAME),
        "Stripe serves what is searched for: {served}"
    );
    let session = json!({
        "subscription": "sub_canary1", "created": chrono::Utc::now().timestamp() - 7200,
        "object": {"customer_email": CUSTOMER, "customer_details": {"email": CUSTOMER, "name": NAME}},
    });
    stack.stripe(Method::POST, "sessions", &session).await;
}

/// Everyone, everywhere, as it should be and as it should not.
async fn callers(stack: &Stack, people: &People, journal: &mut Journal) {
    for (who, ..) in support::matrix::TABLE {
        for (method, path) in [
            (Method::POST, RECONCILE),
            (Method::GET, MONITOR),
            (Method::GET, ALERTS),
            (Method::GET, METRICS),
            (Method::POST, RECONCILE_NOW),
        ] {
            journal.send(people.call(stack, *who, method, path)).await;
        }
    }
    let admin = Principal::AdminByMembership;
    let run = journal.send(people.call(stack, admin, Method::GET, RUNS)).await.body["runs"][0]["id"].clone();
    let alert =
        journal.send(people.call(stack, admin, Method::GET, ALERTS)).await.body["alerts"][0]["id"].clone();
    let run = format!("{RUNS}/{}", run.as_str().expect("a run"));
    let resolve = format!("{ALERTS}/{}/resolve", alert.as_str().expect("an alert"));
    for (method, path) in [
        (Method::GET, run.as_str()),
        (Method::GET, "/api/health?deep=1"),
        (Method::GET, CONFIG),
        (Method::OPTIONS, ALERTS),
        (Method::DELETE, ALERTS),
        (Method::GET, "/api/nowhere"),
    ] {
        journal.send(people.call(stack, admin, method, path)).await;
    }
    // What is misplaced: credentials where a parameter, an id, an origin, a body or a header should be.
    for (method, path) in [
        (Method::POST, format!("{RECONCILE}?hours={WRONG}")),
        (Method::POST, format!("{RECONCILE_NOW}?hours={CUSTOMER}")),
        (Method::GET, format!("{ALERTS}?cursor={WRONG}")),
        (Method::GET, format!("{ALERTS}?type={WRONG}")),
        (Method::GET, format!("{RUNS}/{WRONG}")),
        (Method::GET, format!("/api/{WRONG}")),
        (Method::GET, format!("/api/health?deep={WRONG}")),
    ] {
        journal.send(stack.request(method, &path).bearer(&stack.at.admin_token)).await;
    }
    for body in [
        json!(WRONG),
        json!([WRONG]),
        json!({"note": [WRONG]}),
        json!({"note": {"token": WRONG}}),
        json!({"note": CUSTOMER, "x": WRONG}),
    ] {
        journal.send(stack.post(&resolve).bearer(&stack.at.admin_token).json(&body)).await;
        journal.send(stack.post(MONITOR).bearer(&stack.at.monitor_secret).json(&body)).await;
    }
    for (name, value) in [
        ("origin", WRONG),
        ("idempotency-key", WRONG),
        ("cookie", WRONG),
        ("user-agent", WRONG),
        ("apikey", WRONG),
    ] {
        let call = stack.post(&format!("{RECONCILE}?type=request")).bearer(&stack.at.reconcile_secret);
        journal.send(call.header(name, value)).await;
    }
}

/// The database fails, and Stripe does, in every way that they can.
async fn failures(stack: &Stack, journal: &mut Journal) {
    let at = &stack.at;
    for outage in ["unavailable", "drop", "garbage"] {
        stack.gateway(Method::PUT, "faults", &json!({ "outage": outage })).await;
        for (method, path, token) in [
            (Method::POST, RECONCILE, &at.reconcile_secret),
            (Method::POST, MONITOR, &at.monitor_secret),
            (Method::POST, RECONCILE_NOW, &at.admin_token),
            (Method::GET, ALERTS, &at.admin_token),
            (Method::GET, "/api/health?deep=1", &at.admin_token),
        ] {
            let answer = journal.send(stack.request(method, path).bearer(token)).await;
            assert!(matches!(answer.status, 500 | 503), "{outage} {path}: {answer:?}");
        }
        // It fails in the middle of a run, too.
        stack.gateway(Method::PUT, "faults", &json!({"outage": outage, "after": 1})).await;
        let again = stack.post(&format!("{RECONCILE}?type=request")).bearer(&at.reconcile_secret);
        journal.send(again).await;
        stack.gateway(Method::PUT, "faults", &json!({})).await;
        end_runs(stack).await;
    }
    let personal =
        json!({"object": "subscription", "id": "sub_x", "customer": 7, "email": CUSTOMER, "note": PAYLOAD});
    for kind in [
        json!({"status": {"status": 400}}),
        json!({"status": {"status": 401}}),
        json!({"status": {"status": 403}}),
        json!({"status": {"status": 500}}),
        json!("garbage"),
        json!("cut_body"),
        json!({"malformed": {"object": personal}}),
    ] {
        stack.stripe(Method::POST, "faults", &json!({"kind": kind, "count": null})).await;
        let call = stack.post(&format!("{RECONCILE}?type=request")).bearer(&at.reconcile_secret);
        let answer = journal.send(call).await;
        assert!(matches!(answer.status, 200 | 502 | 503), "{kind}: {answer:?}");
        stack.stripe(Method::DELETE, "faults", &json!({})).await;
        end_runs(stack).await;
    }
}

/// A run that lost the database in its middle would stand in the way of the next until its lease is over.
async fn end_runs(stack: &Stack) {
    let sql = "update public.reconciliation_logs set lease_expires_at = now() - interval '1 second' where status = 'running'";
    stack.database().await.execute(sql, &[]).await.expect("the lease is over");
}

/// Functions whose settings are wrong, and hold what must not be shown.
async fn settings(stack: &Stack, journal: &mut Journal) -> String {
    let at = &stack.at;
    let with_password = format!("http://user:{PASSWORD}@127.0.0.1:9/");
    let heartbeat = format!("http://127.0.0.1:9/{HEARTBEAT}");
    let unfit = format!("{WRONG} {WRONG}");
    let mut output = String::new();
    for (binary, path, token, changes) in [
        (
            "reconcile",
            RECONCILE,
            &at.cron_secret,
            [("STRIPE_SECRET_KEY", STRIPE_KEY), ("LOG_LEVEL", "debug")],
        ),
        (
            "reconcile",
            RECONCILE,
            &at.cron_secret,
            [("SUPABASE_SECRET_KEY", SUPABASE_KEY), ("LOG_LEVEL", "debug")],
        ),
        ("reconcile", RECONCILE, &at.cron_secret, [("RECONCILE_SECRET", &unfit), ("LOG_LEVEL", "debug")]),
        ("reconcile", RECONCILE, &at.cron_secret, [("SUPABASE_URL", &with_password), ("LOG_LEVEL", "debug")]),
        ("reconcile", RECONCILE, &at.cron_secret, [("PRICE_TIERS", WRONG), ("LOG_LEVEL", "debug")]),
        ("monitor", MONITOR, &at.cron_secret, [("HEARTBEAT_URL", &heartbeat), ("LOG_LEVEL", "debug")]),
        ("monitor", MONITOR, &at.cron_secret, [("HEARTBEAT_URL", HEARTBEAT), ("LOG_LEVEL", WRONG)]),
        (
            "billing_alerts",
            ALERTS,
            &at.admin_token,
            [("SUPABASE_PUBLISHABLE_KEY", SUPABASE_KEY), ("LOG_LEVEL", "debug")],
        ),
        (
            "page",
            CONFIG,
            &at.admin_token,
            [("SUPABASE_PUBLISHABLE_KEY", SUPABASE_KEY), ("LOG_LEVEL", "debug")],
        ),
        ("page", HEALTH, &at.admin_token, [("CRON_SECRET", &unfit), ("STRIPE_SECRET_KEY", WRONG)]),
    ] {
        let changes = changes.map(|(name, value)| (name, Some(value)));
        let function = Function::start(stack, binary, &changes);
        journal.send(function.request(Method::GET, path).bearer(token)).await;
        // A wrong LOG_LEVEL means the default one, so that each request has its line.
        request_line(|| function.output(), journal.last).await;
        output.push_str(&function.output());
        end_runs(stack).await;
    }
    output
}

#[tokio::test]
async fn no_secret_token_key_or_customers_address_is_ever_written_or_answered() {
    let stack = with_previous_secrets()
        .setting("LOG_LEVEL", "debug")
        .setting("RECONCILE_BUDGET_SECONDS", "5")
        .start();
    let people = People::settle(&stack).await;
    customers(&stack).await;
    let mut journal = Journal::default();
    callers(&stack, &people, &mut journal).await;
    failures(&stack, &mut journal).await;
    let routed: Vec<Uuid> = journal.answers.keys().copied().collect();
    let own_output = settings(&stack, &mut journal).await;
    for id in &routed {
        request_line(|| stack.function_logs(), *id).await;
    }
    let output = stack.function_logs();
    let stats = stack.stripe(Method::GET, "stats", &json!({})).await;
    assert!(
        stats["requests"].as_u64() > Some(20) && stats["writes_refused"] == 0,
        "Stripe is only read: {stats}"
    );

    let at = &stack.at;
    let mut canaries: Vec<(String, String)> = [
        ("the secret key", at.secret_key.as_str()),
        ("the secret that signs tokens", &at.jwt_secret),
        ("RECONCILE_SECRET", &at.reconcile_secret),
        ("MONITOR_SECRET", &at.monitor_secret),
        ("CRON_SECRET", &at.cron_secret),
        ("METRICS_SECRET", &at.metrics_secret),
        ("RECONCILE_SECRET_PREVIOUS", RECONCILE_PREVIOUS),
        ("MONITOR_SECRET_PREVIOUS", MONITOR_PREVIOUS),
        ("CRON_SECRET_PREVIOUS", CRON_PREVIOUS),
        ("METRICS_SECRET_PREVIOUS", METRICS_PREVIOUS),
        ("the Stripe key", "rk_test_simulator0restricted"),
        ("a wrong Stripe key", STRIPE_KEY),
        ("a wrong Supabase key", SUPABASE_KEY),
        ("a wrong secret", WRONG),
        ("the heartbeat's path", HEARTBEAT),
        ("a password in a URL", PASSWORD),
        ("a part of Stripe's object", PAYLOAD),
        ("a customer's address", CUSTOMER),
        ("a customer's name", NAME),
        ("the admin's address", &at.admin_email),
        ("the admin's password", &at.admin_password),
        ("a person's address", "person@example.test"),
    ]
    .map(|(what, text)| (what.to_owned(), text.to_owned()))
    .to_vec();
    for (who, description, _) in support::matrix::TABLE {
        let Some(sent) = people.authorization(&stack, *who) else { continue };
        let token = sent.split(' ').nth(1).unwrap_or_default();
        // Of a JWT no part: its claims hold an address, and its signature makes it work.
        for part in token.split('.').skip(usize::from(token.matches('.').count() == 2)) {
            if part.len() >= 16 && part != at.publishable_key {
                canaries.push((description.to_string(), part.to_owned()));
            }
        }
    }
    assert!(canaries.len() > 50, "{}", canaries.len());
    for (what, canary) in &canaries {
        for line in output.lines().chain(own_output.lines()) {
            assert!(!line.contains(canary.as_str()), "{what} is in the log: {line}");
        }
        for (id, answer) in &journal.answers {
            let whole = format!("{:?}\n{}", answer.headers, answer.text);
            assert!(!whole.contains(canary.as_str()), "{what} is in the answer to {id}: {whole}");
        }
    }
    // The publishable key is public, and still none of a log's business.
    assert!(!output.contains(&at.publishable_key), "the publishable key is in the log");
    assert_every_line_says_what_it_must(&output, &journal, &routed);
}

/// Each request has one line with its route, status, duration and round trips; each line of a run has the run's id.
fn assert_every_line_says_what_it_must(output: &str, journal: &Journal, routed: &[Uuid]) {
    for id in routed {
        let answer = &journal.answers[id];
        let mut found = lines_of(output, *id);
        found.retain(|line| line["message"] == "request");
        assert_eq!(found.len(), 1, "{id}: {found:?}");
        let line = &found[0];
        assert_eq!(line["status"], answer.status, "{line}");
        assert!(line["span"]["route"].as_str().is_some_and(|route| route.starts_with("/api/")), "{line}");
        assert!(line["duration_ms"].is_u64() && line["round_trips"].is_u64(), "{line}");
        assert!(
            line["method"].is_string() && line["timestamp"].is_string() && line["level"].is_string(),
            "{line}"
        );
        if answer.status >= 400 {
            assert_eq!(line["code"], answer.code(), "{line}");
        }
        assert_eq!(line["level"] == "ERROR", answer.status >= 500, "{line}");
    }
    let all = lines(output);
    let of_runs: Vec<&Value> = all
        .iter()
        .filter(|line| line["message"].as_str().is_some_and(|message| message.starts_with("run ")))
        .collect();
    assert!(of_runs.len() > 10, "{} lines of runs", of_runs.len());
    for line in of_runs {
        assert!(line["run_id"].as_str().is_some_and(|id| Uuid::try_parse(id).is_ok()), "{line}");
        assert!(line["span"]["request_id"].is_string(), "{line}");
    }
}
