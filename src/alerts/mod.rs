//! Alerts: one episode of a condition each.
//!
//! - [`severity`]: how bad; [`condition`]: holds, clear or unknown, for the monitor and for runs.
//! - [`alert`]: an alert as admins see it; [`db`]: the pages they read, and what they do about one.

pub mod alert;
pub mod condition;
pub mod db;
pub mod severity;
