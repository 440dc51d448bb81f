//! A year in an hour: a company whose webhooks get lost now and then, an oracle that knows who has paid, and a run every hour.
//!
//! It counts the owner-hours in which somebody who pays was locked out, somebody who does not was let in, or somebody had the wrong
//! tier or seats, by cause (`ledger.rs`). billing-ops may cause none, and what a lost webhook has caused is over with the next sweep.
//!
//! `scripts/year.sh` plays whole years; a failure names the seed and the hour, and the same seed plays the same year.

#![allow(clippy::unwrap_used, reason = "clippy counts the helpers of tests as no tests")]
#![allow(unreachable_pub, reason = "nothing outside a test binary can reach what its modules share")]

mod app;
mod company;
mod ledger;
mod life;
mod oracle;
mod play;
mod report;
mod runs;
mod table;
mod webhook;

use futures::stream::{StreamExt as _, iter};

use table::Shape;

async fn a_month(shape: Shape, seed: u64, follows: bool) {
    let years = [play::play(shape, seed, 30 * 24, follows).await];
    println!("{}\n{}{}", report::HEAD, report::line(&years[0]), report::causes(&years));
    report::assert_harmless(&years);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_with_many_rows_an_owner_harms_nobody() {
    a_month(Shape::ManyRows, 3, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_with_one_row_for_each_owner_harms_nobody() {
    a_month(Shape::OneRow, 3, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_the_app_by_vercel_harms_nobody() {
    a_month(Shape::Vercel, 3, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_in_which_events_are_followed_at_once_harms_nobody() {
    a_month(Shape::OneRow, 4, true).await;
}

/// As many years as `YEAR_SEEDS` (`1..20`, or `7`), of `YEAR_HOURS` hours, over `YEAR_SHAPES` (`many_rows one_row vercel`),
/// `YEAR_AT_ONCE` at a time; with `YEAR_EVENTS=on` billing-ops follows
/// Stripe's events between its runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes as long as it is told to: scripts/year.sh"]
async fn whole_years_harm_nobody() {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let number =
        |name: &str, text: &str| -> u64 { text.parse().unwrap_or_else(|_| panic!("{name} is no number")) };
    let seeds = setting("YEAR_SEEDS", "1..20");
    let (from, to) = seeds.split_once("..").unwrap_or((&seeds, &seeds));
    let seeds = number("YEAR_SEEDS", from)..=number("YEAR_SEEDS", to);
    let hours = number("YEAR_HOURS", &setting("YEAR_HOURS", "8760")) as i64;
    let follows = setting("YEAR_EVENTS", "off") == "on";
    let at_once = number("YEAR_AT_ONCE", &setting("YEAR_AT_ONCE", "2")) as usize;
    let shapes = setting("YEAR_SHAPES", "many_rows one_row vercel");
    let shapes =
        Shape::ALL.into_iter().filter(|shape| shapes.split_whitespace().any(|name| name == shape.name()));

    println!("{}", report::HEAD);
    let years = shapes.flat_map(|shape| seeds.clone().map(move |seed| (shape, seed)));
    let years = iter(years)
        .map(|(shape, seed)| tokio::spawn(play::play(shape, seed, hours, follows)))
        .buffered(at_once);
    let years: Vec<play::Year> = years
        .map(|year| year.expect("a year ends"))
        .inspect(|year| println!("{}", report::line(year)))
        .collect()
        .await;
    println!("{}", report::causes(&years));
    report::assert_harmless(&years);
}
