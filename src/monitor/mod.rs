//! The watch over the reconciler.
//!
//! - [`judge`]: facts to outcomes of the conditions; [`db`]: the two calls; [`deliveries`]: what Stripe says of its webhooks;
//!   [`heartbeat`]: the watcher's watcher.

pub mod db;
pub mod deliveries;
pub mod heartbeat;
pub mod judge;
