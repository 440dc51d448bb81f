//! `doctor`: prints what is right and wrong with a deployment.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use billing_ops::config::Config;
use clap::Parser;
use doctor::line::Line;
use doctor::{outside, settings};

/// How it ends when it was not told enough to begin.
const MISUSED: u8 = 2;

/// Examines the settings of a deployment, its database and its Stripe key; with --deployment, a deployment from outside.
///
/// Ends with 1 if something is wrong.
#[derive(Parser)]
#[command(name = "doctor")]
struct Cli {
    /// A file of NAME=value lines, as `vercel env pull` writes it; without one, this process's environment.
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,
    /// Also sends a test to each channel that is set up (PagerDuty opens an incident of it).
    #[arg(long, conflicts_with = "deployment")]
    test_notifications: bool,
    /// Checks the deployment at this address from outside instead: who gets in, that a repeated alarm stays one alarm, that a
    /// repeated reconcile stays one run.
    ///
    /// Does what a cron call does, several times, and nothing else: safe on production. With RECONCILE_SECRET (required),
    /// MONITOR_SECRET (if the deployment has one), CRON_SECRET, ADMIN_TOKEN (an admin's Supabase access token) and
    /// VERCEL_AUTOMATION_BYPASS_SECRET (for a preview behind Deployment Protection) as they are set. What lacks its secret
    /// is skipped, visibly. The last two are no settings of a deployment, so they are taken from the environment where the
    /// file of --env has none.
    #[arg(long, value_name = "URL")]
    deployment: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let file = match cli.env.as_deref().map(read).transpose() {
        Ok(file) => file,
        Err(sentence) => return complain(&sentence, 1),
    };
    match cli.deployment {
        None => from_inside(file, cli.test_notifications).await,
        Some(address) => from_outside(&address, file.as_ref()).await,
    }
}

async fn from_inside(file: Option<BTreeMap<String, String>>, test_notifications: bool) -> ExitCode {
    let config = file.map_or_else(Config::from_env, Config::from_pairs);
    let mut lines = doctor::examine(config.clone()).await;
    if test_notifications {
        lines.extend(doctor::test_notifications(config).await);
    }
    for line in &lines {
        say(line);
    }
    let wrong = lines.iter().filter(|line| matches!(line, Line::Wrong { .. })).count();
    if wrong == 0 {
        say(&"Nothing is wrong.");
        ExitCode::SUCCESS
    } else {
        say(&format!("{wrong} wrong."));
        ExitCode::FAILURE
    }
}

async fn from_outside(address: &str, file: Option<&BTreeMap<String, String>>) -> ExitCode {
    let from_environment = |name: &str| std::env::var(name).ok();
    let find = |name: &str| match file {
        None => from_environment(name),
        Some(file) => file.get(name).cloned().or_else(|| {
            matches!(name, outside::ADMIN_TOKEN | outside::BYPASS_SECRET).then(|| from_environment(name))?
        }),
    };
    let (deployment, keys) = match outside::with_keys(address, find) {
        Ok(both) => both,
        Err(unfit) => return complain(&unfit, MISUSED),
    };
    say(&format!("Checking {}", deployment.base()));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    outside::examine(&deployment, &keys, |line| {
        match line {
            Line::Fine(_) => passed += 1,
            Line::Wrong { .. } => failed += 1,
            Line::Skipped(_) => skipped += 1,
            Line::Note(_) => {}
        }
        say(&line);
    })
    .await;
    say(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(file);
    text.map(|text| settings::parse(&text))
        .map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn complain(sentence: &dyn Display, code: u8) -> ExitCode {
    eprintln!("doctor: {sentence}");
    ExitCode::from(code)
}

/// Prints a line. A reader who has left is no failure of the deployment.
fn say(line: &dyn Display) {
    writeln!(std::io::stdout(), "{line}").ok();
}
