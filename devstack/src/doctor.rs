//! `doctor`: given the settings of a deployment, says in one line each what is right, and what to do about what is not.
//!
//! It reads and changes nothing, but that its calls are counted against the rate limits. No line holds a secret.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use billing_ops::config::{Config, SettingError};
use billing_ops::context::Context;
use billing_ops::http::error::ApiError;
use billing_ops::monitor::db::read_facts;
use billing_ops::monitor::judge::Facts;
use billing_ops::secret::Secret;
use billing_ops::stripe::pages::Window;
use billing_ops::stripe::{Mode, Retries, SecretKey, Stripe, StripeError};
use billing_ops::supabase::judged::{Refusal, Verdict};
use billing_ops::supabase::{Asker, Retry};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

/// How long all questions to Stripe may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A token of the right shape that nobody signed: who refuses it has accepted the key that came with it.
const UNSIGNED_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiYXV0aGVudGljYXRlZCJ9.AAAA";

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Right.
    Fine(String),
    /// Works, and could be better.
    Note(String),
    /// Wrong, and what to do about it.
    Wrong {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
}

impl Line {
    fn fine(what: impl Into<String>) -> Self {
        Self::Fine(what.into())
    }

    fn note(what: impl Into<String>) -> Self {
        Self::Note(what.into())
    }

    fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Wrong { what: what.into(), remedy: remedy.into() }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fine(what) => write!(formatter, "ok    {what}"),
            Self::Note(what) => write!(formatter, "note  {what}"),
            Self::Wrong { what, remedy } => write!(formatter, "FAIL  {what}\n      → {remedy}"),
        }
    }
}

/// Examines the deployment whose settings are in `file`, or in this process's environment where there is none, and prints
/// the report. True if nothing is wrong.
///
/// # Errors
/// When the file cannot be read.
pub async fn run(file: Option<&Path>) -> Result<bool> {
    let config = match file {
        None => Config::from_env(),
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Config::from_pairs(parse_settings(&text))
        }
    };
    let lines = examine(config).await;
    for line in &lines {
        println!("{line}");
    }
    let wrong = lines.iter().filter(|line| matches!(line, Line::Wrong { .. })).count();
    println!("{}", if wrong == 0 { "Nothing is wrong.".to_owned() } else { format!("{wrong} wrong.") });
    Ok(wrong == 0)
}

/// The whole report.
pub async fn examine(config: Config) -> Vec<Line> {
    let mut lines = settings(&config);
    let context = Context::new(config);
    lines.extend(database(&context).await);
    lines.extend(stripe(&context).await);
    lines
}

/// `NAME=value` lines as `vercel env pull` writes them: comments, `export` and quotation marks around a value are taken off.
#[must_use]
pub fn parse_settings(text: &str) -> BTreeMap<String, String> {
    let unquoted = |value: &str| {
        let inner = ['"', '\''].iter().find_map(|mark| value.strip_prefix(*mark)?.strip_suffix(*mark));
        inner.unwrap_or(value).replace("\\n", "\n").replace("\\\"", "\"")
    };
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim())))
        .collect()
}

/// What the settings say by themselves. Pure.
#[must_use]
pub fn settings(config: &Config) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut required = |name: &str, found: Result<String, SettingError>, remedy: &str| {
        lines.push(match found {
            Ok(text) => Line::fine(format!("{name}: {text}")),
            Err(error) => Line::wrong(error.to_string(), remedy),
        });
    };
    let set = |_: Secret| "set".to_owned();
    required(
        "SUPABASE_URL",
        config.supabase_url().map(|url| url.to_string()),
        "Supabase dashboard, Project Settings, Data API: https://REF.supabase.co",
    );
    required(
        "SUPABASE_SECRET_KEY",
        config.supabase_secret_key().map(set),
        "Supabase dashboard, Project Settings, API Keys: a secret key, sb_secret_…",
    );
    required(
        "SUPABASE_PUBLISHABLE_KEY",
        config.supabase_publishable_key().map(set),
        "Supabase dashboard, Project Settings, API Keys: the publishable key, sb_publishable_…",
    );
    required(
        "STRIPE_SECRET_KEY",
        config.stripe_secret_key().map(set),
        "Stripe dashboard, Developers, API keys: a restricted key with read on Subscriptions and Checkout Sessions",
    );
    lines.extend(machine_secrets(config));
    lines.extend(optional_settings(config));
    lines
}

