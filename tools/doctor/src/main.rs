//! `doctor`: prints what is right and wrong with a deployment, and ends with 1 if something is wrong.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use billing_ops::config::Config;
use clap::Parser;
use doctor::line::Line;
use doctor::settings;

/// Examines the settings of a deployment, its database and its Stripe key; ends with 1 if something is wrong.
#[derive(Parser)]
#[command(name = "doctor")]
struct Cli {
    /// A file of NAME=value lines, as `vercel env pull` writes it; without one, this process's environment.
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match examine(Cli::parse().env.as_deref()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentence) => {
            eprintln!("doctor: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the report. True if nothing is wrong.
async fn examine(file: Option<&Path>) -> Result<bool, String> {
    let config = match file {
        None => Config::from_env(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            Config::from_pairs(settings::parse(&text))
        }
    };
    let lines = doctor::examine(config).await;
    for line in &lines {
        say(line);
    }
    let wrong = lines.iter().filter(|line| matches!(line, Line::Wrong { .. })).count();
    say(&if wrong == 0 { "Nothing is wrong.".to_owned() } else { format!("{wrong} wrong.") });
    Ok(wrong == 0)
}

/// Prints a line. A reader who has left is no failure of the deployment.
fn say(line: &dyn std::fmt::Display) {
    writeln!(std::io::stdout(), "{line}").ok();
}
