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
    lines.extend(events(config));
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
        "METRICS_SECRET" => {
            Line::note("METRICS_SECRET is not set: /api/metrics is closed. Fine without a Prometheus.")
        }
        _ => {
            Line::note("CRON_SECRET is not set: Vercel's own crons are refused. Fine with another scheduler.")
        }
    };
    for name in ["RECONCILE_SECRET", "MONITOR_SECRET", "CRON_SECRET", "METRICS_SECRET"] {
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

/// What the settings say of Stripe's events.
fn events(config: &Config) -> Vec<Line> {
    const REMEDY: &str = "docs/OPERATIONS.md, Events";
    let mut lines = Vec::new();
    let rotating = config.is_set("STRIPE_WEBHOOK_SECRET_PREVIOUS");
    match config.stripe_webhook_secrets() {
        Err(error) => lines.push(Line::wrong(error.to_string(), REMEDY)),
        Ok(secrets) if secrets.is_empty() => lines.push(Line::note(
            "STRIPE_WEBHOOK_SECRET is not set: no event of Stripe's is taken, and what changed is found by the hourly run.",
        )),
        Ok(secrets) => {
            let count = secrets.len();
            let set = format!("STRIPE_WEBHOOK_SECRET: set, {count} secret{}", if count == 1 { "" } else { "s" });
            lines.push(if rotating {
                Line::note(format!(
                    "{set} with those before. Remove STRIPE_WEBHOOK_SECRET_PREVIOUS when Stripe signs with them no more."
                ))
            } else {
                Line::fine(set)
            });
        }
    }
    match config.events_mode() {
        Err(error) => lines.push(Line::wrong(error.to_string(), REMEDY)),
        Ok(mode) if config.is_set("EVENTS_MODE") => {
            lines.push(Line::fine(format!("EVENTS_MODE: {}", mode.as_str())));
        }
        Ok(_) => {}
    }
    match config.full_scan_every() {
        Err(error) => lines.push(Line::wrong(error.to_string(), REMEDY)),
        Ok(1) => {}
        Ok(hours) => lines.push(Line::fine(format!("FULL_SCAN_EVERY_HOURS: {hours}"))),
    }
    if let Err(error) = config.stripe_delivery_health() {
        lines.push(Line::wrong(error.to_string(), REMEDY));
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
    // It is never less than what FULL_SCAN_EVERY_HOURS makes it; where that one is wrong, that has been said.
    check(config.full_scan_every().is_ok().then(|| config.sweep_incomplete_after().err()).flatten());
    check(config.dashboard_origin().err());
    check(config.notify_digest().err());
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
            "HEARTBEAT_URL is not set: nobody notices if the whole deployment stops. docs/OPERATIONS.md, Deploy, step 8.",
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
            ("METRICS_SECRET", "canary-metrics-secret"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_canary"),
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
                ![
                    "MONITOR_SECRET",
                    "CRON_SECRET",
                    "METRICS_SECRET",
                    "STRIPE_WEBHOOK_SECRET",
                    "HEARTBEAT_URL",
                    "PRICE_TIERS",
                ]
                .contains(name)
            })
            .collect();
        let lines = examine(&config(&pairs));
        assert_eq!(lines.iter().filter(|line| matches!(line, Line::Note(_))).count(), 6, "{lines:?}");
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
    fn of_what_stripe_signs_with_the_number_is_told_and_nothing_else() {
        let told = |pairs: &[(&str, &str)]| examine_events(pairs).remove(0).to_string();
        assert_eq!(
            told(&[("STRIPE_WEBHOOK_SECRET", "whsec_canary")]),
            "ok    STRIPE_WEBHOOK_SECRET: set, 1 secret"
        );
        let two = ("STRIPE_WEBHOOK_SECRET", "whsec_canary,whsec_canary2");
        assert_eq!(told(&[two]), "ok    STRIPE_WEBHOOK_SECRET: set, 2 secrets");
        let rotating = told(&[two, ("STRIPE_WEBHOOK_SECRET_PREVIOUS", "whsec_canary3")]);
        assert!(rotating.starts_with("note  STRIPE_WEBHOOK_SECRET: set, 3 secrets"), "{rotating}");
        assert!(rotating.contains("Remove STRIPE_WEBHOOK_SECRET_PREVIOUS"), "{rotating}");
        assert!(!rotating.contains("canary"), "{rotating}");
    }

    #[test]
    fn the_other_settings_of_events_are_told_where_they_are_not_the_default() {
        let lines = examine_events(&[("EVENTS_MODE", "apply"), ("FULL_SCAN_EVERY_HOURS", "6")]);
        let told: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(told[1..], ["ok    EVENTS_MODE: apply", "ok    FULL_SCAN_EVERY_HOURS: 6"]);
        assert_eq!(examine_events(&[]).len(), 1, "that no event is taken");
    }

    #[test]
    fn each_wrong_setting_of_events_is_one_line_that_does_not_show_it() {
        for name in [
            "STRIPE_WEBHOOK_SECRET",
            "STRIPE_WEBHOOK_SECRET_PREVIOUS",
            "EVENTS_MODE",
            "FULL_SCAN_EVERY_HOURS",
            "STRIPE_DELIVERY_HEALTH",
        ] {
            let mut pairs = good();
            pairs.retain(|(other, _)| *other != name);
            pairs.push((name, "canary"));
            let lines = examine(&config(&pairs));
            let wrong: Vec<_> = lines.iter().filter(|line| matches!(line, Line::Wrong { .. })).collect();
            assert_eq!(wrong.len(), 1, "{name}: {lines:?}");
            let told = wrong[0].to_string();
            assert!(told.contains(name) && !told.contains("canary"), "{told}");
        }
    }

    fn examine_events(pairs: &[(&str, &str)]) -> Vec<Line> {
        events(&config(pairs))
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
