//! What a handler gets: the settings, and the clients, built once for the life of the process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, watch};

use crate::config::{Config, SettingError};
use crate::stripe::Stripe;
use crate::stripe::client::Retries;
use crate::stripe::key::SecretKey;
use crate::supabase::Supabase;

/// The settings and the clients of a process.
#[derive(Debug)]
pub struct Context {
    /// The settings.
    pub config: Config,
    http: OnceLock<reqwest::Client>,
    supabase: OnceLock<Result<Arc<Supabase>, SettingError>>,
    stripe: OnceLock<Result<Arc<Stripe>, SettingError>>,
    stopping: watch::Sender<bool>,
    news: AtomicBool,
    /// Which of this process's calls looks after what is due.
    pub due: Turn,
    /// What a Prometheus was last told.
    pub metrics: LastAnswer,
}

/// An answer that may be a while old, so that one call of a process can give it to others as well.
#[derive(Debug, Default)]
pub struct LastAnswer(Mutex<Option<(DateTime<Utc>, String)>>);

impl LastAnswer {
    /// The answer, if it is younger than `limit` at `now`. By the clock and not by a timer, because a process may be frozen between two
    /// calls; an answer from the future, where the clock was set back, counts as old.
    pub fn younger_than(&self, limit: TimeDelta, now: DateTime<Utc>) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let young = |at: DateTime<Utc>| (TimeDelta::zero()..limit).contains(&(now - at));
        kept.as_ref().filter(|(at, _)| young(*at)).map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer that was asked for at `at`.
    pub fn keep(&self, at: DateTime<Utc>, answer: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, answer.to_owned()));
    }
}

/// Work that one of several calls of a process does for all of them.
#[derive(Debug, Default)]
pub struct Turn {
    taken: AtomicBool,
    announced: AtomicU64,
    wake: Notify,
}

/// The turn, taken: whoever has it does the work, and gives it back by dropping it.
#[derive(Debug)]
pub struct TurnTaken<'a>(&'a Turn);

impl Turn {
    /// Says that there is work, and wakes whoever has the turn.
    pub fn announce(&self) {
        self.announced.fetch_add(1, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// How often work was announced. Whoever reads it before the work, and again after giving the turn back, misses nobody.
    pub fn announced(&self) -> u64 {
        self.announced.load(Ordering::SeqCst)
    }

    /// Waits until work is announced.
    pub async fn announcement(&self) {
        self.wake.notified().await;
    }

    /// Takes the turn, if nobody has it.
    pub fn take(&self) -> Option<TurnTaken<'_>> {
        (!self.taken.swap(true, Ordering::SeqCst)).then_some(TurnTaken(self))
    }
}

impl Drop for TurnTaken<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::SeqCst);
    }
}

impl Context {
    /// A context without clients: they are built at their first use, or by [`Context::warm_up`].
    pub fn new(config: Config) -> Self {
        Self {
            config,
            http: OnceLock::new(),
            supabase: OnceLock::new(),
            stripe: OnceLock::new(),
            stopping: watch::Sender::new(false),
            news: AtomicBool::new(false),
            due: Turn::default(),
            metrics: LastAnswer::default(),
        }
    }

    /// Builds the clients ahead of their first use. Settings that are wrong are reported by the calls that need them.
    pub fn warm_up(&self) {
        let _ = self.supabase();
    }

    /// The one HTTP client: PostgREST, Stripe and the heartbeat share its connections and its TLS configuration.
    pub fn http(&self) -> &reqwest::Client {
        self.http.get_or_init(build_http_client)
    }

    /// The database. Errors: the setting that is missing or unfit.
    pub fn supabase(&self) -> Result<&Arc<Supabase>, SettingError> {
        self.supabase
            .get_or_init(|| Ok(Arc::new(Supabase::new(&self.config, self.http().clone())?)))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The database for calls in a person's name. Errors: as above, and where the publishable key is missing.
    pub fn supabase_for_people(&self) -> Result<&Arc<Supabase>, SettingError> {
        self.config.supabase_publishable_key()?;
        self.supabase()
    }

    /// Stripe. One for the process, so that all its runs share one token bucket. Errors: the setting that is missing or unfit.
    pub fn stripe(&self) -> Result<&Arc<Stripe>, SettingError> {
        self.stripe.get_or_init(|| self.build_stripe().map(Arc::new)).as_ref().map_err(Clone::clone)
    }

    /// Errors: the setting without which no run can be made. Asked before the caller's credentials are looked at.
    pub fn ready_to_reconcile(&self) -> Result<(), SettingError> {
        self.supabase()?;
        self.stripe()?;
        self.config.price_tiers()?;
        self.config.repair_mode()?;
        self.config.access_statuses()?;
        self.config.stripe_scope()?;
        self.config.owner_metadata_keys()?;
        self.config.trust_client_reference_id()?;
        self.config.reconcile_budget()?;
        self.config.events_mode()?;
        self.config.full_scan_every()?;
        Ok(())
    }

    fn build_stripe(&self) -> Result<Stripe, SettingError> {
        let key = self.config.stripe_secret_key()?;
        let key = SecretKey::parse(key.expose())
            .map_err(|error| SettingError(format!("STRIPE_SECRET_KEY: {error}.")))?;
        let rate = f64::from(self.config.stripe_max_requests_per_second()?);
        Stripe::new(self.http().clone(), self.config.stripe_api_base()?, &key, rate, Retries::default())
            .map_err(|error| SettingError(format!("STRIPE_SECRET_KEY: {error}.")))
    }

    /// Becomes true when the platform asks the process to end: a run then saves what is left and finishes as `partial`.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Something may have happened to an alert: somebody must be told once the call at hand is answered.
    pub fn has_news(&self) {
        self.news.store(true, Ordering::Release);
    }

    /// Whether something may have happened since this was last asked. Of several calls that end at once, only one is told so.
    pub fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }

    /// Starts to listen for SIGTERM. The runtime listens too, and waits for the work in flight.
    pub fn watch_for_sigterm(self: &Arc<Self>) {
        let context = Arc::clone(self);
        tokio::spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            if let Ok(mut sigterm) = signal(SignalKind::terminate()) {
                sigterm.recv().await;
                context.stopping.send_replace(true);
            }
        });
    }
}

/// A client with the roots of Mozilla's program built in: a function's image may have no CA files where they are looked for.
fn build_http_client() -> reqwest::Client {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // Hosted Supabase refuses secret keys that come with a browser's user agent, so say plainly who calls.
        .user_agent(concat!("billing-ops/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(3))
        .tcp_nodelay(true)
        .no_proxy()
        .build()
        .expect("the client's configuration is fixed and valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_a_while_and_no_longer() {
        let (limit, asked) = (TimeDelta::seconds(15), DateTime::UNIX_EPOCH);
        let at = |seconds: f64| asked + TimeDelta::milliseconds((seconds * 1000.0) as i64);
        let last = LastAnswer::default();
        assert_eq!(last.younger_than(limit, asked), None);
        last.keep(asked, "one");
        for (seconds, young) in [(0.0, true), (14.999, true), (15.0, false), (-0.001, false)] {
            assert_eq!(last.younger_than(limit, at(seconds)).is_some(), young, "{seconds}");
        }
        last.keep(at(16.0), "two");
        assert_eq!(last.younger_than(limit, at(17.0)).as_deref(), Some("two"));
    }
}
