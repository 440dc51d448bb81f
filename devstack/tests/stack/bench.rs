//! The benches measure what they say, on a small scale: that they end well is what is tested, not how long they take.

use std::process::Command;

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

/// The number with which a cell begins.
fn number(cell: &str) -> f64 {
    let text: String =
        cell.chars().skip_while(|c| *c == '×').take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    text.parse().unwrap_or_else(|_| panic!("{cell} is no number"))
}

#[test]
fn a_reconcile_bench_reads_and_creates_every_subscription() {
    for (create, database_calls) in [(&[][..], 3.0), (&["--create"][..], 4.0)] {
        let arguments = [&["reconcile", "--subscriptions", "250", "--latency", "1"], create].concat();
        let table = bench(&arguments);
        let run = &table[2];
        assert_eq!(run[1], "250");
        assert!(number(&run[6]) >= 4.0, "three pages and the sessions: {run:?}");
        assert!(number(&run[8]) >= database_calls, "{run:?}");
        assert!(number(&run[9]) > 1.0, "megabytes: {run:?}");
        assert!(number(&run[4]) > 0.0 && number(&run[10]) > 0.0, "rates: {run:?}");
        assert_eq!(table[5][1], "250", "who spent the processor's time: {table:?}");
    }
}

#[test]
fn under_a_limit_the_floor_is_the_measure() {
    let table = bench(&["reconcile", "--subscriptions", "200", "--rps", "50"]);
    let run = &table[2];
    assert_eq!(run[2], "50/s");
    assert!(number(&run[5]) >= 1.0, "no run is faster than its calls may be: {run:?}");
    assert_eq!(run[7], "0", "nothing is refused: {run:?}");
}

#[test]
fn an_endpoints_bench_has_both_sides_and_a_cold_start_bench_has_every_function() {
    let table = bench(&["endpoints", "--calls", "12", "--seconds", "1", "--connections", "2"]);
    assert!(
        number(&table[2][2]) > 0.0 && number(&table[3][2]) > 0.0 && number(&table[4][2]) > 0.0,
        "{table:?}"
    );
    let table = bench(&["cold-start", "--starts", "1"]);
    let functions = table.iter().filter(|row| row[1].starts_with("`api/") && row[2] == "nothing").count();
    let sources = devstack::vercel::functions(&devstack::repository()).expect("api/ is read");
    assert_eq!(functions, sources.len());
    assert!(table.iter().any(|row| row[2] == "one database call" && number(&row[3]) > 0.0), "{table:?}");
}
