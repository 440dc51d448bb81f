//! Reconciling the database with Stripe.

pub mod drift;
pub mod finding;
pub mod plan;
pub mod row;
pub mod windows;
