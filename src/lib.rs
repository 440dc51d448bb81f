//! billing-ops: reconciles Stripe with Supabase, watches that this happens, and raises each alarm exactly once.
//!
//! Pure where it decides, small where it acts:
//!
//! - [`config`]: every environment variable; [`context`]: the clients that are built from them; [`log`]: JSON lines.
//! - [`http`]: how a request is guarded and answered; [`auth`]: who calls; [`endpoints`]: the nine handlers.
//! - [`supabase`]: typed calls of the SQL functions that make every change of state.
//! - [`runs`]: run keys and the start of a run; [`reconcile`]: the run itself, on [`stripe`].
//! - [`run_answer`]: what the caller of a run is told; [`openapi`]: the document of it all.
//! - [`monitor`]: facts to outcomes of the monitoring conditions; [`alerts`]: what admins read and resolve.
//!
//! Each function under `api/` is a dozen lines that hand an endpoint to [`http::serve`].

pub mod alerts;
pub mod auth;
pub mod config;
pub mod context;
pub mod drift;
pub mod endpoints;
pub mod http;
pub mod log;
pub mod monitor;
pub mod openapi;
pub mod reconcile;
pub mod runs;
pub mod secret;
pub mod stripe;
pub mod supabase;
