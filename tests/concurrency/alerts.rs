//! Hundreds of callers raise, clear and resolve the same alerts at the same time: one is open, and none is lost.

use futures::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use support::Stack;
use support::disturb::{count, text};

fn holds(key: &str, severity: &str) -> Value {
    json!({"alert_key": key, "alert_type": "drift", "state": "holds", "severity": severity, "message": "It holds."})
}

fn clear(key: &str) -> Value {
    json!({"alert_key": key, "alert_type": "drift", "state": "clear"})
}

async fn apply(client: &Client, outcomes: &Value) -> Value {
    client
        .query_one("select billing_ops.apply_condition_outcomes($1)", &[outcomes])
        .await
        .expect("an answer")
        .get(0)
}

/// How many of the answers name `key` in `list`: raised, refreshed or resolved.
fn named(answers: &[Value], list: &str, key: &str) -> usize {
    let names = |answer: &&Value| answer[list].as_array().expect("a list").iter().any(|named| named == key);
    answers.iter().filter(names).count()
}

/// Promise 2: at most one unresolved alert per `alert_key`, however many callers raise it at once; none is lost either. By
/// monitor calls over HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_one_unresolved_alert_per_key_and_none_lost() {
    let stack = Stack::start();
    let database = stack.database().await;
    let answers: Vec<Value> = join_all((0..150).map(|_| async {
        let answer = stack.check().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["monitoring"]["reconcile_stale"], true);
        answer.body["alerts"].clone()
    }))
    .await;
    assert_eq!(named(&answers, "raised", "reconcile_stale"), 1, "one call opened it");
    assert_eq!(named(&answers, "refreshed", "reconcile_stale"), 149, "all others counted on");
    assert_eq!(stack.open_alert(&database, "reconcile_stale").await, Some(("warning".into(), 150)));
    assert_eq!(count(&database, "select count(*) from public.billing_alerts").await, 1);
}

/// The same for raises through PostgREST and directly, over several keys, with severities in any order: the severity is no
/// part of the key, and the highest one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_holds_for_raises_of_many_keys_in_any_order() {
    let stack = Stack::start();
    let database = stack.database().await;
    let keys = ["drift_a", "drift_b", "drift_c", "drift_d"];
    // Each caller names the keys in another order: taking locks in that order would end in deadlocks.
    let outcomes = |caller: usize| {
        let severity = ["info", "warning", "critical", "high"][caller % 4];
        let mut all: Vec<Value> = keys.iter().map(|key| holds(key, severity)).collect();
        all.rotate_left(caller % keys.len());
        if caller.is_multiple_of(2) {
            all.reverse();
        }
        Value::Array(all)
    };
    let clients = join_all((0..40).map(|_| stack.database())).await;
    let direct = join_all((0..400).map(|caller| {
        let (client, outcomes) = (&clients[caller % clients.len()], outcomes(caller));
        async move { apply(client, &outcomes).await }
    }));
    let through_rest = join_all((0..200).map(|caller| {
        let parameters = json!({"p_outcomes": outcomes(caller)});
        let stack = &stack;
        async move {
            loop {
                let answer = stack.rpc("apply_monitor_outcomes", &parameters).await;
                // Whoever gets no connection within ten seconds, as on a slow machine, has done nothing, and asks again.
                if answer.body["code"] != "PGRST003" {
                    assert_eq!(answer.status, 200, "{answer:?}");
                    return answer.body["alerts"].clone();
                }
            }
        }
    }));
    let (mut answers, more) = tokio::join!(direct, through_rest);
    answers.extend(more);
    for key in keys {
        assert_eq!(named(&answers, "raised", key), 1, "{key}");
        assert_eq!(named(&answers, "refreshed", key), 599, "{key}");
        assert_eq!(stack.open_alert(&database, key).await, Some(("critical".into(), 600)), "{key}");
    }
    assert_eq!(count(&database, "select count(*) from public.billing_alerts").await, 4);
}

/// Raises, all-clears and people's resolves at once: every raise is counted in some episode, each episode is opened and
/// ended once, and the episodes of a key form one chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_holds_while_alerts_are_resolved_in_between() {
    let stack = Stack::start();
    let database = stack.database().await;
    let keys = ["drift_a", "drift_b"];
    let person = Uuid::new_v4();
    let clients = join_all((0..40).map(|_| stack.database())).await;
    let answers: Vec<Value> = join_all((0..900).map(|caller| {
        let client = &clients[caller % clients.len()];
        async move {
            match caller % 3 {
                0 => apply(client, &json!([holds(keys[0], "warning"), holds(keys[1], "critical")])).await,
                1 => {
                    apply(client, &json!([clear(keys[caller % 2]), holds(keys[1 - caller % 2], "info")]))
                        .await
                }
                _ => {
                    let open = client
                        .query_opt("select id from public.billing_alerts where not resolved limit 1", &[])
                        .await
                        .expect("a list");
                    let Some(open) = open else {
                        return json!({"raised": [], "refreshed": [], "resolved": []});
                    };
                    let answer: Value = client
                        .query_one(
                            "select public.resolve_billing_alert($1, $2)",
                            &[&open.get::<_, Uuid>(0), &person],
                        )
                        .await
                        .expect("an outcome")
                        .get(0);
                    let resolved = text(&answer, "outcome") == "resolved";
                    let by_person =
                        if resolved { vec![answer["alert"]["alert_key"].clone()] } else { vec![] };
                    json!({"raised": [], "refreshed": [], "resolved": [], "by_person": by_person})
                }
            }
        }
    }))
    .await;

    for key in keys {
        let row = database
            .query_one(
                "select count(*), sum(occurrences), count(*) filter (where not resolved),
                   count(*) filter (where resolution = 'auto'), count(*) filter (where resolution = 'manual'),
                   count(*) filter (where previous_alert_id is null), count(distinct previous_alert_id)
                 from public.billing_alerts where alert_key = $1",
                &[&key],
            )
            .await
            .expect("counts");
        let counted = |column: usize| usize::try_from(row.get::<_, i64>(column)).expect("a count");
        let (raised, refreshed) = (named(&answers, "raised", key), named(&answers, "refreshed", key));
        let by_people = answers
            .iter()
            .flat_map(|answer| answer["by_person"].as_array().into_iter().flatten())
            .filter(|named| *named == key)
            .count();
        assert_eq!(counted(0), raised, "{key}: each episode was opened by one caller");
        assert_eq!(counted(1), raised + refreshed, "{key}: every raise is counted");
        assert!(counted(2) <= 1, "{key}: {} are open", counted(2));
        assert_eq!(counted(3), named(&answers, "resolved", key), "{key}: each all-clear ended one episode");
        assert_eq!(counted(4), by_people, "{key}: each person's resolve ended one episode");
        assert_eq!(counted(5), 1, "{key}: only the first episode has none before it");
        assert_eq!(counted(6), raised - 1, "{key}: no two episodes follow the same one");
        let history = |event: &'static str| {
            let database = &database;
            async move {
                let row = database
                    .query_one(
                        "select count(*) from public.billing_alert_events e
                         join public.billing_alerts a on a.id = e.alert_id where a.alert_key = $1 and e.event = $2",
                        &[&key, &event],
                    )
                    .await
                    .expect("a count");
                usize::try_from(row.get::<_, i64>(0)).expect("a count")
            }
        };
        assert_eq!(history("raised").await, raised, "{key}: the history knows every beginning");
        assert_eq!(history("resolved").await, counted(3) + counted(4), "{key}: and every end");
    }
}
