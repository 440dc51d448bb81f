//! A function without its settings, or with unfit ones, is closed: 503 with the variable's name, never open.

use reqwest::Method;

use crate::function::Function;
use support::paths::{ALERTS, CONFIG, HEALTH, METRICS, MONITOR, RECONCILE, RECONCILE_NOW, RUNS};
use support::{Answer, Stack};

/// Settings that are changed or unset, and the name that the refusal must have.
type Case = (&'static [(&'static str, Option<&'static str>)], &'static str);

#[rustfmt::skip]
const RECONCILE_CASES: &[Case] = &[
    (&[("RECONCILE_SECRET", None)], "RECONCILE_SECRET"),
    (&[("RECONCILE_SECRET", Some(""))], "RECONCILE_SECRET"),
    (&[("RECONCILE_SECRET", Some("    "))], "RECONCILE_SECRET"),
    (&[("RECONCILE_SECRET", Some("fifteen-letters"))], "RECONCILE_SECRET"),
    (&[("RECONCILE_SECRET", Some("sécret-sécret-sécret"))], "RECONCILE_SECRET"),
    (&[("RECONCILE_SECRET", Some("two words of a secret"))], "RECONCILE_SECRET"),
    (&[("RECONCILE_SECRET", None), ("RECONCILE_SECRET_PREVIOUS", Some("the-one-before-it-was-unset"))], "RECONCILE_SECRET"),
    (&[("RECONCILE_SECRET_PREVIOUS", Some("short"))], "RECONCILE_SECRET_PREVIOUS"),
    (&[("CRON_SECRET", Some(""))], "CRON_SECRET"),
    (&[("CRON_SECRET", Some("short"))], "CRON_SECRET"),
    (&[("CRON_SECRET_PREVIOUS", Some("short"))], "CRON_SECRET_PREVIOUS"),
    (&[("SUPABASE_URL", None)], "SUPABASE_URL"),
    (&[("SUPABASE_URL", Some("http://example.com"))], "SUPABASE_URL"),
    (&[("SUPABASE_URL", Some("nonsense"))], "SUPABASE_URL"),
    (&[("SUPABASE_SECRET_KEY", None)], "SUPABASE_SECRET_KEY"),
    (&[("SUPABASE_SECRET_KEY", Some("a b"))], "SUPABASE_SECRET_KEY"),
    (&[("STRIPE_SECRET_KEY", None)], "STRIPE_SECRET_KEY"),
    (&[("STRIPE_SECRET_KEY", Some("pk_test_publishable"))], "STRIPE_SECRET_KEY"),
    (&[("STRIPE_API_BASE", Some("http://example.com"))], "STRIPE_API_BASE"),
    (&[("STRIPE_MAX_REQUESTS_PER_SECOND", Some("0"))], "STRIPE_MAX_REQUESTS_PER_SECOND"),
    (&[("PRICE_TIERS", Some("pro"))], "PRICE_TIERS"),
    (&[("RECONCILE_BUDGET_SECONDS", Some("0"))], "RECONCILE_BUDGET_SECONDS"),
];

#[rustfmt::skip]
const MONITOR_CASES: &[Case] = &[
    (&[("MONITOR_SECRET", None), ("RECONCILE_SECRET", None)], "MONITOR_SECRET"),
    (&[("MONITOR_SECRET", None), ("RECONCILE_SECRET", Some("short"))], "RECONCILE_SECRET"),
    (&[("MONITOR_SECRET", Some(""))], "MONITOR_SECRET"),
    (&[("MONITOR_SECRET", Some("fifteen-letters"))], "MONITOR_SECRET"),
    (&[("MONITOR_SECRET_PREVIOUS", Some("short"))], "MONITOR_SECRET_PREVIOUS"),
    (&[("CRON_SECRET", Some("short"))], "CRON_SECRET"),
    (&[("SUPABASE_URL", None)], "SUPABASE_URL"),
    (&[("SUPABASE_SECRET_KEY", Some(""))], "SUPABASE_SECRET_KEY"),
    (&[("RECONCILE_STALE_AFTER_MINUTES", Some("soon"))], "RECONCILE_STALE_AFTER_MINUTES"),
    (&[("HIGH_SEVERITY_STALE_AFTER_MINUTES", Some("0"))], "HIGH_SEVERITY_STALE_AFTER_MINUTES"),
    (&[("SWEEP_INCOMPLETE_AFTER_HOURS", Some("0"))], "SWEEP_INCOMPLETE_AFTER_HOURS"),
];

