//! Reconciling the database with Stripe.

pub mod windows;
