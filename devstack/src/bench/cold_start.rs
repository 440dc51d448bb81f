//! From the start of a function's process to its first answer, as the platform meets it when no instance is warm.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::net::TcpStream;

use super::duplicate::{Duplicate, ask};
use super::{median_and_p90, milliseconds};
use crate::functions::{Function, free_address};
use crate::stack::{self, Stack};

/// `devstack bench cold-start`.
#[derive(Debug, Args)]
pub struct Options {
    /// Starts of each function.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,
    /// Takes the functions as they are built already.
    #[arg(long)]
    no_build: bool,
}

/// How long a process may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures, and prints a table.
///
/// # Errors
/// When a function does not start or does not answer.
pub async fn run(options: Options) -> Result<()> {
    let stack =
        Stack::start(stack::Options { build: !options.no_build, ..stack::Options::for_tests()? }).await?;
    let duplicate = Duplicate::of_a_run(&stack).await?;
    println!("| first answer of | needs | p50 | p90 | binary |");
    println!("| --- | --- | ---: | ---: | ---: |");
    let http = crate::http_client()?;
    for function in stack.functions().iter() {
        // A person's endpoint refuses who says nothing of themselves; a GET of the others is answered or refused.
        let path = function.source.path.trim_end_matches(".rs").replace("[id]", "0");
        let mut times = Vec::new();
        for _ in 0..options.starts {
            let first = |at| http.get(format!("http://{at}/{path}"));
            times.push(
                first_answer(function, &stack, async |at| {
                    let status = first(at).send().await?.status();
                    if status.is_server_error() {
                        bail!("{path} answers {status}");
                    }
                    Ok(())
                })
                .await?,
            );
        }
        row(&function.source.path, "nothing", &mut times, function)?;
    }

    let reconcile = stack.functions().find("/api/subscriptions/reconcile").context("there is reconcile")?;
    let (mut through, mut direct) = (Vec::new(), Vec::new());
    for _ in 0..options.starts {
        let asked = async |at| ask(duplicate.of_function(&format!("http://{at}"))).await;
        through.push(first_answer(reconcile, &stack, asked).await?);
        let started = Instant::now();
        ask(duplicate.of_database()).await?;
        direct.push(started.elapsed());
    }
    row(&reconcile.source.path, "one database call", &mut through, reconcile)?;
    let (p50, p90) = median_and_p90(&mut direct);
    println!("| that call by itself | | {:.1} ms | {:.1} ms | |", milliseconds(p50), milliseconds(p90));
    stack.stop().await;
    Ok(())
}

fn row(name: &str, needs: &str, times: &mut [Duration], function: &Function) -> Result<()> {
    let (p50, p90) = median_and_p90(times);
    let size = std::fs::metadata(function.binary())?.len() as f64 / 1e6;
    println!(
        "| `{name}` | {needs} | {:.1} ms | {:.1} ms | {size:.1} MB |",
        milliseconds(p50),
        milliseconds(p90)
    );
    Ok(())
}

/// Starts the function's binary, and asks it as soon as it listens.
async fn first_answer(
    function: &Function,
    stack: &Stack,
    asked: impl AsyncFn(SocketAddr) -> Result<()>,
) -> Result<Duration> {
    let address = free_address()?;
    let mut command = tokio::process::Command::new(function.binary());
    command
        .env_clear()
        .envs(stack.functions().settings())
        .env("VERCEL_DEV_PORT", address.port().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let started = Instant::now();
    let mut process = command.spawn().with_context(|| format!("{} does not start", function.source.path))?;
    while TcpStream::connect(address).await.is_err() {
        if started.elapsed() > PATIENCE {
            bail!("{} does not listen", function.source.path);
        }
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    asked(address).await?;
    let took = started.elapsed();
    process.kill().await?;
    Ok(took)
}
