//! Numbers for those who watch from outside: what a Prometheus reads.
//!
//! - [`metrics`]: from facts to the text, pure; [`db`]: where the facts come from.

pub mod db;
pub mod metrics;
