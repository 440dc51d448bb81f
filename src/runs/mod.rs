//! Runs. Each is one attempt under a key.
//!
//! A run key names an hour, a minute or one request. The database takes at most one running row for a key and one in all;
//! `start_reconciliation_run` tells every outcome apart in one round trip.
//!
//! - [`key`]: what a run is for, and its key; [`run`]: a run as callers see it; [`answer`]: what the caller is told.
//! - [`db`]: how a run starts, and the pages that admins read; [`store`]: the engine's store, fenced by one attempt;
//!   [`read`]: what its reads return.
//! - [`perform`]: makes one run for one call.

pub mod answer;
pub mod db;
pub mod key;
pub mod perform;
pub mod read;
pub mod run;
pub mod store;
