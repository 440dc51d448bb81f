//! Stripe's events: who may send them, what is noted of them, and the pass that follows. An event brings forward what a full run would
//! find anyway; it is believed in nothing but the id that it names.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use stripe_simulator::{RESTRICTED_KEY, sign};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::function::Function;
use support::disturb::{count, eventually, json_of, new_address, number, steady, text};
use support::paths::{EVENTS, MONITOR, RECONCILE};
use support::{Answer, Request, Stack};

const DUE: &str = "/api/subscriptions/reconcile?scope=due";

fn secret(stack: &Stack) -> &str {
    &stack.at.stripe_webhook_secret
}

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// An event as Stripe renders it.
fn snapshot(subscription: &str) -> Value {
    json!({
        "id": "evt_1", "object": "event", "api_version": "2026-10-28.endive", "created": now(), "livemode": false,
        "type": "customer.subscription.updated", "data": { "object": { "id": subscription, "object": "subscription" } }
    })
}

fn signed(stack: &Stack, secret: &str, at: i64, body: &[u8]) -> Request {
    let signature = sign(secret, at, body);
    stack.post(EVENTS).header("stripe-signature", &signature).body(body.to_vec())
}

async fn send(stack: &Stack, event: &Value) -> Answer {
    signed(stack, secret(stack), now(), event.to_string().as_bytes()).send().await
}

/// What the five-minute cron does.
async fn pass(stack: &Stack) -> Answer {
    stack.get(DUE).bearer(&stack.at.cron_secret).client(&new_address()).send().await
}

/// What is due, with the seconds until it is.
async fn due(database: &Client) -> Value {
    json_of(
        database,
        "select coalesce(jsonb_object_agg(stripe_subscription_id, round(extract(epoch from due_at - clock_timestamp()))), '{}')
         from public.stripe_due",
    )
    .await
}

/// The app's webhook has had its time.
async fn grace_is_over(database: &Client) {
    let sql = "update public.stripe_due set due_at = due_at - interval '121 seconds'";
    database.execute(sql, &[]).await.expect("time passes");
}

async fn status_of(database: &Client, subscription: &str) -> String {
    let sql = "select status::text from public.subscriptions where stripe_subscription_id = $1";
    database.query_one(sql, &[&subscription]).await.expect("a row").get(0)
}

async fn cancel(stack: &Stack, subscription: &str) {
    stack
        .stripe(Method::PATCH, &format!("subscriptions/{subscription}"), &json!({"status": "canceled"}))
        .await;
}

/// A stack whose rows agree with Stripe, and an active subscription of it.
async fn agreeing(settings: &[(&str, &str)]) -> (Stack, Client, String) {
    let setup = Stack::setup().argument("--subscriptions").argument("60");
    let setup = settings.iter().fold(setup, |setup, (name, value)| setup.setting(name, *value));
    let stack = setup.start();
    let database = stack.database().await;
    stack.run_to_the_end().await;
    let subscription = steady(&database, "active", 1).await.remove(0);
    (stack, database, subscription)
}

#[tokio::test]
async fn an_event_notes_its_subscription_and_a_pass_puts_its_row_right() {
    let (stack, database, subscription) = agreeing(&[]).await;
    cancel(&stack, &subscription).await;

    let taken = send(&stack, &snapshot(&subscription)).await;

    assert_eq!((taken.status, &taken.body["received"], &taken.body["due"]), (200, &json!(true), &json!(1)));
    let waits = due(&database).await[&subscription].as_i64().expect("it is noted");
    assert!((100..=120).contains(&waits), "the app's own webhook goes first: {waits}");
    let runs = count(&database, "select count(*) from public.reconciliation_logs").await;
    let early = pass(&stack).await;
    assert_eq!(
        (early.status, &early.body["outcome"], &early.body["scope"]),
        (200, &json!("nothing_due"), &json!("due"))
    );
    assert!((90..=120).contains(&number(&early.body, "next_due_in")), "{early:?}");
    assert_eq!(
        count(&database, "select count(*) from public.reconciliation_logs").await,
        runs,
        "and no row of a run"
    );

    grace_is_over(&database).await;
    let made = pass(&stack).await;

    assert_eq!(
        (made.status, &made.body["outcome"], &made.body["status"]),
        (200, &json!("created"), &json!("success")),
        "{made:?}"
    );
    assert_eq!(
        (&made.body["scope"], &made.body["updated_count"], &made.body["scanned_count"]),
        (&json!("due"), &json!(1), &json!(1))
    );
    assert!(text(&made.body, "run_key").starts_with("due_"), "{made:?}");
    assert_eq!(status_of(&database, &subscription).await, "canceled");
    assert_eq!(due(&database).await, json!({}));
}

