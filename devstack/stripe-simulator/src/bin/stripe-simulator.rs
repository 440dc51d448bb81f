//! The simulator as a program: `stripe-simulator [--port N] [--seed N] [--subscriptions N] [--bursts N] [--livemode]`.
//! It prints its address and a key, and runs until it is stopped.

use std::process::ExitCode;
use stripe_simulator::{Config, RESTRICTED_KEY, SECRET_KEY, Simulator, Spread};

fn main() -> ExitCode {
    let started = config(std::env::args().skip(1)).and_then(|config| {
        let key = config.api_keys[0].clone();
        Simulator::start(config)
            .map(|simulator| (simulator, key))
            .map_err(|error| format!("cannot listen: {error}"))
    });
    match started {
        Ok((simulator, key)) => {
            println!("{{\"url\": \"{}\", \"key\": \"{key}\"}}", simulator.url());
            simulator.wait();
            ExitCode::SUCCESS
        }
        Err(mistake) => {
            eprintln!("stripe-simulator: {mistake}");
            ExitCode::FAILURE
        }
    }
}

fn config(mut arguments: impl Iterator<Item = String>) -> Result<Config, String> {
    let mut config = Config::default();
    while let Some(name) = arguments.next() {
        if name == "--livemode" {
            config.livemode = true;
            config.api_keys =
                [SECRET_KEY, RESTRICTED_KEY].map(|key| key.replace("_test_", "_live_")).to_vec();
            continue;
        }
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        let number: u64 = value.parse().map_err(|_| format!("{name} needs a number, not {value}"))?;
        let small = || u32::try_from(number).map_err(|_| format!("{name} is too large"));
        match name.as_str() {
            "--port" => {
                config.port = Some(u16::try_from(number).map_err(|_| format!("no such port: {number}"))?)
            }
            "--seed" => config.seed = number,
            "--subscriptions" => config.subscriptions = small()?,
            "--bursts" => config.spread = Spread::Bursts(small()?),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    Ok(config)
}
