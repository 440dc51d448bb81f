//! The local stack's commands.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use devstack::adoption::read_mapping;
use devstack::postgres::Migrations;
use devstack::settings::{self, External, Settings};
use devstack::stack::{Options, Stack, Stripe};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Everything that billing-ops needs from a platform, on this machine.
#[derive(Parser)]
#[command(name = "devstack")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, side by side; best with a release build: cargo run -p devstack --release -- bench reconcile.
    Bench {
        #[command(subcommand)]
        what: devstack::bench::Bench,
    },
    /// Starts the stack, prints one line of JSON when everything answers, and stays until SIGTERM or Ctrl-C.
    Up(Up),
    /// Plays the main job on a stack: drift is found and repaired, alerts come and go. Stays up for a look.
    Demo(Demo),
}

#[derive(Args)]
struct Demo {
    /// The deployment's port; a free one where it is taken.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Ends after the last step, with a failure if any step failed.
    #[arg(long)]
    once: bool,
    /// What the simulator's data is made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the logs go; otherwise to a folder that is removed at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Takes the functions as they are built already.
    #[arg(long)]
    no_build: bool,
    /// Shows the functions' output on standard error.
    #[arg(long)]
    verbose: bool,
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
    /// An app's own SQL, applied first; billing-ops is then installed beside it.
    #[arg(long, value_name = "FILE")]
    app_schema: Option<PathBuf>,
    /// The mapping (JSON) of the table that is adopted. Beside an app, without it, what the database finds by itself.
    #[arg(long, value_name = "FILE")]
    adopt: Option<PathBuf>,
    /// Shows the functions' output on standard error.
    #[arg(long)]
    verbose: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Bench { what } => devstack::bench::run(what).await,
        Command::Up(up) => run_up(up).await,
        Command::Demo(demo) => run_demo(demo).await,
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
        stripe: stripe(up.stripe_base.as_ref(), &settings, up.seed, up.subscriptions)?,
        migrations: Migrations::of(up.app_schema.as_deref())?,
        adopt: up.adopt.as_deref().map(read_mapping).transpose()?,
        postgrest: settings::postgrest(),
        people: true,
        fill: !up.empty,
        external: External::find(&settings, std::env::var("DATABASE_URL").ok())?,
        settings,
        folder: up.dir,
        build: !up.no_build,
        verbose: up.verbose,
    };
    let mut signals = Signals::listen()?;
    let Some(stack) = signals.until_told(Stack::start(options)).await? else { return Ok(()) };
    let line = serde_json::to_string(stack.description())?;
    writeln!(std::io::stdout(), "{line}").context("nobody reads the standard output")?;
    signals.until_told(std::future::pending::<Result<()>>()).await?;
    stack.stop().await;
    Ok(())
}

async fn run_demo(demo: Demo) -> Result<()> {
    let settings = settings::from_environment();
    let options = Options {
        port: demo.port,
        stripe: stripe(None, &settings, demo.seed, devstack::demo::SUBSCRIPTIONS)?,
        // The tables that the checklist speaks of are the app's: billing-ops is installed beside them.
        migrations: Migrations::of(Some(&devstack::repository().join(devstack::demo::APP)))?,
        adopt: None,
        postgrest: settings::postgrest(),
        people: true,
        fill: false,
        external: External::find(&settings, std::env::var("DATABASE_URL").ok())?,
        settings,
        folder: demo.dir,
        build: !demo.no_build,
        verbose: demo.verbose,
    };
    let mut signals = Signals::listen()?;
    let Some(played) = signals.until_told(devstack::demo::play(options)).await? else {
        return Ok(());
    };
    if !demo.once {
        println!("    It stays up until Ctrl-C.");
        signals.until_told(std::future::pending::<Result<()>>()).await?;
    }
    let succeeded = played.succeeded;
    played.stack.stop().await;
    if demo.once && !succeeded {
        bail!("the demonstration failed");
    }
    Ok(())
}

/// What asks this program to end. Listened to from the start: a signal between two waits must not be lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Runs `work` to its end, or until SIGTERM or Ctrl-C: then there is no outcome.
    async fn until_told<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
        tokio::select! {
            outcome = work => outcome.map(Some),
            _ = self.terminate.recv() => Ok(None),
            _ = self.interrupt.recv() => Ok(None),
        }
    }
}

/// Where the functions find Stripe: where they are told to, at Stripe itself with a test key, or in a simulator.
fn stripe(base: Option<&String>, settings: &Settings, seed: u64, subscriptions: u32) -> Result<Stripe> {
    if let Some(base) = base.or_else(|| settings.get("STRIPE_API_BASE")) {
        return Ok(Stripe::Base(base.clone()));
    }
    match settings.get("STRIPE_SECRET_KEY") {
        Some(key) if key.starts_with("sk_test_") || key.starts_with("rk_test_") => Ok(Stripe::Sandbox),
        Some(_) => bail!(
            "STRIPE_SECRET_KEY is not a test key (sk_test_… or rk_test_…): the local stack takes no other"
        ),
        None => Ok(Stripe::Simulator(stripe_simulator::Config {
            seed,
            subscriptions,
            ..stripe_simulator::Config::default()
        })),
    }
}
