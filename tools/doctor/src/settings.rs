//! The settings: how they are read from a file, and what they say by themselves.

use std::collections::BTreeMap;

use billing_ops::config::{Config, SettingError};
use billing_ops::secret::Secret;

use crate::line::Line;

/// `NAME=value` lines as `vercel env pull` writes them: comments, `export` and quotation marks around a value are taken off.
#[must_use]
pub fn parse(text: &str) -> BTreeMap<String, String> {
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
pub(crate) fn examine(config: &Config) -> Vec<Line> {
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
    check(config.sweep_incomplete_after().err());
    check(config.dashboard_origin().err());
    check(config.log_level().err());
    match config.reconcile_budget() {
        Err(error) => check(Some(error)),
        Ok(budget) if budget.as_secs() > 270 => lines.push(Line::note(format!(
            "RECONCILE_BUDGET_SECONDS: {} s needs a maxDuration of {} s or more in vercel.json (Pro).",
            budget.as_secs(),
            budget.as_secs() + 30
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
        let lines = examine(&config(&good()));
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
                let lines = examine(&config(&pairs));
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
        let lines = examine(&config(&pairs));
        assert_eq!(lines.iter().filter(|line| matches!(line, Line::Note(_))).count(), 4, "{lines:?}");
        assert!(!lines.iter().any(|line| matches!(line, Line::Wrong { .. })), "{lines:?}");
    }

    #[test]
    fn a_rotation_that_was_not_finished_is_told() {
        let mut pairs = good();
        pairs.push(("CRON_SECRET_PREVIOUS", "the-canary-before-this"));
        let lines = examine(&config(&pairs));
        assert!(
            lines.iter().any(|line| line.to_string().contains("Remove CRON_SECRET_PREVIOUS")),
            "{lines:?}"
        );
    }

    #[test]
    fn settings_are_read_as_vercel_writes_them() {
        let text =
            "# Created by Vercel CLI\nA=\"one two\"\nexport B='x=y'\nC=plain\n\nD=\"{\\\"price\\\": 1}\"\n";
        let read = parse(text);
        let expected = [("A", "one two"), ("B", "x=y"), ("C", "plain"), ("D", r#"{"price": 1}"#)];
        assert_eq!(
            read,
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        );
    }
}
