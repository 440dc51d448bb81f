//! Which mode the Stripe key is of, and whether it may read what a run reads.

use std::time::Duration;

use billing_ops::config::Config;
use billing_ops::context::Context;
use billing_ops::stripe::event::TYPES;
use billing_ops::stripe::pages::{EventsAsked, Window};
use billing_ops::stripe::{Mode, Retries, SecretKey, Stripe, StripeError};
use chrono::Utc;
use tokio::time::Instant;

use crate::line::Line;

/// How long all questions to Stripe may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks Stripe. Nothing is said where its settings are unfit: that has been said.
pub(crate) async fn examine(context: &Context) -> Vec<Line> {
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
            "Stripe key: {mode} mode, and it may do everything. A restricted key with two or three read permissions is enough."
        ))
    }];
    // A second's worth of each list: the permission is what is asked for.
    let (now, deadline) = (Utc::now().timestamp(), Instant::now() + PATIENCE);
    let window = Window { gte: now - 1, lt: now, starting_after: None };
    let subscriptions = stripe.subscriptions(&window, deadline).await.map(|_| ());
    lines.push(judge_permission("Subscriptions", subscriptions));
    let sessions = stripe.completed_sessions(now - 1, None, deadline).await.map(|_| ());
    lines.push(judge_permission("Checkout Sessions", sessions));
    let asked = EventsAsked {
        types: TYPES,
        created_gte: now - 1,
        created_lte: None,
        undelivered: false,
        starting_after: None,
    };
    let events = stripe.events(&asked, deadline).await.map(|_| ());
    lines.push(judge_events(config, events));
    lines
}

/// Nothing stands still without this permission, so that it is lacking is no failure.
fn judge_events(config: &Config, answer: Result<(), StripeError>) -> Line {
    if !matches!(answer, Err(StripeError::MissingPermission { .. })) {
        return judge_permission("Events", answer);
    }
    match (config.full_scan_every(), config.stripe_delivery_health()) {
        (Ok(hours @ 2..), _) => Line::note(format!(
            "Stripe: Events cannot be read, so FULL_SCAN_EVERY_HOURS={hours} has no effect: every run reads everything. \
             Give the key the permission Events: Read, or remove the setting."
        )),
        (_, Ok(false)) => Line::fine("Stripe: Events cannot be read, and nothing asks for them"),
        _ => Line::note(
            "Stripe: Events cannot be read: nobody hears of it when Stripe's webhooks do not arrive. Give the key the \
             permission Events: Read, or set STRIPE_DELIVERY_HEALTH=off.",
        ),
    }
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
    use stripe_simulator::{Config as SimulatorConfig, RESTRICTED_KEY, Simulator};

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Config {
        Config::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn lacking() -> Result<(), StripeError> {
        let permission = "Events: Read".to_owned();
        Err(StripeError::MissingPermission { permission, request_id: Default::default() })
    }

    #[test]
    fn events_that_cannot_be_read_are_told_where_something_asks_for_them() {
        for (pairs, expected) in [
            (&[][..], Some("STRIPE_DELIVERY_HEALTH=off")),
            (&[("FULL_SCAN_EVERY_HOURS", "6")], Some("FULL_SCAN_EVERY_HOURS=6 has no effect")),
            (
                &[("FULL_SCAN_EVERY_HOURS", "6"), ("STRIPE_DELIVERY_HEALTH", "off")],
                Some("FULL_SCAN_EVERY_HOURS=6 has no effect"),
            ),
            (&[("FULL_SCAN_EVERY_HOURS", "1"), ("STRIPE_DELIVERY_HEALTH", "off")], None),
        ] {
            let line = judge_events(&settings(pairs), lacking());
            match expected {
                Some(part) => assert!(matches!(&line, Line::Note(what) if what.contains(part)), "{line}"),
                None => assert!(matches!(line, Line::Fine(_)), "{line}"),
            }
        }
        let down = Err(StripeError::Deadline);
        assert!(matches!(judge_events(&settings(&[]), down), Line::Wrong { .. }), "which is not known then");
    }

    #[tokio::test]
    async fn what_the_key_may_read_is_a_line_each() {
        let simulator = Simulator::start(SimulatorConfig::default()).expect("a Stripe");
        let base = simulator.url();
        let context = Context::new(settings(&[
            ("STRIPE_SECRET_KEY", RESTRICTED_KEY),
            ("STRIPE_API_BASE", &base),
            ("FULL_SCAN_EVERY_HOURS", "24"),
        ]));
        let lines = examine(&context).await;
        assert!(
            matches!(lines[..], [Line::Fine(_), Line::Fine(_), Line::Fine(_), Line::Fine(_)]),
            "{lines:?}"
        );

        simulator.missing_permissions(&["rak_event_read"]);
        let lines = examine(&context).await;
        assert!(
            matches!(lines[..], [Line::Fine(_), Line::Fine(_), Line::Fine(_), Line::Note(_)]),
            "{lines:?}"
        );
        assert!(lines[3].to_string().contains("every run reads everything"), "{lines:?}");
        assert_eq!(simulator.stats().by_endpoint["/v1/events"], 2);
    }
}
