//! Rate limits: counted in the database, so that they hold for all instances of a function together.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::function::Function;
use crate::people::People;
use support::matrix::Principal;
use support::paths::{ALERTS, MONITOR, RECONCILE, RECONCILE_NOW, RUNS};
use support::{Answer, Stack};

async fn count(stack: &Stack, what: &str) -> i64 {
    let sql = format!("select count(*) from public.{what}");
    stack.database().await.query_one(&sql, &[]).await.expect("a count").get(0)
}

async fn stripe_requests(stack: &Stack) -> u64 {
    stack.stripe(Method::GET, "stats", &json!({})).await["requests"].as_u64().expect("a count")
}

async fn gateway_requests(stack: &Stack) -> u64 {
    stack.gateway(Method::GET, "requests", &json!({})).await["total"].as_u64().expect("a count")
}

fn assert_limited(answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (429, "rate_limited"), "{answer:?}");
    let seconds: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("retry-after");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(answer.body["retry_after"], seconds);
}

#[tokio::test]
async fn a_limit_holds_across_instances_and_a_limited_caller_starts_nothing() {
    let stack = Stack::start();
    let instances = [Function::start(&stack, "reconcile", &[]), Function::start(&stack, "reconcile", &[])];
    let calls = AtomicU32::new(0);
    // Each asks for a run of its own, in turn at both instances.
    let call = async |client: &str| {
        let instance = &instances[calls.fetch_add(1, Ordering::Relaxed) as usize % 2];
        let request = instance.request(Method::POST, &format!("{RECONCILE}?type=request"));
        request.bearer(&stack.at.reconcile_secret).header("x-vercel-forwarded-for", client).send().await
    };
    for _ in 0..5 {
        let answer = call("203.0.113.1").await;
        assert_eq!((answer.status, &answer.body["outcome"]), (200, &json!("created")), "{answer:?}");
    }
    let (runs, asked) = (count(&stack, "reconciliation_logs").await, stripe_requests(&stack).await);
    assert_eq!(runs, 5);
    for _ in 0..4 {
        assert_limited(&call("203.0.113.1").await);
    }
    assert_eq!(count(&stack, "reconciliation_logs").await, runs, "no run was started");
    assert_eq!(stripe_requests(&stack).await, asked, "Stripe was not asked");

    // Another process, the same count.
    let restarted = Function::start(&stack, "reconcile", &[]);
    let again = restarted.request(Method::POST, RECONCILE).bearer(&stack.at.reconcile_secret);
    assert_limited(&again.header("x-vercel-forwarded-for", "203.0.113.1").send().await);
    // Another client, another route: not limited.
    assert_eq!(call("203.0.113.2").await.status, 200);
    let monitor = Function::start(&stack, "monitor", &[]);
    let other = monitor.request(Method::POST, MONITOR).bearer(&stack.at.monitor_secret);
    assert_eq!(other.header("x-vercel-forwarded-for", "203.0.113.1").send().await.status, 200);
    // One line of a customer, whichever of its addresses is used.
    for (number, client) in
        ["2001:db8::1", "2001:db8::2", "2001:db8::1:2:3:4"].into_iter().cycle().take(6).enumerate()
    {
        let answer = call(client).await;
        if number < 5 {
            assert_eq!(answer.status, 200, "{client}: {answer:?}")
        } else {
            assert_limited(&answer)
        }
    }
    // What a caller says of itself does not count: all these are one.
    for number in 0..6 {
        let request = instances[0].request(Method::POST, RECONCILE).bearer(&stack.at.reconcile_secret);
        let answer = request.header("x-forwarded-for", &format!("198.51.100.{number}")).send().await;
        if number < 5 { assert_eq!(answer.status, 200, "{answer:?}") } else { assert_limited(&answer) }
    }

    // A minute later, by the database's clock.
    let later =
        "update public.rate_limit_windows set window_started_at = window_started_at - interval '61 seconds'";
    stack.database().await.execute(later, &[]).await.expect("time passes");
    assert_eq!(call("203.0.113.1").await.status, 200);
}

