//! The watch over the reconciler.
//!
//! - [`judge`]: facts to outcomes of the conditions; [`db`]: the two calls; [`heartbeat`]: the watcher's watcher.

pub mod db;
pub mod heartbeat;
pub mod judge;
