//! One file for each endpoint: its route and methods, what it says of itself in the OpenAPI document, and how it answers.
//!
//! Refusals come in the same order everywhere: method, settings, credentials, body and parameters, then what the database
//! decides.

pub mod alerts;
pub mod attend;
pub mod config;
pub mod drift;
pub mod drift_approve;
pub mod drift_except;
pub mod drift_revert;
pub mod export;
pub mod health;
pub mod metrics;
pub mod monitor;
pub mod not_found;
pub mod notifications;
pub mod policies;
pub mod reconcile;
pub mod reconcile_now;
pub mod resolve;
pub mod run;
pub mod runs;
pub mod stripe_events;