#[tokio::test]
async fn where_events_are_followed_at_once_the_row_follows_after_the_answer() {
    let (stack, database, subscription) = agreeing(&[("EVENTS_MODE", "apply")]).await;
    cancel(&stack, &subscription).await;

    assert_eq!(send(&stack, &snapshot(&subscription)).await.status, 200);

    eventually("the process that took the event makes a pass", async || {
        (status_of(&database, &subscription).await == "canceled").then_some(())
    })
    .await;
    let by = "select triggered_by from public.reconciliation_logs where scope = 'due'";
    assert_eq!(database.query_one(by, &[]).await.expect("one pass").get::<_, String>(0), "event");
    // The next one of the same process is not missed either.
    let other = steady(&database, "active", 1).await.remove(0);
    cancel(&stack, &other).await;
    assert_eq!(send(&stack, &snapshot(&other)).await.status, 200);
    eventually("another pass", async || (status_of(&database, &other).await == "canceled").then_some(()))
        .await;
}

#[tokio::test]
async fn what_stripe_has_not_signed_is_refused_and_costs_no_call_of_the_database() {
    let stack = Stack::start();
    let event = snapshot("sub_1").to_string();
    let body = event.as_bytes();
    let right = secret(&stack).to_owned();
    let other = snapshot("sub_2").to_string();
    stack.gateway(Method::POST, "reset", &json!({})).await;
    let with = |signature: &str, body: &[u8]| {
        stack.post(EVENTS).header("stripe-signature", signature).body(body.to_vec())
    };
    let wrong: Vec<(&str, Request)> = vec![
        ("unsigned", stack.post(EVENTS).body(body.to_vec())),
        ("another secret", signed(&stack, "whsec_another", now(), body)),
        ("a part of the secret", signed(&stack, &right["whsec_".len()..], now(), body)),
        ("too old", signed(&stack, &right, now() - 310, body)),
        ("too far ahead", signed(&stack, &right, now() + 310, body)),
        ("of another body", with(&sign(&right, now(), other.as_bytes()), body)),
        ("no time", with(sign(&right, now(), body).split_once(',').expect("two parts").1, body)),
        ("nonsense", with("nonsense", body)),
        ("signed twice", signed(&stack, &right, now(), body).header("stripe-signature", "t=1,v1=00")),
    ];
    for (what, request) in wrong {
        let answer = request.send().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{what}: {answer:?}");
        assert!(!answer.text.contains(&right) && !answer.text.contains("sub_1"), "{what}: {answer:?}");
    }
    for (what, event) in [
        ("no JSON", "signed, but no JSON".to_owned()),
        ("no event", json!({"object": "charge", "livemode": false}).to_string()),
        ("a list", json!([snapshot("sub_1")]).to_string()),
        ("an id that is none", snapshot("sub_1' or true").to_string()),
    ] {
        let answer = signed(&stack, &right, now(), event.as_bytes()).send().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{what}: {answer:?}");
    }
    let large = vec![b' '; 1024 * 1024 + 1];
    let answer = signed(&stack, &right, now(), &large).send().await;
    assert_eq!((answer.status, answer.code()), (413, "payload_too_large"), "{answer:?}");
    let get = stack.get(EVENTS).send().await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST, OPTIONS")), "{get:?}");
    let requests = stack.gateway(Method::GET, "requests", &Value::Null).await;
    assert_eq!(requests["total"], 0, "{requests}");
}