fn machine_secrets(config: &Config) -> Vec<Line> {
    let mut lines = Vec::new();
    let absence = |name: &str| match name {
        "RECONCILE_SECRET" => Line::wrong(
            "RECONCILE_SECRET is not set: the reconciler is closed.",
            "openssl rand -hex 32, then set it and redeploy",
        ),
        "MONITOR_SECRET" => {
            Line::note("MONITOR_SECRET is not set: RECONCILE_SECRET opens the monitor instead.")
        }
        _ => {
            Line::note("CRON_SECRET is not set: Vercel's own crons are refused. Fine with another scheduler.")
        }
    };
    for name in ["RECONCILE_SECRET", "MONITOR_SECRET", "CRON_SECRET"] {
        lines.push(match config.machine_secrets(name) {
            Err(error) => Line::wrong(error.to_string(), "openssl rand -hex 32, then set it and redeploy"),
            Ok(_) if !config.is_set(name) => absence(name),
            Ok(secrets) if secrets.len() > 1 => Line::note(format!(
                "{name}: set, and its predecessor still opens. Remove {name}_PREVIOUS when every caller has the new one."
            )),
            Ok(_) => Line::fine(format!("{name}: set")),
        });
    }
    lines
}

fn optional_settings(config: &Config) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut check = |result: Option<SettingError>| {
        lines.extend(result.map(|error| Line::wrong(error.to_string(), "docs/OPERATIONS.md, Settings")));
    };
    check(config.stripe_api_base().err());
    check(config.stripe_max_requests_per_second().err());
    check(config.reconcile_stale_after().err());
    check(config.high_severity_stale_after().err());
    check(config.dashboard_origin().err());
    check(config.log_level().err());
    match config.reconcile_budget() {
        Err(error) => check(Some(error)),
        Ok(budget) if budget.as_secs() > 285 => lines.push(Line::note(format!(
            "RECONCILE_BUDGET_SECONDS: {} s needs a maxDuration of {} s or more in vercel.json (Pro).",
            budget.as_secs(),
            budget.as_secs() + 15
        ))),
        Ok(_) => {}
    }
    match config.price_tiers() {
        Err(error) => lines.push(Line::wrong(error.to_string(), "docs/OPERATIONS.md, Settings")),
        Ok(tiers) if tiers.is_empty() => {
            lines.push(Line::note(
                "PRICE_TIERS is not set: tiers come from Stripe's metadata alone, or are left as they are.",
            ));
        }
        Ok(tiers) => lines.push(Line::fine(format!("PRICE_TIERS: {} prices", tiers.len()))),
    }
    match config.heartbeat_url() {
        Err(error) => lines.push(Line::wrong(error.to_string(), "an https address of a heartbeat service")),
        Ok(None) => lines.push(Line::note(
            "HEARTBEAT_URL is not set: nobody notices if the whole deployment stops. docs/OPERATIONS.md, Deploy, step 7.",
        )),
        Ok(Some(_)) => lines.push(Line::fine("HEARTBEAT_URL: set")),
    }
    lines
}

/// Whether the database answers, has the migrations, knows both keys, and when there was a run.
async fn database(context: &Context) -> Vec<Line> {
    #[derive(Deserialize)]
    struct Schema {
        #[serde(default)]
        version: u32,
    }
    let Ok(database) = context.supabase() else { return Vec::new() };
    let answer = database
        .call(Asker::Service, Retry::Safe, "billing_ops_schema", &json!({ "p_client": "doctor" }))
        .await
        .map_err(Refusal::from)
        .and_then(|verdict: Verdict<Schema>| verdict.admitted("schema"));
    let schema = match answer {
        Ok((_, schema)) => schema,
        Err(refusal) => return vec![refused_by_database(&refusal.into())],
    };
    let mut lines = vec![Line::fine(format!(
        "database: answers, accepts the secret key, has the migrations (schema version {})",
        schema.version
    ))];
    if context.config.supabase_publishable_key().is_ok() {
        let token = Secret::new(UNSIGNED_TOKEN);
        let answer: Result<Verdict<Schema>, _> = database
            .call(Asker::Person(&token), Retry::Safe, "admin_authorize", &json!({ "p_route": "resolve" }))
            .await;
        lines.push(judge_publishable_key(answer.map(|_| ()).map_err(ApiError::from)));
    }
    lines.push(match read_facts(database, Asker::Service, "doctor").await {
        Ok(facts) => last_run(&facts),
        Err(refusal) => refused_by_database(&refusal.into()),
    });
    lines
}

