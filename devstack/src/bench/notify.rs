//! From the answer of the pass that raised an alarm to the moment at which each receiver has taken it: receivers on this machine, so
//! that what is measured is billing-ops and not the internet.

use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use clap::Args;
use receivers::Receivers;
use serde_json::json;

use super::{median_and_p90, milliseconds};
use crate::stack::{self, Stack};

/// `devstack bench notify`.
#[derive(Debug, Args)]
pub struct Options {
    /// Alarms, one after the other.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    alarms: u32,
    /// Takes the functions as they are built already.
    #[arg(long)]
    no_build: bool,
}

/// Measures, and prints a table.
///
/// # Errors
/// When the stack does not start, a call fails, or an alarm does not arrive.
pub async fn run(options: Options) -> Result<()> {
    let receivers = Receivers::start()?;
    let mut settings: crate::settings::Settings =
        receivers.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    settings.insert("LOG_LEVEL".to_owned(), "warn".to_owned());
    let stack =
        Stack::start(stack::Options { settings, build: !options.no_build, ..stack::Options::for_tests()? })
            .await?;
    let (database, http, at) = (stack.database().await?, crate::http_client()?, stack.description().clone());
    let mut times = vec![Vec::new(); receivers::RECEIVERS.len()];
    for number in 0..options.alarms {
        // The caps are for people: here an hour goes by between two alarms.
        database
            .batch_execute("update public.notification_deliveries set last_attempt_at = last_attempt_at - interval '2 hours'")
            .await?;
        // Each receiver shows the one or the other first.
        let key = format!("bench {number:04}");
        let outcomes = json!([{ "alert_key": key.replace(' ', "_"), "alert_type": "bench", "state": "holds", "severity": "critical",
                                "message": format!("{key} is only measured.") }]);
        let raised = http
            .post(format!("{}/rpc/apply_monitor_outcomes", at.rest_url))
            .header("apikey", &at.secret_key)
            .json(&json!({ "p_outcomes": outcomes }))
            .send()
            .await?;
        let pass = http
            .post(format!("{}/api/admin/billing-alerts/monitor", stack.url()))
            .bearer_auth(&at.monitor_secret)
            .header("x-devstack-client-ip", format!("10.0.{}.{}", number / 250, number % 250))
            .send()
            .await?;
        if !raised.status().is_success() || !pass.status().is_success() {
            bail!("the alarm: {}; the pass: {}", raised.status(), pass.status());
        }
        let answered = SystemTime::now();
        for (place, receiver) in receivers::RECEIVERS.iter().enumerate() {
            let all = receivers
                .wait_until("the alarm arrives", |all| {
                    all.iter()
                        .any(|one| one.receiver == *receiver && one.accepted && one.title().contains(&key))
                })
                .await;
            let arrived = all.iter().rfind(|one| one.receiver == *receiver && one.title().contains(&key));
            // One may be there before the answer has been read.
            times[place].push(
                arrived.map_or(Duration::ZERO, |one| one.at.duration_since(answered).unwrap_or_default()),
            );
        }
    }
    stack.stop().await;

    println!("| from the pass's answer to the receiver | p50 | p90 | most |");
    println!("| --- | ---: | ---: | ---: |");
    for (receiver, times) in receivers::RECEIVERS.iter().zip(&mut times) {
        let (p50, p90) = median_and_p90(times);
        let most = times.last().copied().unwrap_or_default();
        println!(
            "| {receiver} | {:.1} ms | {:.1} ms | {:.1} ms |",
            milliseconds(p50),
            milliseconds(p90),
            milliseconds(most)
        );
    }
    Ok(())
}
