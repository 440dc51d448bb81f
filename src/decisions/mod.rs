//! What people decide: approve a repair, take one back, let a difference stand; and what may happen without them.
//!
//! - [`approve`]: Stripe is read afresh, then compared with what was shown; `desk`: the engine's store for that.
//! - [`db`]: what is asked of the database, and revert, except and policies, which need nothing else.

pub mod approve;
pub mod db;
mod desk;
