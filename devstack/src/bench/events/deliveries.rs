//! Stripe's own webhooks, pointed at the stack.

use anyhow::{Result, anyhow};
use stripe_simulator::{Outcome, WebhookEndpoint};

use super::company::Company;

/// Stripe tells the stack of every event from now on. Gives back the endpoint's id.
pub(super) fn subscribe(company: &Company) -> Result<String> {
    let at = company.stack.description();
    let url = format!("{}/api/stripe/events", company.stack.url());
    let endpoint = WebhookEndpoint::new(&url, &at.stripe_webhook_secret);
    company.simulator()?.webhook_endpoint(endpoint).map_err(|error| anyhow!(error))
}

/// How many events the endpoint has taken since counts began anew.
pub(super) fn taken(company: &Company, endpoint: &str) -> Result<u64> {
    let stats = company.simulator()?.stats();
    let outcomes = stats.deliveries.get(endpoint);
    Ok(outcomes.and_then(|outcomes| outcomes.get(&Outcome::Taken)).copied().unwrap_or(0))
}
