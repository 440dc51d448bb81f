//! What a person decides, over HTTP: approve, revert, except, policies; each with what stands against it.

use reqwest::Method;
use serde_json::{Value, json};
use support::disturb::{change_rows, count, json_of, new_address, steady};
use support::paths::{APPROVE_MANY, DRIFT, POLICIES};
use support::{Answer, Setup, Stack};
use tokio_postgres::Client;

/// A company of 120, whose rows agree with Stripe, in one of the modes.
fn company(mode: &str) -> Setup {
    Stack::setup().argument("--subscriptions").argument("120").setting("REPAIR_MODE", mode)
}

/// Makes the rows of so many active subscriptions say something else, and says which.
async fn disturb(database: &Client, set: &str, many: usize) -> Vec<String> {
    let ids = steady(database, "active", many).await;
    change(database, &ids, set).await;
    ids
}

async fn change(database: &Client, ids: &[String], set: &str) {
    let ids = ids.join("', '");
    let sql = format!("update public.subscriptions set {set} where stripe_subscription_id in ('{ids}')");
    change_rows(database, &sql).await;
}

async fn lose(database: &Client, many: usize) {
    let ids = steady(database, "active", many).await.join("', '");
    let sql = format!("delete from public.subscriptions where stripe_subscription_id in ('{ids}')");
    change_rows(database, &sql).await;
}

