//! Everything that the simulator knows, and what can be done to it from outside.

use crate::account::Account;
use crate::change::{Action, Script};
use crate::delivery_faults::DeliveryFaults;
use crate::faults::{Bucket, Fault, FaultKind, RateLimit, take};
use crate::generator::{Generator, Spread};
use crate::stats::Stats;
use crate::webhook::{Delivery, Outcome, RegisteredEndpoint, WebhookEndpoint};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// How a simulator is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// A port of 127.0.0.1; a free one if it is not given.
    pub port: Option<u16>,
    /// What the generated objects are made from.
    pub seed: u64,
    /// How many subscriptions are generated.
    pub subscriptions: u32,
    /// How their `created` times lie.
    pub spread: Spread,
    /// The account's keys; everything else is 401. Their prefix says whether they are secret or restricted, and of
    /// which mode.
    pub api_keys: Vec<String>,
    /// Permissions that restricted keys lack, such as `rak_subscription_read`.
    pub missing_permissions: Vec<String>,
    /// The mode of the data. A key of the other mode sees an empty account.
    pub livemode: bool,
    /// The time that counts as now, in Unix seconds; it goes on from there. The clock's, if it is not given.
    pub now: Option<i64>,
}

impl Default for Config {
    /// No subscriptions, test mode, and the keys [`SECRET_KEY`](crate::SECRET_KEY) and
    /// [`RESTRICTED_KEY`](crate::RESTRICTED_KEY).
    fn default() -> Self {
        Self {
            port: None,
            seed: 1,
            subscriptions: 0,
            spread: Spread::Growth,
            api_keys: vec![crate::SECRET_KEY.to_owned(), crate::RESTRICTED_KEY.to_owned()],
            missing_permissions: vec![],
            livemode: false,
            now: None,
        }
    }
}

/// What disturbs requests.
#[derive(Debug, Default)]
struct Trouble {
    faults: Vec<Fault>,
    bucket: Option<Bucket>,
    scripts: Vec<(Script, u64)>,
    missing_permissions: BTreeSet<String>,
}

/// The simulator without its server; shared by all connections.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) api_keys: Vec<String>,
    pub(crate) account: RwLock<Account>,
    trouble: Mutex<Trouble>,
    stats: Mutex<Stats>,
    /// A time, and when it was that: from there the simulator's time goes on with the clock.
    clock: Mutex<(i64, Instant)>,
    answers: AtomicU64,
    /// Wakes the sender of webhooks.
    pub(crate) planned: Notify,
}

