//! Whatever an owner has bought and ended, whatever the rows say of it, in whatever order Stripe lists it and whatever webhook comes in
//! between: who pays for one subscription has access in the end, who pays for none has none, and nobody who pays is locked out on the way.

use std::sync::{Arc, Mutex};

use billing_ops::drift::row::Row;
use billing_ops::reconcile::Status;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use stripe_simulator::{Config as SimulatorConfig, PRICES, SubscriptionChange};

use crate::store::{State, shape};
use crate::world::{World, now};

const OWNER: &str = "7d0c3a52-0000-4000-8000-000000000001";
const GRANTING: [&str; 3] = ["trialing", "active", "past_due"];
const OTHERS: [&str; 4] = ["unpaid", "canceled", "incomplete", "incomplete_expired"];

/// What an owner's subscriptions are at Stripe, and what the table says.
#[derive(Clone, Debug)]
struct History {
    one_row_each: bool,
    /// The status of each, and how many days ago it began.
    bought: Vec<(&'static str, i64)>,
    /// What a row says of each, if there is one. Of an owner's one row, the first is.
    rows: Vec<Option<&'static str>>,
    /// Before which batch the app's webhook writes down which of them.
    webhooks: Vec<(u64, usize)>,
}

fn any_status() -> impl Strategy<Value = &'static str> {
    prop_oneof![prop::sample::select(&GRANTING[..]), prop::sample::select(&OTHERS[..])]
}

/// At most one that grants access: with two, a person has to choose.
fn histories() -> impl Strategy<Value = History> {
    let bought = prop::collection::vec((prop::sample::select(&OTHERS[..]), 2..900_i64), 1..5);
    let granting = prop::option::of((any::<prop::sample::Index>(), prop::sample::select(&GRANTING[..])));
    (any::<bool>(), bought, granting).prop_flat_map(|(one_row_each, mut bought, granting)| {
        if let Some((at, status)) = granting {
            let at = at.index(bought.len());
            bought[at].0 = status;
        }
        let count = bought.len();
        let rows = prop::collection::vec(prop::option::of(any_status()), count);
        let webhooks = prop::collection::vec((0..6_u64, 0..count), 0..3);
        (rows, webhooks).prop_map(move |(rows, webhooks)| History {
            one_row_each,
            bought: bought.clone(),
            rows,
            webhooks,
        })
    })
}

fn id(at: usize) -> String {
    format!("sub_{at}")
}

fn row(at: usize, status: &str) -> Row {
    Row {
        key: format!("row_{at}"),
        version: "1".to_owned(),
        owner: Some(OWNER.to_owned()),
        stripe_subscription_id: id(at),
        customer: Some("cus_1".to_owned()),
        status: Some(status.to_owned()),
        tier: Some(PRICES[0].tier.to_owned()),
        price: Some(PRICES[0].id.to_owned()),
        quantity: Some(1),
        cancel_at_period_end: Some(false),
        ..Row::default()
    }
}

/// What an app does that hears of a subscription: it writes down what Stripe says now.
fn webhook(state: &mut State, history: &History, at: usize) {
    let status = history.bought[at].0;
    if state.rows.contains_key(&id(at)) {
        state.write(&id(at), |row| row.status = Some(status.to_owned()));
        return;
    }
    if !history.one_row_each {
        state.rows.insert(id(at), row(at, status));
        state.write(&id(at), |_| ());
        return;
    }
    // An owner's row is pointed at what gives access; of another subscription than the one in it nothing is taken.
    if GRANTING.contains(&status) {
        let key = state.rows.values().next().map(|row| row.key.clone());
        state.rows.clear();
        let mut own = row(at, status);
        own.key = key.unwrap_or(own.key);
        state.rows.insert(id(at), own);
        state.write(&id(at), |_| ());
    }
}

fn has_access(state: &State) -> bool {
    state.rows.values().any(|row| row.status.as_deref().is_some_and(|status| GRANTING.contains(&status)))
}

async fn check(history: History) -> Result<(), TestCaseError> {
    let world = World::with(SimulatorConfig { subscriptions: 0, ..SimulatorConfig::default() });
    let mut table = shape("update_and_insert");
    table.one_row_each = history.one_row_each;
    {
        let mut state = world.store.lock();
        state.shape = Ok(table);
        state.owners.insert(OWNER.to_owned());
        // So that the breaker has no say: how much may happen at once is another question.
        state.granting = Some(1_000);
    }
    for (at, (status, days)) in history.bought.iter().enumerate() {
        let created = now() - days * 86_400;
        let ended = (*status == "canceled").then_some(created + 3_600);
        let change = SubscriptionChange {
            id: Some(id(at)),
            customer: Some("cus_1".to_owned()),
            organization_id: Some(OWNER.to_owned()),
            status: Some((*status).to_owned()),
            created: Some(created),
            object: Some(json!({"canceled_at": ended, "ended_at": ended})),
            ..SubscriptionChange::default()
        };
        world.simulator.put_subscription(change).map_err(TestCaseError::fail)?;
        let first = !world.store.lock().rows.is_empty();
        if let Some(said) = history.rows[at].filter(|_| !history.one_row_each || !first) {
            world.store.insert(row(at, said));
            world.store.lock().marks.insert(id(at), (created, false));
        }
    }
    let pays = history.bought.iter().position(|(status, _)| GRANTING.contains(status));
    let mut let_in = has_access(&world.store.lock());
    let locked_out = Arc::new(Mutex::new(false));
    let (seen, story, mut batch) = (locked_out.clone(), history.clone(), 0);
    world.store.lock().before_batch = Some(Box::new(move |state| {
        if let_in && pays.is_some() && !has_access(state) {
            *seen.lock().unwrap() = true;
        }
        for (_, at) in story.webhooks.iter().filter(|(when, _)| *when == batch) {
            webhook(state, &story, *at);
            // What the app itself does is not held against a run.
            let_in &= has_access(state);
        }
        batch += 1;
    }));
    // What a webhook has just written is looked at by the next run.
    for _ in 0..2 {
        let ending = world.run_again(None).await;
        prop_assert_eq!(ending.status, Status::Success, "{:?}", ending);
    }
    let state = world.store.lock();
    prop_assert!(
        !*locked_out.lock().unwrap(),
        "somebody who pays is locked out on the way: {:?}",
        state.rows
    );
    match pays {
        None => prop_assert!(!has_access(&state), "nobody pays: {:?}", state.rows),
        Some(at) => {
            let status = state.rows.get(&id(at)).and_then(|row| row.status.as_deref());
            prop_assert_eq!(status, Some(history.bought[at].0), "{:?}", state.rows);
        }
    }
    Ok(())
}

#[test]
fn who_pays_for_one_subscription_has_access_and_who_pays_for_none_has_not() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    runner
        .run(&histories(), |history| runtime.block_on(check(history)))
        .unwrap_or_else(|failure| panic!("{failure}"));
}
