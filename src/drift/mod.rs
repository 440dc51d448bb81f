//! Drift: how a subscription at Stripe and its row differ, and what follows. Pure: values in, values out; no clock, no network.
//!
//! - [`class`]: what can differ, in words, and how bad it is.
//! - [`shape`]: which columns the app's table has; [`row`]: a row as it is read and written.
//! - [`terms`]: how this deployment reads Stripe's data; [`tiers`]: what prices stand for; [`access`]: what grants access; [`scope`]: which
//!   subscriptions are this application's.
//! - [`finding`]: one difference; [`compare`]: all differences of one subscription; [`missing`]: one of the two sides is missing.
//! - [`entry`]: a difference for as long as it stands, as admins see it.
//! - [`plan`]: from a comparison to repairs; [`policy`]: which of them are made; [`repair`]: what a batch asks of the database, and
//!   what became of it.

pub mod access;
pub mod class;
pub mod compare;
pub mod entry;
pub mod finding;
pub mod missing;
pub mod plan;
pub mod policy;
pub mod repair;
pub mod row;
pub mod scope;
pub mod shape;
pub mod terms;
pub mod tiers;

#[cfg(test)]
mod tests;
