//! What is right and wrong with a deployment, a line each, and what to do about what is wrong.
//!
//! | module | is |
//! | --- | --- |
//! | [`line`] | what a person is told |
//! | [`settings`] | the settings, and what they say by themselves |
//! | [`outside`] | a deployment as anyone on the internet can call it |
//!
//! [`examine`] reads and changes nothing, but that its calls are counted against the rate limits; [`outside`] does what a
//! cron call does. No line holds a secret.

mod adoption;
mod database;
pub mod line;
mod notifications;
pub mod outside;
pub mod settings;
mod stripe;

use billing_ops::config::Config;
use billing_ops::context::Context;

use line::Line;

/// Examines the deployment that has these settings: what they say by themselves, then its database and its Stripe key.
pub async fn examine(config: Config) -> Vec<Line> {
    let mut lines = settings::examine(&config);
    lines.extend(notifications::examine(&config));
    let context = Context::new(config);
    lines.extend(database::examine(&context).await);
    lines.extend(stripe::examine(&context).await);
    lines
}

/// Sends a test to each channel that these settings name, and tells what its receiver says.
pub async fn test_notifications(config: Config) -> Vec<Line> {
    notifications::test(&Context::new(config)).await
}
