//! The hourly runs: the real engine on the real database, at a time that is told to it, and the weather in which each happens.

use std::sync::Arc;
use std::time::Duration;

use billing_ops::config::Config;
use billing_ops::context::Context;
use billing_ops::drift::policy::Mode;
use billing_ops::drift::terms::Terms;
use billing_ops::drift::tiers::Tiers;
use billing_ops::events;
use billing_ops::reconcile::{Ending, Job, RunScope, Status, reconcile};
use billing_ops::runs::db::{self, RunRequest, Start};
use billing_ops::runs::key::{RunKey, RunType};
use billing_ops::runs::run::TriggeredBy;
use billing_ops::runs::store::{Patience, RunStore};
use billing_ops::stripe::{Retries, SecretKey, Stripe};
use billing_ops::supabase::Supabase;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use stripe_simulator::{Config as SimulatorConfig, Fault, FaultKind, PRICES, Simulator};
use support::Stack;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::company::START;

pub const LIVE_KEY: &str = "rk_live_of_this_account0000";
pub const TEST_KEY: &str = "rk_test_of_this_account0000";
const LEASE_SECONDS: u64 = 330;

/// What befalls a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// Some requests are refused, and go through when they are sent again.
    Hiccups,
    /// Stripe is gone after so many requests.
    Outage(u64),
    /// The time is over after so many requests.
    Short(u32),
    /// Somebody has put in the key of the other mode.
    TestKey,
    /// Somebody has put in the key of another account, which is empty or not.
    OtherAccount {
        empty: bool,
    },
    /// A subscription changes at Stripe after so many requests.
    Busy(u64),
    /// The process is killed after so many requests.
    Death(u32),
    /// The deployment is down.
    NoRun,
}

/// The weather, hour by hour, by a seed of its own.
pub struct Weathers {
    chance: StdRng,
    /// Hours for which the deployment is down.
    down: u32,
}

impl Weathers {
    pub fn new(seed: u64) -> Self {
        // Another stream than the company's.
        Self { chance: StdRng::seed_from_u64(!seed), down: 0 }
    }

    pub fn next(&mut self) -> Weather {
        if self.down > 0 {
            self.down -= 1;
            return Weather::NoRun;
        }
        let chance = &mut self.chance;
        match chance.random_range(0..10_000) {
            0..300 => Weather::Hiccups,
            300..400 => Weather::Outage(chance.random_range(0..6)),
            400..500 => Weather::Short(chance.random_range(1..6)),
            500..550 => Weather::Death(chance.random_range(1..6)),
            550..565 => Weather::TestKey,
            565..580 => Weather::OtherAccount { empty: chance.random_bool(0.5) },
            580..600 => {
                self.down = chance.random_range(0..40);
                Weather::NoRun
            }
            600..800 => Weather::Busy(chance.random_range(1..6)),
            _ => Weather::Fine,
        }
    }
}

/// What came of a run.
pub struct Ran {
    pub ending: Ending,
    /// It was killed before it could say how it ended.
    pub died: bool,
    /// It went on where the one before had stopped.
    pub resumed: bool,
    pub took: Duration,
}

impl Ran {
    /// Whether the sweep is at its end. One that has read nothing leaves nothing to go on with either.
    pub fn complete(&self) -> bool {
        let Ending { cursor, failure, status, counts, .. } = &self.ending;
        let ended = *status == Status::Success || counts.scanned_count > 0;
        !self.died && ended && cursor.is_none() && failure.is_none()
    }
}

pub struct Runs<'a> {
    http: reqwest::Client,
    database: Arc<Supabase>,
    simulator: &'a Simulator,
    /// Other accounts: an empty one, and one with customers of its own.
    strange: [Simulator; 2],
    stripe: Stripe,
    terms: Terms,
    stop: watch::Sender<bool>,
    clock: DatabaseClock,
}