#[rustfmt::skip]
const METRICS_CASES: &[Case] = &[
    (&[("METRICS_SECRET", None)], "METRICS_SECRET"),
    (&[("METRICS_SECRET", Some(""))], "METRICS_SECRET"),
    (&[("METRICS_SECRET", Some("fifteen-letters"))], "METRICS_SECRET"),
    (&[("METRICS_SECRET", None), ("METRICS_SECRET_PREVIOUS", Some("the-one-before-it-was-unset"))], "METRICS_SECRET"),
    (&[("METRICS_SECRET_PREVIOUS", Some("short"))], "METRICS_SECRET_PREVIOUS"),
    (&[("SUPABASE_URL", None)], "SUPABASE_URL"),
    (&[("SUPABASE_SECRET_KEY", Some(""))], "SUPABASE_SECRET_KEY"),
];

/// A legacy service_role key, in the place of the anon key that it looks like: `{"alg":"HS256","typ":"JWT"}`,
/// `{"iss":"supabase","role":"service_role"}` and a signature.
const SERVICE_ROLE: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZSIsInJvbGUiOiJzZXJ2aWNlX3JvbGUifQ.c2VydmljZS1jYW5hcnk";

#[rustfmt::skip]
const PEOPLE_CASES: &[Case] = &[
    (&[("SUPABASE_PUBLISHABLE_KEY", None)], "SUPABASE_PUBLISHABLE_KEY"),
    (&[("SUPABASE_PUBLISHABLE_KEY", Some("sb_secret_by_mistake"))], "SUPABASE_PUBLISHABLE_KEY"),
    (&[("SUPABASE_PUBLISHABLE_KEY", Some(SERVICE_ROLE))], "SUPABASE_PUBLISHABLE_KEY"),
    (&[("SUPABASE_PUBLISHABLE_KEY", None), ("SUPABASE_ANON_KEY", Some(SERVICE_ROLE))], "SUPABASE_PUBLISHABLE_KEY"),
    (&[("SUPABASE_URL", None)], "SUPABASE_URL"),
];

fn assert_closed(answer: &Answer, name: &str, what: &str) {
    assert_eq!((answer.status, answer.code()), (503, "not_configured"), "{what}: {answer:?}");
    let sentence = answer.body["error"].as_str().unwrap_or_default();
    assert!(sentence.contains(name), "{what}: {sentence}");
}

#[tokio::test]
async fn a_function_with_a_setting_missing_or_unfit_is_closed_and_names_it() {
    let stack = Stack::start();
    let at = &stack.at;
    for (binary, path, cases, right) in [
        ("reconcile", RECONCILE, RECONCILE_CASES, &at.cron_secret),
        ("monitor", MONITOR, MONITOR_CASES, &at.cron_secret),
        ("billing_alerts", ALERTS, PEOPLE_CASES, &at.admin_token),
        ("admin_page", RUNS, PEOPLE_CASES, &at.admin_token),
        ("page", METRICS, METRICS_CASES, &at.metrics_secret),
    ] {
        for (changes, name) in cases {
            let function = Function::start(&stack, binary, changes);
            // The right credentials, none, and what a caller sends whose own variable is unset or as unfit.
            for token in
                [Some(right.as_str()), None, Some(""), Some("undefined"), Some("short"), Some("null")]
            {
                let call = function.request(Method::GET, path);
                let answer = match token {
                    Some(token) => call.bearer(token).send().await,
                    None => call.send().await,
                };
                assert_closed(&answer, name, &format!("{binary} {changes:?} {token:?}"));
            }
        }
    }
    for (binary, path) in [
        ("billing_alert_action", "/api/admin/billing-alerts/0b0e3b0e-8c3e-4d53-9d35-0c5a4c7c4f5e/resolve"),
        ("reconcile_now", RECONCILE_NOW),
    ] {
        let function = Function::start(&stack, binary, &[("SUPABASE_PUBLISHABLE_KEY", None)]);
        let answer = function.request(Method::POST, path).bearer(&at.admin_token).send().await;
        assert_closed(&answer, "SUPABASE_PUBLISHABLE_KEY", binary);
    }
    let sql = "select count(*) from public.reconciliation_logs";
    let runs: i64 = stack.database().await.query_one(sql, &[]).await.expect("a count").get(0);
    assert_eq!(runs, 0, "nothing was half done");
}

