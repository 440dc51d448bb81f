//! Measurements, printed as Markdown tables. Commands and no tests: machines are noisy, and what says something is ratios
//! taken side by side on one machine. docs/PERFORMANCE.md has a set of them.
//!
//! * [`reconcile`]: what a run costs, beside a loop of retrieves.
//! * [`endpoints`]: what a function adds to the database call that it makes.
//! * [`cold_start`]: from the start of a process to its first answer.
//! * [`notify`]: from an alarm to its receivers.
//! * [`events`]: what following Stripe's events costs, and how soon a row follows.

pub mod cold_start;
mod duplicate;
pub mod endpoints;
pub mod events;
pub mod notify;
mod processor;
pub mod reconcile;

use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// A reconcile run over many subscriptions, beside a loop that retrieves one after the other.
    Reconcile(reconcile::Options),
    /// An endpoint that makes one database call, beside that call made directly.
    Endpoints(endpoints::Options),
    /// From the start of each function's process to its first answer.
    ColdStart(cold_start::Options),
    /// From the answer of the pass that raised an alarm to each receiver.
    Notify(notify::Options),
    /// What an hour costs that follows Stripe's events, how soon a row follows a change, and how many events are taken.
    Events(events::Options),
}

/// Measures, and prints a table.
///
/// # Errors
/// When a stack does not start, or what is measured does not do its work.
pub async fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Reconcile(options) => reconcile::run(options).await,
        Bench::Endpoints(options) => endpoints::run(options).await,
        Bench::ColdStart(options) => cold_start::run(options).await,
        Bench::Notify(options) => notify::run(options).await,
        Bench::Events(options) => events::run(options).await,
    }
}

/// Milliseconds, as a fraction.
fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The middle and the ninth of ten, of some times that are not none.
fn median_and_p90(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    (at(times, 0.5), at(times, 0.9))
}

/// The time at a share of the way through some that are in order and not none.
fn at(times: &[Duration], share: f64) -> Duration {
    times[((times.len() - 1) as f64 * share).round() as usize]
}
