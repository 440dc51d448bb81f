//! A burst of events at one instance, as after an import or a change of prices: each is sent when its time has come, whether or not those
//! before it have been answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use stripe_simulator::SubscriptionFacts;
use tokio::time::{Instant, sleep, sleep_until};

use super::company::Company;
use super::intake::Sender;
use super::{Mode, crons};
use crate::bench::milliseconds;

/// The most that are under way at once; what comes while so many are waits, and that is counted.
const AT_ONCE: u32 = 200;
/// How often it is looked whether anything is due still, and for how long.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(900);

/// What became of a burst.
#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    taken: u32,
    refused: u32,
    /// No answer at all.
    lost: u32,
    slowest: Duration,
}

/// Measures, and prints a table.
pub(super) async fn run(
    company: &Company,
    subscriptions: &[SubscriptionFacts],
    seconds: u32,
    events: u32,
) -> Result<()> {
    println!(
        "\n| a burst, EVENTS_MODE | events | within | subscriptions | taken | refused | lost | slowest answer | nothing is due after |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for mode in [Mode::Verify, Mode::Apply] {
        company.configure(&[("EVENTS_MODE", mode.word())]).await?;
        company.database.batch_execute("delete from public.stripe_due").await?;
        let sender = Sender::new(company, subscriptions).await?;
        let until_nothing_is_due = async || {
            if mode == Mode::Verify {
                let burst = send(&sender, seconds, events).await?;
                return anyhow::Ok((burst, None));
            }
            // The rows are to follow, too.
            let changes = subscriptions.iter().take(events as usize);
            let changes =
                changes.map(|facts| company.one_seat_more(facts, true)).collect::<Result<Vec<_>>>()?;
            let burst = send(&sender, seconds, events).await?;
            let ended = Instant::now();
            while company.noted().await? > 0 {
                if ended.elapsed() > PATIENCE {
                    bail!("{} subscriptions are still due", company.noted().await?);
                }
                sleep(LOOK).await;
            }
            let took = ended.elapsed();
            let followed = company.followed(&changes).await?.len();
            if burst.taken == events && followed != changes.len() {
                bail!("of {} rows, {followed} have followed", changes.len());
            }
            Ok((burst, Some(took)))
        };
        let (burst, took) = tokio::select! {
            outcome = until_nothing_is_due() => outcome?,
            failed = crons::play(company) => match failed? {},
        };
        let Burst { taken, refused, lost, slowest } = burst;
        println!(
            "| `{}` | {events} | {seconds} s | {} | {taken} | {refused} | {lost} | {:.0} ms | {} |",
            mode.word(),
            subscriptions.len().min(events as usize),
            milliseconds(slowest),
            took.map_or_else(|| "–".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()))
        );
    }
    Ok(())
}

/// Sends so many events, evenly spread over the time. An answer's time runs from the moment at which its event was to be sent.
async fn send(sender: &Arc<Sender>, seconds: u32, events: u32) -> Result<Burst> {
    let began = Instant::now();
    let between = Duration::from_secs(seconds.into()) / events;
    let next = Arc::new(AtomicU32::new(0));
    let callers = (0..AT_ONCE).map(|_| {
        let (sender, next) = (sender.clone(), next.clone());
        tokio::spawn(async move {
            let mut burst = Burst::default();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= events {
                    return burst;
                }
                let due = began + between * place;
                sleep_until(due).await;
                match sender.send().await {
                    Ok(true) => burst.taken += 1,
                    Ok(false) => burst.refused += 1,
                    Err(_) => burst.lost += 1,
                }
                burst.slowest = burst.slowest.max(due.elapsed());
            }
        })
    });
    let mut all = Burst::default();
    for caller in callers.collect::<Vec<_>>() {
        let one = caller.await?;
        all = Burst {
            taken: all.taken + one.taken,
            refused: all.refused + one.refused,
            lost: all.lost + one.lost,
            slowest: all.slowest.max(one.slowest),
        };
    }
    Ok(all)
}
