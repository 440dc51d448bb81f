//! What a reconcile run costs: time, calls of Stripe and of the database, memory of the function, and who spends the
//! processor's time. Beside it, in the same run, the loop that people write by hand: one retrieve after the other.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use stripe_simulator::{Fault, FaultKind, RateLimit, Simulator};

use super::processor::Spent;
use crate::adoption::read_mapping;
use crate::postgres::Migrations;
use crate::seeding::{self, Row};
use crate::settings::Settings;
use crate::stack::{self, Stack, Stripe};

/// How many subscriptions the loop retrieves: enough for a rate, as each costs the same.
const RETRIEVES: u32 = 500;
/// How many under a limit, where the limit is the rate.
const LIMITED_RETRIEVES: u32 = 50;
/// A rate that nothing here reaches.
const NO_LIMIT: u32 = 10_000;

/// `devstack bench reconcile`.
#[derive(Debug, Args)]
pub struct Options {
    /// How many subscriptions; several numbers make several runs.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000", value_parser = clap::value_parser!(u32).range(1..))]
    subscriptions: Vec<u32>,
    /// Stripe's limit in requests a second: what comes faster is refused. Without it there is none.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rps: Option<u32>,
    /// How long Stripe takes for each answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Starts with an empty table, so that every row is missing, instead of one that agrees. More than the circuit breaker lets through
    /// are put on record and not made.
    #[arg(long)]
    create: bool,
    /// An app's own SQL: its table is filled and reconciled instead of the default database's.
    #[arg(long, value_name = "FILE")]
    app_schema: Option<PathBuf>,
    /// The mapping (JSON) of the table that is adopted; with --create, its "writes" must be "update_and_insert".
    #[arg(long, value_name = "FILE")]
    adopt: Option<PathBuf>,
    /// Takes the functions as they are built already.
    #[arg(long)]
    no_build: bool,
}

/// Measures, and prints two tables.
///
/// # Errors
/// When a stack does not start, or a run does not end as `success`.
pub async fn run(options: Options) -> Result<()> {
    println!(
        "| subscriptions | limit | wall | subscriptions/s | × floor | Stripe calls | refused | database calls | peak memory | one by one | ratio |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut build = !options.no_build;
    let mut measured = Vec::new();
    for count in &options.subscriptions {
        let one = measure(*count, &options, build).await?;
        println!("{}", one.row(&options));
        measured.push(one);
        build = false;
    }
    println!("\nProcessor time for 1,000 subscriptions:\n");
    println!("| subscriptions | the function | Stripe's stand-in | PostgREST, or its stand-in | Postgres |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for one in &measured {
        println!("{}", one.processor_row());
    }
    Ok(())
}

/// One run and the loop beside it.
struct Measured {
    count: u32,
    wall: Duration,
    stripe_calls: u64,
    refused: u64,
    database_calls: u64,
    memory: f64,
    spent: Spent,
    /// Subscriptions a second of the loop.
    one_by_one: f64,
}

impl Measured {
    fn row(&self, options: &Options) -> String {
        let Self { count, stripe_calls, refused, database_calls, memory, one_by_one, .. } = self;
        let wall = self.wall.as_secs_f64();
        let rate = f64::from(*count) / wall;
        let limit = options.rps.map_or_else(|| "none".to_owned(), |limit| format!("{limit}/s"));
        let floor = options.rps.map_or_else(
            || "–".to_owned(),
            |limit| format!("{:.2}", wall / (calls_at_least(*count) / f64::from(limit))),
        );
        format!(
            "| {count} | {limit} | {wall:.2} s | {rate:.0} | {floor} | {stripe_calls} | {refused} | {database_calls} | \
             {memory:.1} MiB | {one_by_one:.0}/s | ×{:.0} |",
            rate / one_by_one
        )
    }

    fn processor_row(&self) -> String {
        let Spent { function, stripe, rest, postgres } = self.spent;
        let each = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e6 / f64::from(self.count));
        format!(
            "| {} | {} | {} | {} | {} |",
            self.count,
            each(function),
            each(stripe),
            each(rest),
            each(postgres)
        )
    }
}

/// Lists of 100: fewer calls cannot show all subscriptions.
fn calls_at_least(count: u32) -> f64 {
    f64::from(count.div_ceil(100))
}

