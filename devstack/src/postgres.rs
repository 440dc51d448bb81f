//! A Postgres of Debian's, started from a cached template.
//!
//! `initdb`, `sql/platform.sql` and the migrations take seconds, so they run once per change of any of them, into
//! `target/devstack/template-<hash>`; each stack copies that folder (20 MB) and starts in a fraction of a second.
//! Durability is off: nothing here outlives the stack.

mod template;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio_postgres::{Client, NoTls};

use crate::process::{self, Process};
use crate::scratch::Scratch;
pub(crate) use template::explain;

/// The superuser that `initdb` makes. Migrations do not run as this one: hosted projects don't hand it out either.
const BOOTSTRAP: &str = "supabase_admin";

/// What a template is made of, besides the platform's own SQL.
#[derive(Debug, Clone)]
pub enum Migrations {
    /// `supabase/migrations` of this repository.
    Repository,
    /// Another folder of `*.sql` files, applied in the order of their names.
    Folder(PathBuf),
    /// An app's own SQL, and then billing-ops as it is installed beside a living app: what `scripts/install.sh --print`
    /// prints, which has none of the tables that an app brings.
    Beside(String),
    /// None: the database as a new hosted project has it.
    None,
}

impl Migrations {
    /// Those of this repository, or billing-ops beside the app whose SQL is in the file `app_schema`.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn of(app_schema: Option<&Path>) -> Result<Migrations> {
        match app_schema {
            None => Ok(Migrations::Repository),
            Some(file) => std::fs::read_to_string(file)
                .map(Migrations::Beside)
                .with_context(|| format!("cannot read {}", file.display())),
        }
    }
}

/// A running Postgres with a database `postgres`. Dropping it stops the server and removes its data.
#[derive(Debug)]
pub struct Postgres {
    // Dropped in this order: the server stops before its folder goes.
    _process: Process,
    socket_folder: PathBuf,
    port: u16,
    password: String,
    folder: Scratch,
}

/// Where Debian keeps the newest installed server binaries.
///
/// # Errors
/// One sentence with the command that installs them, when there are none.
pub fn binaries() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .max_by_key(|bin| {
            let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            version.and_then(|version| version.parse::<u32>().ok())
        })
        .context("Postgres is not installed; install it with: apt-get install -y postgresql")
}

/// The user that the server runs as: Postgres refuses to be root.
fn server_user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("postgres")
}

impl Postgres {
    /// Starts a server on a free port of 127.0.0.1, with the migrations applied.
    ///
    /// # Errors
    /// When Postgres is not installed, a migration fails (the error names the file), or the server does not come up.
    pub async fn start(migrations: &Migrations, log: &Path) -> Result<Postgres> {
        let binaries = binaries()?;
        let template = template::ready(&binaries, migrations).await?;
        let server = Self::launch(&binaries, Source::Copy(&template), log).await?;
        let admin = server.admin().await?;
        // Hexadecimal by construction, so quoting it is safe; `alter role` takes no parameters.
        admin
            .batch_execute(&format!("alter role postgres password '{}'", server.password))
            .await
            .context("cannot set the password of the role postgres")?;
        Ok(server)
    }

    /// The URL that the outside uses: over TCP, as `postgres`, with a password made for this stack.
    pub fn url(&self) -> String {
        format!("postgresql://postgres:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    /// A URL for `role` through the private unix socket, which needs no password.
    pub fn socket_url(&self, role: &str) -> String {
        format!(
            "postgresql://{role}@localhost/postgres?host={}&port={}",
            self.socket_folder.display(),
            self.port
        )
    }

    /// Settings of a connection through the private unix socket, which needs no password.
    pub fn socket_config(&self, role: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.socket_folder).port(self.port).user(role).dbname("postgres");
        config
    }

    /// A connection as the superuser.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn admin(&self) -> Result<Client> {
        connect(&self.socket_config(BOOTSTRAP)).await
    }

