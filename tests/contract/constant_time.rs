//! Comparing secrets takes the same work wherever the first wrong byte is. Work is counted in instructions, by valgrind: a
//! clock would measure the machine.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use billing_ops::secret::{MachineSecret, matches_any};

const SECRET: &str = "0123456789abcdef0123456789abcdef01234567";
const PREVIOUS: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// Set in the copies of this program that run under valgrind: which comparison, and the token.
const COMPARISON: &str = "BILLING_OPS_COMPARISON";
const TOKEN: &str = "BILLING_OPS_TOKEN";

/// What the test would catch: a comparison that stops at the first difference.
#[inline(never)]
fn stops_at_the_first_difference(token: &str, secret: &str) -> bool {
    token.bytes().zip(secret.bytes()).all(|(one, other)| one == other)
}

/// The secret with one byte changed.
fn wrong_at(place: usize) -> String {
    let mut token = SECRET.as_bytes().to_vec();
    token[place] = b'X';
    String::from_utf8(token).expect("ASCII")
}

/// How many instructions one comparison takes, from its entry to its return.
fn instructions(comparison: &str, function: &str, token: &str) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = folder.path().join("callgrind.out");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{function}"))
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(std::env::current_exe().expect("a test has a path"))
        .args(["--exact", "--test-threads=1"])
        .arg("constant_time::the_place_of_the_first_wrong_byte_does_not_show_in_the_instructions")
        .env(COMPARISON, comparison)
        .env(TOKEN, token)
        .output()
        .expect("valgrind runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let counted = std::fs::read_to_string(&output).expect("callgrind writes its counts");
    let total =
        counted.lines().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")));
    total.and_then(|total| total.trim().parse().ok()).unwrap_or_else(|| panic!("no total in {counted}"))
}

#[test]
fn the_place_of_the_first_wrong_byte_does_not_show_in_the_instructions() {
    if let (Ok(comparison), Ok(token)) = (std::env::var(COMPARISON), std::env::var(TOKEN)) {
        let secrets = [MachineSecret::new(SECRET), MachineSecret::new(PREVIOUS)];
        let secrets = secrets.map(|secret| secret.expect("fit"));
        black_box(match comparison.as_str() {
            "ours" => matches_any(black_box(&token), black_box(&secrets)),
            _ => stops_at_the_first_difference(black_box(&token), black_box(SECRET)),
        });
        return;
    }
    if !Path::new("/usr/bin/valgrind").exists() {
        eprintln!(
            "NOT TESTED: there is no /usr/bin/valgrind to count instructions with (apt-get install valgrind)"
        );
        return;
    }
    let tokens = [wrong_at(0), wrong_at(19), wrong_at(39), SECRET.to_owned(), PREVIOUS.to_owned()];
    let ours: Vec<u64> = tokens.iter().map(|token| instructions("ours", "matches_any", token)).collect();
    assert!(ours[0] > 1000, "two hashes are compared: {ours:?}");
    assert!(ours.iter().all(|count| *count == ours[0]), "the work differs: {ours:?}");

    // The measurement sees what it is to see.
    let [first, last] =
        [0, 39].map(|place| instructions("naive", "stops_at_the_first_difference", &wrong_at(place)));
    assert!(last > first, "a comparison that stops early is not told apart: {first}, {last}");
}
