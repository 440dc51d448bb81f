//! What a function adds to the database call that it makes: the call through it, beside the same call made directly. Both
//! sides alternate, so that a machine that slows down slows both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use super::duplicate::{Duplicate, ask};
use super::{median_and_p90, milliseconds};
use crate::stack::{self, Stack};

/// `devstack bench endpoints`.
#[derive(Debug, Args)]
pub struct Options {
    /// Calls of each side, one after the other.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    calls: u32,
    /// Connections of the second half.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Seconds of each side at so many connections.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Takes the functions as they are built already.
    #[arg(long)]
    no_build: bool,
}

/// How often the sides alternate at many connections.
const ROUNDS: u32 = 6;

#[derive(Clone, Copy)]
enum Side {
    Database,
    Function,
}

struct Bench {
    duplicate: Duplicate,
    function: String,
}

impl Bench {
    async fn ask(&self, side: Side) -> Result<()> {
        ask(match side {
            Side::Database => self.duplicate.of_database(),
            Side::Function => self.duplicate.of_function(&self.function),
        })
        .await
    }
}

/// Measures, and prints a table.
///
/// # Errors
/// When the stack does not start, or a call fails.
pub async fn run(options: Options) -> Result<()> {
    let settings = [("LOG_LEVEL".to_owned(), "warn".to_owned())].into();
    let stack =
        Stack::start(stack::Options { settings, build: !options.no_build, ..stack::Options::for_tests()? })
            .await?;
    let duplicate = Duplicate::of_a_run(&stack).await?;
    let reconcile = stack.functions().find("/api/subscriptions/reconcile").context("there is reconcile")?;
    let bench = Arc::new(Bench { duplicate, function: format!("http://{}", reconcile.address().await?) });

    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..options.calls {
        for (side, times) in [(Side::Database, &mut direct), (Side::Function, &mut through)] {
            let started = Instant::now();
            bench.ask(side).await?;
            times.push(started.elapsed());
        }
    }
    let (mut direct_served, mut through_served) = (0, 0);
    let share = Duration::from_secs(options.seconds.into()) / ROUNDS;
    for _ in 0..ROUNDS {
        direct_served += at_once(&bench, Side::Database, options.connections, share).await?;
        through_served += at_once(&bench, Side::Function, options.connections, share).await?;
    }
    stack.stop().await;

    let ((direct_p50, direct_p90), (p50, p90)) = (median_and_p90(&mut direct), median_and_p90(&mut through));
    let a_second = |served: u64| served as f64 / f64::from(options.seconds);
    println!("| a duplicate reconcile | p50 | p90 | requests/s at {} connections |", options.connections);
    println!("| --- | ---: | ---: | ---: |");
    let row = |name: &str, p50, p90, served| {
        println!(
            "| {name} | {:.2} ms | {:.2} ms | {:.0} |",
            milliseconds(p50),
            milliseconds(p90),
            a_second(served)
        );
    };
    row("the database call, made directly", direct_p50, direct_p90, direct_served);
    row("the function that makes it", p50, p90, through_served);
    println!(
        "| ratio | ×{:.2} | ×{:.2} | ×{:.2} |",
        p50.as_secs_f64() / direct_p50.as_secs_f64(),
        p90.as_secs_f64() / direct_p90.as_secs_f64(),
        through_served as f64 / direct_served as f64
    );
    Ok(())
}

/// How many calls are answered within `time`, so many at once.
async fn at_once(bench: &Arc<Bench>, side: Side, connections: u32, time: Duration) -> Result<u64> {
    let until = Instant::now() + time;
    let callers = (0..connections).map(|_| {
        let bench = bench.clone();
        tokio::spawn(async move {
            let mut answered = 0;
            while Instant::now() < until {
                bench.ask(side).await?;
                answered += 1;
            }
            anyhow::Ok(answered)
        })
    });
    let mut all = 0;
    for caller in callers.collect::<Vec<_>>() {
        all += caller.await??;
    }
    Ok(all)
}