#[tokio::test]
async fn events_of_another_kind_or_mode_are_taken_and_noted_nowhere() {
    let stack = Stack::start();
    let database = stack.database().await;
    stack.gateway(Method::POST, "reset", &json!({})).await;
    let mut live = snapshot("sub_1");
    live["livemode"] = true.into();
    let mut other = snapshot("sub_1");
    other["type"] = "customer.updated".into();
    let payment = json!({"id": "evt_2", "object": "event", "created": now(), "livemode": false,
        "type": "checkout.session.completed", "data": {"object": {"id": "cs_1", "subscription": null}}});
    for event in [live, other, payment] {
        let answer = send(&stack, &event).await;
        assert_eq!((answer.status, &answer.body["due"]), (200, &json!(0)), "{event}: {answer:?}");
    }
    assert_eq!(stack.gateway(Method::GET, "requests", &Value::Null).await["total"], 0);
    assert_eq!(due(&database).await, json!({}));
}

#[tokio::test]
async fn snapshots_and_thin_events_checkouts_and_invoices_fold_into_one_set() {
    let stack = Stack::start();
    let database = stack.database().await;
    let event = |kind: &str, object: Value| json!({"id": "evt_3", "object": "event", "created": now(), "livemode": false, "type": kind, "data": {"object": object}});
    let thin = json!({"id": "evt_4", "object": "v2.core.event", "type": "v1.customer.subscription.updated", "livemode": false,
        "created": "2026-11-27T12:00:00.000Z",
        "related_object": {"id": "sub_thin", "type": "subscription", "url": "/v1/subscriptions/sub_thin"}});
    let invoice = json!({"id": "in_1", "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_paid"}}});
    for event in [
        thin.clone(),
        thin,
        event("checkout.session.completed", json!({"id": "cs_1", "subscription": "sub_bought"})),
        event(
            "checkout.session.async_payment_succeeded",
            json!({"id": "cs_1", "subscription": {"id": "sub_bought"}}),
        ),
        event("invoice.paid", invoice.clone()),
        event("invoice.payment_failed", invoice),
        event("customer.subscription.deleted", json!({"id": "sub_ended"})),
    ] {
        let answer = send(&stack, &event).await;
        assert_eq!((answer.status, &answer.body["due"]), (200, &json!(1)), "{event}: {answer:?}");
    }
    let noted: BTreeSet<String> = due(&database).await.as_object().expect("a set").keys().cloned().collect();
    assert_eq!(
        noted.iter().map(String::as_str).collect::<Vec<_>>(),
        ["sub_bought", "sub_ended", "sub_paid", "sub_thin"]
    );
}

#[tokio::test]
async fn while_a_secret_is_replaced_no_event_is_refused() {
    let stack = Stack::start();
    let settings = [
        ("STRIPE_WEBHOOK_SECRET", Some("whsec_new, whsec_of_another_endpoint")),
        ("STRIPE_WEBHOOK_SECRET_PREVIOUS", Some("whsec_old")),
    ];
    let function = Function::start(&stack, "stripe_events", &settings);
    let body = snapshot("sub_1").to_string();
    for (secret, status) in
        [("whsec_new", 200), ("whsec_of_another_endpoint", 200), ("whsec_old", 200), ("whsec_stolen", 400)]
    {
        let signature = sign(secret, now(), body.as_bytes());
        let request = function.request(Method::POST, EVENTS).header("stripe-signature", &signature);
        let answer = request.body(body.clone()).send().await;
        assert_eq!(answer.status, status, "{secret}: {answer:?}");
    }
}

#[tokio::test]
async fn without_a_secret_or_a_database_stripe_is_to_send_it_again() {
    let stack = Stack::start();
    let body = snapshot("sub_1").to_string();
    let signature = sign(secret(&stack), now(), body.as_bytes());
    for (changes, named) in [
        ([("STRIPE_WEBHOOK_SECRET", None)], "STRIPE_WEBHOOK_SECRET"),
        ([("STRIPE_WEBHOOK_SECRET", Some("we_a_mistake"))], "STRIPE_WEBHOOK_SECRET"),
        ([("EVENTS_MODE", Some("soon"))], "EVENTS_MODE"),
    ] {
        let function = Function::start(&stack, "stripe_events", &changes);
        let request = function.request(Method::POST, EVENTS).header("stripe-signature", &signature);
        let answer = request.body(body.clone()).send().await;
        assert_eq!((answer.status, answer.code()), (503, "not_configured"), "{answer:?}");
        assert!(
            text(&answer.body, "error").contains(named) && !answer.text.contains("we_a_mistake"),
            "{answer:?}"
        );
    }
    stack.disturb_rest(&json!({"outage": "drop"})).await;
    let answer = send(&stack, &snapshot("sub_1")).await;
    assert_eq!((answer.status, answer.code()), (503, "database_unavailable"), "{answer:?}");
    stack.disturb_rest(&json!({})).await;
    assert_eq!(send(&stack, &snapshot("sub_1")).await.status, 200);
}

