//! Following Stripe's events, in three parts. Each prints a table below the command that gives it.
//!
//! - `calls`: what an hour asks of Stripe and of the database, beside an hour that reads everything.
//! - `latency`: from a change at Stripe to the row that agrees with it again.
//! - `intake`: how many events one instance takes, and what becomes of a burst.

mod burst;
mod calls;
mod company;
mod crons;
mod deliveries;
mod intake;
mod latency;

use anyhow::Result;
use clap::{Args, ValueEnum};

/// `devstack bench events`.
#[derive(Debug, Args)]
pub struct Options {
    /// One part alone.
    #[arg(long)]
    only: Option<Part>,
    /// How many subscriptions; several numbers make several tables of calls. The other parts take the first.
    #[arg(long, value_delimiter = ',', default_value = "1000,100000", value_parser = clap::value_parser!(u32).range(100..))]
    subscriptions: Vec<u32>,
    /// From a change to its row in one mode alone.
    #[arg(long)]
    mode: Option<Mode>,
    /// Changes of each mode; without it 200 that are followed at once, and 30 that are not.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200))]
    changes: Option<u32>,
    /// Seconds of each measurement of the intake, and of a burst.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Events of a burst.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// Takes the functions as they are built already.
    #[arg(long)]
    no_build: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Calls of an hour.
    Calls,
    /// From a change to the repaired row.
    Latency,
    /// Events that one instance takes.
    Intake,
}

/// The words of `EVENTS_MODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The app's own webhook goes first.
    Verify,
    /// The row follows at once.
    Apply,
}

impl Mode {
    /// The word of the setting.
    fn word(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Apply => "apply",
        }
    }
}

/// Measures, and prints the tables.
///
/// # Errors
/// When a stack does not start, or what is measured does not do its work.
pub async fn run(options: Options) -> Result<()> {
    let mut build = !options.no_build;
    for part in [Part::Calls, Part::Latency, Part::Intake] {
        if options.only.is_some_and(|only| only != part) {
            continue;
        }
        let count = options.subscriptions[0];
        match part {
            Part::Calls => calls::run(&options.subscriptions, build).await?,
            Part::Latency => latency::run(count, options.mode, options.changes, build).await?,
            Part::Intake => intake::run(count, options.seconds, options.burst, build).await?,
        }
        build = false;
    }
    Ok(())
}

/// Says which command gives the table below.
fn heading(arguments: &str) {
    println!("\n`cargo run -p devstack --release -- bench events {arguments}`\n");
}
