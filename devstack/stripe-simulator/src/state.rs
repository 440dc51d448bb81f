//! Everything that the simulator knows, and what can be done to it from outside.

use crate::account::Account;
use crate::change::{Action, Script};
use crate::faults::{Bucket, Fault, FaultKind, RateLimit, take};
use crate::generator::{Generator, Spread};
use crate::stats::Stats;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
        }
    }

    /// The simulator's time, in Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        let (then, set) = *lock(&self.clock);
        then + set.elapsed().as_secs() as i64
    }

    pub(crate) fn set_now(&self, now: i64) {
        *lock(&self.clock) = (now, Instant::now());
    }

    /// A number that no other answer has.
    pub(crate) fn next_answer(&self) -> u64 {
        self.answers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn generator(&self) -> Generator {
        self.account.read().unwrap_or_else(PoisonError::into_inner).generator.clone()
    }

    pub(crate) fn apply(&self, action: Action) -> Result<Value, String> {
        self.account.write().unwrap_or_else(PoisonError::into_inner).apply(action, self.now())
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

    /// Only the generated objects are left, and nothing disturbs anyone; counts begin anew.
    pub(crate) fn reset(&self, generator: Generator) {
        *self.account.write().unwrap_or_else(PoisonError::into_inner) = Account::new(generator);
        *lock(&self.trouble) = Trouble::default();
        self.with_stats(Stats::reset);
    }
}
