//! The local stack: everything that billing-ops needs from a platform, on this machine.
//!
//! | module | is |
//! | --- | --- |
//! | [`process`] | child processes that cannot outlive this one |
//! | [`postgres`] | a Postgres of Debian's, from a cached template that has the migrations |
//! | [`keys`] | the keys and secrets of one stack, and the tokens they sign |
//! | [`gateway`] | a Supabase in front of that Postgres: REST, Auth, API keys, and faults on demand |
//! | [`settings`] | the functions' settings: made here, or found in the environment |
//! | [`functions`] | the function binaries, each on a port of its own, started again when they die |
//! | [`vercel`] | what `vercel.json` and `api/` say about routes and headers |
//! | [`router`] | the platform's edge: static files, then functions by path |
//! | [`adoption`] | which table is reconciled, where the app brings its own |
//! | [`people`] | the admin and the member whom every stack has |
//! | [`seeding`] | rows for the database that agree with the simulator, or don't |
//! | [`scratch`] | folders that end with the stack, even if it is killed |
//! | [`stack`] | all of it together, as `devstack up` and the tests start it |
//! | [`demo`] | the main job, for somebody to look at |
//! | [`bench`] | what runs, calls and cold starts cost, as tables |

pub mod adoption;
pub mod bench;
pub mod demo;
pub mod functions;
pub mod gateway;
pub mod keys;
pub mod people;
pub mod postgres;
pub mod process;
pub mod router;
pub mod scratch;
pub mod seeding;
pub mod settings;
pub mod stack;
pub mod vercel;

use std::path::PathBuf;

/// The root of the repository, where `Cargo.toml`, `vercel.json`, `api/` and `supabase/` are.
pub fn repository() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// A client for short calls to the stack itself.
///
/// # Errors
/// When TLS cannot be set up.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    // Somebody else in the process may have chosen already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    Ok(reqwest::Client::builder().user_agent("billing-ops-devstack").tcp_nodelay(true).build()?)
}
