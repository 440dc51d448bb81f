//! However events come, twice, in another order, in the middle of a pass or not at all: the rows end as Stripe has them, after one full
//! run where some were lost, and without one where none was.

use std::collections::BTreeMap;

use billing_ops::reconcile::{Job, RunScope, Status};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use stripe_simulator::{Config as SimulatorConfig, SubscriptionChange, SubscriptionFacts};

use crate::store::State;
use crate::world::{World, now, row};

const SUBSCRIPTIONS: u32 = 5;
const STATUSES: [&str; 4] = ["active", "past_due", "unpaid", "canceled"];

/// What happens, one after the other.
#[derive(Clone, Debug)]
enum Step {
    /// Stripe changes a subscription, and has an event to tell.
    Change(usize, &'static str),
    /// Stripe tells one of the events that it has, whether or not it has told it before.
    Tell(Index),
    /// A pass; in the middle of it Stripe tells some.
    Pass(Vec<Index>),
}

#[derive(Clone, Debug)]
struct Story {
    steps: Vec<Step>,
    /// In which order those are told that have not been told yet; `None`: they are lost.
    rest: Option<Vec<Index>>,
}

fn stories() -> impl Strategy<Value = Story> {
    let step = prop_oneof![
        3 => (0..SUBSCRIPTIONS as usize, prop::sample::select(&STATUSES[..])).prop_map(|(at, status)| Step::Change(at, status)),
        3 => any::<Index>().prop_map(Step::Tell),
        2 => prop::collection::vec(any::<Index>(), 0..3).prop_map(Step::Pass),
    ];
    let rest = prop::option::of(prop::collection::vec(any::<Index>(), 40));
    (prop::collection::vec(step, 1..25), rest).prop_map(|(steps, rest)| Story { steps, rest })
}

/// Notes an event as the intake does: in another version each time.
fn note(state: &mut State, id: &str) {
    let version = state.noted.len() as i64;
    state.noted.push((id.to_owned(), 0));
    state.due.insert(id.to_owned(), version);
}

async fn pass(world: &World, during: Vec<String>) -> Result<(), TestCaseError> {
    let mut during = Some(during);
    // A further run has findings of its own.
    world.store.lock().findings.clear();
    world.store.lock().after_read = Some(Box::new(move |state| {
        for id in during.take().into_iter().flatten() {
            note(state, &id);
        }
    }));
    let ending = world.run_job(Job { scope: RunScope::Due, ..world.job() }).await.expect("nobody else runs");
    let mut state = world.store.lock();
    state.after_read = None;
    prop_assert_eq!(ending.status, Status::Success, "{:?}", ending);
    for (id, version) in ending.due.done {
        if state.due.get(&id) == Some(&version) {
            state.due.remove(&id);
        }
    }
    Ok(())
}

async fn check(story: Story) -> Result<(), TestCaseError> {
    let world = World::with(SimulatorConfig { subscriptions: 0, ..SimulatorConfig::default() });
    let created = now() - 86_400;
    let ids: Vec<String> = (0..SUBSCRIPTIONS).map(|at| format!("sub_{at}")).collect();
    for id in &ids {
        let change = SubscriptionChange {
            id: Some(id.clone()),
            created: Some(created),
            ..SubscriptionChange::default()
        };
        let object = world.simulator.put_subscription(change).map_err(TestCaseError::fail)?;
        let of = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let owner = object["metadata"]["organization_id"].as_str().unwrap_or_default().to_owned();
        let facts = SubscriptionFacts {
            id: of("id"),
            customer: of("customer"),
            organization_id: owner,
            status: "active",
            price: stripe_simulator::PRICES[0].id,
            quantity: 1,
            cancel_at_period_end: false,
            trial_end: None,
            current_period_start: created,
            current_period_end: created + 30 * 86_400,
            created,
            livemode: false,
        };
        world.store.insert(row(&facts));
        world.store.lock().marks.insert(id.clone(), (created, false));
    }
    // So that the breaker has no say: how much may happen at once is another question.
    world.store.lock().granting = Some(1_000);

    let mut told: Vec<(String, bool)> = Vec::new();
    for step in story.steps {
        match step {
            Step::Change(at, status) => {
                let ended = world
                    .simulator
                    .subscription(&ids[at])
                    .is_some_and(|object| object["status"] == "canceled");
                if !ended {
                    let change = SubscriptionChange {
                        status: Some(status.to_owned()),
                        ..SubscriptionChange::default()
                    };
                    world.simulator.patch_subscription(&ids[at], change).map_err(TestCaseError::fail)?;
                    told.push((ids[at].clone(), false));
                }
            }
            Step::Tell(which) if !told.is_empty() => {
                let event = which.index(told.len());
                told[event].1 = true;
                note(&mut world.store.lock(), &told[event].0);
            }
            Step::Tell(_) => {}
            Step::Pass(during) => {
                // A pass that has nothing to do is none, and nothing comes in the middle of it.
                if told.is_empty() || world.store.lock().due.is_empty() {
                    continue;
                }
                let events: Vec<usize> = during.iter().map(|which| which.index(told.len())).collect();
                let ids = events.iter().map(|event| told[*event].0.clone()).collect();
                for event in events {
                    told[event].1 = true;
                }
                pass(&world, ids).await?;
            }
        }
    }
    if let Some(order) = story.rest {
        let mut left: Vec<String> = told.into_iter().filter(|(_, told)| !told).map(|(id, _)| id).collect();
        for which in order {
            if left.is_empty() {
                break;
            }
            let id = left.remove(which.index(left.len()));
            note(&mut world.store.lock(), &id);
        }
        pass(&world, Vec::new()).await?;
        prop_assert!(world.store.lock().due.is_empty());
    } else {
        world.store.lock().findings.clear();
        // Some were lost: a full run, once the app's webhooks have had their time.
        let ending =
            world.run_job(Job { started_at: now() + 600, ..world.job() }).await.expect("nobody else runs");
        prop_assert_eq!(ending.status, Status::Success, "{:?}", ending);
    }
    let at_stripe: BTreeMap<&String, String> = ids
        .iter()
        .map(|id| {
            let object = world.simulator.subscription(id).unwrap_or_default();
            (id, object["status"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let here: BTreeMap<&String, String> = ids.iter().map(|id| (id, world.store.status(id))).collect();
    prop_assert_eq!(here, at_stripe);
    Ok(())
}

#[test]
fn however_events_come_the_rows_end_as_stripe_has_them() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    runner
        .run(&stories(), |story| runtime.block_on(check(story)))
        .unwrap_or_else(|failure| panic!("{failure}"));
}
