//! Tests of the stack itself, in one program: linking it takes longer than running it.

mod auth;
mod bench;
mod beside;
mod genuine;
mod keys;
mod rest;
mod rig;
mod router;
mod up;
