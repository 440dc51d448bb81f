//! A Supabase in front of the stack's Postgres, as far as billing-ops and its dashboard use one.
//!
//! * `/rest/v1/*`: PostgREST. A genuine one where there is one ([`postgrest`]). Otherwise postrust stands in for it in this
//!   process, corrected where it differs ([`rest`]); calls of functions take a path of our own ([`rpc`] says why).
//! * `/auth/v1/*`: enough of Supabase Auth for `@supabase/auth-js` ([`auth`]).
//! * `/_control/*`: what tests need and Supabase has not: counters, faults, the inbox ([`control`]).

pub mod api_keys;
pub mod auth;
mod catalog;
pub mod control;
mod listener;
mod postgrest;
mod refusal;
mod rest;
mod rpc;
mod sessions;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use postrust_server::AppState;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

use crate::keys::Keys;
use crate::postgres::Postgres;
pub(crate) use auth::session_claims;
use control::Control;
pub use postgrest::Program;
pub(crate) use postgrest::RECOVERY as GENUINE_RECOVERY;
use postgrest::{Postgrest, Proxy};

/// Connections that PostgREST keeps, as hosted projects of the smallest size configure it.
const REST_CONNECTIONS: usize = 10;

/// The most rows that one answer holds, as hosted.
pub(crate) const MAX_ROWS: usize = 1000;

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// How long the stand-in may go without an answer once Postgres is back: it connects anew at the next request.
const STAND_IN_RECOVERY: Duration = Duration::from_secs(2);

/// A running gateway; dropping it stops it.
#[derive(Debug)]
pub struct Gateway {
    url: String,
    control: Arc<Control>,
    tasks: Vec<JoinHandle<()>>,
    postgrest: Option<Postgrest>,
}

/// What every handler shares.
pub(crate) struct Shared {
    pub(crate) url: String,
    pub(crate) keys: Keys,
    pub(crate) control: Arc<Control>,
    /// Answers `/rest/v1` where there is a genuine PostgREST; tokens of `/auth/v1` are verified by postrust all the same.
    genuine: Option<Proxy>,
    pub(crate) postrust: Arc<AppState>,
    pub(crate) catalog: catalog::Catalog,
    pub(crate) rest_pool: Pool,
    pub(crate) auth_pool: Pool,
    pub(crate) sessions: sessions::Sessions,
    /// Milliseconds a statement may take, by role; the authenticator's where a role has none.
    pub(crate) timeouts: catalog::Timeouts,
}

impl Gateway {
    /// Serves `postgres` on a free port of 127.0.0.1, with `keys` and with the PostgREST that `genuine` is, if there is one.
    ///
    /// # Errors
    /// When the database is not reachable or lacks what `sql/platform.sql` makes, or PostgREST does not start.
    pub async fn start(postgres: &Postgres, keys: Keys, genuine: Option<&Program>) -> Result<Gateway> {
        let postgrest = match genuine {
            Some(program) => Some(Postgrest::start(program, postgres, &keys).await?),
            None => None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let control = Arc::new(Control::default());
        let rest_pool = pool(postgres, "authenticator", REST_CONNECTIONS)?;
        let timeouts = catalog::Timeouts::read(&rest_pool).await?;
        let catalog = catalog::Catalog::load(&rest_pool).await?;
        let mut tasks = Vec::new();
        if postgrest.is_none() {
            tasks.push(tokio::spawn(catalog.clone().follow(postgres.socket_config("authenticator"))));
        }
        let postrust = postrust_server::build(
            postrust_config(postgres, &keys, &timeouts)?,
            postrust_server::Host::SERVER,
        )
        .await
        .context("postrust does not start")?
        .state;
        let shared = Arc::new(Shared {
            url: url.clone(),
            keys,
            control: control.clone(),
            genuine: postgrest.as_ref().map(|postgrest| postgrest.proxy.clone()),
            postrust,
            catalog,
            rest_pool,
            auth_pool: pool(postgres, "supabase_auth_admin", 4)?,
            sessions: sessions::Sessions::default(),
            timeouts,
        });
        tasks.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener::Listener(listener), routes(shared)).await {
                eprintln!("devstack: the gateway stopped: {error}");
            }
        }));
        Ok(Gateway { url, control, tasks, postgrest })
    }

    /// Supabase's URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What answers `/rest/v1`: PostgREST's `Server` header, or the stand-in's name and version.
    pub fn postgrest(&self) -> String {
        match &self.postgrest {
            Some(postgrest) => postgrest.name.clone(),
            None => format!("postrust/{}", postrust_core::VERSION),
        }
    }

    /// How long `/rest/v1` may go without an answer once Postgres is back.
    pub fn recovery(&self) -> Duration {
        if self.postgrest.is_some() { GENUINE_RECOVERY } else { STAND_IN_RECOVERY }
    }

    /// Counters, faults and the inbox.
    pub fn control(&self) -> &Control {
        &self.control
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/rest/v1", any(rest::handle))
        .route("/rest/v1/", any(rest::handle))
        .route("/rest/v1/{*path}", any(rest::handle))
        .nest("/auth/v1", auth::routes(&shared))
        .nest("/_control", control::routes())
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                axum::Json(serde_json::json!({"message": "no Route matched with those values"})),
            )
        })
        .layer(axum::middleware::from_fn_with_state(shared.clone(), count_and_allow_origins))
        .with_state(shared)
}

/// Counts every request, and answers cross-origin questions as Supabase does: everyone may ask, keys decide.
async fn count_and_allow_origins(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let cross_origin = request.headers().contains_key(header::ORIGIN);
    if request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return preflight(request.headers());
    }
    shared.control.count(request.method(), request.uri().path());
    let mut response = next.run(request).await;
    if cross_origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, \
                 Transfer-Encoding, Range-Unit, X-Total-Count, Link, X-Supabase-Api-Version",
            ),
        );
    }
    response
}

fn preflight(headers: &HeaderMap) -> Response {
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"),
    );
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("*")));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

fn pool(postgres: &Postgres, role: &str, size: usize) -> Result<Pool> {
    let manager = Manager::from_config(
        postgres.socket_config(role),
        NoTls,
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let ten_seconds = Some(Duration::from_secs(10));
    Ok(Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(ten_seconds)
        .create_timeout(ten_seconds)
        .build()?)
}

fn postrust_config(
    postgres: &Postgres,
    keys: &Keys,
    timeouts: &catalog::Timeouts,
) -> Result<postrust_core::AppConfig> {
    let mut config = postrust_core::AppConfig::try_from_vars([
        ("PGRST_DB_SCHEMAS", "public"),
        ("PGRST_DB_EXTRA_SEARCH_PATH", "public, extensions"),
        ("PGRST_DB_ANON_ROLE", "anon"),
        ("PGRST_DB_CHANNEL_ENABLED", "true"),
        ("PGRST_COMPAT_MODE", "true"),
    ])?;
    config.db_uri = postgres.socket_url("authenticator");
    config.db_pool_size = u32::try_from(REST_CONNECTIONS)?;
    config.db_pool_timeout = 10;
    config.db_max_rows = Some(i64::try_from(MAX_ROWS)?);
    config.max_body_size = MAX_BODY_BYTES;
    config.jwt_secret = Some(keys.verification_jwks().to_string());
    config.role_settings = timeouts.for_postrust()?;
    Ok(config)
}
