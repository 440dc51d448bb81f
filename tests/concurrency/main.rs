//! Many callers at once, and processes that die: what the database promises when everything happens at the same time.

mod alerts;
mod crash;
mod fencing;
mod model;
mod runs;
mod upsert_trap;
