//! The receivers as their clients see them, in one program: linking it takes longer than running it.

mod common;
mod discord;
mod email;
mod faults;
mod pagerduty;
mod slack;
mod webhook;
