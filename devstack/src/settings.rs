//! The functions' settings. What the environment says wins over what the stack makes; nothing else of the environment
//! reaches a function, so that a test on one machine means the same on another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use billing_ops::config;

use crate::keys::random_text;

/// Every name of every setting that a function may read.
pub fn names() -> impl Iterator<Item = &'static str> {
    config::names().flat_map(config::spellings)
}

/// Settings by name.
pub type Settings = BTreeMap<String, String>;

/// The settings found in this process's environment; empty ones count as absent.
pub fn from_environment() -> Settings {
    names()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// The genuine PostgREST that this process's environment names, if it names one.
pub fn postgrest() -> Option<PathBuf> {
    std::env::var_os("POSTGREST_BIN").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Secrets for one stack.
pub fn generated() -> Settings {
    let secret = |name: &str| (name.to_owned(), random_text(40));
    let signing = ("STRIPE_WEBHOOK_SECRET".to_owned(), format!("whsec_{}", random_text(32)));
    let machines = ["RECONCILE_SECRET", "MONITOR_SECRET", "CRON_SECRET", "METRICS_SECRET"];
    machines.map(secret).into_iter().chain([signing]).collect()
}

/// Another Supabase than the one that the stack would start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Its URL, without a slash at its end.
    pub url: String,
    /// Its secret key, in either form.
    pub secret_key: String,
    /// Its publishable key, in either form; some tests need it.
    pub publishable_key: String,
    /// Its database, as an owner of the tables.
    pub database_url: String,
}

impl External {
    /// The Supabase that `settings` and `database_url` name, if they name one.
    ///
    /// # Errors
    /// One sentence with the missing names, when only some are there: half of another Supabase would be a mix of two.
    pub fn find(settings: &Settings, database_url: Option<String>) -> Result<Option<External>> {
        let first = |name| config::spellings(name).find_map(|spelling| settings.get(spelling)).cloned();
        let url = first("SUPABASE_URL");
        let secret_key = first("SUPABASE_SECRET_KEY");
        let publishable_key = first("SUPABASE_PUBLISHABLE_KEY");
        if url.is_none() && secret_key.is_none() {
            return Ok(None);
        }
        let (Some(url), Some(secret_key), Some(database_url)) = (&url, &secret_key, &database_url) else {
            let missing: Vec<&str> = [
                ("SUPABASE_URL", url.is_none()),
                ("SUPABASE_SECRET_KEY", secret_key.is_none()),
                ("DATABASE_URL", database_url.is_none()),
            ]
            .iter()
            .filter_map(|(name, missing)| missing.then_some(*name))
            .collect();
            bail!(
                "to use another Supabase, set {} too; or unset the rest to use a local one",
                missing.join(" and ")
            );
        };
        Ok(Some(External {
            url: url.trim_end_matches('/').to_owned(),
            secret_key: secret_key.clone(),
            publishable_key: publishable_key.unwrap_or_default(),
            database_url: database_url.clone(),
        }))
    }
}
