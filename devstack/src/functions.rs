//! The function binaries. Each runs on a port of its own (`VERCEL_DEV_PORT`), the very binary that is deployed; one
//! that died is started again at its next request, as the platform does.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::oneshot;

use crate::process::{self, Process};
use crate::settings::Settings;
use crate::vercel::{Route, Source};

/// How long a function may take from its start to its listener.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long a function may finish its work after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What the runtime prints when it listens.
const LISTENING: &str = "Dev server listening";

/// A path's parameters by name, still percent-encoded.
pub type Parameters<'route, 'path> = Vec<(&'route str, &'path str)>;

/// All functions of the deployment.
#[derive(Debug)]
pub struct Functions {
    functions: Vec<Arc<Function>>,
    settings: Arc<RwLock<Settings>>,
}

/// One function and, when it runs, its process.
#[derive(Debug)]
pub struct Function {
    /// Its file and its binary's name.
    pub source: Source,
    route: Route,
    binary: PathBuf,
    log: Arc<Mutex<File>>,
    verbose: bool,
    settings: Arc<RwLock<Settings>>,
    running: tokio::sync::Mutex<Option<Running>>,
    starts: AtomicU32,
}

#[derive(Debug)]
struct Running {
    process: Arc<Process>,
    address: SocketAddr,
    /// Set before it is stopped on purpose, so that its end is not reported as a crash.
    stopping: Arc<AtomicBool>,
}

impl Functions {
    /// The functions `sources`, with their binaries in `binaries` and their logs in `logs`; none is started yet.
    ///
    /// # Errors
    /// When the folder for the logs cannot be made.
    pub fn new(
        sources: Vec<Source>,
        binaries: &Path,
        logs: &Path,
        settings: Settings,
        verbose: bool,
    ) -> Result<Functions> {
        std::fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let settings = Arc::new(RwLock::new(settings));
        let mut functions = sources
            .into_iter()
            .map(|source| {
                let log = logs.join(format!("{}.log", source.binary));
                let log = File::options().create(true).append(true).open(&log);
                Ok(Arc::new(Function {
                    route: Route::of(&source.path),
                    binary: binaries.join(&source.binary),
                    log: Arc::new(Mutex::new(log?)),
                    verbose,
                    settings: settings.clone(),
                    running: tokio::sync::Mutex::new(None),
                    starts: AtomicU32::new(0),
                    source,
                }))
            })
            .collect::<Result<Vec<_>>>()?;
        functions.sort_by(|one, other| one.route.order(&other.route));
        Ok(Functions { functions, settings })
    }

    /// Starts every function and waits until all listen.
    ///
    /// # Errors
    /// The first that did not start, and why.
    pub async fn start_all(&self) -> Result<()> {
        futures::future::try_join_all(self.functions.iter().map(|function| function.address())).await?;
        Ok(())
    }

    /// Every function, in the order in which routes are tried.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.iter()
    }

    /// The function whose file is at `path`, without parameters.
    pub fn find(&self, path: &str) -> Option<&Arc<Function>> {
        let literal = self.functions.iter().filter(|function| function.route.is_literal());
        literal.into_iter().find(|function| function.route.matches(path).is_some())
    }

    /// The function that serves `path` by parameters, and what these are.
    pub fn find_by_parameters<'a>(&self, path: &'a str) -> Option<(&Arc<Function>, Parameters<'_, 'a>)> {
        self.functions.iter().find_map(|function| Some((function, function.route.matches(path)?)))
    }

    /// What a function is started with now.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets (or with `None` unsets) settings, and stops every function: each starts with them at its next request.
    pub async fn configure(&self, changes: &[(&str, Option<&str>)]) {
        {
            let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
            for (name, value) in changes {
                match value {
                    Some(value) => settings.insert((*name).to_owned(), (*value).to_owned()),
                    None => settings.remove(*name),
                };
            }
        }
        self.stop().await;
    }

    /// Stops every function with SIGTERM and waits for their ends.
    pub async fn stop(&self) {
        let stops = self.functions.iter().map(|function| async {
            let running = function.running.lock().await.take();
            if let Some(running) = running {
                running.stopping.store(true, Ordering::SeqCst);
                // Waiting for the end blocks.
                tokio::task::spawn_blocking(move || running.process.stop(STOP_LIMIT)).await.ok();
            }
        });
        futures::future::join_all(stops).await;
    }

    /// [`Functions::stop`] for a destructor: it blocks.
    pub(crate) fn stop_now(&self) {
        let mut processes = Vec::new();
        for function in &self.functions {
            if let Ok(mut running) = function.running.try_lock()
                && let Some(running) = running.take()
            {
                running.stopping.store(true, Ordering::SeqCst);
                running.process.ask_to_stop();
                processes.push(running.process);
            }
        }
        for process in processes {
            process.stop(STOP_LIMIT);
        }
    }
}

