//! The local stack's commands.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use devstack::postgres::Migrations;
use devstack::settings::{self, External, Settings};
use devstack::stack::{Options, Stack, Stripe};
use tokio::signal::unix::{SignalKind, signal};

/// Everything that billing-ops needs from a platform, on this machine.
#[derive(Parser)]
#[command(name = "devstack")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the stack, prints one line of JSON when everything answers, and stays until SIGTERM or Ctrl-C.
    Up(Up),
}

#[derive(Args)]
struct Up {
    /// The deployment's port; a free one where it is taken.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// A server that speaks as Stripe does, instead of a simulator.
    #[arg(long, value_name = "URL")]
    stripe_base: Option<String>,
    /// Where the logs go; otherwise to a folder that is removed at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Takes the functions as they are built already.
    #[arg(long)]
    no_build: bool,
    /// How many subscriptions the simulator has.
    #[arg(long, default_value_t = 0)]
    subscriptions: u32,
    /// What the simulator's data is made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leaves the database without the simulator's subscriptions; otherwise it has a row for each.
    #[arg(long)]
    empty: bool,
    /// Shows the functions' output on standard error.
    #[arg(long)]
    verbose: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(up) => run_up(up).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devstack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_up(up: Up) -> Result<()> {
    let settings = settings::from_environment();
    let options = Options {
        port: up.port,
        stripe: stripe(&up, &settings)?,
        migrations: Migrations::Repository,
        people: true,
        fill: !up.empty,
        external: External::find(&settings, std::env::var("DATABASE_URL").ok())?,
        settings,
        folder: up.dir,
        build: !up.no_build,
        verbose: up.verbose,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let start = Stack::start(options);
    let stack = tokio::select! {
        stack = start => stack?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let line = serde_json::to_string(stack.description())?;
    writeln!(std::io::stdout(), "{line}").context("nobody reads the standard output")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stack.stop().await;
    Ok(())
}

fn stripe(up: &Up, settings: &Settings) -> Result<Stripe> {
    if let Some(base) = up.stripe_base.as_ref().or_else(|| settings.get("STRIPE_API_BASE")) {
        return Ok(Stripe::Base(base.clone()));
    }
    match settings.get("STRIPE_SECRET_KEY") {
        Some(key) if key.starts_with("sk_test_") || key.starts_with("rk_test_") => Ok(Stripe::Sandbox),
        Some(_) => bail!(
            "STRIPE_SECRET_KEY is not a test key (sk_test_… or rk_test_…): the local stack takes no other"
        ),
        None => Ok(Stripe::Simulator(stripe_simulator::Config {
            seed: up.seed,
            subscriptions: up.subscriptions,
            ..stripe_simulator::Config::default()
        })),
    }
}