/// A panic in one request must not take the simulator away from all others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(crate) fn new(config: &Config) -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
        let now = config.now.unwrap_or(clock);
        let generator = Generator::new(config.seed, config.subscriptions)
            .at(now)
            .spread(config.spread)
            .livemode(config.livemode);
        Self {
            api_keys: config.api_keys.clone(),
            account: RwLock::new(Account::new(generator)),
            trouble: Mutex::new(Trouble {
                missing_permissions: config.missing_permissions.iter().cloned().collect(),
                ..Trouble::default()
            }),
            stats: Mutex::default(),
            clock: Mutex::new((now, Instant::now())),
            answers: AtomicU64::new(0),
            planned: Notify::new(),
        }
    }

    /// The simulator's time, in Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        let (then, set) = *lock(&self.clock);
        then + set.elapsed().as_secs() as i64
    }

    /// The same in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        let (then, set) = *lock(&self.clock);
        then * 1_000 + set.elapsed().as_millis() as i64
    }

    pub(crate) fn set_now(&self, now: i64) {
        // The account first, as everywhere: nothing is planned by the old time after this.
        let mut account = self.account_mut();
        let back = self.now_ms() - now * 1_000;
        *lock(&self.clock) = (now, Instant::now());
        if back > 0 {
            account.webhooks.shift(back);
        }
        drop(account);
        self.planned.notify_one();
    }

    fn account_mut(&self) -> RwLockWriteGuard<'_, Account> {
        self.account.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other answer has.
    pub(crate) fn next_answer(&self) -> u64 {
        self.answers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn generator(&self) -> Generator {
        self.account.read().unwrap_or_else(PoisonError::into_inner).generator.clone()
    }

    pub(crate) fn apply(&self, action: Action) -> Result<Value, String> {
        let mut account = self.account_mut();
        let now = self.now_ms();
        let outcome = account.apply(action, now.div_euclid(1_000));
        if account.webhooks.release(now) {
            drop(account);
            self.planned.notify_one();
        }
        outcome
    }

    /// A new webhook endpoint, and its id.
    pub(crate) fn add_webhook_endpoint(&self, endpoint: WebhookEndpoint) -> Result<String, String> {
        endpoint.check()?;
        Ok(self.account_mut().webhooks.add(endpoint))
    }

    pub(crate) fn change_webhook_endpoint(&self, id: &str, endpoint: WebhookEndpoint) -> Result<(), String> {
        endpoint.check()?;
        self.account_mut().webhooks.change(id, endpoint)?;
        self.planned.notify_one();
        Ok(())
    }

    pub(crate) fn remove_webhook_endpoint(&self, id: &str) -> Result<(), String> {
        self.account_mut().remove_endpoint(id)
    }

    pub(crate) fn webhook_endpoints(&self) -> Vec<RegisteredEndpoint> {
        self.account.read().unwrap_or_else(PoisonError::into_inner).webhooks.list()
    }

    pub(crate) fn pause_deliveries(&self, paused: bool) {
        let mut account = self.account_mut();
        account.webhooks.pause(paused);
        account.webhooks.release(self.now_ms());
        drop(account);
        self.planned.notify_one();
    }

    pub(crate) fn delivery_faults(&self) -> DeliveryFaults {
        self.account.read().unwrap_or_else(PoisonError::into_inner).webhooks.faults.clone()
    }

    pub(crate) fn set_delivery_faults(&self, faults: DeliveryFaults) -> Result<(), String> {
        faults.check()?;
        self.account_mut().webhooks.faults = faults;
        Ok(())
    }

    /// What is to be sent now, or how long to wait for it; `None` if nothing is planned.
    pub(crate) fn next_delivery(&self) -> Result<Delivery, Option<Duration>> {
        let mut account = self.account_mut();
        let now = self.now_ms();
        let wait = |due: i64| Duration::from_millis(u64::try_from(due - now).unwrap_or(0));
        account.next_delivery(now, true).map_err(|due| due.map(wait))
    }

    /// What has arrived until then, in Unix seconds, at endpoints without a URL.
    pub(crate) fn take_deliveries(&self, until: i64) -> Vec<Delivery> {
        let mut account = self.account_mut();
        let mut taken = Vec::new();
        while let Ok(delivery) = account.next_delivery(until * 1_000 + 999, false) {
            let (endpoint, attempt) = (&delivery.endpoint, delivery.as_attempt());
            account.settle(endpoint, &attempt, Outcome::Taken, delivery.at_ms);
            taken.push(delivery);
        }
        taken
    }

    pub(crate) fn refuse(&self, delivery: &Delivery) {
        self.account_mut().refuse(delivery);
    }

    pub(crate) fn settle(&self, delivery: &Delivery, outcome: Outcome) {
        let mut account = self.account_mut();
        let now = self.now_ms();
        account.settle(&delivery.endpoint, &delivery.as_attempt(), outcome, now);
        drop(account);
        self.planned.notify_one();
    }

    /// All counts as they are now.
    pub(crate) fn stats(&self) -> Stats {
        let deliveries = {
            let account = self.account.read().unwrap_or_else(PoisonError::into_inner);
            account.webhooks.outcomes.clone()
        };
        self.with_stats(|stats| Stats { deliveries, ..stats.clone() })
    }

    pub(crate) fn reset_stats(&self) {
        self.account_mut().webhooks.outcomes.clear();
        self.with_stats(Stats::reset);
    }

    pub(crate) fn subscription(&self, id: &str) -> Option<Value> {
        let account = self.account.read().unwrap_or_else(PoisonError::into_inner);
        account.subscriptions.copy(&account.generator, id).map(|stored| stored.object)
    }

    /// Runs the scripts that wait for this request. A script that fails is a mistake of the test that wrote it.
    pub(crate) fn run_scripts(&self, path: &str) -> Result<(), String> {
        let due: Vec<Action> = {
            let mut trouble = lock(&self.trouble);
            let mut due = Vec::new();
            for (script, seen) in &mut trouble.scripts {
                if path.starts_with(&script.path) {
                    *seen += 1;
                    if *seen == script.at {
                        due.append(&mut script.actions);
                    }
                }
            }
            trouble.scripts.retain(|(script, seen)| *seen < script.at);
            due
        };
        due.into_iter().try_for_each(|action| self.apply(action).map(|_| ()))
    }

    /// What disturbs this request: milliseconds of delay, and at most one other fault.
    pub(crate) fn disturbance(&self, path: &str) -> (u64, Option<FaultKind>) {
        take(&mut lock(&self.trouble).faults, path)
    }

    /// The limit that refuses this request, if one does.
    pub(crate) fn limited(&self, path: &str) -> Option<RateLimit> {
        let mut trouble = lock(&self.trouble);
        let bucket = trouble.bucket.as_mut()?;
        (!bucket.admits(path, Instant::now())).then(|| bucket.limit.clone())
    }

    pub(crate) fn lacks(&self, permission: &str) -> bool {
        lock(&self.trouble).missing_permissions.contains(permission)
    }

    pub(crate) fn add_fault(&self, fault: Fault) {
        lock(&self.trouble).faults.push(fault);
    }

    pub(crate) fn faults(&self) -> Vec<Fault> {
        lock(&self.trouble).faults.clone()
    }

    pub(crate) fn clear_faults(&self) {
        lock(&self.trouble).faults.clear();
    }

    pub(crate) fn set_rate_limit(&self, limit: Option<RateLimit>) {
        lock(&self.trouble).bucket = limit.map(|limit| Bucket::new(limit, Instant::now()));
    }

    pub(crate) fn set_missing_permissions(&self, permissions: Vec<String>) {
        lock(&self.trouble).missing_permissions = permissions.into_iter().collect();
    }

    pub(crate) fn add_script(&self, script: Script) {
        lock(&self.trouble).scripts.push((script, 0));
    }

    pub(crate) fn clear_scripts(&self) {
        lock(&self.trouble).scripts.clear();
    }

    pub(crate) fn with_stats<T>(&self, work: impl FnOnce(&mut Stats) -> T) -> T {
        work(&mut lock(&self.stats))
    }

    /// Only the generated objects are left, nobody listens to events, and nothing disturbs anyone; counts begin anew.
    pub(crate) fn reset(&self, generator: Generator) {
        *self.account_mut() = Account::new(generator);
        *lock(&self.trouble) = Trouble::default();
        self.with_stats(Stats::reset);
    }
}