#[tokio::test]
async fn an_event_that_comes_during_its_own_pass_is_not_lost() {
    let (stack, database, subscription) = agreeing(&[]).await;
    send(&stack, &snapshot(&subscription)).await;
    grace_is_over(&database).await;
    let path = format!("/v1/subscriptions/{subscription}");
    stack.hold_stripe(&path).await;
    let (made, ()) = tokio::join!(pass(&stack), async {
        stack.held().await;
        // Stripe changed it once more after it was asked about.
        send(&stack, &snapshot(&subscription)).await;
        stack.heal_stripe().await;
    });
    assert_eq!((made.status, &made.body["status"]), (200, &json!("success")), "{made:?}");
    assert!(due(&database).await[&subscription].is_number(), "the second event is still to be looked at");
}

#[tokio::test]
async fn a_pass_gives_way_to_a_full_run_which_takes_along_what_is_due() {
    let (stack, database, subscription) = agreeing(&[]).await;
    cancel(&stack, &subscription).await;
    send(&stack, &snapshot(&subscription)).await;
    grace_is_over(&database).await;
    stack.hold_stripe(&format!("/v1/subscriptions/{subscription}")).await;
    let (passed, full) = tokio::join!(pass(&stack), async {
        stack.held().await;
        let full = stack.run();
        let (full, ()) = tokio::join!(full, async {
            eventually("the pass has given way", async || {
                let sql = "select count(*) from public.reconciliation_logs where scope = 'due' and status = 'partial'";
                (count(&database, sql).await == 1).then_some(())
            })
            .await;
            stack.heal_stripe().await;
        });
        full
    });
    assert_eq!(
        (&full.body["outcome"], &full.body["status"], &full.body["scope"]),
        (&json!("created"), &json!("success"), &json!("all")),
        "{full:?}"
    );
    assert_eq!((passed.status, &passed.body["success"]), (200, &json!(true)), "{passed:?}");
    assert_eq!(status_of(&database, &subscription).await, "canceled");
    assert_eq!(due(&database).await, json!({}));
}

#[tokio::test]
async fn two_passes_never_overlap_and_a_key_is_done_once() {
    let (stack, database, subscription) = agreeing(&[]).await;
    send(&stack, &snapshot(&subscription)).await;
    grace_is_over(&database).await;
    stack.hold_stripe(&format!("/v1/subscriptions/{subscription}")).await;
    let (first, second) = tokio::join!(pass(&stack), async {
        stack.held().await;
        let second = pass(&stack).await;
        stack.heal_stripe().await;
        second
    });
    assert_eq!((&first.body["outcome"], first.status), (&json!("created"), 200), "{first:?}");
    assert_eq!((&second.body["duplicate"], second.status), (&json!(true), 200), "{second:?}");
    assert!(["existing_running", "busy"].contains(&text(&second.body, "outcome")), "{second:?}");
    assert_eq!(second.body["reconciliation_log_id"], first.body["reconciliation_log_id"]);
}

#[tokio::test]
async fn a_pass_takes_no_parameters_and_the_schedulers_secrets_only() {
    let stack = Stack::start();
    for query in ["&type=manual", "&hours=24", "&scope=all", "&page=1"] {
        let answer = stack.get(&format!("{DUE}{query}")).bearer(&stack.at.cron_secret).send().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{query}: {answer:?}");
    }
    let odd = stack.get(&format!("{RECONCILE}?scope=changed")).bearer(&stack.at.cron_secret).send().await;
    assert_eq!(odd.status, 400, "whoever asks cannot know what changed: {odd:?}");
    for token in [&stack.at.monitor_secret, &stack.at.admin_token] {
        assert_eq!(stack.get(DUE).bearer(token).send().await.status, 401);
    }
    let posted = stack.post(DUE).bearer(&stack.at.reconcile_secret).send().await;
    assert_eq!((posted.status, &posted.body["outcome"]), (200, &json!("nothing_due")), "{posted:?}");
}

