//! The reconciliation engine against the Stripe simulator and a database in memory that keeps the promises of the real
//! one: compare-and-set, one row for a subscription, findings by key, fencing.

#![allow(clippy::unwrap_used, reason = "clippy counts the helpers of tests as no tests")]
#![allow(unreachable_pub, reason = "nothing outside a test binary can reach what its modules share")]

mod agreement;
mod breaker;
mod client;
mod drift;
mod due;
mod failure;
mod independent;
mod modes;
mod owners;
mod place;
mod property;
mod replaced;
mod resume;
mod standing;
mod store;
mod stream;
mod world;
