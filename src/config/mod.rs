//! Every environment variable, read once and validated when it is needed.
//!
//! | variable | what for |
//! | --- | --- |
//! | `SUPABASE_URL` (or `NEXT_PUBLIC_SUPABASE_URL`) | where PostgREST and Auth are |
//! | `SUPABASE_SECRET_KEY` (or `SUPABASE_SERVICE_ROLE_KEY`) | calls in the service's name |
//! | `SUPABASE_PUBLISHABLE_KEY` (or `SUPABASE_ANON_KEY`, `NEXT_PUBLIC_SUPABASE_ANON_KEY`) | calls in a person's name |
//! | `STRIPE_SECRET_KEY` | restricted, read-only: Subscriptions, Checkout Sessions |
//! | `RECONCILE_SECRET`, `MONITOR_SECRET`, `CRON_SECRET`, each with `_PREVIOUS` | machine secrets ([`crate::secret`]) |
//! | `METRICS_SECRET` (and `_PREVIOUS`) | the machine secret for metrics |
//! | `STRIPE_WEBHOOK_SECRET` (and `_PREVIOUS`) | what Stripe signs events with, `whsec_…`; several separated by commas |
//! | `EVENTS_MODE` | when an event's subscription is looked at: verify or apply (verify) |
//! | `STRIPE_DELIVERY_HEALTH` | whether Stripe is asked which events did not arrive: on or off (on) |
//! | `STRIPE_API_BASE` | another Stripe (`https://api.stripe.com`) |
//! | `STRIPE_MAX_REQUESTS_PER_SECOND` | calls a second to Stripe, 1 to 10000 (15) |
//! | `PRICE_TIERS` | JSON object, price id → tier |
//! | `REPAIR_MODE` | the most that may follow from a difference: observe, approve or auto (observe) |
//! | `ACCESS_STATUSES` | statuses that grant access, separated by commas (trialing,active,past_due) |
//! | `OWNER_METADATA_KEYS` | keys of metadata that name the owner, separated by commas (organization_id) |
//! | `STRIPE_SCOPE` | JSON: products, prices, metadata; any one of these makes a subscription this application's |
//! | `TRUST_CLIENT_REFERENCE_ID` | whether a checkout's client_reference_id counts by itself (false) |
//! | `RECONCILE_BUDGET_SECONDS` | how long a run may take, 1 to 780 (270) |
//! | `FULL_SCAN_EVERY_HOURS` | after how many hours everything is looked at again, 1 to 720 (1) |
//! | `RECONCILE_STALE_AFTER_MINUTES` | how long without a good run raises an alert, 1 to 10080 (120) |
//! | `HIGH_SEVERITY_STALE_AFTER_MINUTES` | how long an alert may stay unattended before it raises another, 1 to 10080 (30) |
//! | `SWEEP_INCOMPLETE_AFTER_HOURS` | how long without a whole sweep raises an alert, 1 to 720 (24) |
//! | `DASHBOARD_ORIGIN` | the one other origin whose pages may call |
//! | `HEARTBEAT_URL` | called after each monitor pass that was written |
//! | `NOTIFY_SLACK_URL` | Slack's incoming webhook |
//! | `NOTIFY_DISCORD_URL` | Discord's webhook |
//! | `NOTIFY_PAGERDUTY_KEY` | the integration key of a PagerDuty service (Events API v2) |
//! | `RESEND_API_KEY`, `NOTIFY_EMAIL_FROM`, `NOTIFY_EMAIL_TO` | e-mail by Resend; several addresses separated by commas |
//! | `NOTIFY_WEBHOOK_URL`, `NOTIFY_WEBHOOK_SECRET` (and `_PREVIOUS`) | a webhook, signed as Standard Webhooks defines it (`whsec_…`) |
//! | `NOTIFY_PAGERDUTY_MIN_SEVERITY`, `NOTIFY_EMAIL_MIN_SEVERITY` | the least severity that the channel is told of (high) |
//! | `NOTIFY_SLACK_MIN_SEVERITY`, `NOTIFY_DISCORD_MIN_SEVERITY` | the same (warning) |
//! | `NOTIFY_WEBHOOK_MIN_SEVERITY` | the same (info) |
//! | `NOTIFY_DIGEST` | whether a digest of each week is sent: weekly or off (weekly) |
//! | `NOTIFY_PAGERDUTY_BASE` | another PagerDuty (`https://events.pagerduty.com`) |
//! | `RESEND_API_BASE` | another Resend (`https://api.resend.com`) |
//! | `PUBLIC_URL` | where the dashboard is, for links in messages |
//! | `LOG_LEVEL` | error, warn, info or debug (info) |
//!
//! A wrong setting does not stop the process. The endpoints that need it answer 503 with a sentence that names it, and
//! `/api/health` lists it. If the setting is optional, it also raises an alert. So each accessor returns a `Result`, and nothing
//! falls back to an open door.

