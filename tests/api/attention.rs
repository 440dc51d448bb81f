//! What people do about alerts beside resolving them: acknowledge, snooze, leave word; and what ends it.

use serde_json::{Value, json};

use support::paths::ALERTS;
use support::{Answer, Stack};

async fn raise(stack: &Stack, severity: &str, key: &str) -> String {
    let outcome = json!({ "alert_key": key, "alert_type": key, "state": "holds", "severity": severity, "message": "m" });
    let answer = stack.rpc("apply_monitor_outcomes", &json!({ "p_outcomes": [outcome] })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sql = "select id::text from public.billing_alerts where alert_key = $1 and not resolved";
    stack.database().await.query_one(sql, &[&key]).await.expect("an alert").get(0)
}

async fn act(stack: &Stack, id: &str, action: &str, body: Value) -> Answer {
    stack.post(&format!("{ALERTS}/{id}/{action}")).bearer(&stack.at.admin_token).json(&body).send().await
}

fn hours(alert: &Value, field: &str) -> f64 {
    let until = alert[field].as_str().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    (until.expect("a time").with_timezone(&chrono::Utc) - chrono::Utc::now()).as_seconds_f64() / 3600.0
}

#[tokio::test]
async fn what_a_person_says_of_an_alert_holds_until_its_time_a_rise_or_its_end() {
    let stack = Stack::start();
    let (critical, warning) = (raise(&stack, "critical", "a").await, raise(&stack, "warning", "b").await);

    let done = act(&stack, &critical, "acknowledge", json!({})).await;
    assert_eq!((done.status, &done.body["outcome"]), (200, &json!("done")), "{done:?}");
    assert!((3.9..4.1).contains(&hours(&done.body["alert"], "acknowledged_until")), "{done:?}");
    assert_eq!(done.body["alert"]["history"][0]["event"], "acknowledged");
    assert_eq!(done.body["alert"]["history"][0]["actor"], done.body["alert"]["acknowledged_by"]);
    assert_eq!(act(&stack, &critical, "acknowledge", json!({})).await.body["outcome"], "already");
    assert_eq!(act(&stack, &critical, "acknowledge", json!({"hours": 72})).await.body["outcome"], "done");
    let other = act(&stack, &warning, "acknowledge", json!({})).await;
    assert!((23.9..24.1).contains(&hours(&other.body["alert"], "acknowledged_until")), "{other:?}");
    let snoozed = act(&stack, &warning, "snooze", json!({"minutes": 60, "note": "The import runs."})).await;
    assert_eq!(snoozed.body["alert"]["history"][0]["reason"], "The import runs.");
    let noted = act(&stack, &warning, "note", json!({"note": "Asked support."})).await;
    assert_eq!(
        (&noted.body["outcome"], &noted.body["alert"]["history"][0]["event"]),
        (&json!("done"), &json!("noted"))
    );

    // By what is in force: one that is both is in both lists.
    let listed = async |state: &str| {
        let page = stack.admin(&format!("{ALERTS}?state={state}")).await;
        let keys: Vec<String> = page.body["alerts"]
            .as_array()
            .expect("alerts")
            .iter()
            .map(|one| one["alert_key"].to_string())
            .collect();
        (keys.len(), page.body["count"].clone())
    };
    assert_eq!(listed("unattended").await, (0, json!(2)), "the count speaks of all");
    assert_eq!(listed("acknowledged").await, (2, json!(2)));
    assert_eq!(listed("snoozed").await, (1, json!(2)));

    // A refresh leaves what a person said; a rise ends it.
    raise(&stack, "warning", "b").await;
    assert_eq!(listed("snoozed").await.0, 1);
    raise(&stack, "high", "b").await;
    assert_eq!((listed("snoozed").await.0, listed("unattended").await.0), (0, 1));

    assert_eq!(act(&stack, &warning, "unsnooze", json!({})).await.body["outcome"], "already");
    assert_eq!(act(&stack, &critical, "unacknowledge", json!({})).await.body["outcome"], "done");
    assert_eq!(act(&stack, &critical, "resolve", json!({})).await.body["outcome"], "done");
    let over = act(&stack, &critical, "snooze", json!({"minutes": 60})).await;
    assert_eq!(
        (over.status, &over.body["outcome"], &over.body["alert"]["snoozed_until"]),
        (200, &json!("alert_resolved"), &Value::Null)
    );
    let again = act(&stack, &critical, "resolve", json!({})).await;
    assert_eq!((&again.body["outcome"], &again.body["already_resolved"]), (&json!("already"), &json!(true)));
}

#[tokio::test]
async fn what_makes_no_sense_changes_nothing() {
    let stack = Stack::start();
    let id = raise(&stack, "warning", "a").await;
    let everything = "select jsonb_agg(to_jsonb(a)) || (select jsonb_agg(to_jsonb(e)) from public.billing_alert_events e) from public.billing_alerts a";
    let database = stack.database().await;
    let before = support::disturb::json_of(&database, everything).await;
    let long = "x".repeat(2001);
    for (number, (action, body)) in [
        ("acknowledge", json!({"hours": 0})),
        ("acknowledge", json!({"hours": 73})),
        ("acknowledge", json!({"hours": 1.5})),
        ("acknowledge", json!({"minutes": 5})),
        ("snooze", json!({})),
        ("snooze", json!({"minutes": 4})),
        ("snooze", json!({"minutes": 10_081})),
        ("snooze", json!({"minutes": 60, "note": long})),
        ("unsnooze", json!({"minutes": 60})),
        ("note", json!({})),
        ("note", json!({"note": "  "})),
        ("note", json!({"note": long})),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("{ALERTS}/{id}/{action}");
        let client = format!("10.3.0.{number}");
        let call = stack.post(&path).bearer(&stack.at.admin_token).client(&client).json(&body);
        let answer = call.send().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{action} {body}: {answer:?}");
    }
    let unknown = act(&stack, "00000000-0000-4000-8000-000000000000", "note", json!({"note": "n"})).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert_eq!(act(&stack, &id, "forget", json!({})).await.status, 404);
    let member =
        stack.post(&format!("{ALERTS}/{id}/acknowledge")).bearer(&stack.at.member_token).send().await;
    assert_eq!(member.status, 403, "{member:?}");
    assert_eq!(support::disturb::json_of(&database, everything).await, before);
}