fn refused_by_database(error: &ApiError) -> Line {
    let remedy = match error.code {
        "not_configured" => "is the key of this very project? Supabase dashboard, Project Settings, API Keys",
        "database_unavailable" if error.message.contains("migrations") => {
            "npx supabase@3 db push; if that has been done, in the SQL editor: notify pgrst, 'reload schema'"
        }
        "database_unavailable" => "is SUPABASE_URL right, is the project paused? https://status.supabase.com",
        "rate_limited" => "wait for a minute",
        _ => "please report it",
    };
    let detail = error.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    Line::wrong(format!("database: {}{detail}", error.message), remedy)
}

/// PostgREST refuses the token with a code of its own; the gateway before it refuses a key that it does not know without one.
fn judge_publishable_key(answer: Result<(), ApiError>) -> Line {
    match answer {
        Err(error) if error.detail.as_deref().is_some_and(|detail| detail.contains("code PGRST3")) => {
            Line::fine("publishable key: accepted; a token that nobody signed is refused")
        }
        Err(error) if error.status == 401 => Line::wrong(
            "publishable key: Supabase does not accept it.",
            "is it of this very project? Supabase dashboard, Project Settings, API Keys",
        ),
        Err(error) => refused_by_database(&error),
        Ok(()) => Line::wrong(
            "publishable key: a token that nobody signed was accepted.",
            "nobody should ever see this: is SUPABASE_URL really a Supabase project?",
        ),
    }
}

fn last_run(facts: &Facts) -> Line {
    let now = facts.now.unwrap_or_else(Utc::now);
    let ago = |then: DateTime<Utc>| match now - then {
        age if age < TimeDelta::hours(2) => format!("{} minutes ago", age.num_minutes()),
        age => format!("{} hours ago", age.num_hours()),
    };
    match (facts.last_good_run_finished_at, facts.live_run_id) {
        (_, Some(_)) => Line::fine("runs: one is under way"),
        (Some(then), None) if now - then < TimeDelta::hours(2) => {
            Line::fine(format!("runs: the last good one ended {}", ago(then)))
        }
        (Some(then), None) => Line::wrong(
            format!("runs: the last good one ended {}.", ago(then)),
            "docs/OPERATIONS.md, Alerts, reconcile_stale",
        ),
        (None, None) => Line::note("runs: there has been none yet. scripts/smoke.sh makes the first one."),
    }
}

/// Which mode the Stripe key is of, and whether it may read what a run reads.
async fn stripe(context: &Context) -> Vec<Line> {
    let config = &context.config;
    let (Ok(secret), Ok(base), Ok(rate)) =
        (config.stripe_secret_key(), config.stripe_api_base(), config.stripe_max_requests_per_second())
    else {
        return Vec::new();
    };
    let Ok(key) = SecretKey::parse(secret.expose()) else { return Vec::new() };
    let retries = Retries { attempts: 2, timeout: Duration::from_secs(8), ..Retries::default() };
    let Ok(stripe) = Stripe::new(context.http().clone(), base, &key, f64::from(rate), retries) else {
        return Vec::new();
    };
    let mode = match key.mode() {
        Mode::Live => "live",
        Mode::Test => "test",
    };
    let mut lines = vec![if secret.expose().starts_with("rk_") {
        Line::fine(format!("Stripe key: restricted, {mode} mode"))
    } else {
        Line::note(format!(
            "Stripe key: {mode} mode, and it may do everything. A restricted key with two read permissions is enough."
        ))
    }];
    // A second's worth of each list: the permission is what is asked for.
    let (now, deadline) = (Utc::now().timestamp(), Instant::now() + PATIENCE);
    let window = Window { gte: now - 1, lt: now, starting_after: None };
    let subscriptions = stripe.subscriptions(&window, deadline).await.map(|_| ());
    lines.push(judge_permission("Subscriptions", subscriptions));
    let sessions = stripe.completed_sessions(now - 1, None, deadline).await.map(|_| ());
    lines.push(judge_permission("Checkout Sessions", sessions));
    lines
}

