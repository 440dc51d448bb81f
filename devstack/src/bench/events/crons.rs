//! A stand-in for the platform's cron, which the local stack has none of: it plays what vercel.json asks for every five minutes.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::company::Company;
use crate::vercel::Configuration;

/// The schedule that is played, and what lies between two calls of it.
const SCHEDULE: &str = "*/5 * * * *";
const BETWEEN: u64 = 300;

/// Calls at every full five minutes of the clock, until it is dropped. An error is a call's that was not answered well.
pub(super) async fn play(company: &Company) -> Result<Infallible> {
    let crons = Configuration::read(&crate::repository())?.crons;
    let paths: Vec<String> =
        crons.into_iter().filter(|cron| cron.schedule == SCHEDULE).map(|cron| cron.path).collect();
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let next = Duration::from_secs((now.as_secs() / BETWEEN + 1) * BETWEEN);
        tokio::time::sleep(next.saturating_sub(now)).await;
        for path in &paths {
            company.call(path).await?;
        }
    }
}
