//! Watches the reconciler.
//!
//! - [`judge`]: turns facts into outcomes of the conditions; [`db`]: the two calls; [`deliveries`]: what Stripe says about its
//!   webhooks; [`heartbeat`]: calls the service that watches this watcher.

pub mod db;
pub mod deliveries;
pub mod heartbeat;
pub mod judge;