async fn measure(count: u32, options: &Options, build: bool) -> Result<Measured> {
    let settings: Settings = [
        ("RECONCILE_BUDGET_SECONDS".to_owned(), "780".to_owned()),
        ("STRIPE_MAX_REQUESTS_PER_SECOND".to_owned(), options.rps.unwrap_or(NO_LIMIT).to_string()),
        ("LOG_LEVEL".to_owned(), "warn".to_owned()),
        // What is measured is the whole way, writing included.
        ("REPAIR_MODE".to_owned(), "auto".to_owned()),
    ]
    .into();
    let config = stripe_simulator::Config { subscriptions: count, ..stripe_simulator::Config::default() };
    let stack = Stack::start(stack::Options {
        stripe: Stripe::Simulator(config),
        migrations: Migrations::of(options.app_schema.as_deref())?,
        adopt: options.adopt.as_deref().map(read_mapping).transpose()?,
        fill: !options.create,
        settings,
        build,
        ..stack::Options::for_tests()?
    })
    .await?;
    let simulator = stack.simulator().context("the bench has a simulator")?;
    if options.create {
        let generator = simulator.generator();
        seeding::fill_owners(&stack.database().await?, generator.all().map(Row::of)).await?;
    }
    let gateway = stack.gateway().context("the bench has a gateway")?;
    simulator.rate_limit(options.rps.map(|limit| RateLimit::per_second(limit.into())));
    if options.latency > 0 {
        simulator.fault(Fault::new(FaultKind::Latency { milliseconds: options.latency }).count(None));
    }
    simulator.reset_stats();
    gateway.control().reset();

    let http = crate::http_client()?;
    let function = process_id(&stack).await?;
    let before = Spent::so_far(function)?;
    let started = Instant::now();
    let answer = http
        .post(format!("{}/api/subscriptions/reconcile", stack.url()))
        .bearer_auth(&stack.description().reconcile_secret)
        .timeout(Duration::from_secs(800))
        .send()
        .await?;
    let wall = started.elapsed();
    let (status, body): (_, Value) = (answer.status(), answer.json().await?);
    let spent = Spent::so_far(function)?.since(before);
    let ended_well = body["status"] == "success" || (options.create && body["status"] == "partial");
    if !status.is_success() || !ended_well {
        bail!("the run ended as {status}: {}", body["message"]);
    }
    let missing = if options.create { living(simulator) } else { 0 };
    check_counts(&body, count, missing)?;
    let stats = simulator.stats();
    let database_calls: u64 = gateway.control().requests().values().sum();
    let memory = peak_memory(function)?;
    let one_by_one = one_by_one(simulator, &http, count, options.rps).await?;
    stack.stop().await;
    Ok(Measured {
        count,
        wall,
        stripe_calls: stats.requests,
        refused: stats.rate_limited,
        database_calls,
        memory,
        spent,
        one_by_one,
    })
}

/// How many have not ended: only these can be missing.
fn living(simulator: &Simulator) -> u64 {
    let ended = ["canceled", "incomplete", "incomplete_expired"];
    simulator.generator().all().filter(|facts| !ended.contains(&facts.status)).count() as u64
}

/// A run that did less than it should have measures nothing.
fn check_counts(body: &Value, count: u32, missing: u64) -> Result<()> {
    let number = |name: &str| body[name].as_u64().with_context(|| format!("the answer has {name}"));
    let (scanned, skipped) = (number("scanned_count")?, number("skipped_count")?);
    let (created, held) = (number("created_count")?, number("held_count")?);
    // Those whose period began a moment ago are left to the next run: their webhook may be under way.
    let all_there = created + held <= missing && created + held + skipped >= missing;
    if scanned != u64::from(count) || !all_there {
        bail!("of {count}, {scanned} were read, {created} created, {held} held back and {skipped} skipped");
    }
    Ok(())
}

async fn process_id(stack: &Stack) -> Result<u32> {
    let function =
        stack.functions().find("/api/subscriptions/reconcile").context("there is a reconcile function")?;
    function.process_id().await.context("it runs")
}

/// The most memory that a process has had resident so far, in MiB.
fn peak_memory(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("Linux tells it")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

/// Subscriptions a second of a loop that retrieves one after the other, against the same simulator. It keeps to the limit:
/// otherwise it would be refused.
async fn one_by_one(
    simulator: &Simulator,
    http: &reqwest::Client,
    count: u32,
    limit: Option<u32>,
) -> Result<f64> {
    let generator = simulator.generator();
    let wanted = count.min(if limit.is_some() { LIMITED_RETRIEVES } else { RETRIEVES });
    let mut slots = limit.map(|limit| tokio::time::interval(Duration::from_secs(1) / limit));
    let started = Instant::now();
    for index in 0..wanted {
        if let Some(slots) = &mut slots {
            slots.tick().await;
        }
        let id = generator.facts(index).id;
        let answer = http
            .get(format!("{}/v1/subscriptions/{id}", simulator.url()))
            .bearer_auth(stripe_simulator::SECRET_KEY)
            .send()
            .await?
            .error_for_status()?;
        let _: Value = answer.json().await?;
    }
    Ok(f64::from(wanted) / started.elapsed().as_secs_f64())
}
