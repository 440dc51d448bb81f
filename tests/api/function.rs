//! One function binary on its own, without the router: another instance of it, or one with settings of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::Method;

use support::{Request, Stack};

/// A running function. Dropping it ends it.
pub(crate) struct Function {
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
    process: Child,
    output: Arc<Mutex<String>>,
}

const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The settings that a function of this stack has.
pub(crate) fn settings(stack: &Stack) -> BTreeMap<String, String> {
    let at = &stack.at;
    [
        ("SUPABASE_URL", at.supabase_url.as_str()),
        ("SUPABASE_SECRET_KEY", &at.secret_key),
        ("SUPABASE_PUBLISHABLE_KEY", &at.publishable_key),
        ("STRIPE_SECRET_KEY", "rk_test_simulator0restricted"),
        ("STRIPE_API_BASE", &at.stripe_url),
        ("RECONCILE_SECRET", &at.reconcile_secret),
        ("MONITOR_SECRET", &at.monitor_secret),
        ("CRON_SECRET", &at.cron_secret),
        ("METRICS_SECRET", &at.metrics_secret),
        ("STRIPE_WEBHOOK_SECRET", &at.stripe_webhook_secret),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

impl Function {
    /// Starts a function with the stack's settings, some of them changed or (with `None`) unset.
    pub(crate) fn start(stack: &Stack, binary: &str, changes: &[(&str, Option<&str>)]) -> Self {
        // A function that was renamed may lie in `target` for long, and would pass here and nowhere else.
        assert!(MANIFEST.contains(&format!("name = \"{binary}\"")), "{binary} is no function of Cargo.toml");
        let mut settings = settings(stack);
        for (name, value) in changes {
            match value {
                Some(value) => drop(settings.insert((*name).to_owned(), (*value).to_owned())),
                None => drop(settings.remove(*name)),
            }
        }
        // Another program may take a port between the look and the use: then the next one is tried.
        for _ in 0..5 {
            let mut command = Command::new(binaries().join(binary));
            command.env_clear().envs(&settings);
            if let Some(function) = Self::run(&stack.http, command) {
                return function;
            }
        }
        panic!("{binary} does not start");
    }

    /// The id of its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Runs a command that serves as a function does. `None`: it ended before it listened.
    pub(crate) fn run(http: &reqwest::Client, mut command: Command) -> Option<Self> {
        let address =
            TcpListener::bind(("127.0.0.1", 0)).expect("a free port").local_addr().expect("an address");
        let mut process = command
            .env("VERCEL_DEV_PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the functions are built: cargo build --bins");
        let output = Arc::new(Mutex::new(String::new()));
        let (ready, listening) = std::sync::mpsc::channel();
        let (stdout, stderr) = (process.stdout.take().expect("piped"), process.stderr.take().expect("piped"));
        let kept = Arc::clone(&output);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Not at its beginning where a test harness has begun the line.
                if line.contains("Dev server listening") {
                    let _ = ready.send(());
                } else {
                    keep(&kept, &line);
                }
            }
        });
        let kept = Arc::clone(&output);
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| keep(&kept, &line));
        });
        // The sender goes with the reading thread when the process ends before it listens.
        if listening.recv().is_err() {
            let _ = process.wait();
            return None;
        }
        Some(Self { address, http: http.clone(), process, output })
    }

    /// A call, past the router: what the platform adds is not there.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self.http.request(method, format!("http://{}{path}", self.address)))
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().expect("no writer panicked").clone()
    }
}

fn keep(output: &Mutex<String>, line: &str) {
    let mut output = output.lock().expect("no writer panicked");
    output.push_str(line);
    output.push('\n');
}

/// Where the function binaries are: beside the local stack's.
fn binaries() -> PathBuf {
    let mut path = match std::env::var_os("DEVSTACK_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let mut path = std::env::current_exe().expect("a test has a path");
            path.pop();
            path
        }
    };
    path.pop();
    path
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
