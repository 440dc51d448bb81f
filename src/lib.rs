//! billing-ops: reconciles Stripe with Supabase, watches that this happens, and raises each alarm exactly once.
//!
//! Pure where it decides, small where it acts. `docs/ARCHITECTURE.md` lists the rooms (modules) from the ground up, and a test
//! checks that each uses only those below it. A request comes in through [`http::serve`], which hands it to one of the
//! [`endpoints`]. Those call [`runs`], [`monitor`] or [`alerts`]. A run is [`reconcile`], which compares by [`drift`].
//!
//! Each function under `api/` is a dozen lines that hand an endpoint to [`http::serve`].
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod alerts;
pub mod auth;
pub mod config;
pub mod context;
pub mod decisions;
pub mod drift;
pub mod endpoints;
pub mod episodes;
pub mod events;
pub mod http;
pub mod log;
pub mod monitor;
pub mod notify;
pub mod openapi;
pub mod reconcile;
pub mod report;
pub mod runs;
pub mod secret;
pub mod stripe;
pub mod supabase;