pub mod events;
pub mod notify;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use crate::secret::{MachineSecret, Secret};
pub use values::{SettingError, StripeScope};
use values::{header_safe, is_anonymous, list, secure_url, whole_number};

/// A setting: its name, other names under which it is found too, and what is wrong with its value.
struct Setting {
    name: &'static str,
    also: &'static [&'static str],
    /// Whether billing-ops can do without it.
    optional: bool,
    check: fn(&Config) -> Result<(), SettingError>,
}

const fn setting(name: &'static str, check: fn(&Config) -> Result<(), SettingError>) -> Setting {
    Setting { name, also: &[], optional: false, check }
}

const fn option(name: &'static str, check: fn(&Config) -> Result<(), SettingError>) -> Setting {
    Setting { optional: true, ..setting(name, check) }
}

/// All settings, in the order in which `/api/health` lists what is wrong.
const SETTINGS: &[Setting] = &[
    Setting {
        also: &["NEXT_PUBLIC_SUPABASE_URL"],
        ..setting("SUPABASE_URL", |c| c.supabase_url().map(drop))
    },
    Setting {
        also: &["SUPABASE_SERVICE_ROLE_KEY"],
        ..setting("SUPABASE_SECRET_KEY", |c| c.supabase_secret_key().map(drop))
    },
    Setting {
        also: &["SUPABASE_ANON_KEY", "NEXT_PUBLIC_SUPABASE_ANON_KEY"],
        ..setting("SUPABASE_PUBLISHABLE_KEY", |c| c.supabase_publishable_key().map(drop))
    },
    setting("STRIPE_SECRET_KEY", |c| c.stripe_secret_key().map(drop)),
    setting("RECONCILE_SECRET", |c| c.machine_secret("RECONCILE_SECRET").map(drop)),
    setting("RECONCILE_SECRET_PREVIOUS", |c| c.machine_secret("RECONCILE_SECRET_PREVIOUS").map(drop)),
    setting("MONITOR_SECRET", |c| c.machine_secret("MONITOR_SECRET").map(drop)),
    setting("MONITOR_SECRET_PREVIOUS", |c| c.machine_secret("MONITOR_SECRET_PREVIOUS").map(drop)),
    setting("CRON_SECRET", |c| c.machine_secret("CRON_SECRET").map(drop)),
    setting("CRON_SECRET_PREVIOUS", |c| c.machine_secret("CRON_SECRET_PREVIOUS").map(drop)),
    option("METRICS_SECRET", |c| c.machine_secret("METRICS_SECRET").map(drop)),
    option("METRICS_SECRET_PREVIOUS", |c| c.machine_secret("METRICS_SECRET_PREVIOUS").map(drop)),
    option("STRIPE_WEBHOOK_SECRET", |c| c.stripe_webhook_secret("STRIPE_WEBHOOK_SECRET").map(drop)),
    option("STRIPE_WEBHOOK_SECRET_PREVIOUS", |c| {
        c.stripe_webhook_secret("STRIPE_WEBHOOK_SECRET_PREVIOUS").map(drop)
    }),
    option("EVENTS_MODE", |c| c.events_mode().map(drop)),
    option("STRIPE_DELIVERY_HEALTH", |c| c.stripe_delivery_health().map(drop)),
    option("STRIPE_API_BASE", |c| c.stripe_api_base().map(drop)),
    option("STRIPE_MAX_REQUESTS_PER_SECOND", |c| c.stripe_max_requests_per_second().map(drop)),
    option("PRICE_TIERS", |c| c.price_tiers().map(drop)),
    option("REPAIR_MODE", |c| c.repair_mode().map(drop)),
    option("ACCESS_STATUSES", |c| c.access_statuses().map(drop)),
    option("OWNER_METADATA_KEYS", |c| c.owner_metadata_keys().map(drop)),
    option("STRIPE_SCOPE", |c| c.stripe_scope().map(drop)),
    option("TRUST_CLIENT_REFERENCE_ID", |c| c.trust_client_reference_id().map(drop)),
    option("RECONCILE_BUDGET_SECONDS", |c| c.reconcile_budget().map(drop)),
    option("FULL_SCAN_EVERY_HOURS", |c| c.full_scan_every().map(drop)),
    option("RECONCILE_STALE_AFTER_MINUTES", |c| c.reconcile_stale_after().map(drop)),
    option("HIGH_SEVERITY_STALE_AFTER_MINUTES", |c| c.high_severity_stale_after().map(drop)),
    option("SWEEP_INCOMPLETE_AFTER_HOURS", |c| c.sweep_incomplete_after_hours().map(drop)),
    option("DASHBOARD_ORIGIN", |c| c.dashboard_origin().map(drop)),
    option("HEARTBEAT_URL", |c| c.heartbeat_url().map(drop)),
    option("NOTIFY_SLACK_URL", |c| c.notify_slack().map(drop)),
    option("NOTIFY_DISCORD_URL", |c| c.notify_discord().map(drop)),
    option("NOTIFY_PAGERDUTY_KEY", |c| c.notify_pagerduty_key().map(drop)),
    option("RESEND_API_KEY", |c| c.resend_api_key().map(drop)),
    option("NOTIFY_EMAIL_FROM", |c| c.notify_email_from().map(drop)),
    option("NOTIFY_EMAIL_TO", |c| c.notify_email_to().map(drop)),
    option("NOTIFY_WEBHOOK_URL", |c| c.notify_webhook_url().map(drop)),
    option("NOTIFY_WEBHOOK_SECRET", |c| c.notify_webhook_secret().map(drop)),
    option("NOTIFY_WEBHOOK_SECRET_PREVIOUS", |c| c.notify_webhook_secret_previous().map(drop)),
    option("NOTIFY_PAGERDUTY_MIN_SEVERITY", |c| c.notify_least(&notify::PAGERDUTY).map(drop)),
    option("NOTIFY_SLACK_MIN_SEVERITY", |c| c.notify_least(&notify::SLACK).map(drop)),
    option("NOTIFY_DISCORD_MIN_SEVERITY", |c| c.notify_least(&notify::DISCORD).map(drop)),
    option("NOTIFY_EMAIL_MIN_SEVERITY", |c| c.notify_least(&notify::EMAIL).map(drop)),
    option("NOTIFY_WEBHOOK_MIN_SEVERITY", |c| c.notify_least(&notify::WEBHOOK).map(drop)),
    option("NOTIFY_DIGEST", |c| c.notify_digest().map(drop)),
    option("NOTIFY_PAGERDUTY_BASE", |c| c.notify_pagerduty_base().map(drop)),
    option("RESEND_API_BASE", |c| c.resend_api_base().map(drop)),
    option("PUBLIC_URL", |c| c.public_url().map(drop)),
    option("LOG_LEVEL", |c| c.log_level().map(drop)),
];