async fn drift(stack: &Stack, query: &str) -> Vec<Value> {
    let answer = stack.admin(&format!("{DRIFT}?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["drift"].as_array().expect("entries").clone()
}

/// The one entry that fits, or the newest of them.
async fn only(stack: &Stack, query: &str) -> Value {
    let mut found = drift(stack, query).await;
    assert_eq!(found.len(), 1, "{query}: {found:?}");
    found.remove(0)
}

async fn act(stack: &Stack, entry: &Value, action: &str, body: Option<Value>) -> Answer {
    let id = entry["id"].as_str().expect("an id");
    let request = stack.post(&format!("{DRIFT}/{id}/{action}")).bearer(&stack.at.admin_token);
    // Each decision is a client of its own: the limit has its own test.
    let request = request.client(&new_address());
    match body {
        Some(body) => request.json(&body).send().await,
        None => request.send().await,
    }
}

async fn many(stack: &Stack, body: Value) -> Answer {
    stack.post(APPROVE_MANY).bearer(&stack.at.admin_token).json(&body).send().await
}

async fn status_of(database: &Client, subscription: &str) -> String {
    let sql = "select status from public.subscriptions where stripe_subscription_id = $1";
    database.query_one(sql, &[&subscription]).await.expect("a row").get(0)
}

/// All rows with their versions: whoever writes one makes its xmin another.
async fn versions(database: &Client) -> Value {
    let sql = "select jsonb_agg(to_jsonb(s) || jsonb_build_object('xmin', s.xmin::text) order by s.id) from public.subscriptions s";
    json_of(database, sql).await
}

#[tokio::test]
async fn promise_8_in_observe_no_statement_writes_to_the_apps_table() {
    let stack = company("observe").start();
    let database = stack.database().await;
    // Not even the right to.
    change_rows(&database, "revoke insert, update, delete on public.subscriptions from service_role").await;
    disturb(&database, "status = 'canceled', tier = 'nothing'", 6).await;
    lose(&database, 2).await;
    let before = versions(&database).await;
    for _ in 0..2 {
        let run = stack.run().await;
        assert_eq!(
            (&run.body["status"], &run.body["repair_mode"]),
            (&json!("success"), &json!("observe")),
            "{run:?}"
        );
        assert_eq!(
            (&run.body["updated_count"], &run.body["created_count"]),
            (&json!(0), &json!(0)),
            "{run:?}"
        );
    }
    assert_eq!(versions(&database).await, before);
    let found = drift(&stack, "limit=200").await;
    assert!(found.len() >= 14, "{found:?}");
    assert!(found.iter().all(|entry| entry["action"] == "observed"), "{found:?}");
    let entry = only(&stack, "type=status_mismatch&limit=1").await;
    let refused = act(&stack, &entry, "approve", None).await;
    assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
    assert!(refused.body["error"].as_str().expect("why").contains("REPAIR_MODE"), "{refused:?}");
    assert_eq!(refused.body["drift"]["id"], entry["id"]);
    let nothing = json!({ "id": "00000000-0000-4000-8000-000000000000" });
    for action in ["approve", "revert"] {
        assert_eq!(act(&stack, &nothing, action, None).await.status, 404, "{action}");
    }
    assert_eq!(versions(&database).await, before);
}

#[tokio::test]
async fn what_a_person_approves_is_written_and_nothing_else() {
    let stack = company("approve").start();
    let database = stack.database().await;
    let wrong = disturb(&database, "status = 'unpaid'", 2).await;
    let run = stack.run().await;
    assert_eq!((&run.body["status"], &run.body["waiting_count"]), (&json!("success"), &json!(2)), "{run:?}");
    let entry = only(&stack, "type=status_mismatch&action=waiting&limit=1").await;
    assert_eq!(entry["proposal"], json!({ "status": "active" }));
    let subscription = entry["stripe_subscription_id"].as_str().expect("an id");

    let done = act(&stack, &entry, "approve", None).await;
    assert_eq!((done.status, &done.body["outcome"]), (200, &json!("repaired")), "{done:?}");
    let closed = &done.body["drift"];
    assert_eq!(
        (&closed["action"], &closed["proposal"], &closed["closed_run_id"]),
        (&json!("repaired"), &Value::Null, &Value::Null)
    );
    assert!(
        closed["decided_by"].is_string()
            && closed["decided_at"].is_string()
            && closed["closed_at"].is_string()
    );
    assert_eq!(status_of(&database, subscription).await, "active");
    let other = wrong.iter().find(|id| *id != subscription).expect("another");
    assert_eq!(status_of(&database, other).await, "unpaid", "nobody has approved that one");
    let told = "select count(*) from public.drift_events e join public.drift d on d.id = e.drift_id
                where e.actor is not null and e.actor = d.decided_by and e.event = 'repaired'";
    assert_eq!(count(&database, told).await, 1, "who and when stands in the history, too");

    let again = act(&stack, &entry, "approve", None).await;
    assert_eq!((again.status, again.code()), (409, "conflict"), "{again:?}");
}

#[tokio::test]
async fn a_proposal_that_has_changed_is_shown_before_it_is_written() {
    let stack = company("approve").start();
    let database = stack.database().await;
    let wrong = disturb(&database, "status = 'unpaid'", 1).await;
    stack.run().await;
    let entry = only(&stack, "type=status_mismatch").await;
    change(&database, &wrong, "status = 'past_due'").await;
    let changed = act(&stack, &entry, "approve", None).await;
    assert_eq!((changed.status, changed.code()), (409, "conflict"), "{changed:?}");
    assert_eq!(
        changed.body["drift"]["details"]["status"],
        json!({ "database": "past_due", "stripe": "active" })
    );
    assert_eq!(status_of(&database, &wrong[0]).await, "past_due", "nothing was written");
    let done = act(&stack, &entry, "approve", None).await;
    assert_eq!(
        (done.status, &done.body["outcome"]),
        (200, &json!("repaired")),
        "what was shown last counts: {done:?}"
    );

    // Somebody else puts one right: nothing is left to write.
    let wrong = disturb(&database, "status = 'unpaid'", 1).await;
    stack.run().await;
    let entry = only(&stack, "type=status_mismatch").await;
    change(&database, &wrong, "status = 'active'").await;
    let gone = act(&stack, &entry, "approve", None).await;
    assert_eq!((gone.status, &gone.body["outcome"]), (200, &json!("gone")), "{gone:?}");
    assert_eq!(gone.body["drift"]["action"], "cleared");
}

#[tokio::test]
async fn a_row_that_nobody_misses_any_more_is_not_made() {
    let stack = company("approve").start();
    let database = stack.database().await;
    lose(&database, 2).await;
    stack.run().await;
    let missing = drift(&stack, "type=missing_in_database").await;
    let id = |entry: &Value| entry["stripe_subscription_id"].as_str().expect("an id").to_owned();
    let ended = json!({ "status": "canceled", "silent": true });
    stack.stripe(Method::PATCH, &format!("subscriptions/{}", id(&missing[0])), &ended).await;
    stack.stripe(Method::DELETE, &format!("subscriptions/{}", id(&missing[1])), &json!({})).await;
    for entry in &missing {
        let gone = act(&stack, entry, "approve", None).await;
        assert_eq!((gone.status, &gone.body["outcome"]), (200, &json!("gone")), "{gone:?}");
        assert_eq!(gone.body["drift"]["action"], "cleared");
    }
}

#[tokio::test]
async fn a_row_that_is_somebody_elses_by_now_is_shown_before_it_is_written() {
    let stack = company("approve").start();
    let database = stack.database().await;
    let wrong = disturb(&database, "status = 'unpaid'", 1).await;
    stack.run().await;
    let entry = only(&stack, "type=status_mismatch").await;
    let other = "organization_id = (select o.id from public.organizations o
                 where not exists (select 1 from public.subscriptions s where s.organization_id = o.id) limit 1)";
    let nobody = "insert into public.organizations (name) values ('Another')";
    change_rows(&database, nobody).await;
    change(&database, &wrong, other).await;
    let changed = act(&stack, &entry, "approve", None).await;
    assert_eq!((changed.status, changed.code()), (409, "conflict"), "{changed:?}");
    assert_eq!(status_of(&database, &wrong[0]).await, "unpaid");
}

#[tokio::test]
async fn many_are_approved_each_by_itself() {
    let stack = company("approve").start();
    let database = stack.database().await;
    disturb(&database, "status = 'unpaid', tier = 'nothing'", 3).await;
    stack.run().await;
    let found = drift(&stack, "action=waiting&limit=200").await;
    assert_eq!(found.len(), 6, "two of each row: {found:?}");
    let nothing = "00000000-0000-4000-8000-000000000000";
    let mut ids: Vec<Value> = found.iter().map(|entry| entry["id"].clone()).collect();
    ids.insert(2, json!(nothing));
    let answer = many(&stack, json!({ "ids": ids })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.body["results"].as_array().expect("results");
    let order: Vec<&Value> = results.iter().map(|result| &result["id"]).collect();
    assert_eq!(order, ids.iter().collect::<Vec<_>>());
    for result in results {
        let expected = if result["id"] == nothing { ("code", "not_found") } else { ("outcome", "repaired") };
        assert_eq!(result[expected.0], expected.1, "{result}");
    }
    let left = "select count(*) from public.subscriptions where status = 'unpaid' and tier = 'nothing'";
    assert_eq!(count(&database, left).await, 0);

    for odd in [
        json!({}),
        json!({ "ids": [] }),
        json!({ "ids": ["x"] }),
        json!({ "ids": (0..51).map(|n| format!("00000000-0000-4000-8000-{n:012}")).collect::<Vec<_>>() }),
        json!({ "type": "status_mismatch", "action": "held" }),
        json!({ "type": "nothing", "action": "held", "count": 1 }),
        json!({ "type": "status_mismatch", "action": "observed", "count": 1 }),
    ] {
        let answer = many(&stack, odd.clone()).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{odd}: {answer:?}");
    }
}

#[tokio::test]
async fn promise_12_a_repair_can_be_taken_back_while_nobody_has_written_since() {
    let stack = company("auto").start();
    let database = stack.database().await;
    let wrong = disturb(&database, "status = 'unpaid', tier = 'nothing'", 2).await;
    stack.run().await;
    let repaired = drift(&stack, "state=closed&action=repaired&limit=200").await;
    let entry = |class: &str, id: &str| {
        let fits = |entry: &&Value| entry["type"] == class && entry["stripe_subscription_id"] == id;
        repaired.iter().find(fits).expect("an entry").clone()
    };
    let back =
        act(&stack, &entry("status_mismatch", &wrong[0]), "revert", Some(json!({ "note": "on purpose" })))
            .await;
    assert_eq!((back.status, &back.body["outcome"]), (200, &json!("reverted")), "{back:?}");
    assert_eq!(
        (&back.body["drift"]["action"], &back.body["excepted"]["action"]),
        (&json!("reverted"), &json!("excepted"))
    );
    assert_eq!(status_of(&database, &wrong[0]).await, "unpaid");
    let twice = act(&stack, &entry("status_mismatch", &wrong[0]), "revert", None).await;
    assert_eq!(twice.status, 409, "{twice:?}");

    // The next run leaves it, and raises nothing about it.
    let run = stack.run().await;
    assert_eq!((&run.body["status"], &run.body["updated_count"]), (&json!("success"), &json!(0)), "{run:?}");
    assert_eq!(status_of(&database, &wrong[0]).await, "unpaid");
    let stands = only(&stack, "action=excepted").await;
    assert_eq!((&stands["note"], &stands["seen_count"]), (&json!("on purpose"), &json!(2)), "{stands}");
    // What the same write had repaired beside it can still be taken back.
    let tier = act(&stack, &entry("tier_mismatch", &wrong[0]), "revert", None).await;
    assert_eq!(tier.body["outcome"], "reverted", "{tier:?}");

    // A newer write stands against it.
    change(&database, &wrong[1..], "quantity = quantity").await;
    let late = act(&stack, &entry("status_mismatch", &wrong[1]), "revert", None).await;
    assert_eq!((late.status, late.code()), (409, "conflict"), "{late:?}");
    assert_eq!(status_of(&database, &wrong[1]).await, "active");

    let ended = act(&stack, &stands, "unexcept", None).await;
    assert_eq!((ended.status, &ended.body["outcome"]), (200, &json!("done")), "{ended:?}");
    stack.run().await;
    assert_eq!(status_of(&database, &wrong[0]).await, "active", "the exception has ended");
}

#[tokio::test]
async fn a_row_that_was_made_is_not_deleted() {
    let stack = company("auto").start();
    let database = stack.database().await;
    lose(&database, 1).await;
    stack.run().await;
    let made = only(&stack, "state=closed&action=created&limit=1").await;
    let answer = act(&stack, &made, "revert", None).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{answer:?}");
}

#[tokio::test]
async fn what_a_person_lets_stand_wakes_nobody_until_that_ends() {
    let stack = company("auto").start();
    let database = stack.database().await;
    disturb(&database, "stripe_customer_id = 'cus_of_another'", 1).await;
    stack.run().await;
    let entry = only(&stack, "type=customer_mismatch").await;
    for (odd, why) in [
        (json!({ "days": 0, "reason": "why" }), "no day"),
        (json!({ "days": 366, "reason": "why" }), "too long"),
        (json!({ "days": 1, "reason": " " }), "no reason"),
        (json!({ "days": 1, "reason": "x".repeat(2_001) }), "a long one"),
        (json!({ "days": 1 }), "none"),
        (json!({ "days": 1, "reason": "why", "note": "?" }), "more than that"),
    ] {
        let answer = act(&stack, &entry, "except", Some(odd)).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{why}: {answer:?}");
    }
    assert_eq!(only(&stack, "type=customer_mismatch").await["action"], "none", "nothing has changed");
    let excepted =
        act(&stack, &entry, "except", Some(json!({ "days": 30, "reason": "moved by hand" }))).await;
    assert_eq!((excepted.status, &excepted.body["outcome"]), (200, &json!("excepted")), "{excepted:?}");
    stack.run().await;
    let open = "select count(*) from public.billing_alerts where alert_key = 'drift_customer_mismatch' and not resolved";
    assert_eq!(count(&database, open).await, 0, "it is listed, not alerted");
    assert_eq!(only(&stack, "type=customer_mismatch").await["action"], "excepted");

    change_rows(
        &database,
        "update public.drift set excepted_until = now() - interval '1 second' where action = 'excepted'",
    )
    .await;
    stack.run().await;
    assert_eq!(only(&stack, "type=customer_mismatch").await["action"], "none");
    assert_eq!(count(&database, open).await, 1, "its time is over");
}

#[tokio::test]
async fn a_session_can_lower_what_may_happen_and_never_raise_it_above_the_setting() {
    let stack = company("approve").start();
    let database = stack.database().await;
    let put =
        |body: Value| stack.request(Method::PUT, POLICIES).bearer(&stack.at.admin_token).json(&body).send();
    let first = stack.admin(POLICIES).await;
    assert_eq!(first.body["repair_mode"], "approve");
    let of = |answer: &Answer, class: &str| {
        let policies = answer.body["policies"].as_array().expect("policies");
        policies.iter().find(|policy| policy["type"] == class).expect("the class").clone()
    };
    let status = of(&first, "status_mismatch");
    assert_eq!(
        (&status["mode"], &status["effective"], &status["repairable"]),
        (&json!("auto"), &json!("approve"), &json!(true))
    );
    assert_eq!(of(&first, "customer_mismatch")["repairable"], false);

    let version = status["version"].as_u64().expect("a version");
    let lower = json!({ "type": "status_mismatch", "mode": "observe", "if_version": version });
    let lowered = put(lower.clone()).await;
    assert_eq!(
        (lowered.status, &of(&lowered, "status_mismatch")["effective"]),
        (200, &json!("observe")),
        "{lowered:?}"
    );
    let late = put(lower).await;
    assert_eq!((late.status, late.code()), (409, "conflict"), "{late:?}");
    for odd in [
        json!({}),
        json!({ "type": "nothing", "mode": "auto", "if_version": 1 }),
        json!({ "type": "status_mismatch", "mode": "sometimes", "if_version": 1 }),
        json!({ "type": "status_mismatch", "mode": "auto" }),
        json!({ "type": "status_mismatch", "mode": "auto", "if_version": -1 }),
    ] {
        let answer = put(odd.clone()).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{odd}: {answer:?}");
    }

    disturb(&database, "status = 'unpaid', tier = 'nothing'", 1).await;
    stack.run().await;
    assert_eq!(only(&stack, "type=status_mismatch").await["action"], "observed");
    assert_eq!(only(&stack, "type=tier_mismatch").await["action"], "waiting");
    let entry = only(&stack, "type=status_mismatch").await;
    assert_eq!(act(&stack, &entry, "approve", None).await.status, 409, "its class is observed only");
    let preview = of(&stack.admin(POLICIES).await, "status_mismatch");
    assert_eq!(
        preview["preview"],
        json!({ "repairs": 1, "raises": 1, "lowers": 0, "creates": 0 }),
        "{preview}"
    );
    let raised = put(json!({ "type": "status_mismatch", "mode": "auto", "if_version": version + 1 })).await;
    assert_eq!(of(&raised, "status_mismatch")["effective"], "approve", "kept, and not above the setting");
    let done = act(&stack, &entry, "approve", None).await;
    assert_eq!(
        (done.status, &done.body["outcome"]),
        (200, &json!("repaired")),
        "an observed one, now that it may: {done:?}"
    );
}

#[tokio::test]
async fn what_the_breaker_holds_can_be_allowed_by_its_number_once() {
    let stack = company("auto").start();
    let database = stack.database().await;
    let canceled = steady(&database, "canceled", 6).await;
    change(&database, &canceled, "status = 'active'").await;
    let held = stack.run().await;
    let number = held.body["held_count"].as_u64().expect("a number");
    assert!(number > 3 && held.body["status"] == "partial", "{held:?}");
    // One of them by itself.
    let entry = only(&stack, "action=held&limit=1").await;
    assert_eq!(entry["lowers_access"], true);
    let one = act(&stack, &entry, "approve", None).await;
    assert_eq!((one.status, &one.body["outcome"]), (200, &json!("repaired")), "{one:?}");

    let wrong = many(&stack, json!({ "type": "status_mismatch", "action": "held", "count": number })).await;
    assert_eq!((wrong.status, wrong.code()), (409, "conflict"), "one less by now: {wrong:?}");
    let right =
        many(&stack, json!({ "type": "status_mismatch", "action": "held", "count": number - 1 })).await;
    assert_eq!((right.status, &right.body["outcome"]), (200, &json!("allowed")), "{right:?}");
    let run = stack.run().await;
    assert_eq!((&run.body["status"], &run.body["held_count"]), (&json!("success"), &json!(0)), "{run:?}");
    assert_eq!(run.body["updated_count"].as_u64(), Some(number - 1));

    change(&database, &canceled, "status = 'active'").await;
    let again = stack.run().await;
    assert!(again.body["held_count"].as_u64().expect("a number") > 0, "it was allowed once: {again:?}");
    assert_eq!(again.body["updated_count"], 0, "{again:?}");
}

#[tokio::test]
async fn twenty_who_approve_the_same_at_once_write_it_once() {
    let stack = company("approve").start();
    let database = stack.database().await;
    lose(&database, 1).await;
    disturb(&database, "status = 'unpaid'", 1).await;
    stack.run().await;
    for (class, outcome) in [("status_mismatch", "repaired"), ("missing_in_database", "created")] {
        let entry = only(&stack, &format!("type={class}")).await;
        let answers = futures::future::join_all((0..20).map(|_| act(&stack, &entry, "approve", None))).await;
        let written = answers.iter().filter(|answer| answer.body["outcome"] == outcome).count();
        assert_eq!(written, 1, "{answers:?}");
        assert!(
            answers.iter().all(|answer| answer.body["outcome"] == outcome || answer.code() == "conflict"),
            "{answers:?}"
        );
        let done = format!(
            "select count(*) from public.drift_events where event = '{outcome}' and actor is not null"
        );
        assert_eq!(count(&database, &done).await, 1);
    }
    let doubles = "select count(*) from (select stripe_subscription_id from public.subscriptions
                   where stripe_subscription_id is not null group by 1 having count(*) > 1) s";
    assert_eq!(count(&database, doubles).await, 0);
}

/// Whoever opens a payment link can set `client_reference_id`: it waits for a person in every mode, and that person's word is for the owner
/// whom they were shown.
#[tokio::test]
async fn the_payers_word_counts_once_a_person_has_taken_it() {
    let stack = company("auto").start();
    let database = stack.database().await;
    let owner = json_of(&database, "select to_jsonb(id) from public.organizations order by id limit 1").await;
    let from = chrono::Utc::now().timestamp() - 9_000;
    let bought = json!({
        "id": "sub_by_link", "customer": "cus_by_link", "status": "active", "price": "price_1", "metadata": {}, "created": from,
        "current_period_start": from, "current_period_end": from + 30 * 86_400,
    });
    stack.stripe(Method::POST, "subscriptions", &bought).await;
    let session = json!({
        "subscription": "sub_by_link", "status": "complete", "object": {"client_reference_id": owner, "metadata": {"organization_id": null}},
    });
    stack.stripe(Method::POST, "sessions", &session).await;
    let run = stack.run().await;
    assert_eq!((&run.body["waiting_count"], &run.body["created_count"]), (&json!(1), &json!(0)), "{run:?}");
    let entry = only(&stack, "type=missing_in_database").await;
    assert_eq!((&entry["action"], &entry["owner"]), (&json!("waiting"), &owner), "{entry}");
    let made = act(&stack, &entry, "approve", None).await;
    assert_eq!((made.status, &made.body["outcome"]), (200, &json!("created")), "{made:?}");
    let whose = "select to_jsonb(organization_id) from public.subscriptions where stripe_subscription_id = 'sub_by_link'";
    assert_eq!(json_of(&database, whose).await, owner);
}