impl<'a> Runs<'a> {
    /// `events_at_once`: what an event speaks of is read before the app had its time.
    pub fn new(stack: &Stack, simulator: &'a Simulator, events_at_once: bool, database: Client) -> Self {
        let settings =
            [("SUPABASE_URL", &stack.at.supabase_url), ("SUPABASE_SECRET_KEY", &stack.at.secret_key)];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.clone()));
        let context = Context::new(Config::from_pairs(settings));
        let http = context.http().clone();
        let service = Arc::clone(context.supabase().expect("the settings are right"));
        let strange = [0, 45].map(|subscriptions| {
            let api_keys = vec![LIVE_KEY.to_owned()];
            let now = Some(START);
            let config = SimulatorConfig {
                subscriptions,
                api_keys,
                livemode: true,
                now,
                ..SimulatorConfig::default()
            };
            Simulator::start(config).expect("a free port")
        });
        let stripe = client(&http, simulator, LIVE_KEY, 1_000_000.0, 6);
        let tiers = Tiers::new(PRICES.iter().map(|price| (price.id.to_owned(), price.tier.to_owned())));
        let terms = Terms { tiers, repair_mode: Mode::Auto, events_at_once, ..Terms::default() };
        let (clock, stop) = (DatabaseClock { database, at: START }, watch::Sender::new(false));
        Self { http, database: service, simulator, strange, stripe, terms, stop, clock }
    }

    /// One run at a time, in that weather.
    pub async fn run(&mut self, at: i64, weather: Weather) -> Ran {
        let mut budget = Duration::from_secs(60);
        let other = |stripe: &Simulator, key, rate, attempts| client(&self.http, stripe, key, rate, attempts);
        let other = match weather {
            Weather::Fine | Weather::Busy(_) | Weather::NoRun => None,
            Weather::Hiccups => {
                self.simulator.fault(refused(429).count(Some(2)));
                self.simulator.fault(refused(500).after(1));
                self.simulator.fault(Fault::new(FaultKind::Cut).after(3));
                None
            }
            Weather::Outage(after) => {
                self.simulator.fault(refused(503).after(after).count(None));
                Some(other(self.simulator, LIVE_KEY, 1_000_000.0, 2))
            }
            // The only thing here that goes by the real clock: requests leave every 20 ms until the time is over.
            Weather::Short(requests) | Weather::Death(requests) => {
                budget = Duration::from_millis(20) * requests + Duration::from_millis(15);
                Some(other(self.simulator, LIVE_KEY, 50.0, 6))
            }
            Weather::TestKey => Some(other(self.simulator, TEST_KEY, 1_000_000.0, 6)),
            Weather::OtherAccount { empty } => {
                Some(other(&self.strange[usize::from(!empty)], LIVE_KEY, 1_000_000.0, 6))
            }
        };
        let request = RunRequest {
            scope: RunScope::All,
            run_type: RunType::Scheduled,
            lookback_hours: 24,
            run_key: RunKey::new(RunType::Scheduled, moment(at), None),
            triggered_by: TriggeredBy::Cron,
            user: None,
            client: None,
        };
        self.clock.set(at).await;
        let stripe = other.as_ref().unwrap_or(&self.stripe);
        let dies = matches!(weather, Weather::Death(_));
        let ran = self.perform(at, &request, stripe, budget, dies).await;
        self.simulator.clear_faults();
        self.simulator.reset_stats();
        ran.expect("a run over everything is never without work")
    }

    /// Stripe has told of an event. Answers after how many seconds a pass would read what it speaks of.
    pub async fn note(&mut self, at: i64, body: &[u8]) -> Option<i64> {
        let event = events::event::read(body).expect("an event of Stripe's");
        let wait = events::passes::wait_of(self.terms.events_at_once);
        self.clock.set(at).await;
        events::db::note(&self.database, &event.subscription?, wait).await.expect("it is noted");
        Some(wait.as_secs() as i64)
    }

    /// A pass over what is due, if anything is.
    pub async fn pass(&mut self, at: i64) -> Option<Ran> {
        let request = RunRequest::due(RunKey::after_an_event(moment(at)), TriggeredBy::Event, None);
        self.clock.set(at).await;
        self.perform(at, &request, &self.stripe, Duration::from_secs(60), false).await
    }

    async fn perform(
        &self,
        at: i64,
        request: &RunRequest,
        stripe: &Stripe,
        budget: Duration,
        dies: bool,
    ) -> Option<Ran> {
        let began = std::time::Instant::now();
        let started = db::start(&self.database, request, LEASE_SECONDS, 1).await.expect("a run starts");
        let Start::Run(started) = started else { return None };
        assert!(started.is_ours(), "{started:?}");
        let deadline = Instant::now() + budget;
        let patience = Patience { until: deadline, stop: self.stop.subscribe() };
        let livemode = stripe.mode().livemode();
        let database = Arc::clone(&self.database);
        let store = RunStore::new(database, &started.run, LEASE_SECONDS, livemode, patience);
        let resumed = started.resume.is_some();
        let job = Job {
            scope: request.scope,
            events_from: 0,
            lately: started.lately,
            scanned: started.scanned,
            started_at: at,
            lookback_hours: 24,
            resume: started.resume,
            deadline,
            stop: self.stop.subscribe(),
        };
        let ending = reconcile(stripe, &store, &self.terms, job).await.expect("nobody else runs");
        if !dies {
            store.finish(&ending).await.expect("a run ends");
        }
        Some(Ran { ending, died: dies, resumed, took: began.elapsed() })
    }
}

/// The database has a clock of its own. What it knows of passes and of what is due becomes as much older as the year goes on.
struct DatabaseClock {
    database: Client,
    at: i64,
}

impl DatabaseClock {
    async fn set(&mut self, at: i64) {
        let passed = std::mem::replace(&mut self.at, at);
        let older = "
            with due as (
              update public.stripe_due set first_event_at = first_event_at - s.passed, last_event_at = last_event_at - s.passed,
                due_at = due_at - s.passed
              from (select make_interval(secs => $1) as passed) s
            ), closed as (
              update public.drift set closed_at = closed_at - make_interval(secs => $1) where closed_at > now() - interval '1 hour'
            )
            update public.reconciliation_logs set started_at = started_at - make_interval(secs => $1),
              finished_at = finished_at - make_interval(secs => $1)
            where scope = 'due' and started_at > now() - interval '1 hour'";
        self.database.execute(older, &[&((at - passed) as f64)]).await.expect("time passes");
    }
}

fn moment(at: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(at, 0).expect("a time")
}

fn refused(status: u16) -> Fault {
    let reason = "endpoint-rate".to_owned();
    Fault::new(FaultKind::Status { status, should_retry: None, retry_after: None, reason })
}

fn client(http: &reqwest::Client, simulator: &Simulator, key: &str, rate: f64, attempts: u32) -> Stripe {
    let (base, cap) = (Duration::from_millis(2), Duration::from_millis(10));
    let retries = Retries { base, cap, attempts, timeout: Duration::from_secs(20) };
    let url = simulator.url().parse().expect("an address");
    Stripe::new(http.clone(), url, &SecretKey::parse(key).expect("a key"), rate, retries).expect("a client")
}
