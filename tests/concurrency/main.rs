//! Many callers at once, and processes that die: what the database promises when everything happens at the same time.

#[path = "../support/disturb.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]
mod disturb;
#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod crash;
mod fencing;
mod model;
mod runs;
mod trap;
