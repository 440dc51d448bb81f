//! Every bench that docs/PERFORMANCE.md names still runs to its end and prints its rows, on a small scale.

use std::process::Command;

/// The rows that a bench prints, by their cells.
fn bench(arguments: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devstack"));
    for name in devstack::settings::names() {
        command.env_remove(name);
    }
    let output = command.arg("bench").args(arguments).arg("--no-build").output().expect("it starts");
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{table}{}", String::from_utf8_lossy(&output.stderr));
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    table.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn a_reconcile_bench_looks_at_every_subscription() {
    let table = bench(&["reconcile", "--subscriptions", "250", "--create", "--rps", "50"]);
    assert_eq!((table[2][1].as_str(), table[2][4].as_str()), ("250", "50/s"), "{table:?}");
    assert_eq!(table[5][1], "250", "who spent the processor's time: {table:?}");
}

#[test]
fn a_reconcile_bench_sweeps_as_often_as_it_is_told_and_then_follows_what_changed() {
    let table = bench(&["reconcile", "--subscriptions", "250", "--sweeps", "2", "--follow", "5"]);
    let what: Vec<&str> = table[2..5].iter().map(|row| row[2].as_str()).collect();
    assert_eq!(what, ["sweep 1", "sweep 2", "an hour with 5 changes"], "{table:?}");
}

#[test]
fn an_endpoints_bench_has_both_sides_and_a_cold_start_bench_has_every_function() {
    let table = bench(&["endpoints", "--calls", "12", "--seconds", "1", "--connections", "2"]);
    assert!(table.len() >= 5, "{table:?}");
    let table = bench(&["cold-start", "--starts", "1"]);
    let functions = table.iter().filter(|row| row[1].starts_with("`api/") && row[2] == "nothing").count();
    let sources = devstack::vercel::functions(&devstack::repository()).expect("api/ is read");
    assert_eq!(functions, sources.len());
}

#[test]
fn an_events_bench_plays_hours_follows_changes_and_survives_a_burst() {
    let table = bench(&["events", "--only", "calls", "--subscriptions", "200"]);
    let quiet: Vec<_> = table.iter().filter(|row| row[1] == "200" && row[2] == "20").collect();
    assert_eq!((quiet.len(), table.len()), (3, 2 + 6), "two hours, each in three ways: {table:?}");
    let short =
        ["events", "--only", "latency", "--subscriptions", "200", "--mode", "apply", "--changes", "3"];
    let table = bench(&short);
    assert_eq!((table[2][1].as_str(), table[2][2].as_str()), ("`apply`", "3"), "{table:?}");
    let table = bench(&["events", "--only", "intake", "--seconds", "1", "--burst", "50"]);
    let burst = table.last().expect("a burst");
    assert_eq!((burst[1].as_str(), burst[5].as_str()), ("`apply`", "50"), "all of it is taken: {table:?}");
}
