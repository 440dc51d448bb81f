//! What is told to other programs.
//!
//! - [`metrics`]: numbers for a Prometheus; [`export`]: drift, its history and runs as CSV or as lines of JSON: pure.
//! - [`db`]: where both come from.

pub mod db;
pub mod export;
pub mod metrics;
