//! The genuine PostgREST, as a process behind the gateway: `POSTGREST_BIN` names the program. It is set up as the stand-in is,
//! and answers in place of it; keys, counters and faults stay with the gateway.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::Response;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::Signal;

use super::refusal::unavailable;
use super::{MAX_ROWS, REST_CONNECTIONS};
use crate::functions::free_address;
use crate::keys::Keys;
use crate::postgres::Postgres;
use crate::process::{self, Process};
use crate::router::remove_hop_by_hop;

/// How long it may take from its start to an answer, with the schema cache read.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long it may go without an answer once Postgres is back: it waits for 1, 2, 4 … 32 s between tries, and then reads the
/// schema cache.
pub(crate) const RECOVERY: Duration = Duration::from_secs(40);

/// The program, and where its output goes.
#[derive(Debug, Clone)]
pub struct Program {
    /// What is run.
    pub binary: PathBuf,
    /// The file that its output is appended to.
    pub log: PathBuf,
}

/// A running PostgREST that has read the schema cache; dropping it ends it.
#[derive(Debug)]
pub(super) struct Postgrest {
    pub(super) proxy: Proxy,
    /// What it says it is: its `Server` header.
    pub(super) name: String,
    _process: Process,
}

/// How requests reach it.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
}

impl Postgrest {
    pub(super) async fn start(program: &Program, postgres: &Postgres, keys: &Keys) -> Result<Postgrest> {
        let mut failure = None;
        // Between asking for a free port and using it another program may take it: then the next one is tried.
        for _ in 0..3 {
            match Self::start_on(free_address()?, program, postgres, keys).await {
                Ok(running) => return Ok(running),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| anyhow::anyhow!("no attempt was made"))).with_context(|| {
            format!("{} does not start; see {}", program.binary.display(), program.log.display())
        })
    }

    async fn start_on(
        address: SocketAddr,
        program: &Program,
        postgres: &Postgres,
        keys: &Keys,
    ) -> Result<Postgrest> {
        let log = std::fs::File::options().create(true).append(true).open(&program.log)?;
        let mut command = process::command(&program.binary, Signal::TERM, None);
        command
            .env_clear()
            .envs(settings(address, postgres, keys))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = Process::start("PostgREST", command, Signal::TERM)?;
        let proxy = Proxy::to(address);
        let name = wait_until_ready(&process, &proxy).await?;
        Ok(Postgrest { proxy, name, _process: process })
    }
}

/// What it is told, and nothing else of the environment. <https://docs.postgrest.org/en/stable/references/configuration.html>
fn settings(address: SocketAddr, postgres: &Postgres, keys: &Keys) -> [(&'static str, String); 15] {
    [
        ("PATH", "/usr/bin:/bin".to_owned()),
        // Its messages are not plain ASCII.
        ("LC_ALL", "C.UTF-8".to_owned()),
        ("PGRST_DB_URI", postgres.socket_url("authenticator")),
        ("PGRST_DB_SCHEMAS", "public".to_owned()),
        ("PGRST_DB_EXTRA_SEARCH_PATH", "public, extensions".to_owned()),
        ("PGRST_DB_ANON_ROLE", "anon".to_owned()),
        ("PGRST_DB_POOL", REST_CONNECTIONS.to_string()),
        ("PGRST_DB_POOL_ACQUISITION_TIMEOUT", "10".to_owned()),
        ("PGRST_DB_MAX_ROWS", MAX_ROWS.to_string()),
        ("PGRST_DB_CHANNEL_ENABLED", "true".to_owned()),
        ("PGRST_DB_CHANNEL", "pgrst".to_owned()),
        ("PGRST_JWT_SECRET", keys.verification_jwks().to_string()),
        ("PGRST_SERVER_HOST", address.ip().to_string()),
        ("PGRST_SERVER_PORT", address.port().to_string()),
        ("PGRST_LOG_LEVEL", "warn".to_owned()),
    ]
}

/// Waits for its root, which describes the schema: it is refused for as long as the schema cache is not read. Answers with the
/// `Server` header.
async fn wait_until_ready(process: &Process, proxy: &Proxy) -> Result<String> {
    let started = Instant::now();
    let mut last = "it does not listen".to_owned();
    loop {
        let root = Request::builder().uri("/").body(Body::empty())?;
        match proxy.send(root).await {
            Ok(answer) if answer.status().is_success() => {
                let server = answer.headers().get(header::SERVER).and_then(|value| value.to_str().ok());
                return Ok(server.unwrap_or("unnamed").to_owned());
            }
            Ok(answer) => last = format!("its root answers {}", answer.status()),
            Err(_) => {}
        }
        if let Some(status) = process.exited() {
            bail!("it ended at once: {status}");
        }
        if started.elapsed() > START_LIMIT {
            bail!("after {START_LIMIT:?}, {last}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Proxy {
    fn to(address: SocketAddr) -> Proxy {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Proxy { address, client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Sends a request whose target is PostgREST's own, without the gateway's prefix.
    pub(super) async fn handle(&self, mut request: Request) -> Response {
        let head = request.method() == Method::HEAD;
        remove_hop_by_hop(request.headers_mut());
        match self.send(request).await {
            Ok(mut response) => {
                remove_hop_by_hop(response.headers_mut());
                if head { response.map(|_| Body::empty()) } else { response }
            }
            // It is gone: the edge in front of a hosted one says the same.
            Err(error) => unavailable(Some(&format!("{error:#}"))),
        }
    }

    async fn send(&self, mut request: Request) -> Result<Response> {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        *request.uri_mut() = format!("http://{}{target}", self.address).parse()?;
        Ok(self.client.request(request).await?.map(Body::new))
    }
}

impl Program {
    /// The program at `binary`, with a log of its own in the folder `logs`.
    pub fn new(binary: &Path, logs: &Path) -> Program {
        Program { binary: binary.to_owned(), log: logs.join("postgrest.log") }
    }
}