impl Function {
    /// Where it listens; it is started first if it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn address(&self) -> Result<SocketAddr> {
        let mut running = self.running.lock().await;
        if let Some(alive) = running.as_ref().filter(|running| running.process.exited().is_none()) {
            return Ok(alive.address);
        }
        let started = self.start().await.with_context(|| format!("{} does not start", self.source.path))?;
        let address = started.address;
        *running = Some(started);
        Ok(address)
    }

    /// The process id, while it runs.
    pub async fn process_id(&self) -> Option<u32> {
        let running = self.running.lock().await;
        running
            .as_ref()
            .filter(|running| running.process.exited().is_none())
            .map(|running| running.process.id())
    }

    /// The file that is run.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// How often it was started.
    pub fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }

    async fn start(&self) -> Result<Running> {
        if !self.binary.is_file() {
            bail!(
                "{} is not there; build it with: cargo build --bin {}",
                self.binary.display(),
                self.source.binary
            );
        }
        let mut failure = None;
        // Between asking for a free port and using it another program may take it: then the next one is tried.
        for _ in 0..3 {
            let address = free_address()?;
            match self.start_on(address).await {
                Ok(running) => return Ok(running),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| anyhow::anyhow!("no attempt was made")))
    }

    async fn start_on(&self, address: SocketAddr) -> Result<Running> {
        let mut command = process::command(&self.binary, Signal::TERM, None);
        command
            .env_clear()
            .envs(self.settings.read().unwrap_or_else(PoisonError::into_inner).iter())
            .env("VERCEL_DEV_PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.starts.fetch_add(1, Ordering::Relaxed);
        let process = Arc::new(Process::start(&self.source.path, command, Signal::TERM)?);
        let stopping = Arc::new(AtomicBool::new(false));
        let (listening, ready) = oneshot::channel();
        if let Some(stderr) = process.take_stderr() {
            let stderr = tokio::process::ChildStderr::from_std(stderr)?;
            tokio::spawn(self.recorder("stderr").record(stderr, None));
        }
        if let Some(stdout) = process.take_stdout() {
            let stdout = tokio::process::ChildStdout::from_std(stdout)?;
            let recorder = self.recorder("stdout");
            let (name, process, stopping) = (self.source.path.clone(), process.clone(), stopping.clone());
            tokio::spawn(async move {
                recorder.record(stdout, Some(listening)).await;
                report_end(&name, &process, &stopping).await;
            });
        }
        match tokio::time::timeout(START_LIMIT, ready).await {
            Ok(Ok(())) => Ok(Running { process, address, stopping }),
            Ok(Err(_)) => {
                stopping.store(true, Ordering::SeqCst);
                bail!("it ended before it listened; its log says why")
            }
            Err(_) => {
                stopping.store(true, Ordering::SeqCst);
                bail!("it did not listen within {START_LIMIT:?}")
            }
        }
    }

    fn recorder(&self, stream: &'static str) -> Recorder {
        Recorder { name: self.source.binary.clone(), stream, log: self.log.clone(), verbose: self.verbose }
    }
}

/// An address that was free a moment ago: the listener that found it is closed again on return.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Says that a function ended although nobody stopped it.
async fn report_end(name: &str, process: &Process, stopping: &AtomicBool) {
    // Its output ends a moment before the process does.
    for _ in 0..100 {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        if let Some(status) = process.exited() {
            let id = process.id();
            eprintln!(
                "devstack: {name} (process {id}) ended: {status}; it is started again at its next request"
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Writes a function's output to its log as JSON lines; what is no JSON (a panic, for example) becomes one.
struct Recorder {
    name: String,
    stream: &'static str,
    log: Arc<Mutex<File>>,
    verbose: bool,
}

impl Recorder {
    async fn record(self, output: impl AsyncRead + Unpin, mut listening: Option<oneshot::Sender<()>>) {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with(LISTENING)
                && let Some(listening) = listening.take()
            {
                listening.send(()).ok();
                continue;
            }
            if self.verbose {
                eprintln!("{} | {line}", self.name);
            }
            let is_object =
                line.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(&line).is_ok();
            let line = if is_object {
                line
            } else {
                serde_json::json!({"stream": self.stream, "message": line}).to_string()
            };
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk must not stop the function.
            writeln!(log, "{line}").ok();
        }
    }
}