#[tokio::test]
async fn the_monitor_falls_back_to_the_reconcile_secret_only_where_its_own_is_not_set() {
    let stack = Stack::start();
    let at = &stack.at;
    let own = Function::start(&stack, "monitor", &[]);
    let fallback = Function::start(&stack, "monitor", &[("MONITOR_SECRET", None)]);
    for method in [Method::GET, Method::POST] {
        for (function, secret, status) in [
            (&own, &at.monitor_secret, 200),
            (&own, &at.reconcile_secret, 401),
            (&own, &at.cron_secret, 200),
            (&fallback, &at.reconcile_secret, 200),
            (&fallback, &at.monitor_secret, 401),
            (&fallback, &at.cron_secret, 200),
        ] {
            let answer = function.request(method.clone(), MONITOR).bearer(secret).send().await;
            assert_eq!(answer.status, status, "{method}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_browser_is_never_given_the_service_key() {
    let stack = Stack::start();
    for key in [SERVICE_ROLE, "sb_secret_service-canary"] {
        for name in ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY", "NEXT_PUBLIC_SUPABASE_ANON_KEY"] {
            let changes = [("SUPABASE_PUBLISHABLE_KEY", None), (name, Some(key))];
            let config = Function::start(&stack, "page", &changes);
            let answer = config.request(Method::GET, CONFIG).send().await;
            assert_closed(&answer, "SUPABASE_PUBLISHABLE_KEY", name);
            assert!(!answer.text.contains(key), "{answer:?}");
        }
    }
    // What machines do needs no such key, and goes on.
    let monitor = Function::start(&stack, "monitor", &[("SUPABASE_PUBLISHABLE_KEY", Some(SERVICE_ROLE))]);
    let call = monitor.request(Method::POST, MONITOR);
    assert_eq!(call.bearer(&stack.at.monitor_secret).send().await.status, 200);
    let person = monitor.request(Method::POST, MONITOR).bearer(&stack.at.admin_token).send().await;
    assert_closed(&person, "SUPABASE_PUBLISHABLE_KEY", "a person");
}

/// The watcher's watcher is one thing, the watch another.
#[tokio::test]
async fn a_wrong_heartbeat_url_does_not_close_the_monitor() {
    let stack = Stack::start();
    let database = stack.database().await;
    let wrong = [("HEARTBEAT_URL", Some("http://canary.example.com/canary"))];
    let pass = async |changes| {
        let function = Function::start(&stack, "monitor", changes);
        let answer = function.request(Method::POST, MONITOR).bearer(&stack.at.monitor_secret).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["monitoring"]["reconcile_stale"], true, "it has looked: {answer:?}");
        answer.body["monitoring"]["settings_invalid"].as_bool().expect("judged")
    };
    assert!(pass(&wrong).await);
    let alert = "select severity, message, metadata::text from public.billing_alerts
                 where alert_key = 'settings_invalid' and not resolved";
    let row = database.query_one(alert, &[]).await.expect("an alert");
    let (severity, message, metadata): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    assert_eq!((severity.as_str(), message.as_str()), ("warning", "HEARTBEAT_URL must be an https URL."));
    assert!(!metadata.contains("canary"), "{metadata}");

    let health = Function::start(&stack, "page", &wrong).request(Method::GET, HEALTH).send().await;
    assert!(health.body["complaints"].to_string().contains("HEARTBEAT_URL"), "{health:?}");
    assert!(!health.text.contains("canary"), "{health:?}");

    assert!(!pass(&[]).await);
    assert!(database.query_opt(alert, &[]).await.expect("an answer").is_none(), "set right: resolved");
}

#[tokio::test]
async fn without_a_cron_secret_the_own_secret_still_opens_and_nothing_else_does() {
    let stack = Stack::start();
    let function = Function::start(&stack, "reconcile", &[("CRON_SECRET", None)]);
    for (token, status) in
        [(&stack.at.cron_secret, 401), (&"undefined".to_owned(), 401), (&stack.at.reconcile_secret, 200)]
    {
        let answer = function.request(Method::GET, RECONCILE).bearer(token).send().await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn health_tells_which_settings_are_there_and_what_is_wrong_with_them_without_their_values() {
    let stack = Stack::start();
    let canary = "canary-of-health";
    let function = Function::start(
        &stack,
        "page",
        &[("MONITOR_SECRET", Some(canary)), ("PRICE_TIERS", Some(canary)), ("STRIPE_SECRET_KEY", None)],
    );
    let answer = function.request(Method::GET, HEALTH).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["settings"]["RECONCILE_SECRET"], true);
    assert_eq!(answer.body["settings"]["STRIPE_SECRET_KEY"], false);
    assert!(answer.body["complaints"].to_string().contains("PRICE_TIERS"), "{answer:?}");
    assert!(!answer.text.contains(canary) && !answer.text.contains(&stack.at.reconcile_secret), "{answer:?}");
    let deep = function.request(Method::GET, "/api/health?deep=1").send().await;
    assert_eq!((deep.status, &deep.body["schema_version"]), (200, &serde_json::json!(2)), "{deep:?}");
    let alone = Function::start(&stack, "page", &[("SUPABASE_URL", None)]);
    assert_eq!(alone.request(Method::GET, HEALTH).send().await.status, 200);
    assert_closed(
        &alone.request(Method::GET, "/api/health?deep=1").send().await,
        "SUPABASE_URL",
        "deep health",
    );
}