/// Stripe's words for the statuses of subscriptions that have not ended.
const LIVE_STATUSES: [&str; 5] = ["trialing", "active", "past_due", "unpaid", "paused"];

/// The words of `REPAIR_MODE`, from the least to the most.
pub const REPAIR_MODES: [&str; 3] = ["observe", "approve", "auto"];

/// The names of all settings.
pub fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.name)
}

/// Every name under which a setting is found, in order: its own, then those of older Supabase projects and of Next.js apps.
pub fn spellings(name: &str) -> impl Iterator<Item = &str> {
    let also = SETTINGS.iter().find(|setting| setting.name == name).map_or(&[][..], |setting| setting.also);
    std::iter::once(name).chain(also.iter().copied())
}

/// The environment as it was when the process started.
#[derive(Debug, Clone, Default)]
pub struct Config {
    values: BTreeMap<String, Secret>,
}

impl Config {
    /// Reads the process's environment.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads it")]
    pub fn from_env() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| {
            // What is not UTF-8 becomes text that no check accepts, rather than a setting that seems unset.
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))
    }

    /// Reads from pairs of name and value, for tests.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            values: pairs
                .into_iter()
                .map(|(name, value)| (name, Secret::new(value.trim().to_owned())))
                .collect(),
        }
    }

    /// A variable's trimmed value under the first of its names that is set.
    fn get(&self, name: &str) -> Option<&str> {
        spellings(name).find_map(|spelling| self.values.get(spelling)).map(Secret::expose)
    }

    fn required(&self, name: &str) -> Result<&str, SettingError> {
        match self.get(name) {
            Some("") => Err(SettingError(format!("{name} is empty."))),
            Some(value) => Ok(value),
            None => Err(SettingError(format!("{name} is not set."))),
        }
    }

    /// An optional setting; an empty one, as Vercel's form leaves it, counts as not set.
    fn optional(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The commit that was deployed, as Vercel names it.
    pub fn commit(&self) -> Option<&str> {
        self.optional("VERCEL_GIT_COMMIT_SHA")
    }

    /// Which settings are present, by name, without their values.
    pub fn presence(&self) -> BTreeMap<&'static str, bool> {
        names().map(|name| (name, self.optional(name).is_some())).collect()
    }

    /// What is wrong with the settings that are present, a sentence each.
    pub fn complaints(&self) -> Vec<String> {
        let present = SETTINGS.iter().filter(|setting| self.is_set(setting.name));
        present.filter_map(|setting| (setting.check)(self).err()).map(|error| error.0).collect()
    }

    /// The optional settings that are wrong, each with a sentence about it. What needs one of them is closed or goes without it,
    /// and nothing else suffers, so it would go unnoticed if nobody said it.
    pub fn wrong_options(&self) -> Vec<(&'static str, String)> {
        let present = SETTINGS.iter().filter(|setting| setting.optional && self.is_set(setting.name));
        present
            .filter_map(|setting| (setting.check)(self).err().map(|error| (setting.name, error.0)))
            .collect()
    }

    /// Where Supabase is, without a path. Errors where it is missing or not an https URL.
    pub fn supabase_url(&self) -> Result<Url, SettingError> {
        secure_url("SUPABASE_URL", self.required("SUPABASE_URL")?)
    }

    /// The key for calls in the service's name: `sb_secret_…`, or a legacy `service_role` JWT.
    pub fn supabase_secret_key(&self) -> Result<Secret, SettingError> {
        header_safe("SUPABASE_SECRET_KEY", self.required("SUPABASE_SECRET_KEY")?)
    }

    /// The key for calls in a person's name: `sb_publishable_…`, or a legacy `anon` JWT.
    pub fn supabase_publishable_key(&self) -> Result<Secret, SettingError> {
        let key = header_safe("SUPABASE_PUBLISHABLE_KEY", self.required("SUPABASE_PUBLISHABLE_KEY")?)?;
        let published = key.expose().starts_with("sb_publishable_");
        if key.expose().starts_with("sb_secret_") || (!published && !is_anonymous(key.expose())) {
            return Err(SettingError(
                "SUPABASE_PUBLISHABLE_KEY holds a secret key, which browsers would be given.".into(),
            ));
        }
        Ok(key)
    }

    /// Stripe's key: `sk_` or `rk_`, `_test_` or `_live_` (<https://docs.stripe.com/keys>).
    pub fn stripe_secret_key(&self) -> Result<Secret, SettingError> {
        let key = header_safe("STRIPE_SECRET_KEY", self.required("STRIPE_SECRET_KEY")?)?;
        let known = ["sk_test_", "sk_live_", "rk_test_", "rk_live_"];
        if known.iter().any(|prefix| key.expose().len() > prefix.len() && key.expose().starts_with(prefix)) {
            Ok(key)
        } else {
            Err(SettingError(
                "STRIPE_SECRET_KEY must be a secret or restricted key of Stripe (sk_test_…, rk_live_…)."
                    .into(),
            ))
        }
    }

    /// The secret of that name and its `_PREVIOUS` twin. Empty where neither is set; an error where one is set but unfit.
    pub fn machine_secrets(&self, name: &str) -> Result<Vec<MachineSecret>, SettingError> {
        let twin = format!("{name}_PREVIOUS");
        [name, &twin].into_iter().filter_map(|name| self.machine_secret(name).transpose()).collect()
    }

    fn machine_secret(&self, name: &str) -> Result<Option<MachineSecret>, SettingError> {
        let unfit = |unfit| SettingError(format!("{name} {unfit}."));
        self.get(name).map(MachineSecret::new).transpose().map_err(unfit)
    }

    /// Whether a variable is set at all, even to nothing.
    pub fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Stripe's API, or what stands in for it.
    pub fn stripe_api_base(&self) -> Result<Url, SettingError> {
        secure_url("STRIPE_API_BASE", self.optional("STRIPE_API_BASE").unwrap_or("https://api.stripe.com"))
    }

    /// Calls a second to Stripe. The default leaves the app room under the 25 a second that one endpoint is allowed
    /// (<https://docs.stripe.com/rate-limits>).
    pub fn stripe_max_requests_per_second(&self) -> Result<u32, SettingError> {
        self.number("STRIPE_MAX_REQUESTS_PER_SECOND", 15, 1, 10_000)
    }

    /// Tiers by price id. A price that is not in it never becomes a tier.
    pub fn price_tiers(&self) -> Result<BTreeMap<String, String>, SettingError> {
        match self.optional("PRICE_TIERS") {
            None => Ok(BTreeMap::new()),
            Some(json) => serde_json::from_str(json).map_err(|_| {
                SettingError(r#"PRICE_TIERS must be a JSON object of texts like {"price_1": "pro"}."#.into())
            }),
        }
    }

    /// The most that may follow from a difference. If it is not set, nothing is written to the app's table.
    pub fn repair_mode(&self) -> Result<&'static str, SettingError> {
        let word = self.optional("REPAIR_MODE").unwrap_or("observe");
        REPAIR_MODES
            .into_iter()
            .find(|mode| *mode == word)
            .ok_or_else(|| SettingError("REPAIR_MODE must be observe, approve or auto.".into()))
    }

    /// Stripe's words for the statuses that grant access, separated by commas; only those of live subscriptions are allowed.
    pub fn access_statuses(&self) -> Result<Vec<String>, SettingError> {
        let words = list(self.optional("ACCESS_STATUSES").unwrap_or("trialing,active,past_due"));
        if words.iter().all(|word| LIVE_STATUSES.contains(&word.as_str())) {
            Ok(words)
        } else {
            let known = LIVE_STATUSES.join(", ");
            Err(SettingError(format!("ACCESS_STATUSES must be a list of {known}, separated by commas.")))
        }
    }

    /// Keys of Stripe's metadata that name the owner, separated by commas; the first one that an object has counts.
    pub fn owner_metadata_keys(&self) -> Result<Vec<String>, SettingError> {
        let keys = list(self.optional("OWNER_METADATA_KEYS").unwrap_or("organization_id"));
        // Stripe's own limit for a key (<https://docs.stripe.com/metadata>).
        if keys.iter().all(|key| (1..=40).contains(&key.chars().count())) {
            Ok(keys)
        } else {
            Err(SettingError(
                "OWNER_METADATA_KEYS must be a list of metadata keys, separated by commas.".into(),
            ))
        }
    }

    /// Which subscriptions are this application's, where the account sells other products, too.
    pub fn stripe_scope(&self) -> Result<StripeScope, SettingError> {
        let Some(json) = self.optional("STRIPE_SCOPE") else { return Ok(StripeScope::default()) };
        match serde_json::from_str(json) {
            // An empty one would say that nothing is the application's, or that everything is.
            Ok(scope) if scope != StripeScope::default() => Ok(scope),
            _ => Err(SettingError(
                r#"STRIPE_SCOPE must be a JSON object with "products", "prices" (lists of ids) or "metadata" (an object of texts)."#
                    .into(),
            )),
        }
    }

    /// Whether a checkout's `client_reference_id` may name the owner without a person's word.
    pub fn trust_client_reference_id(&self) -> Result<bool, SettingError> {
        match self.optional("TRUST_CLIENT_REFERENCE_ID") {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(SettingError("TRUST_CLIENT_REFERENCE_ID must be true or false.".into())),
        }
    }

    /// How long a run may take.
    pub fn reconcile_budget(&self) -> Result<Duration, SettingError> {
        let seconds = self.number("RECONCILE_BUDGET_SECONDS", 270, 1, 780)?;
        Ok(Duration::from_secs(u64::from(seconds)))
    }

    /// After how long without a good run `reconcile_stale` holds.
    pub fn reconcile_stale_after(&self) -> Result<chrono::TimeDelta, SettingError> {
        let minutes = self.number("RECONCILE_STALE_AFTER_MINUTES", 120, 1, 10_080)?;
        Ok(chrono::TimeDelta::minutes(i64::from(minutes)))
    }

    /// After how long an unresolved critical or high alert makes `high_severity_stale` hold.
    pub fn high_severity_stale_after(&self) -> Result<chrono::TimeDelta, SettingError> {
        let minutes = self.number("HIGH_SEVERITY_STALE_AFTER_MINUTES", 30, 1, 10_080)?;
        Ok(chrono::TimeDelta::minutes(i64::from(minutes)))
    }

    /// After how long without a sweep that looked at everything `sweep_incomplete` holds: in whole hours, and at least one and a half
    /// times as long as the time between two sweeps. Otherwise it would hold before each sweep that is on time.
    pub fn sweep_incomplete_after(&self) -> Result<chrono::TimeDelta, SettingError> {
        // A wrong `FULL_SCAN_EVERY_HOURS` closes the runs but not the watch over them, which reports it.
        let least = (self.full_scan_every().unwrap_or(1) * 3).div_ceil(2);
        let hours = self.sweep_incomplete_after_hours()?.max(least);
        Ok(chrono::TimeDelta::hours(i64::from(hours)))
    }

    fn sweep_incomplete_after_hours(&self) -> Result<u32, SettingError> {
        self.number("SWEEP_INCOMPLETE_AFTER_HOURS", 24, 1, 720)
    }

    /// The origin of a dashboard elsewhere, as browsers send it.
    pub fn dashboard_origin(&self) -> Result<Option<String>, SettingError> {
        let Some(value) = self.optional("DASHBOARD_ORIGIN") else { return Ok(None) };
        let origin = secure_url("DASHBOARD_ORIGIN", value)?.origin().ascii_serialization();
        if origin == value.trim_end_matches('/') {
            Ok(Some(origin))
        } else {
            Err(SettingError("DASHBOARD_ORIGIN must be an origin like https://ops.example.com.".into()))
        }
    }

    /// What to call after a monitor pass. A wrong URL closes nothing: the pass is made without the call, and says so.
    pub fn heartbeat_url(&self) -> Result<Option<Url>, SettingError> {
        self.optional("HEARTBEAT_URL").map(|value| secure_url("HEARTBEAT_URL", value)).transpose()
    }

    /// The least important level that is logged.
    pub fn log_level(&self) -> Result<tracing::Level, SettingError> {
        match self.optional("LOG_LEVEL").map(str::to_ascii_lowercase).as_deref() {
            None | Some("info") => Ok(tracing::Level::INFO),
            Some("error") => Ok(tracing::Level::ERROR),
            Some("warn") => Ok(tracing::Level::WARN),
            Some("debug") => Ok(tracing::Level::DEBUG),
            Some(_) => Err(SettingError("LOG_LEVEL must be error, warn, info or debug.".into())),
        }
    }

    fn number(&self, name: &str, default: u32, least: u32, most: u32) -> Result<u32, SettingError> {
        self.optional(name).map_or(Ok(default), |value| whole_number(name, value, least, most))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_missing_setting_is_named_and_an_empty_one_is_not_mistaken_for_it() {
        assert_eq!(config(&[]).supabase_url(), Err(SettingError("SUPABASE_URL is not set.".into())));
        assert_eq!(
            config(&[("SUPABASE_URL", " ")]).supabase_url(),
            Err(SettingError("SUPABASE_URL is empty.".into()))
        );
    }

    #[test]
    fn older_names_are_found_and_the_newer_one_wins() {
        let old = config(&[("SUPABASE_SERVICE_ROLE_KEY", "old")]);
        assert_eq!(old.supabase_secret_key().expect("set").expose(), "old");
        let both = config(&[("SUPABASE_SERVICE_ROLE_KEY", "old"), ("SUPABASE_SECRET_KEY", "new")]);
        assert_eq!(both.supabase_secret_key().expect("set").expose(), "new");
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        assert!(config(&[("SUPABASE_URL", "http://example.com")]).supabase_url().is_err());
        assert!(config(&[("SUPABASE_URL", "http://127.0.0.1:54321")]).supabase_url().is_ok());
        assert!(config(&[("HEARTBEAT_URL", "http://example.com/ping")]).heartbeat_url().is_err());
    }

    #[test]
    fn a_publishable_key_that_is_a_secret_one_is_refused() {
        let token = |payload: &str| format!("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        for (key, taken) in [
            ("sb_secret_x".to_owned(), false),
            ("sb_publishable_x".to_owned(), true),
            (token(r#"{"role": "anon", "iss": "supabase"}"#), true),
            (token(r#"{"role": "service_role", "iss": "supabase"}"#), false),
            (token(r#"{"role": "authenticated"}"#), false),
            (token(r#"{"iss": "supabase"}"#), false),
            (token("anon"), false),
        ] {
            let publishable = config(&[("SUPABASE_PUBLISHABLE_KEY", &key)]).supabase_publishable_key();
            assert_eq!(publishable.is_ok(), taken, "{key}");
            if let Err(error) = publishable {
                assert!(
                    error.to_string().contains("SUPABASE_PUBLISHABLE_KEY")
                        && !error.to_string().contains(&key)
                );
            }
        }
        assert!(
            config(&[("SUPABASE_PUBLISHABLE_KEY", "a-key-of-another-kind")])
                .supabase_publishable_key()
                .is_ok()
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused_not_clamped() {
        for value in ["0", "781", "-1", "1.5", "soon"] {
            assert!(config(&[("RECONCILE_BUDGET_SECONDS", value)]).reconcile_budget().is_err(), "{value}");
        }
        assert_eq!(config(&[]).reconcile_budget(), Ok(Duration::from_secs(270)));
    }

    #[test]
    fn a_sweep_that_is_in_time_is_never_incomplete() {
        for (full, after, expected) in [
            ("", "", 24),
            ("1", "1", 2),
            ("16", "", 24),
            ("17", "", 26),
            ("24", "24", 36),
            ("24", "48", 48),
            ("720", "1", 1_080),
        ] {
            let config = config(&[("FULL_SCAN_EVERY_HOURS", full), ("SWEEP_INCOMPLETE_AFTER_HOURS", after)]);
            assert_eq!(
                config.sweep_incomplete_after(),
                Ok(chrono::TimeDelta::hours(expected)),
                "{full} {after}"
            );
        }
        // A wrong one closes the runs, which say so, but not the watch over them.
        let wrong = config(&[("FULL_SCAN_EVERY_HOURS", "0"), ("SWEEP_INCOMPLETE_AFTER_HOURS", "24")]);
        assert_eq!(wrong.sweep_incomplete_after(), Ok(chrono::TimeDelta::hours(24)));
        assert_eq!(wrong.complaints(), ["FULL_SCAN_EVERY_HOURS must be a whole number from 1 to 720."]);
    }

    #[test]
    fn an_origin_has_no_path() {
        assert!(config(&[("DASHBOARD_ORIGIN", "https://a.example/x")]).dashboard_origin().is_err());
        assert_eq!(
            config(&[("DASHBOARD_ORIGIN", "https://a.example")]).dashboard_origin(),
            Ok(Some("https://a.example".into()))
        );
    }

    #[test]
    fn an_option_that_is_wrong_is_named_and_never_quoted() {
        let wrong = |pairs| config(pairs).wrong_options();
        assert_eq!(wrong(&[]), [], "what is not set is not wrong");
        assert_eq!(wrong(&[("HEARTBEAT_URL", ""), ("SUPABASE_URL", "x"), ("CRON_SECRET", "x")]), []);
        let found = wrong(&[("PRICE_TIERS", "canary"), ("HEARTBEAT_URL", "http://canary.example/canary")]);
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["PRICE_TIERS", "HEARTBEAT_URL"]);
        for (name, sentence) in found {
            assert!(sentence.contains(name) && !sentence.contains("canary"), "{sentence}");
        }
    }

    #[test]
    fn debug_output_holds_no_value() {
        let shown = format!("{:?}", config(&[("CRON_SECRET", "hunter2hunter2hunter2")]));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn an_unfit_secret_is_named_and_never_quoted() {
        let unfit =
            |value: &str| config(&[("CRON_SECRET", value)]).machine_secrets("CRON_SECRET").unwrap_err().0;
        assert_eq!(unfit("hunter2"), "CRON_SECRET is shorter than 16 characters.");
        assert_eq!(
            unfit("hunter2 hunter2 hunter2"),
            "CRON_SECRET holds characters other than printable ASCII."
        );
    }
}
