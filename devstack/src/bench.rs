//! What a reconcile run costs: time, calls of Stripe and of the database, memory of the function. Beside it, in the same
//! run, what the loop costs that people write by hand: one retrieve after the other.
//!
//! A command and no test: machines are noisy, and ratios taken side by side on one machine are what says something.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::postgres::Migrations;
use crate::settings::Settings;
use crate::stack::{Options, Stack, Stripe};

/// How many subscriptions the loop retrieves: enough for a rate, as each costs the same.
const RETRIEVES: u32 = 500;

/// `devstack bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// How many subscriptions; several numbers make several runs.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    subscriptions: Vec<u32>,
    /// Stripe's limit in requests a second, refused beyond; without it there is none.
    #[arg(long)]
    rps: Option<u32>,
    /// Starts with an empty table, so that every row is created, instead of one that agrees.
    #[arg(long)]
    create: bool,
    /// Takes the functions as they are built already.
    #[arg(long)]
    no_build: bool,
}

/// Runs the bench and prints a table in Markdown.
///
/// # Errors
/// When a stack does not start, or a run does not end as `success`.
pub async fn run(bench: Bench) -> Result<()> {
    println!(
        "| subscriptions | limit | wall | subscriptions/s | Stripe calls | floor at the limit | database calls | peak memory | one by one | ratio |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut build = !bench.no_build;
    for count in &bench.subscriptions {
        println!("{}", measure(*count, &bench, build).await?);
        build = false;
    }
    Ok(())
}

async fn measure(count: u32, bench: &Bench, build: bool) -> Result<String> {
    let rate = bench.rps.unwrap_or(10_000);
    let settings: Settings = [
        ("RECONCILE_BUDGET_SECONDS".to_owned(), "780".to_owned()),
        ("STRIPE_MAX_REQUESTS_PER_SECOND".to_owned(), rate.to_string()),
        ("LOG_LEVEL".to_owned(), "warn".to_owned()),
    ]
    .into();
    let config = stripe_simulator::Config { subscriptions: count, ..stripe_simulator::Config::default() };
    let stack = Stack::start(Options {
        stripe: Stripe::Simulator(config),
        fill: !bench.create,
        settings,
        migrations: Migrations::Repository,
        build,
        ..Options::for_tests()?
    })
    .await?;
    if bench.create {
        add_organizations(&stack).await?;
    }
    let simulator = stack.simulator().context("the bench has a simulator")?;
    let gateway = stack.gateway().context("the bench has a gateway")?;
    simulator.reset_stats();
    gateway.control().reset();

    let http = crate::http_client()?;
    let started = Instant::now();
    let answer = http
        .post(format!("{}/api/subscriptions/reconcile", stack.url()))
        .bearer_auth(&stack.description().reconcile_secret)
        .timeout(Duration::from_secs(800))
        .send()
        .await?;
    let wall = started.elapsed();
    let (status, body): (_, Value) = (answer.status(), answer.json().await?);
    if !status.is_success() || body["status"] != "success" {
        bail!("the run ended as {status}: {}", body["message"]);
    }
    let expected = if bench.create { "created_count" } else { "scanned_count" };
    if body[expected] != count {
        bail!("{expected} is {}, not {count}", body[expected]);
    }
    let stripe_calls = simulator.stats().requests;
    let database_calls: u64 = gateway.control().requests().values().sum();
    let memory = peak_memory(&stack).await?;
    let retrieve_rate = one_by_one(&stack, &http, count).await?;
    stack.stop().await;

    let rate_of_run = f64::from(count) / wall.as_secs_f64();
    let floor = bench.rps.map_or_else(
        || "–".to_owned(),
        |limit| {
            let floor = stripe_calls_at_least(count) / f64::from(limit);
            format!("{floor:.1} s (×{:.2})", wall.as_secs_f64() / floor.max(f64::EPSILON))
        },
    );
    let limit = bench.rps.map_or_else(|| "none".to_owned(), |limit| format!("{limit}/s"));
    Ok(format!(
        "| {count} | {limit} | {:.2} s | {rate_of_run:.0} | {stripe_calls} | {floor} | {database_calls} | {memory:.1} MiB | {retrieve_rate:.0}/s | ×{:.0} |",
        wall.as_secs_f64(),
        rate_of_run / retrieve_rate
    ))
}

/// Lists of 100: fewer calls cannot show all subscriptions.
fn stripe_calls_at_least(count: u32) -> f64 {
    f64::from(count.div_ceil(100))
}

/// The organizations of the simulator's subscriptions, without their rows.
async fn add_organizations(stack: &Stack) -> Result<()> {
    let generator = stack.simulator().context("the bench has a simulator")?.generator();
    let database = stack.database().await?;
    let ids: Vec<String> = generator.all().map(|facts| facts.organization_id).collect();
    for chunk in ids.chunks(10_000) {
        database
            .execute(
                "insert into public.organizations (id, name) select id::uuid, 'bench' from unnest($1::text[]) id on conflict do nothing",
                &[&chunk],
            )
            .await?;
    }
    Ok(())
}

/// The most memory that the reconcile function has had resident so far, in MiB.
async fn peak_memory(stack: &Stack) -> Result<f64> {
    let function = stack
        .functions()
        .iter()
        .find(|function| function.source.binary == "reconcile")
        .context("there is a reconcile function")?;
    let id = function.process_id().await.context("it runs")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("Linux tells it")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

/// Subscriptions a second of a loop that retrieves one after the other, against the same simulator and without any limit.
async fn one_by_one(stack: &Stack, http: &reqwest::Client, count: u32) -> Result<f64> {
    let simulator = stack.simulator().context("the bench has a simulator")?;
    let generator = simulator.generator();
    let wanted = count.min(RETRIEVES);
    let started = Instant::now();
    for index in 0..wanted {
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