    async fn launch(binaries: &Path, source: Source<'_>, log: &Path) -> Result<Postgres> {
        let folder = Scratch::in_memory()?;
        let data = folder.path().join("data");
        let socket_folder = folder.path().join("socket");
        match source {
            Source::Copy(template) => copy(template, &data)?,
            Source::New => {
                private_folder(&data)?;
                init(binaries, &data)?;
            }
        }
        private_folder(&socket_folder)?;
        let password = crate::keys::random_hex(16);
        // Between asking for a free port and using it another program may take it: then the next one is tried.
        for attempt in 1.. {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let process = spawn(binaries, &data, &socket_folder, port, log)?;
            let mut config = tokio_postgres::Config::new();
            config.host_path(&socket_folder).port(port).user(BOOTSTRAP).dbname("postgres");
            match wait_until_ready(&process, &config).await {
                Ok(()) => {
                    return Ok(Postgres { _process: process, socket_folder, port, password, folder });
                }
                Err(error) if attempt == 5 => {
                    return Err(error.context(format!("Postgres did not start; see {}", log.display())));
                }
                Err(_) => {}
            }
        }
        bail!("Postgres did not start; see {}", log.display())
    }

    /// Stops cleanly, so that the data folder can be copied, and moves it to `target`.
    fn into_template(self, target: &Path) -> Result<()> {
        let data = self.folder.path().join("data");
        let status = as_server_user(&binaries()?.join("pg_ctl"))
            .args(["stop", "-w", "-s", "-m", "fast", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("Postgres did not stop cleanly: {status}");
        }
        copy(&data, target)
    }
}

enum Source<'a> {
    Copy(&'a Path),
    New,
}

/// Connects and drives the connection in the background until the client is dropped.
///
/// # Errors
/// What Postgres or the socket said.
pub async fn connect(config: &tokio_postgres::Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        // The client's next call reports a lost connection; there is nothing to add here.
        connection.await.ok();
    });
    Ok(client)
}

fn as_server_user(program: &Path) -> Command {
    process::command(program, Signal::QUIT, server_user())
}

fn private_folder(path: &Path) -> Result<()> {
    let status = match server_user() {
        Some(user) => {
            Command::new("install").args(["-d", "-m", "700", "-o", user, "-g", user]).arg(path).status()?
        }
        None => Command::new("install").args(["-d", "-m", "700"]).arg(path).status()?,
    };
    if !status.success() {
        bail!("cannot make the folder {}", path.display());
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).status()?;
    if !status.success() {
        bail!("cannot copy {} to {}", from.display(), to.display());
    }
    Ok(())
}

fn init(binaries: &Path, data: &Path) -> Result<()> {
    let output = as_server_user(&binaries.join("initdb"))
        .args(["--username", BOOTSTRAP, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"])
        // Small segments keep the template small. The socket's folder is private, so whoever reaches it is trusted.
        .args(["--wal-segsize", "1", "--auth-local", "trust", "--auth-host", "scram-sha-256", "--pgdata"])
        .arg(data)
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn spawn(binaries: &Path, data: &Path, socket_folder: &Path, port: u16, log: &Path) -> Result<Process> {
    let log = std::fs::File::options().create(true).append(true).open(log)?;
    let mut command = as_server_user(&binaries.join("postgres"));
    command.arg("-D").arg(data).arg("-k").arg(socket_folder).args(["-p", &port.to_string()]);
    let settings = [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=100",
        "log_min_messages=warning",
        "logging_collector=off",
        "timezone=UTC",
    ];
    for setting in settings {
        command.args(["-c", setting]);
    }
    command
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Process::start("Postgres", command, Signal::QUIT)
}

async fn wait_until_ready(process: &Process, config: &tokio_postgres::Config) -> Result<()> {
    let started = Instant::now();
    loop {
        let error = match connect(config).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if let Some(status) = process.exited() {
            bail!("Postgres ended at once: {status}");
        }
        if started.elapsed() > Duration::from_secs(20) {
            return Err(error.context("Postgres accepts no connection after 20 s"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
