//! Child processes that cannot outlive this one.
//!
//! The kernel sends a child its "parent death" signal when the *thread* that started it ends. One thread therefore
//! starts every child and lives as long as the process does: a runtime's worker or a test's thread would take the
//! children with it too early.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

type Order = (Command, mpsc::SyncSender<std::io::Result<Child>>);

/// A child that is signalled when this value is dropped, and when this process dies, SIGKILL included.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Mutex<Child>,
    signal: Signal,
}

/// A command that starts `program` under `setpriv`, which arranges for `signal` to reach it when this process dies.
/// As root, `user` names the user to become.
pub fn command(program: &std::path::Path, signal: Signal, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig").arg(if signal == Signal::QUIT { "QUIT" } else { "KILL" });
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    command.arg("--").arg(program);
    // A terminal's Ctrl-C goes to a whole group: the children are stopped by us, in order, and not by it.
    command.process_group(0);
    command
}

impl Process {
    /// Starts `command` (made by [`command`]); `name` is what errors call it, `signal` what stops it.
    ///
    /// # Errors
    /// When the program cannot be started at all; a program that exits at once is seen by [`Process::exited`].
    pub fn start(name: &str, command: Command, signal: Signal) -> Result<Process> {
        static STARTER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
        let starter = STARTER.get_or_init(|| {
            let (orders, inbox) = mpsc::channel::<Order>();
            std::thread::spawn(move || {
                for (mut command, answer) in inbox {
                    // A caller that is gone leaves nobody to hold the child.
                    if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(command.spawn()) {
                        orphan.kill().ok();
                    }
                }
            });
            Mutex::new(orders)
        });
        let (answer, outcome) = mpsc::sync_channel(1);
        starter
            .lock()
            .map_err(|_| anyhow!("the thread that starts processes is gone"))?
            .send((command, answer))
            .context("the thread that starts processes is gone")?;
        let child = outcome
            .recv()
            .context("the thread that starts processes is gone")?
            .with_context(|| format!("cannot start {name} (is setpriv of util-linux installed?)"))?;
        Ok(Process { name: name.to_owned(), child: Mutex::new(child), signal })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.lock().id()
    }

    /// How it ended, or `None` while it runs. The kernel is asked each time, so the answer is never stale.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.lock().try_wait().ok().flatten()
    }

    /// Hands over the pipe of the child's standard output, once.
    pub fn take_stdout(&self) -> Option<std::process::ChildStdout> {
        self.lock().stdout.take()
    }

    /// Hands over the pipe of the child's standard error, once.
    pub fn take_stderr(&self) -> Option<std::process::ChildStderr> {
        self.lock().stderr.take()
    }

    /// Stops the child with its signal and waits for its end; after `patience` it is killed.
    pub fn stop(&self, patience: Duration) {
        let mut child = self.lock();
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        send(&child, self.signal);
        let started = Instant::now();
        while started.elapsed() < patience {
            if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        eprintln!("devstack: {} did not stop within {patience:?} and is killed", self.name);
        child.kill().ok();
        child.wait().ok();
    }

    /// Sends its signal without waiting, for many to end side by side.
    pub fn ask_to_stop(&self) {
        let mut child = self.lock();
        if matches!(child.try_wait(), Ok(None)) {
            send(&child, self.signal);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Not yet waited for, so that the id is still the child's.
fn send(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(5));
    }
}
