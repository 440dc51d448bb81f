//! The simulator as its clients see it, in one program: linking it takes longer than running it.

mod clock;
mod common;
mod events;
mod faults;
mod generator;
mod lists;
mod receiver;
mod refusals;
mod shapes;
mod signatures;
mod webhooks;