/// Its answer was lost; refused, it would leave a run that nobody does, and stand in the way of all others until its lease is over.
#[tokio::test]
async fn a_start_that_is_sent_again_never_meets_the_limit() {
    let stack = Stack::start();
    let call = |n: u128| {
        let key = Uuid::from_u128(n).to_string();
        let request = stack.post(&format!("{RECONCILE}?type=request")).header("idempotency-key", &key);
        request.bearer(&stack.at.reconcile_secret).client("203.0.113.7").send()
    };
    for n in 1..=4 {
        assert_eq!(call(n).await.status, 200);
    }
    // The last call of the minute. Twice its answer does not arrive.
    let fault =
        json!({"path": "start_reconciliation_run", "outage": "drop", "after_the_work": true, "times": 2});
    stack.disturb_rest(&fault).await;
    let answer = call(5).await;
    assert_eq!((answer.status, &answer.body["outcome"]), (200, &json!("created")), "{answer:?}");
    assert_limited(&call(6).await);
    assert_eq!(count(&stack, "reconciliation_logs").await, 5);
}

#[tokio::test]
async fn each_route_admits_as_many_calls_a_minute_as_promised_however_many_come_at_once() {
    let stack = Stack::start();
    let run = stack.reconcile("").await.body["reconciliation_log_id"].as_str().expect("a run").to_owned();
    let nothing = Uuid::from_u128(1);
    let at = &stack.at;
    for (method, path, token, limit, done) in [
        (Method::POST, RECONCILE.to_owned(), &at.reconcile_secret, 5, 200),
        (Method::POST, RECONCILE_NOW.to_owned(), &at.admin_token, 10, 200),
        (Method::POST, format!("{ALERTS}/{nothing}/resolve"), &at.admin_token, 10, 404),
        (Method::POST, MONITOR.to_owned(), &at.monitor_secret, 30, 200),
        (Method::GET, ALERTS.to_owned(), &at.admin_token, 60, 200),
        (Method::GET, RUNS.to_owned(), &at.admin_token, 60, 200),
        (Method::GET, format!("{RUNS}/{run}"), &at.admin_token, 60, 200),
        (Method::GET, "/api/health?deep=1".to_owned(), &at.admin_token, 60, 200),
    ] {
        let calls = (0..limit + 7)
            .map(|_| stack.request(method.clone(), &path).bearer(token).client("203.0.113.9").send());
        let answers = join_all(calls).await;
        let (admitted, limited): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == done);
        assert_eq!((admitted.len(), limited.len()), (limit, 7), "{path}: {:?}", limited.first());
        limited.into_iter().for_each(assert_limited);
    }
    // Who may call from anywhere, by either kind of credentials, is counted in one place.
    let admin = stack.post(MONITOR).bearer(&at.admin_token).client("203.0.113.9").send().await;
    assert_limited(&admin);
}

#[tokio::test]
async fn wrong_machine_credentials_cost_no_call_of_the_database_or_of_stripe() {
    let stack = Stack::start();
    let people = People::settle(&stack).await;
    let before = (gateway_requests(&stack).await, stripe_requests(&stack).await);
    use Principal as P;
    for who in [
        P::Nobody,
        P::EmptyToken,
        P::OtherScheme,
        P::TwoWords,
        P::WrongSecret,
        P::PublishableKey,
        P::SecretKey,
    ] {
        for (method, path) in [
            (Method::GET, RECONCILE),
            (Method::POST, RECONCILE),
            (Method::GET, MONITOR),
            (Method::POST, MONITOR),
            (Method::GET, ALERTS),
            (Method::POST, RECONCILE_NOW),
            (Method::GET, RUNS),
        ] {
            let answer = people.call(&stack, who, method, path).send().await;
            assert_eq!(answer.status, 401, "{who:?} {path}: {answer:?}");
        }
    }
    // A person's token is no machine's secret, whoever signed it.
    let answer = people.call(&stack, P::AdminByMembership, Method::POST, RECONCILE).send().await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!((gateway_requests(&stack).await, stripe_requests(&stack).await), before);
    // Who is no admin is told so by the database, and writes nothing into it.
    for _ in 0..3 {
        let answer = people.call(&stack, P::Member, Method::POST, RECONCILE_NOW).send().await;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert_eq!(count(&stack, "rate_limit_windows").await, 0);
    assert_eq!(count(&stack, "reconciliation_logs").await, 0);
    assert_eq!(stripe_requests(&stack).await, before.1);
}
