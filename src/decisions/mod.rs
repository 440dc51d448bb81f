//! What people decide: to approve a repair, to take one back, to let a difference stand; and what may happen without them.
//!
//! - [`approve`]: Stripe is read afresh, then compared with what was shown; `desk`: the engine's store for that.
//! - [`db`]: the calls of the database; also revert, except and policies, which need nothing but such a call.

pub mod approve;
pub mod db;
mod desk;