/// The hour before has ended: the next scheduled run has a key of its own.
async fn an_hour_passes(database: &Client) {
    let sql =
        "update public.reconciliation_logs set run_key = 'earlier_' || id where run_key like 'scheduled%'";
    database.execute(sql, &[]).await.expect("time passes");
}

#[tokio::test]
async fn hours_between_full_scans_cost_what_changed_and_claim_no_more() {
    let settings = [("FULL_SCAN_EVERY_HOURS", "24"), ("EVENTS_MODE", "apply")];
    let (stack, database, subscription) = agreeing(&settings).await;
    let scheduled = async || {
        an_hour_passes(&database).await;
        stack.post(RECONCILE).bearer(&stack.at.reconcile_secret).client(&new_address()).send().await
    };
    cancel(&stack, &subscription).await;
    stack.stripe(Method::DELETE, "stats", &json!({})).await;

    let between = scheduled().await;

    assert_eq!(
        (&between.body["scope"], &between.body["status"]),
        (&json!("changed"), &json!("success")),
        "{between:?}"
    );
    assert_eq!(
        (&between.body["updated_count"], &between.body["scanned_count"]),
        (&json!(1), &json!(1)),
        "{between:?}"
    );
    assert_eq!(status_of(&database, &subscription).await, "canceled");
    let calls = stack.stripe_stats().await;
    assert_eq!(calls["by_endpoint"]["/v1/events"], 1, "{calls}");
    assert!(number(&calls, "requests") <= 5, "{calls}");

    let asked = stack.run().await;
    assert_eq!(asked.body["scope"], "all", "who asks for a run gets a whole one: {asked:?}");
    let sql =
        "update public.reconciliation_logs set sweep_started_at = sweep_started_at - interval '24 hours'";
    database.execute(sql, &[]).await.expect("a day passes");
    assert_eq!(scheduled().await.body["scope"], "all", "a full one is due again");
}

#[tokio::test]
async fn whoever_has_no_permission_for_events_gets_a_full_run_every_hour() {
    let (stack, database, _) = agreeing(&[("FULL_SCAN_EVERY_HOURS", "24")]).await;
    let restricted = [("STRIPE_SECRET_KEY", Some(RESTRICTED_KEY)), ("FULL_SCAN_EVERY_HOURS", Some("24"))];
    let function = Function::start(&stack, "reconcile", &restricted);
    stack.stripe(Method::PUT, "missing_permissions", &json!(["rak_event_read"])).await;
    an_hour_passes(&database).await;

    let run = function.request(Method::POST, RECONCILE).bearer(&stack.at.reconcile_secret).send().await;

    assert_eq!((&run.body["scope"], &run.body["status"]), (&json!("all"), &json!("success")), "{run:?}");
    assert_eq!(run.body["scanned_count"], 60, "{run:?}");
}

