//! Alerts. Each is one episode of a condition.
//!
//! - [`severity`]: how bad an alert is; [`condition`]: holds, clear or unknown, for the monitor and for runs.
//! - [`alert`]: an alert as admins see it; [`db`]: the pages that they read, and what they do about an alert.

pub mod alert;
pub mod condition;
pub mod db;
pub mod severity;
