//! JSON lines on standard output: one for each request and each step of a run. Never a secret, a token or an e-mail address.

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Config;

/// Starts logging, and turns panics into log lines. Called once, before anything else.
///
/// Only this crate is logged below `warn`: HTTP clients print headers, and so keys, when they are asked for details.
pub fn start(config: &Config) {
    let level = LevelFilter::from_level(config.log_level().unwrap_or(tracing::Level::INFO));
    let ours = Targets::new().with_target("billing_ops", level).with_default(level.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(std::io::stdout)
        .with_filter(ours);
    // A second start, as in tests that run two functions in one process, keeps the first.
    let _ = tracing_subscriber::registry().with(lines).try_init();

    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // The place and no payload: a message that was formatted from data could hold a customer's.
        tracing::error!(place, "panicked");
    }));
}
