//! From a change at Stripe to the row that agrees with it again: by Stripe's own webhooks, in real time, with the platform's cron at
//! work. Where the app's webhook goes first, that is two minutes for every change.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use stripe_simulator::SubscriptionFacts;

use super::company::{Change, Company};
use super::{Mode, crons, deliveries, heading};
use crate::bench::at;

/// How often the rows are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long after the last change a row may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// How many changes, and what lies between two.
fn pace(mode: Mode) -> (u32, Duration) {
    match mode {
        Mode::Apply => (200, Duration::from_millis(300)),
        Mode::Verify => (30, Duration::from_secs(8)),
    }
}

/// Measures, and prints a table.
pub(super) async fn run(count: u32, only: Option<Mode>, changes: Option<u32>, build: bool) -> Result<()> {
    let mode = only.map(|only| format!(" --mode {}", only.word())).unwrap_or_default();
    let many = changes.map(|many| format!(" --changes {many}")).unwrap_or_default();
    heading(&format!("--only latency --subscriptions {count}{mode}{many}"));
    println!("| EVENTS_MODE | changes | within | p50 | p90 | p99 | most | the bench took |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut build = build;
    for mode in [Mode::Apply, Mode::Verify] {
        if only.is_some_and(|only| only != mode) {
            continue;
        }
        let (usual, between) = pace(mode);
        let many = changes.unwrap_or(usual);
        let began = Instant::now();
        let company = Company::start(count, mode, build).await?;
        build = false;
        deliveries::subscribe(&company)?;
        let subscriptions = company.take(many)?;
        let mut times = tokio::select! {
            times = watch(&company, &subscriptions, between) => times?,
            failed = crons::play(&company) => match failed? {},
        };
        company.stack.stop().await;
        times.sort_unstable();
        let [p50, p90, p99, most] = [0.5, 0.9, 0.99, 1.0].map(|share| at(&times, share).as_secs_f64());
        println!(
            "| `{}` | {many} | {:.0} s | {p50:.2} s | {p90:.2} s | {p99:.2} s | {most:.2} s | {:.0} s |",
            mode.word(),
            (between * many).as_secs_f64(),
            began.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// Makes the changes, one after the other, and looks at the rows all the while. Answers how long each row took.
async fn watch(
    company: &Company,
    subscriptions: &[SubscriptionFacts],
    between: Duration,
) -> Result<Vec<Duration>> {
    let mut coming = subscriptions.iter();
    let mut waiting: Vec<(Change, Instant)> = Vec::new();
    let mut times = Vec::new();
    let mut next = Instant::now();
    while times.len() < subscriptions.len() {
        if Instant::now() >= next
            && let Some(facts) = coming.next()
        {
            let changed_at = Instant::now();
            waiting.push((company.one_seat_more(facts, false)?, changed_at));
            next += between;
        }
        let changes: Vec<Change> = waiting.iter().map(|(change, _)| change.clone()).collect();
        let followed = company.followed(&changes).await?;
        let now = Instant::now();
        waiting.retain(|(change, changed_at)| {
            let stays = !followed.contains(&change.id);
            if !stays {
                times.push(now - *changed_at);
            }
            stays
        });
        if now > next + PATIENCE {
            bail!("{} rows do not follow", waiting.len());
        }
        tokio::time::sleep(LOOK.min(next.saturating_duration_since(now).max(Duration::from_millis(1)))).await;
    }
    Ok(times)
}
