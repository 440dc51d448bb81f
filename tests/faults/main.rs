//! Stripe and the database fail in every way that they can: what a run does then, and what the next one makes good.

#[path = "../support/disturb.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]
mod disturb;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod coverage;
mod database;
mod monitor;
mod stripe;