#[tokio::test]
async fn events_that_nobody_takes_are_an_alarm_and_stripe_is_not_asked_at_every_pass() {
    let stack = Stack::start();
    let monitor = Function::start(&stack, "monitor", &[("STRIPE_SECRET_KEY", Some(RESTRICTED_KEY))]);
    let database = stack.database().await;
    let asked = async || stack.stripe_stats().await["by_endpoint"]["/v1/events"].as_u64().unwrap_or(0);
    let judged = async |condition: &str| {
        let request = monitor.request(Method::POST, MONITOR).bearer(&stack.at.monitor_secret);
        request.send().await.body["monitoring"][condition].clone()
    };
    let ten_minutes_pass = async || {
        let sql = "update billing_ops.stripe_deliveries set asked_at = asked_at - interval '11 minutes'";
        database.execute(sql, &[]).await.expect("time passes");
    };
    assert_eq!(judged("stripe_deliveries_failing").await, false);
    assert_eq!(
        (asked().await, judged("stripe_deliveries_failing").await, asked().await),
        (1, json!(false), 1)
    );

    let event =
        json!({"type": "customer.subscription.updated", "object": {"id": "sub_1"}, "delivered": false});
    let at = |minutes: i64| {
        let mut event = event.clone();
        event["created"] = (now() - 60 * minutes).into();
        event
    };
    stack.stripe(Method::POST, "events", &at(20)).await;
    ten_minutes_pass().await;
    assert_eq!(judged("stripe_deliveries_failing").await, false, "an endpoint has half an hour");
    stack.stripe(Method::POST, "events", &at(31)).await;
    ten_minutes_pass().await;
    assert_eq!(judged("stripe_deliveries_failing").await, true);
    assert_eq!(
        stack.open_alert(&database, "stripe_deliveries_failing").await.expect("an alert").0,
        "warning"
    );
    stack.stripe(Method::POST, "events", &at(60 * 25)).await;
    ten_minutes_pass().await;
    judged("stripe_deliveries_failing").await;
    assert_eq!(
        stack.open_alert(&database, "stripe_deliveries_failing").await.expect("an alert").0,
        "critical"
    );

    stack.stripe(Method::PUT, "missing_permissions", &json!(["rak_event_read"])).await;
    ten_minutes_pass().await;
    assert_eq!(judged("stripe_deliveries_failing").await, Value::Null, "who may not ask does not know");
    assert!(stack.open_alert(&database, "stripe_deliveries_failing").await.is_some(), "and clears nothing");
    let off = Function::start(&stack, "monitor", &[("STRIPE_DELIVERY_HEALTH", Some("off"))]);
    let before = asked().await;
    ten_minutes_pass().await;
    let answer = off.request(Method::POST, MONITOR).bearer(&stack.at.monitor_secret).send().await;
    assert_eq!(answer.body["monitoring"]["stripe_deliveries_failing"], Value::Null, "{answer:?}");
    assert_eq!(asked().await, before);
}

#[tokio::test]
async fn what_is_due_and_waits_is_an_alarm() {
    let stack = Stack::start();
    let database = stack.database().await;
    let wait = async |minutes: i64| {
        let sql = format!(
            "delete from public.stripe_due;
             insert into public.stripe_due (stripe_subscription_id, due_at) values ('sub_1', now() - interval '{minutes} minutes')"
        );
        database.batch_execute(&sql).await.expect("something is due");
        stack.check().await.body["monitoring"]["events_backlog"].clone()
    };
    assert_eq!((wait(14).await, wait(16).await), (json!(false), json!(true)));
    assert_eq!(stack.open_alert(&database, "events_backlog").await.expect("an alert").0, "warning");
}

#[tokio::test]
async fn stripes_own_webhooks_arrive_whatever_becomes_of_them_on_the_way() {
    let (stack, database, subscription) = agreeing(&[("EVENTS_MODE", "apply")]).await;
    let faults = json!({"double": 0.5, "fail": 0.3, "delay": [0, 300], "reorder": true, "seed": 7});
    stack.stripe(Method::PUT, "delivery_faults", &faults).await;
    for payload in ["snapshot", "thin"] {
        let endpoint = json!({"url": format!("{}{EVENTS}", stack.at.base_url), "secret": secret(&stack), "payload": payload,
            "enabled_events": ["*"], "retries": [200, 200, 200, 200, 200, 200, 200]});
        stack.stripe(Method::POST, "webhook_endpoints", &endpoint).await;
    }
    cancel(&stack, &subscription).await;
    let bought = stack
        .stripe(Method::POST, "subscriptions", &json!({"organization_id": Uuid::nil(), "status": "active"}))
        .await;
    let bought = text(&bought, "id");
    eventually("the row follows", async || {
        (status_of(&database, &subscription).await == "canceled").then_some(())
    })
    .await;
    // Whoever has just bought may be written down a moment later: it is looked at again, and nothing else is due.
    let again = eventually("all have been looked at", async || {
        let due = due(&database).await;
        let waits = due[bought].as_i64().filter(|seconds| *seconds > 60)?;
        (due.as_object()?.len() == 1).then_some(waits)
    })
    .await;
    assert!(again <= 300, "{again}");
    tokio::time::timeout(Duration::from_secs(5), stack.check()).await.expect("and the monitor answers");
}
