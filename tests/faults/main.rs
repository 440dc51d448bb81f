//! Stripe and the database fail in every way that they can: what a run does then, and what the next one makes good.

mod access;
mod coverage;
mod database;
mod monitor;
mod stripe;
