//! Which mode the Stripe key is of, and whether it may read what a run reads.

use std::time::Duration;

use billing_ops::context::Context;
use billing_ops::stripe::pages::Window;
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
