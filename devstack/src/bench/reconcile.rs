//! What a sweep over everything costs, in one run or in several that resume: time, calls of Stripe and of the database, memory of the
//! function, what the database grows by, and who spends the processor's time. Beside it, against the same simulator, the loop that
//! people write by hand: one retrieve after the other.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use stripe_simulator::{Fault, FaultKind, RateLimit, Simulator, SubscriptionChange};

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
/// How long ago the changes were that an hour's run follows, in seconds.
const CHANGED_AGO: i64 = 300;
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
    /// How long a run may take, in seconds. What does not fit is gone on with by further runs, until everything was looked at.
    #[arg(long, default_value_t = 780, value_parser = clap::value_parser!(u32).range(6..=780))]
    budget: u32,
    /// How often everything is looked at: the first sweep sees each subscription for the first time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    sweeps: u32,
    /// After the sweeps, so many subscriptions change, and an hour's run follows Stripe's events instead of reading everything.
    #[arg(long, value_name = "CHANGES", value_parser = clap::value_parser!(u32).range(1..))]
    follow: Option<u32>,
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
/// When a stack does not start, or a run does not end as it should.
pub async fn run(options: Options) -> Result<()> {
    println!(
        "| subscriptions | what | runs | limit | wall | subscriptions/s | × floor | Stripe calls | refused | database calls | peak memory | \
         largest cursor | the database grew by | one by one | ratio |"
    );
    println!(
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let mut build = !options.no_build;
    let mut processor = Vec::new();
    for count in &options.subscriptions {
        let bench = Bench::start(*count, &options, build).await?;
        build = false;
        let mut sweeps = Vec::new();
        for _ in 0..options.sweeps {
            sweeps.push(bench.sweep().await?);
        }
        let one_by_one = bench.one_by_one().await?;
        for (sweep, place) in sweeps.into_iter().zip(1..) {
            println!("{}", bench.row(&sweep, place, one_by_one));
            processor.push(bench.processor_row(&sweep, place));
        }
        if let Some(changes) = options.follow {
            println!("{}", bench.follow(changes).await?);
        }
        bench.stack.stop().await;
    }
    println!("\nProcessor time for 1,000 subscriptions:\n");
    println!(
        "| subscriptions | sweep | the function | Stripe's stand-in | PostgREST, or its stand-in | Postgres |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    processor.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// A stack to measure.
struct Bench<'a> {
    count: u32,
    options: &'a Options,
    stack: Stack,
    database: Client,
    http: reqwest::Client,
}

/// What one look at everything came to.
#[derive(Default)]
struct Sweep {
    runs: u32,
    wall: Duration,
    stripe_calls: u64,
    refused: u64,
    database_calls: u64,
    /// The most memory that the function has had since it began, in MiB.
    memory: f64,
    /// The largest that a run handed on to the next, in bytes.
    cursor: i64,
    /// What the database grew by, in bytes.
    growth: i64,
    spent: Spent,
}

/// Lists of 100: fewer calls cannot show all subscriptions.
fn calls_at_least(count: u32) -> f64 {
    f64::from(count.div_ceil(100))
}

impl<'a> Bench<'a> {
    async fn start(count: u32, options: &'a Options, build: bool) -> Result<Self> {
        let settings: Settings = [
            ("RECONCILE_BUDGET_SECONDS".to_owned(), options.budget.to_string()),
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
        let database = stack.database().await?;
        let bench = Self { count, options, database, http: crate::http_client()?, stack };
        let simulator = bench.simulator()?;
        if options.create {
            seeding::fill_owners(&bench.database, simulator.generator().all().map(Row::of)).await?;
        }
        simulator.rate_limit(options.rps.map(|limit| RateLimit::per_second(limit.into())));
        if options.latency > 0 {
            simulator.fault(Fault::new(FaultKind::Latency { milliseconds: options.latency }).count(None));
        }
        Ok(bench)
    }

    fn simulator(&self) -> Result<&Simulator> {
        self.stack.simulator().context("the bench has a simulator")
    }

    /// Calls of Stripe and of the database are counted from now on.
    fn count_anew(&self) -> Result<()> {
        self.simulator()?.reset_stats();
        self.stack.gateway().context("the bench has a gateway")?.control().reset();
        Ok(())
    }

    fn database_calls(&self) -> Result<u64> {
        Ok(self.stack.gateway().context("the bench has a gateway")?.control().requests().values().sum())
    }

    /// Runs, until one has got to the end of everything.
    async fn sweep(&self) -> Result<Sweep> {
        self.count_anew()?;
        let function = process_id(&self.stack).await?;
        let (spent, size) = (Spent::so_far(function)?, self.size().await?);
        let mut sweep = Sweep::default();
        let mut scanned = 0;
        loop {
            let (body, wall) = self.run().await?;
            sweep.runs += 1;
            sweep.wall += wall;
            scanned += number(&body, "scanned_count")?;
            let Some(cursor) = self.cursor(&body).await? else {
                self.check(&body, scanned, sweep.runs)?;
                break;
            };
            sweep.cursor = sweep.cursor.max(cursor);
        }
        let stats = self.simulator()?.stats();
        Ok(Sweep {
            stripe_calls: stats.requests,
            refused: stats.rate_limited,
            database_calls: self.database_calls()?,
            memory: peak_memory(function)?,
            growth: self.size().await? - size,
            spent: Spent::so_far(function)?.since(spent),
            ..sweep
        })
    }

    /// One run, with a key of its own: its answer, and how long it took.
    async fn run(&self) -> Result<(Value, Duration)> {
        // What ran before makes way for the key of the hour.
        let earlier = "update public.reconciliation_logs set run_key = 'earlier_' || id";
        self.database.batch_execute(earlier).await?;
        let started = Instant::now();
        let answer = self
            .http
            .post(format!("{}/api/subscriptions/reconcile", self.stack.url()))
            .bearer_auth(&self.stack.description().reconcile_secret)
            .timeout(Duration::from_secs(800))
            .send()
            .await?;
        let wall = started.elapsed();
        let (status, body): (_, Value) = (answer.status(), answer.json().await?);
        if !status.is_success() {
            bail!("the run ended as {status}: {}", body["message"]);
        }
        Ok((body, wall))
    }

    /// What a run hands on to the next, in bytes; none if it looked at everything.
    async fn cursor(&self, body: &Value) -> Result<Option<i64>> {
        let id: Uuid = body["reconciliation_log_id"].as_str().context("the answer has an id")?.parse()?;
        let sql = "select octet_length(cursor::text)::bigint from public.reconciliation_logs where id = $1";
        Ok(self.database.query_one(sql, &[&id]).await?.get(0))
    }

    /// Bytes of the database.
    async fn size(&self) -> Result<i64> {
        let sql = "select pg_database_size(current_database())";
        Ok(self.database.query_one(sql, &[]).await?.get(0))
    }

    /// A sweep that did less than it should have measures nothing. `body` is of the run that ended it.
    fn check(&self, body: &Value, scanned: u64, runs: u32) -> Result<()> {
        let create = self.options.create;
        if body["status"] != "success" && !(create && body["status"] == "partial") {
            bail!("the run ended as {}: {}", body["status"], body["message"]);
        }
        // A run reads ahead of what it writes, and the next one reads that again.
        let all = u64::from(self.count);
        if scanned < all || (runs == 1 && scanned > all) {
            bail!("of {all} subscriptions, {scanned} were read");
        }
        if runs > 1 {
            return Ok(());
        }
        let missing = if create { living(self.simulator()?) } else { 0 };
        let (created, held) = (number(body, "created_count")?, number(body, "held_count")?);
        let skipped = number(body, "skipped_count")?;
        // Those whose period began a moment ago are left to the next run: their webhook may be under way.
        if created + held > missing || created + held + skipped < missing {
            bail!("of {missing}, {created} were created, {held} held back and {skipped} skipped");
        }
        Ok(())
    }

    /// Some subscriptions get a seat more, and an hour's run follows the events that Stripe made of that: a row of the table.
    async fn follow(&self, changes: u32) -> Result<String> {
        self.stack.functions().configure(&[("FULL_SCAN_EVERY_HOURS", Some("24"))]).await;
        self.stack.functions().start_all().await?;
        let simulator = self.simulator()?;
        let generator = simulator.generator();
        // So long ago that the app's own webhooks have had their time, and not so long that the run would not list it any more.
        let (now, began) = (simulator.now(), Instant::now());
        simulator.set_now(now - CHANGED_AGO);
        for facts in generator.all().filter(|facts| facts.status == "active").take(changes as usize) {
            let change =
                SubscriptionChange { quantity: Some(facts.quantity + 1), ..SubscriptionChange::default() };
            simulator.patch_subscription(&facts.id, change).map_err(|error| anyhow::anyhow!(error))?;
        }
        simulator.set_now(now + i64::try_from(began.elapsed().as_secs())?);
        self.count_anew()?;
        let function = process_id(&self.stack).await?;
        let (body, wall) = self.run().await?;
        if body["scope"] != "changed" || number(&body, "updated_count")? != u64::from(changes) {
            bail!("{changes} changed, and the run that was to follow them says {body}");
        }
        let stats = simulator.stats();
        Ok(format!(
            "| {} | an hour with {changes} changes | 1 | {} | {:.2} s | – | – | {} | {} | {} | {:.1} MiB | – | – | – | – |",
            self.count,
            self.limit(),
            wall.as_secs_f64(),
            stats.requests,
            stats.rate_limited,
            self.database_calls()?,
            peak_memory(function)?
        ))
    }

    fn limit(&self) -> String {
        self.options.rps.map_or_else(|| "none".to_owned(), |limit| format!("{limit}/s"))
    }

    fn row(&self, sweep: &Sweep, place: u32, one_by_one: f64) -> String {
        let Sweep { runs, stripe_calls, refused, database_calls, memory, .. } = sweep;
        let wall = sweep.wall.as_secs_f64();
        let rate = f64::from(self.count) / wall;
        let floor = self.options.rps.map_or_else(
            || "–".to_owned(),
            |limit| format!("{:.2}", wall / (calls_at_least(self.count) / f64::from(limit))),
        );
        let cursor = if sweep.cursor > 0 { format!("{} B", sweep.cursor) } else { "–".to_owned() };
        format!(
            "| {} | sweep {place} | {runs} | {} | {wall:.2} s | {rate:.0} | {floor} | {stripe_calls} | {refused} | {database_calls} | \
             {memory:.1} MiB | {cursor} | {:.1} MiB | {one_by_one:.0}/s | ×{:.0} |",
            self.count,
            self.limit(),
            sweep.growth as f64 / f64::from(1 << 20),
            rate / one_by_one
        )
    }

    fn processor_row(&self, sweep: &Sweep, place: u32) -> String {
        let Spent { function, stripe, rest, postgres } = sweep.spent;
        let each = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e6 / f64::from(self.count));
        format!(
            "| {} | {place} | {} | {} | {} | {} |",
            self.count,
            each(function),
            each(stripe),
            each(rest),
            each(postgres)
        )
    }

    /// Subscriptions a second of a loop that retrieves one after the other, against the same simulator. It keeps to the limit:
    /// otherwise it would be refused.
    async fn one_by_one(&self) -> Result<f64> {
        let (simulator, limit) = (self.simulator()?, self.options.rps);
        let generator = simulator.generator();
        let wanted = self.count.min(if limit.is_some() { LIMITED_RETRIEVES } else { RETRIEVES });
        let mut slots = limit.map(|limit| tokio::time::interval(Duration::from_secs(1) / limit));
        let started = Instant::now();
        for index in 0..wanted {
            if let Some(slots) = &mut slots {
                slots.tick().await;
            }
            let id = generator.facts(index).id;
            let answer = self
                .http
                .get(format!("{}/v1/subscriptions/{id}", simulator.url()))
                .bearer_auth(stripe_simulator::SECRET_KEY)
                .send()
                .await?
                .error_for_status()?;
            let _: Value = answer.json().await?;
        }
        Ok(f64::from(wanted) / started.elapsed().as_secs_f64())
    }
}

fn number(body: &Value, name: &str) -> Result<u64> {
    body[name].as_u64().with_context(|| format!("the answer has {name}"))
}

/// How many have not ended: only these can be missing.
fn living(simulator: &Simulator) -> u64 {
    let ended = ["canceled", "incomplete", "incomplete_expired"];
    simulator.generator().all().filter(|facts| !ended.contains(&facts.status)).count() as u64
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
