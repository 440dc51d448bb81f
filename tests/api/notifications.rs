//! Somebody is told: each alarm reaches each channel, in order, at least once and under one id, whatever dies or does not answer; and
//! where it cannot, somebody else is told that.

use std::collections::BTreeMap;

use receivers::{Fault, Receivers};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::function::Function;
use support::disturb::{count, json_of, signal};
use support::paths::{ALERTS, HEALTH, MONITOR, NOTIFICATIONS};
use support::{Answer, Stack};

const DELIVER: &str = "/api/admin/billing-alerts/monitor?only=deliver";
const ALL: [&str; 5] = ["pagerduty", "slack", "discord", "email", "webhook"];

/// A stack whose functions tell these receivers.
fn stack(receivers: &Receivers, channels: &[&str]) -> Stack {
    let settings = receivers.settings_of(channels);
    settings.into_iter().fold(Stack::setup(), |setup, (name, value)| setup.setting(name, value)).start()
}

/// What conditions come out as, as a run or a pass writes it.
async fn conditions(stack: &Stack, state: &str, severity: &str, keys: &[&str]) {
    let outcomes: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({ "alert_key": key, "alert_type": key, "state": state, "severity": severity,
                    "message": format!("{key} is wrong.") })
        })
        .collect();
    let answer = stack.rpc("apply_monitor_outcomes", &json!({ "p_outcomes": outcomes })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// What the five-minute cron does.
async fn deliver(stack: &Stack) -> Answer {
    let answer = stack.get(DELIVER).bearer(&stack.at.cron_secret).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// Makes the database believe that so much time has passed.
async fn pass_time(database: &Client, interval: &str) {
    let sql = format!(
        "update public.notification_deliveries set created_at = created_at - interval '{interval}', due_since = due_since - interval '{interval}',
           next_attempt_at = next_attempt_at - interval '{interval}', last_attempt_at = last_attempt_at - interval '{interval}',
           sent_at = sent_at - interval '{interval}', claimed_until = claimed_until - interval '{interval}';
         update public.notification_channels set since = since - interval '{interval}', wait_until = wait_until - interval '{interval}',
           off_at = off_at - interval '{interval}', last_success_at = last_success_at - interval '{interval}',
           last_failure_at = last_failure_at - interval '{interval}';
         update public.billing_alerts set acknowledged_until = acknowledged_until - interval '{interval}',
           snoozed_until = snoozed_until - interval '{interval}';"
    );
    database.batch_execute(&sql).await.expect("time passes");
}

async fn id_of(database: &Client, key: &str) -> String {
    let sql =
        "select id::text from public.billing_alerts where alert_key = $1 order by created_at desc limit 1";
    database.query_one(sql, &[&key]).await.expect("an alert").get(0)
}

/// What a receiver has taken, by what it calls an episode or says in its title.
fn titles(receivers: &Receivers, receiver: &str) -> Vec<String> {
    receivers.accepted(receiver).iter().map(receivers::Received::title).collect()
}

/// The fates of deliveries: channel, kind, status, reason.
async fn fates(database: &Client, channel: &str) -> Value {
    let sql = format!(
        "select coalesce(jsonb_agg(jsonb_build_array(kind, status, reason) order by id), '[]')
         from public.notification_deliveries where channel = '{channel}'"
    );
    json_of(database, &sql).await
}

async fn act(stack: &Stack, id: &str, action: &str, body: Value) -> Answer {
    let path = format!("{ALERTS}/{id}/{action}");
    stack.post(&path).bearer(&stack.at.admin_token).json(&body).send().await
}

#[tokio::test]
async fn an_alarm_reaches_every_channel_and_its_end_follows() {
    let receivers = Receivers::start().expect("receivers");
    let stack = stack(&receivers, &ALL);
    let database = stack.database().await;
    // Three runs in a row that failed: critical, so that every channel is told.
    database
        .batch_execute(
            "insert into public.reconciliation_logs (run_key, run_type, status, started_at, finished_at, error_code)
             select 'k' || n, 'scheduled', 'error', now() - interval '1 minute' * n, now() - interval '1 minute' * n, 'stripe_error'
             from generate_series(1, 3) n;
             insert into public.reconciliation_logs (run_key, run_type, status, started_at, finished_at)
             values ('k', 'scheduled', 'success', now() - interval '10 minutes', now() - interval '10 minutes')",
        )
        .await
        .expect("runs");
    let pass = stack.monitor().await;
    assert_eq!(pass.body["monitoring"]["reconcile_failing"], true, "{pass:?}");
    // After the answer of that pass, without another call.
    for receiver in ALL {
        receivers.wait_for(receiver, 1).await;
    }
    let alert = id_of(&database, "reconcile_failing").await;
    let told = deliver(&stack).await;
    assert_eq!(
        told.body["deliveries"],
        json!({"sent": 0, "refused": 0, "failed": 0}),
        "nothing is told twice"
    );

    // A person attends to it: PagerDuty knows of such things, the others need not.
    assert_eq!(act(&stack, &alert, "acknowledge", json!({})).await.body["outcome"], "done");
    receivers.wait_for("pagerduty", 2).await;
    let done = act(&stack, &alert, "resolve", json!({"note": "The key was wrong."})).await;
    assert_eq!((&done.body["outcome"], &done.body["already_resolved"]), (&json!("done"), &json!(false)));
    for (receiver, expected) in [("pagerduty", 3), ("slack", 2), ("discord", 2), ("email", 2), ("webhook", 2)]
    {
        receivers.wait_for(receiver, expected).await;
        let all = receivers.received().into_iter().filter(|one| one.receiver == receiver).collect::<Vec<_>>();
        assert!(all.iter().all(|one| one.accepted), "a receiver as strict as the real one took all: {all:?}");
        let titles: Vec<String> = all.iter().map(receivers::Received::title).collect();
        assert_eq!(all.len(), expected, "and nothing came twice: {titles:?}");
    }
    let incidents = receivers.incidents();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert!(incidents[0].dedup_key.contains(&alert), "the episode: {incidents:?}");
    assert_eq!(format!("{:?}", incidents[0].status).to_lowercase(), "resolved");
    let webhook = receivers.accepted("webhook");
    assert_eq!(
        webhook.iter().map(|one| one.body["type"].clone()).collect::<Vec<_>>(),
        ["billing_alert.raised", "billing_alert.resolved"]
    );
    assert_eq!(webhook[0].body["data"]["alert"]["id"], alert.as_str());
    assert!(!webhook[1].body.to_string().contains("The key was wrong"), "what people write stays here");
}

#[tokio::test]
async fn killed_between_sending_and_finishing_it_is_sent_again_with_the_same_id() {
    let receivers = Receivers::start().expect("receivers");
    let stack = Stack::start();
    let database = stack.database().await;
    let settings = receivers.settings_of(&["webhook"]);
    let settings: Vec<(&str, Option<&str>)> =
        settings.iter().map(|(name, value)| (*name, Some(value.as_str()))).collect();
    conditions(&stack, "holds", "critical", &["first"]).await;

    // The message arrives, and before the receiver has answered the function is killed.
    receivers.answer("webhook", Fault::Stall);
    let dying = Function::start(&stack, "monitor", &settings);
    let call = dying.request(Method::GET, DELIVER).bearer(&stack.at.cron_secret);
    let call = tokio::spawn(call.try_send());
    receivers.wait_until("the message arrives", |all| all.iter().any(|one| one.receiver == "webhook")).await;
    signal("KILL", u64::from(dying.process_id()));
    assert!(call.await.expect("no panic").is_err(), "the caller hears nothing any more");
    receivers.heal("webhook");

    let living = Function::start(&stack, "monitor", &settings);
    let deliver = async || living.request(Method::GET, DELIVER).bearer(&stack.at.cron_secret).send().await;
    assert_eq!(deliver().await.body["deliveries"]["sent"], 0, "it is claimed for a minute");
    pass_time(&database, "61 seconds").await;
    assert_eq!(deliver().await.body["deliveries"]["sent"], 1);
    let ids: Vec<String> = receivers
        .received()
        .iter()
        .filter(|one| one.receiver == "webhook")
        .map(|one| one.headers["webhook-id"].clone())
        .collect();
    assert_eq!(ids.len(), 2, "at least once: {ids:?}");
    assert_eq!(ids[0], ids[1], "so that a receiver can tell");
    let row = json_of(
        &database,
        "select to_jsonb(array[status, attempts::text, may_have_arrived::text]) from public.notification_deliveries",
    )
    .await;
    assert_eq!(row, json!(["sent", "2", "true"]));
}

#[tokio::test]
async fn fifty_drains_at_once_send_each_message_once() {
    let receivers = Receivers::start().expect("receivers");
    let stack = stack(&receivers, &["slack", "pagerduty"]);
    let database = stack.database().await;
    deliver(&stack).await;
    conditions(&stack, "holds", "critical", &["a", "b", "c", "d", "e"]).await;
    let drains = (0..50).map(|number| {
        let client = format!("10.9.0.{number}");
        stack.get(DELIVER).bearer(&stack.at.cron_secret).client(&client).send()
    });
    let answers = futures::future::join_all(drains).await;
    let sent: u64 =
        answers.iter().map(|answer| answer.body["deliveries"]["sent"].as_u64().expect("a number")).sum();
    assert_eq!(sent, 10, "five alarms, two channels: {answers:?}");
    for receiver in ["slack", "pagerduty"] {
        let titles = titles(&receivers, receiver);
        let distinct: std::collections::BTreeSet<_> = titles.iter().collect();
        assert_eq!((titles.len(), distinct.len()), (5, 5), "{titles:?}");
    }
    let attempts = "select count(*) from public.notification_deliveries where attempts <> 1";
    assert_eq!(count(&database, attempts).await, 0, "each was claimed once");
}

#[tokio::test]
async fn an_end_is_never_told_before_its_beginning() {
    let receivers = Receivers::start().expect("receivers");
    let stack = stack(&receivers, &["slack", "discord"]);
    let database = stack.database().await;
    deliver(&stack).await;
    receivers.answer("slack", Fault::Status(500, "oh".to_owned(), None));
    receivers.answer("discord", Fault::Status(400, "{}".to_owned(), None));
    conditions(&stack, "holds", "warning", &["short"]).await;
    deliver(&stack).await;
    conditions(&stack, "clear", "warning", &["short"]).await;
    receivers.heal("slack");
    receivers.heal("discord");
    deliver(&stack).await;
    assert_eq!(titles(&receivers, "slack"), [""; 0], "the alarm waits for its next try, and so does the end");
    assert_eq!(
        fates(&database, "discord").await,
        json!([["raised", "dead", "400: {}"], ["resolved", "suppressed", "alarm_not_sent"]]),
        "refused for good: nobody is told of the end of what they never heard of"
    );

    pass_time(&database, "31 seconds").await;
    deliver(&stack).await;
    let titles = titles(&receivers, "slack");
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles[0].contains("WARNING") && titles[1].contains("RESOLVED"), "{titles:?}");
}

#[tokio::test]
async fn a_receiver_that_stalls_delays_nobody() {
    let receivers = Receivers::start().expect("receivers");
    let stack = stack(&receivers, &["slack", "webhook", "pagerduty"]);
    deliver(&stack).await;
    receivers.answer("slack", Fault::Stall);
    conditions(&stack, "holds", "critical", &["a", "b"]).await;
    // A pass answers at once, whatever its receivers do.
    let pass = stack.monitor().await;
    assert_eq!(pass.status, 200, "{pass:?}");
    receivers.wait_until("slack has it", |all| all.iter().any(|one| one.receiver == "slack")).await;
    // reconcile_stale is a warning, which PagerDuty is not told of.
    receivers.wait_for("webhook", 3).await;
    receivers.wait_for("pagerduty", 2).await;
    assert!(receivers.accepted("slack").is_empty(), "all that while it has said nothing");
    receivers.heal("slack");
}

#[tokio::test]
async fn a_day_of_a_dead_slack_is_told_elsewhere_and_to_the_watcher() {
    let receivers = Receivers::start().expect("receivers");
    let watcher =
        crate::heartbeat::Watcher::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let (slack, both) = (receivers.settings_of(&["slack"]), receivers.settings_of(&["slack", "webhook"]));
    let stack = Stack::start();
    let database = stack.database().await;
    let function = |settings: &[(&'static str, String)]| {
        let mut changes: Vec<(&str, Option<&str>)> =
            settings.iter().map(|(name, value)| (*name, Some(value.as_str()))).collect();
        changes.push(("HEARTBEAT_URL", Some(watcher.url.as_str())));
        Function::start(&stack, "monitor", &changes)
    };
    let pass = async |function: &Function| {
        let answer = function.request(Method::POST, MONITOR).bearer(&stack.at.monitor_secret).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["monitoring"]["notifications_failing"].clone()
    };
    // Each from an address of its own: a day of calls is more than a minute's limit.
    let calls = std::cell::Cell::new(0);
    let drain = async |function: &Function| {
        calls.set(calls.get() + 1);
        let client = format!("10.8.0.{}", calls.get());
        let call = function.request(Method::GET, DELIVER).bearer(&stack.at.cron_secret);
        let answer = call.header("x-vercel-forwarded-for", &client).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };

    let alone = function(&slack);
    receivers.answer("slack", Fault::Status(503, "down".to_owned(), None));
    conditions(&stack, "holds", "critical", &["stripe_down"]).await;
    drain(&alone).await;
    assert_eq!(pass(&alone).await, false, "a quarter of an hour is granted");
    assert_eq!(watcher.heard().len(), 1);
    pass_time(&database, "16 minutes").await;
    assert_eq!(pass(&alone).await, true);
    assert_eq!(watcher.heard().len(), 1, "the only channel is dead: the watcher hears nothing, and says so");

    // The day goes by. What is due is tried again and again, at most once an hour.
    let first = "select attempts from public.notification_deliveries order by id limit 1";
    for _ in 0..25 {
        drain(&alone).await;
        pass_time(&database, "1 hour").await;
    }
    let attempts: i32 = database.query_one(first, &[]).await.expect("a delivery").get(0);
    assert!((15..=30).contains(&attempts), "{attempts} attempts in a day");
    let dead = "select count(*) from public.notification_deliveries where status = 'dead' and reason like 'gave up after 24 h: 503%'";
    assert!(count(&database, dead).await >= 1, "{}", fates(&database, "slack").await);
    assert_eq!(pass(&alone).await, true, "it was given up, and nothing has arrived since");

    // With another channel somebody hears of it, and the watcher hears that the watch goes on.
    let two = function(&both);
    let before = watcher.heard().len();
    drain(&two).await;
    let told = receivers.wait_until("the other channel is told", |all| {
        all.iter().any(|one| {
            one.receiver == "webhook" && one.body["data"]["alert"]["key"] == "notifications_failing"
        })
    });
    told.await;
    assert_eq!(pass(&two).await, true);
    assert_eq!(watcher.heard().len(), before + 1);

    // Slack is back: a message arrives, and that is over.
    receivers.heal("slack");
    pass_time(&database, "4 hours").await;
    drain(&two).await;
    pass_time(&database, "1 minute").await;
    drain(&two).await;
    assert!(!receivers.accepted("slack").is_empty());
    assert_eq!(pass(&two).await, false, "{}", fates(&database, "slack").await);
}

#[tokio::test]
async fn a_channel_whose_destination_is_gone_is_off_until_its_settings_change_or_a_test_passes() {
    let receivers = Receivers::start().expect("receivers");
    let stack = stack(&receivers, &["slack", "webhook"]);
    let database = stack.database().await;
    receivers.answer("slack", Fault::Status(404, "no_service".to_owned(), None));
    conditions(&stack, "holds", "critical", &["a"]).await;
    deliver(&stack).await;
    let page = stack.admin(NOTIFICATIONS).await;
    let slack = &page.body["channels"][1];
    assert_eq!((&slack["channel"], &slack["status"]), (&json!("slack"), &json!("off")), "{page:?}");
    assert_eq!(slack["reason"], "404: no_service");
    conditions(&stack, "holds", "critical", &["b"]).await;
    deliver(&stack).await;
    assert_eq!(
        fates(&database, "slack").await,
        json!([["raised", "dead", "404: no_service"], ["raised", "suppressed", "channel_off"]])
    );
    assert_eq!(receivers.accepted("webhook").len(), 2, "the other one goes on");

    let test =
        async |body: Value| stack.post(NOTIFICATIONS).bearer(&stack.at.admin_token).json(&body).send().await;
    let failed = test(json!({"test": "slack"})).await;
    assert_eq!(
        (failed.status, &failed.body["outcome"], &failed.body["status"], &failed.body["answer"]),
        (200, &json!("refused"), &json!(404), &json!("no_service"))
    );
    receivers.heal("slack");
    let passed = test(json!({"test": "slack"})).await;
    assert_eq!(
        (&passed.body["outcome"], &passed.body["answer"]),
        (&json!("sent"), &json!("ok")),
        "{passed:?}"
    );
    assert_eq!(stack.admin(NOTIFICATIONS).await.body["channels"][1]["status"], "ok");
    deliver(&stack).await;
    let titles = titles(&receivers, "slack");
    assert_eq!(titles.len(), 3, "the test, and what stands meanwhile: {titles:?}");
}

#[tokio::test]
async fn a_page_says_what_became_of_each_message_and_what_was_given_up_can_be_sent_again() {
    let receivers = Receivers::start().expect("receivers");
    let stack = stack(&receivers, &["slack"]);
    let database = stack.database().await;
    receivers.answer("slack", Fault::Status(400, "invalid_blocks".to_owned(), None));
    conditions(&stack, "holds", "warning", &["a", "b"]).await;
    deliver(&stack).await;
    receivers.heal("slack");
    let page = stack.admin(&format!("{NOTIFICATIONS}?status=dead&channel=slack&limit=1")).await;
    let dead = &page.body["deliveries"][0];
    assert_eq!(
        (&dead["kind"], &dead["status"], &dead["reason"]),
        (&json!("raised"), &json!("dead"), &json!("400: invalid_blocks"))
    );
    let cursor = page.body["next_cursor"].as_str().expect("there is another").to_owned();
    let next =
        stack.admin(&format!("{NOTIFICATIONS}?status=dead&channel=slack&limit=1&cursor={cursor}")).await;
    assert_eq!(next.body["deliveries"].as_array().map(Vec::len), Some(1));
    assert_eq!(next.body["next_cursor"], Value::Null);
    let of_one = stack.admin(&format!("{NOTIFICATIONS}?alert_id={}", id_of(&database, "a").await)).await;
    assert_eq!(of_one.body["deliveries"].as_array().map(Vec::len), Some(1), "{of_one:?}");
    let statuses: Vec<&str> = page.body["channels"]
        .as_array()
        .expect("channels")
        .iter()
        .map(|one| one["status"].as_str().expect("a word"))
        .collect();
    assert_eq!(statuses, ["not_configured", "failing", "not_configured", "not_configured", "not_configured"]);

    let send =
        async |body: Value| stack.post(NOTIFICATIONS).bearer(&stack.at.admin_token).json(&body).send().await;
    let id = dead["id"].as_str().expect("an id").to_owned();
    let sent = send(json!({"retry": id})).await;
    assert_eq!(
        (sent.status, &sent.body["outcome"], &sent.body["status"]),
        (200, &json!("sent"), &json!(200)),
        "{sent:?}"
    );
    let again = send(json!({"retry": id.parse::<i64>().expect("a number")})).await;
    assert_eq!((again.status, again.code()), (409, "conflict"), "{again:?}");
    assert_eq!(send(json!({"retry": "987654321"})).await.status, 404);
    for wrong in [
        json!({}),
        json!({"test": "slack", "retry": "1"}),
        json!({"test": "pigeon"}),
        json!({"test": "discord"}),
        json!({"retry": "0"}),
        json!({"retry": "x"}),
        json!({"retry": -1}),
        json!({"retry": 1.5}),
        json!({"test": "slack", "to": "me"}),
    ] {
        let answer = stack
            .post(NOTIFICATIONS)
            .bearer(&stack.at.admin_token)
            .client(&format!("10.7.0.{}", wrong.to_string().len()))
            .json(&wrong)
            .send()
            .await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{wrong}: {answer:?}");
    }
    for wrong in
        ["?status=lost", "?channel=pigeon", "?cursor=x", "?cursor=01", "?alert_id=1", "?limit=0", "?to=me"]
    {
        assert_eq!(stack.admin(&format!("{NOTIFICATIONS}{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_wrong_setting_closes_its_channel_and_nothing_else() {
    let receivers = Receivers::start().expect("receivers");
    let secret = "https://user:secret-canary@hooks.example.test/T/B/x";
    let stack = receivers
        .settings_of(&["webhook"])
        .into_iter()
        .fold(Stack::setup(), |setup, (name, value)| setup.setting(name, value))
        .setting("NOTIFY_SLACK_URL", secret)
        .setting("NOTIFY_DISCORD_URL", "http://discord.example.test/api/webhooks/1/x")
        .setting("NOTIFY_PAGERDUTY_KEY", "too-short")
        .setting("RESEND_API_KEY", "re_without_addresses")
        .start();
    let pass = stack.monitor().await;
    assert_eq!(pass.body["monitoring"]["settings_invalid"], true, "{pass:?}");
    let told = receivers
        .wait_until("it is told", |all| {
            all.iter().any(|one| one.body["data"]["alert"]["key"] == "settings_invalid")
        })
        .await;
    let alerts = stack.admin(ALERTS).await;
    let health = stack.get(HEALTH).send().await;
    let page = stack.admin(NOTIFICATIONS).await;
    for (name, text) in [
        ("message", format!("{:?}", told)),
        ("alert", alerts.text),
        ("health", health.text),
        ("page", page.text.clone()),
    ] {
        for setting in ["NOTIFY_SLACK_URL", "NOTIFY_DISCORD_URL", "NOTIFY_PAGERDUTY_KEY"] {
            assert!(text.contains(setting), "{name} names {setting}: {text}");
        }
        for value in ["secret-canary", "too-short", "re_without_addresses", "discord.example"] {
            assert!(!text.contains(value), "{name} holds {value}: {text}");
        }
    }
    let status: BTreeMap<&str, &str> = page.body["channels"]
        .as_array()
        .expect("channels")
        .iter()
        .map(|one| (one["channel"].as_str().expect("a word"), one["status"].as_str().expect("a word")))
        .collect();
    assert_eq!(
        status,
        BTreeMap::from([
            ("pagerduty", "off"),
            ("slack", "off"),
            ("discord", "off"),
            ("email", "off"),
            ("webhook", "ok")
        ])
    );
}

#[tokio::test]
async fn redirects_are_not_followed_and_nothing_of_a_message_is_a_secret() {
    let receivers = Receivers::start().expect("receivers");
    let stack = stack(&receivers, &ALL);
    receivers.answer("webhook", Fault::Redirect(format!("{}/elsewhere", receivers.base_url())));
    conditions(&stack, "holds", "critical", &["a"]).await;
    deliver(&stack).await;
    let all = receivers.received();
    assert!(all.iter().all(|one| ALL.contains(&one.receiver)), "nobody went elsewhere: {all:?}");
    let database = stack.database().await;
    assert_eq!(fates(&database, "webhook").await[0][1], "due", "a redirect is a failure");
    let rows = json_of(
        &database,
        "select jsonb_build_array((select jsonb_agg(to_jsonb(d)) from public.notification_deliveries d),
                                  (select jsonb_agg(to_jsonb(c)) from public.notification_channels c))",
    )
    .await
    .to_string();
    let page = stack.admin(NOTIFICATIONS).await.text;
    let logs = stack.function_logs();
    for (name, value) in receivers.settings() {
        if name.ends_with("_BASE") {
            continue;
        }
        for (place, text) in [("rows", &rows), ("page", &page), ("log", &logs)] {
            assert!(!text.contains(&value), "{name} is in the {place}");
        }
    }
    let bodies: String = all.iter().map(|one| one.body.to_string()).collect();
    for secret in [&stack.at.secret_key, &stack.at.cron_secret, &stack.at.admin_token, &stack.at.database_url]
    {
        assert!(!bodies.contains(secret.as_str()), "a message holds a secret");
    }
}

/// Makes the database believe that it has been in use for longer than a week, and that no digest was made since.
async fn monday(database: &Client) {
    let sql = "update billing_ops.digests set week = week - 7";
    assert_eq!(database.execute(sql, &[]).await.expect("a week ago"), 1, "the first claim notes the week");
}

#[tokio::test]
async fn a_week_is_told_once_to_every_channel_but_pagerduty() {
    let receivers = Receivers::start().expect("receivers");
    let settings = receivers.settings_of(&ALL);
    let stack = settings
        .into_iter()
        .fold(Stack::setup(), |setup, (name, value)| setup.setting(name, value))
        .setting("PUBLIC_URL", "https://ops.example.test")
        .start();
    let database = stack.database().await;
    deliver(&stack).await;
    assert!(receivers.received().is_empty(), "a database in its first week has nothing to tell of the last");

    // In the week that is over a run repaired something; since then something waits for a person.
    database
        .batch_execute(
            "insert into public.reconciliation_logs (run_key, run_type, status, started_at, finished_at, scanned_count)
             select 'in_that_week', 'scheduled', 'success', at, at + interval '1 minute', 10
             from (select billing_ops.digest_week(now())::timestamp at time zone 'utc' + interval '1 day' as at) week;
             insert into public.drift (drift_key, type, severity, stripe_subscription_id, owner, issue, details, action,
               first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
             select 'status_mismatch:sub_canary', 'status_mismatch', 'info', 'sub_canary', 'owner_canary', 'issue_canary',
               '{\"status\": {\"database\": \"canceled\", \"stripe\": \"active\"}}', 'repaired', finished_at, finished_at, id, id, finished_at
             from public.reconciliation_logs;
             insert into public.drift (drift_key, type, severity, stripe_subscription_id, issue, action,
               first_seen_at, last_seen_at, first_run_id, last_run_id)
             select 'unknown_price:sub_canary_2', 'unknown_price', 'warning', 'sub_canary_2', 'issue_canary', 'none', now(), now(), id, id
             from public.reconciliation_logs",
        )
        .await
        .expect("a week");
    monday(&database).await;
    let drains = (0..20).map(|number| {
        let client = format!("10.6.0.{number}");
        stack.get(DELIVER).bearer(&stack.at.cron_secret).client(&client).send()
    });
    let answers = futures::future::join_all(drains).await;
    let sent: u64 =
        answers.iter().map(|answer| answer.body["deliveries"]["sent"].as_u64().expect("a number")).sum();
    assert_eq!(sent, 4, "however many ask at once: {answers:?}");
    let all = receivers.received();
    assert!(all.iter().all(|one| one.accepted), "receivers as strict as the real ones take it: {all:?}");
    for receiver in ["slack", "discord", "email"] {
        let titles = titles(&receivers, receiver);
        assert_eq!(titles.len(), 1, "{receiver}: {titles:?}");
        assert!(titles[0].starts_with("Weekly digest: "), "{receiver}: {titles:?}");
    }
    assert!(receivers.accepted("pagerduty").is_empty() && receivers.incidents().is_empty());
    let webhook = receivers.accepted("webhook").remove(0).body;
    let digest = &webhook["data"]["digest"];
    assert_eq!(webhook["type"], "billing_ops.digest");
    assert_eq!(
        [&digest["runs"]["ended"], &digest["runs"]["sweeps"], &digest["drift"]["repaired"]],
        [&json!(1); 3],
        "{webhook}"
    );
    assert_eq!(digest["access"], json!({"raised": 1, "lowered": 0}), "{webhook}");
    assert_eq!([&digest["standing"], &digest["waiting"]["decision"]], [&json!(1); 2], "{webhook}");
    assert_eq!(digest["url"], "https://ops.example.test/");
    let bodies: String = all.iter().map(|one| one.body.to_string()).collect();
    assert!(!bodies.contains("canary"), "numbers, and no word of whom they are about: {bodies}");

    deliver(&stack).await;
    assert_eq!(receivers.received().len(), 4, "and not again");
    let page = stack.admin(&format!("{NOTIFICATIONS}?channel=slack")).await;
    let entry = &page.body["deliveries"][0];
    assert_eq!(
        (&entry["kind"], &entry["severity"], &entry["status"], &entry["alert_id"]),
        (&json!("digest"), &json!("info"), &json!("sent"), &Value::Null),
        "{page:?}"
    );
}

#[tokio::test]
async fn a_digest_is_not_sent_where_nobody_wants_it_and_a_wrong_word_means_off() {
    let receivers = Receivers::start().expect("receivers");
    let settings = receivers.settings_of(&["slack"]);
    let stack = settings
        .into_iter()
        .fold(Stack::setup(), |setup, (name, value)| setup.setting(name, value))
        .setting("NOTIFY_DIGEST", "canary")
        .start();
    let database = stack.database().await;
    // As if there had been digests before it was switched off.
    database
        .batch_execute("insert into billing_ops.digests (week) select billing_ops.digest_week(now()) - 7")
        .await
        .expect("a week ago");
    deliver(&stack).await;
    assert!(receivers.received().is_empty(), "a word that is not known");
    let health = stack.get(HEALTH).send().await;
    assert!(health.text.contains("NOTIFY_DIGEST must be weekly or off."), "{health:?}");
    assert!(!health.text.contains("canary"), "{health:?}");
    let pass = stack.monitor().await;
    assert_eq!(pass.body["monitoring"]["settings_invalid"], true, "{pass:?}");
    receivers
        .wait_until("it is told", |all| all.iter().any(|one| one.title().contains("settings invalid")))
        .await;

    let slack = receivers.settings_of(&["slack"]);
    let function = |word: &'static str| {
        let mut changes: Vec<(&str, Option<&str>)> =
            slack.iter().map(|(name, value)| (*name, Some(value.as_str()))).collect();
        changes.push(("NOTIFY_DIGEST", Some(word)));
        Function::start(&stack, "monitor", &changes)
    };
    let digests = async |word: &'static str| {
        let function = function(word);
        let answer = function.request(Method::GET, DELIVER).bearer(&stack.at.cron_secret).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let told = titles(&receivers, "slack");
        told.iter().filter(|title| title.starts_with("Weekly digest: ")).count()
    };
    assert_eq!(digests("off").await, 0, "off");
    assert_eq!(digests("weekly").await, 1, "weekly, and once it is on the week that is over is told at once");
}
