//! What an hour asks of Stripe and of the database: where everything is read, where Stripe's events are listed, and where they came as
//! webhooks before. An hour is played in a moment: Stripe's clock is set back while things change, and runs are made to look as old.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use stripe_simulator::Stats;

use super::company::{Change, Company};
use super::{Mode, deliveries, heading};

/// Changes of a quiet hour.
const QUIET: u32 = 20;
/// Those of a busy one: a share of all, and never more than this.
const BUSY_SHARE: u32 = 50;
const BUSY_MOST: u32 = 5_000;
/// How often the five-minute cron comes in an hour.
const PASSES: u32 = 12;
/// The changes of an hour begin so many seconds before its end, and end when the run need not wait for the app's webhook any more.
const FIRST_CHANGE: i64 = 3_500;
const LAST_CHANGE: i64 = 180;
/// From one hour that is played to the next, in seconds. A run lists a while before its hour as well, where there is nothing then.
const BETWEEN: i64 = 7_200;
/// How long a process may take for what was sent to it.
const PATIENCE: Duration = Duration::from_secs(100);

/// How an hour follows Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Everything is read, every hour.
    Full,
    /// A day lies between full scans, and the run lists Stripe's events.
    Listed,
    /// The same, and Stripe has sent each event before.
    Sent,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "everything, every hour",
            Self::Listed => "events, listed",
            Self::Sent => "events, sent and listed",
        }
    }

    /// `FULL_SCAN_EVERY_HOURS`.
    fn full_every(self) -> &'static str {
        if self == Self::Full { "1" } else { "24" }
    }

    /// What its scheduled run is over.
    fn scope(self) -> &'static str {
        if self == Self::Full { "all" } else { "changed" }
    }
}

/// What an hour came to.
struct Hour {
    stripe: Stats,
    /// Database calls: of the intake, of the five-minute passes, and of the scheduled run.
    database: [u64; 3],
    /// How long the scheduled run took.
    wall: Duration,
}

/// Measures, and prints a table.
pub(super) async fn run(counts: &[u32], mut build: bool) -> Result<()> {
    let list = counts.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    heading(&format!("--only calls --subscriptions {list}"));
    println!(
        "| subscriptions | changes | the hour follows | Stripe calls | lists of subscriptions | single subscriptions | lists of events | \
         checkout sessions | database calls | intake | passes | run | the run's wall |"
    );
    println!("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for &count in counts {
        let company = Company::start(count, Mode::Verify, build).await?;
        build = false;
        let mut sizes = vec![QUIET, (count / BUSY_SHARE).min(BUSY_MOST)];
        // In a small company two in a hundred are no more than that.
        sizes.dedup();
        let ways = [Way::Full, Way::Listed, Way::Sent];
        let hours: Vec<_> = sizes.iter().flat_map(|many| ways.map(|way| (*many, way))).collect();
        for (place, (many, way)) in (1_i64..).zip(&hours) {
            let ago = BETWEEN * (i64::try_from(hours.len())? - place);
            let hour = measure(&company, *many, *way, ago).await?;
            println!("{}", row(count, *many, *way, &hour));
        }
        company.stack.stop().await;
    }
    Ok(())
}

fn row(count: u32, many: u32, way: Way, hour: &Hour) -> String {
    let of = |endpoint: &str| hour.stripe.by_endpoint.get(endpoint).copied().unwrap_or(0);
    let [intake, passes, run] = hour.database;
    format!(
        "| {count} | {many} | {} | {} | {} | {} | {} | {} | {} | {intake} | {passes} | {run} | {:.2} s |",
        way.name(),
        hour.stripe.requests,
        of("/v1/subscriptions"),
        of("/v1/subscriptions/{id}"),
        of("/v1/events"),
        of("/v1/checkout/sessions"),
        intake + passes + run,
        hour.wall.as_secs_f64()
    )
}

/// Plays an hour that ended so many seconds ago.
async fn measure(company: &Company, many: u32, way: Way, ago: i64) -> Result<Hour> {
    company.configure(&[("FULL_SCAN_EVERY_HOURS", way.full_every())]).await?;
    let simulator = company.simulator()?;
    let gateway = company.stack.gateway().context("the bench has a gateway")?;
    let endpoint = (way == Way::Sent).then(|| deliveries::subscribe(company)).transpose()?;
    simulator.pause_deliveries();
    let end = simulator.now() - ago;
    begin(company, end - 3_600).await?;
    let changes = change(company, many, end)?;
    simulator.reset_stats();
    gateway.control().reset();
    let asked = || gateway.control().requests().values().sum::<u64>();

    simulator.resume_deliveries();
    if let Some(endpoint) = endpoint {
        wait_for_deliveries(company, &endpoint, many).await?;
        // A process that took events makes passes of its own in time. Here time is not waited for, so the cron's do it all.
        company.configure(&[]).await?;
        grace_is_over(company).await?;
        simulator.remove_webhook_endpoint(&endpoint).map_err(|error| anyhow::anyhow!(error))?;
    }
    let intake = asked();
    let mut passes = 0;
    while passes < PASSES || company.noted().await? > 0 {
        company.call("/api/subscriptions/reconcile?scope=due").await?;
        a_minute_passes(company).await?;
        passes += 1;
    }
    let by_passes = asked() - intake;
    let started = Instant::now();
    company.run(way.scope()).await?;
    let wall = started.elapsed();
    let database = [intake, by_passes, asked() - intake - by_passes];

    let (followed, left) = (company.followed(&changes).await?.len(), company.noted().await?);
    if followed != changes.len() || left > 0 {
        bail!("of {} changes, the rows have followed {followed}, and {left} are still noted", changes.len());
    }
    Ok(Hour { stripe: simulator.stats(), database, wall })
}

/// So many subscriptions change, spread over the hour until `end`.
fn change(company: &Company, many: u32, end: i64) -> Result<Vec<Change>> {
    let simulator = company.simulator()?;
    let (now, began) = (simulator.now(), Instant::now());
    let subscriptions = company.take(many)?;
    let changes = subscriptions.iter().zip(0_i64..).map(|(facts, place)| {
        simulator.set_now(end - FIRST_CHANGE + (FIRST_CHANGE - LAST_CHANGE) * place / i64::from(many));
        company.one_seat_more(facts, false)
    });
    let changes = changes.collect();
    simulator.set_now(now + i64::try_from(began.elapsed().as_secs())?);
    changes
}

/// An hour begins: whatever was run, was run before, and events have been followed until then.
async fn begin(company: &Company, moment: i64) -> Result<()> {
    let runs = "update public.reconciliation_logs set run_key = 'earlier_' || id";
    company.database.batch_execute(runs).await?;
    let events =
        "update public.reconciliation_logs set events_to = to_timestamp($1) where events_to is not null";
    company.database.execute(events, &[&(moment as f64)]).await?;
    Ok(())
}

/// The next pass has a key of its own.
async fn a_minute_passes(company: &Company) -> Result<()> {
    let sql = "update public.reconciliation_logs set run_key = 'earlier_' || id where run_key like 'due\\_%'";
    Ok(company.database.batch_execute(sql).await?)
}

/// The app's own webhooks have had their time.
async fn grace_is_over(company: &Company) -> Result<()> {
    let sql = "update public.stripe_due set due_at = clock_timestamp()";
    Ok(company.database.batch_execute(sql).await?)
}

async fn wait_for_deliveries(company: &Company, endpoint: &str, many: u32) -> Result<()> {
    let began = Instant::now();
    while deliveries::taken(company, endpoint)? < u64::from(many) {
        if began.elapsed() > PATIENCE {
            bail!("{many} events are not taken within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
