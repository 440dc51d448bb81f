//! A Stripe and a database that agree, until a test changes something.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use billing_ops::alerts::condition::{Condition, State};
use billing_ops::alerts::severity::Severity;
use billing_ops::config::Config;
use billing_ops::context::Context;
use billing_ops::drift::policy::Mode;
use billing_ops::drift::row::Row;
use billing_ops::drift::terms::Terms;
use billing_ops::drift::tiers::Tiers;
use billing_ops::reconcile::job::Lately;
use billing_ops::reconcile::{Ending, Fenced, Job, RunScope, reconcile};
use billing_ops::stripe::{Retries, SecretKey, Stripe};
use serde_json::Value;
use stripe_simulator::{
    Config as SimulatorConfig, PRICES, Simulator, SubscriptionChange, SubscriptionFacts, price,
};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::store::MemoryStore;

pub struct World {
    pub simulator: Simulator,
    pub store: MemoryStore,
    pub stripe: Stripe,
    pub terms: Terms,
    pub stop: watch::Sender<bool>,
}

/// Retries that don't keep a test waiting.
pub const QUICK: Retries = Retries {
    base: Duration::from_millis(4),
    cap: Duration::from_millis(30),
    attempts: 6,
    timeout: Duration::from_secs(20),
};

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

pub fn stripe(simulator: &Simulator, key: &str, requests_per_second: f64) -> Stripe {
    client(simulator, key, requests_per_second, QUICK)
}

/// A client that does not wait long for an answer.
pub fn impatient(simulator: &Simulator) -> Stripe {
    let retries = Retries { timeout: Duration::from_millis(800), ..QUICK };
    client(simulator, stripe_simulator::SECRET_KEY, 1_000_000.0, retries)
}

fn client(simulator: &Simulator, key: &str, requests_per_second: f64, retries: Retries) -> Stripe {
    at(&simulator.url(), key, requests_per_second, retries)
}

/// A client of whatever listens there.
pub fn at(url: &str, key: &str, requests_per_second: f64, retries: Retries) -> Stripe {
    let http = Context::new(Config::from_pairs([])).http().clone();
    let key = SecretKey::parse(key).unwrap();
    Stripe::new(http, url.parse().unwrap(), &key, requests_per_second, retries).unwrap()
}

pub fn row(facts: &SubscriptionFacts) -> Row {
    Row {
        key: Uuid::new_v4().to_string(),
        version: "1".to_owned(),
        owner: Some(facts.organization_id.clone()),
        stripe_subscription_id: facts.id.clone(),
        customer: Some(facts.customer.clone()),
        status: Some(facts.status.to_owned()),
        tier: price(facts.price).map(|price| price.tier.to_owned()),
        price: Some(facts.price.to_owned()),
        quantity: Some(facts.quantity as i64),
        period_start: Some(facts.current_period_start),
        period_end: Some(facts.current_period_end),
        cancel_at_period_end: Some(facts.cancel_at_period_end),
        trial_end: facts.trial_end,
        ..Row::default()
    }
}

impl World {
    /// So many subscriptions at Stripe, and the same in the database.
    pub fn of(subscriptions: u32) -> Self {
        Self::with(SimulatorConfig { subscriptions, seed: 7, ..SimulatorConfig::default() })
    }

    pub fn with(config: SimulatorConfig) -> Self {
        let simulator = Simulator::start(config).unwrap();
        let store = MemoryStore::default();
        for facts in simulator.generator().all() {
            store.insert(row(&facts));
            store.lock().marks.insert(facts.id.clone(), (facts.created, facts.livemode));
        }
        let stripe = stripe(&simulator, stripe_simulator::SECRET_KEY, 1_000_000.0);
        let tiers = Tiers::new(PRICES.iter().map(|price| (price.id.to_owned(), price.tier.to_owned())));
        let terms = Terms { tiers, repair_mode: Mode::Auto, ..Terms::default() };
        Self { simulator, store, stripe, terms, stop: watch::Sender::new(false) }
    }

    /// A subscription that the database lacks, of a customer whom nobody knows.
    pub fn stranger(&self, id: &str, metadata: Value) {
        let change = SubscriptionChange {
            id: Some(id.into()),
            customer: Some(format!("cus_of_{id}")),
            created: Some(now() - 9_000),
            current_period_start: Some(now() - 9_000),
            metadata: Some(metadata.as_object().unwrap().clone()),
            ..SubscriptionChange::default()
        };
        self.simulator.put_subscription(change).unwrap();
    }

    /// The facts of generated subscriptions with that status, the oldest first.
    pub fn with_status(&self, status: &str) -> Vec<SubscriptionFacts> {
        self.simulator.generator().all().filter(|facts| facts.status == status).collect()
    }

    pub fn job(&self) -> Job {
        Job {
            scope: RunScope::All,
            events_from: 0,
            lately: Lately::default(),
            scanned: 0,
            started_at: now(),
            lookback_hours: 24,
            resume: None,
            deadline: Instant::now() + Duration::from_secs(60),
            stop: self.stop.subscribe(),
        }
    }

    pub async fn run(&self) -> Ending {
        self.run_job(self.job()).await.unwrap()
    }

    /// A further run has findings of its own.
    pub async fn run_again(&self, resume: Option<Value>) -> Ending {
        self.store.lock().findings.clear();
        self.run_job(Job { resume, ..self.job() }).await.unwrap()
    }

    pub async fn run_job(&self, job: Job) -> Result<Ending, Fenced> {
        reconcile(&self.stripe, &self.store, &self.terms, job).await
    }
}

/// The alert conditions that hold, by key.
pub fn holding(ending: &Ending) -> Vec<&str> {
    of_state(&ending.conditions, Some(true))
}

pub fn of_state(conditions: &[Condition], state: Option<bool>) -> Vec<&str> {
    conditions
        .iter()
        .filter(|condition| condition.holds() == state)
        .map(|condition| condition.alert_key.as_str())
        .collect()
}

/// What a condition that holds comes with: its severity and its metadata.
pub fn alarm(ending: &Ending, alert_key: &str) -> (Severity, Value) {
    let condition = ending.conditions.iter().find(|condition| condition.alert_key == alert_key).unwrap();
    match &condition.state {
        State::Holds { severity, metadata, .. } => (*severity, metadata.clone()),
        other => panic!("{alert_key}: {other:?}"),
    }
}
