//! `devstack up` as a process: it says that it is ready, and leaves nothing behind however it ends.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

struct Up {
    process: Child,
    description: Value,
}

impl Up {
    fn start() -> Up {
        Self::start_with(&[])
    }

    fn start_with(environment: &[(&str, &str)]) -> Up {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devstack"));
        for name in devstack::settings::names() {
            command.env_remove(name);
        }
        let mut process = command
            .env_remove("DATABASE_URL")
            .envs(environment.iter().copied())
            .args(["up", "--port", "0", "--subscriptions", "150"])
            // A group of its own, as a terminal gives one to what it runs.
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let Ok(description) = serde_json::from_str(&line) else {
            let mut said = String::new();
            process.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
            panic!("it did not start: {said}");
        };
        Up { description, process }
    }

    fn field(&self, name: &str) -> &str {
        let value = self.description[name].as_str().unwrap_or_default();
        assert!(!value.is_empty(), "{name} is missing: {}", self.description);
        value
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("signalled");
    }

    /// Every process below, and the folders of theirs.
    fn children(&self) -> Vec<u32> {
        descendants(self.process.id())
    }
}

fn descendants(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if stat(pid).is_some_and(|(_, its_parent)| its_parent == parent) {
            found.push(pid);
            found.extend(descendants(pid));
        }
    }
    found
}

/// A process's state and parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn lives(pid: u32) -> bool {
    // A zombie has ended; nobody has asked how yet.
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

fn wait_for_the_end_of(pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(|pid| lives(*pid)) {
        assert!(
            Instant::now() < deadline,
            "still there: {:?}",
            pids.iter().filter(|pid| lives(**pid)).collect::<Vec<_>>()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_says_everything_and_a_term_signal_leaves_nothing() {
    let mut up = Up::start();
    for name in [
        "base_url",
        "supabase_url",
        "rest_url",
        "postgrest",
        "database_url",
        "stripe_url",
        "secret_key",
        "publishable_key",
        "jwt_secret",
        "reconcile_secret",
        "monitor_secret",
        "cron_secret",
        "admin_token",
        "member_token",
        "admin_email",
        "admin_password",
    ] {
        up.field(name);
    }
    let logs = up.field("logs").to_owned();
    assert!(std::path::Path::new(&logs).is_dir());
    let count = Command::new("psql")
        .args([up.field("database_url"), "-Atc", "select count(*) from public.subscriptions"])
        .output()
        .expect("psql");
    assert_eq!(String::from_utf8_lossy(&count.stdout).trim(), "150");
    let children = up.children();
    assert!(!children.is_empty());
    up.signal(Signal::TERM);
    assert!(up.process.wait().expect("it ends").success());
    wait_for_the_end_of(&children);
    assert!(!std::path::Path::new(&logs).exists(), "{logs} is still there");
}

#[test]
fn ctrl_c_ends_it_in_order() {
    let mut up = Up::start();
    let children = up.children();
    // A terminal signals the whole group.
    let group = i32::try_from(up.process.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process_group(group, Signal::INT).expect("signalled");
    assert!(up.process.wait().expect("it ends").success());
    let mut said = String::new();
    up.process.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert!(!said.contains("started again"), "functions were hit, too: {said}");
    wait_for_the_end_of(&children);
}

#[test]
fn its_children_die_with_it_even_when_it_is_killed() {
    let mut up = Up::start();
    let children = up.children();
    let logs = up.field("logs").to_owned();
    assert!(!children.is_empty());
    up.signal(Signal::KILL);
    up.process.wait().expect("it ends");
    wait_for_the_end_of(&children);
    // What it could not remove itself, the next one does.
    let mut next = Up::start();
    assert!(!std::path::Path::new(&logs).exists(), "{logs} is still there");
    next.signal(Signal::TERM);
    next.process.wait().expect("it ends");
}

#[test]
fn another_supabase_is_used_when_the_environment_names_one() {
    let mut first = Up::start();
    let mut second = Up::start_with(&[
        ("SUPABASE_URL", first.field("supabase_url")),
        ("SUPABASE_SECRET_KEY", first.field("secret_key")),
        ("SUPABASE_PUBLISHABLE_KEY", first.field("publishable_key")),
        ("DATABASE_URL", first.field("database_url")),
        ("MONITOR_SECRET", "a monitor secret from the environment"),
    ]);
    assert_eq!(second.field("supabase_url"), first.field("supabase_url"));
    assert_eq!(second.field("monitor_secret"), "a monitor secret from the environment");
    // Its functions talk to the first one's database, where its people live.
    let url = format!("{}/api/admin/billing-alerts", second.field("base_url"));
    for (token, expected) in [("admin_token", 200), ("member_token", 403)] {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let request = devstack::http_client().expect("a client").get(&url).bearer_auth(second.field(token));
        let status = runtime.block_on(request.send()).expect("an answer").status();
        assert_eq!(status, expected, "{token}");
    }
    for up in [&mut second, &mut first] {
        up.signal(Signal::TERM);
        assert!(up.process.wait().expect("it ends").success());
    }
}

#[test]
fn half_of_another_supabase_is_refused_in_one_sentence() {
    let output = Command::new(env!("CARGO_BIN_EXE_devstack"))
        .args(["up", "--no-build"])
        .env("SUPABASE_URL", "http://127.0.0.1:1")
        .env_remove("DATABASE_URL")
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("set SUPABASE_SECRET_KEY and DATABASE_URL too"), "{said}");
}