fn judge_permission(what: &str, answer: Result<(), StripeError>) -> Line {
    let remedy = match &answer {
        Ok(()) => return Line::fine(format!("Stripe: {what} can be read")),
        Err(StripeError::Unauthorized { .. }) => {
            "Stripe dashboard, Developers, API keys: is it revoked, expired, or restricted to addresses?"
        }
        Err(StripeError::MissingPermission { .. }) => {
            "Stripe dashboard, Developers, API keys, this key, Edit: set the permission to Read"
        }
        Err(error) if error.is_outage() => "https://status.stripe.com; is STRIPE_API_BASE set by mistake?",
        Err(_) => "is STRIPE_API_BASE set by mistake? Else please report it",
    };
    let sentence = answer.err().map(|error| error.to_string()).unwrap_or_default();
    Line::wrong(format!("Stripe: {what}: {sentence}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn good() -> Vec<(&'static str, &'static str)> {
        vec![
            ("SUPABASE_URL", "https://ref.supabase.co"),
            ("SUPABASE_SECRET_KEY", "sb_secret_canary"),
            ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_canary"),
            ("STRIPE_SECRET_KEY", "rk_test_canary"),
            ("RECONCILE_SECRET", "canary-reconcile-secret"),
            ("MONITOR_SECRET", "canary-monitor-secret"),
            ("CRON_SECRET", "canary-cron-secret"),
            ("HEARTBEAT_URL", "https://beats.example.com/canary"),
            ("PRICE_TIERS", r#"{"price_1": "pro"}"#),
        ]
    }

    #[test]
    fn good_settings_are_fine_and_no_line_shows_a_secret() {
        let lines = settings(&config(&good()));
        for line in &lines {
            assert!(matches!(line, Line::Fine(_)), "{line}");
            assert!(!line.to_string().contains("canary"), "{line}");
        }
    }

    #[test]
    fn each_missing_or_unfit_setting_is_one_wrong_line_with_a_remedy() {
        for name in [
            "SUPABASE_URL",
            "SUPABASE_SECRET_KEY",
            "SUPABASE_PUBLISHABLE_KEY",
            "STRIPE_SECRET_KEY",
            "RECONCILE_SECRET",
        ] {
            for value in [None, Some(""), Some("\u{e9}")] {
                let mut pairs = good();
                pairs.retain(|(other, _)| *other != name);
                pairs.extend(value.map(|value| (name, value)));
                let lines = settings(&config(&pairs));
                let wrong: Vec<_> = lines.iter().filter(|line| matches!(line, Line::Wrong { .. })).collect();
                assert_eq!(wrong.len(), 1, "{name} = {value:?}: {lines:?}");
                assert!(wrong[0].to_string().contains(name) && wrong[0].to_string().contains('→'));
            }
        }
    }

    #[test]
    fn what_is_left_out_on_purpose_is_a_note() {
        let pairs: Vec<_> = good()
            .into_iter()
            .filter(|(name, _)| {
                !["MONITOR_SECRET", "CRON_SECRET", "HEARTBEAT_URL", "PRICE_TIERS"].contains(name)
            })
            .collect();
        let lines = settings(&config(&pairs));
        assert_eq!(lines.iter().filter(|line| matches!(line, Line::Note(_))).count(), 4, "{lines:?}");
        assert!(!lines.iter().any(|line| matches!(line, Line::Wrong { .. })), "{lines:?}");
    }

    #[test]
    fn a_rotation_that_was_not_finished_is_told() {
        let mut pairs = good();
        pairs.push(("CRON_SECRET_PREVIOUS", "the-canary-before-this"));
        let lines = settings(&config(&pairs));
        assert!(
            lines.iter().any(|line| line.to_string().contains("Remove CRON_SECRET_PREVIOUS")),
            "{lines:?}"
        );
    }

    #[test]
    fn settings_are_read_as_vercel_writes_them() {
        let text =
            "# Created by Vercel CLI\nA=\"one two\"\nexport B='x=y'\nC=plain\n\nD=\"{\\\"price\\\": 1}\"\n";
        let read = parse_settings(text);
        let expected = [("A", "one two"), ("B", "x=y"), ("C", "plain"), ("D", r#"{"price": 1}"#)];
        assert_eq!(
            read,
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        );
    }

    #[test]
    fn a_refused_token_proves_the_key_and_a_refused_key_does_not() {
        let refusal = |detail: &str| Err(ApiError::unauthorized().with_detail(detail));
        let fine = judge_publishable_key(refusal("not authenticated: HTTP 401, code PGRST301"));
        assert!(matches!(fine, Line::Fine(_)), "{fine}");
        let wrong = judge_publishable_key(refusal("not authenticated: HTTP 401, code none"));
        assert!(matches!(wrong, Line::Wrong { .. }), "{wrong}");
    }
}
