//! Comparing secrets takes the same work wherever the first wrong byte is. Work is counted in instructions, by valgrind: a
//! clock would measure the machine.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use billing_ops::events::signature::{BadSignature, verify};
use billing_ops::secret::{MachineSecret, SigningSecret, matches_any};

const SECRET: &str = "0123456789abcdef0123456789abcdef01234567";
const PREVIOUS: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// When something was signed, and what: `printf '1790000000.{}' | openssl dgst -sha256 -hmac whsec_one`.
const NOW: i64 = 1_790_000_000;
const BODY: &[u8] = b"{}";
const SIGNATURE: &str = "bf12d04d928ca59a711d38171f277543df149808ade704d16dd5d5a5a19b6108";

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

/// The signature with one digit changed for another of its kind, so that decoding, which is of what the sender knows, is the same work.
fn forged_at(place: usize) -> String {
    let mut digits = SIGNATURE.as_bytes().to_vec();
    digits[place] = match digits[place] {
        digit @ b'0'..=b'9' => digit ^ 1,
        letter => b'a' + ((letter - b'a') ^ 1),
    };
    String::from_utf8(digits).expect("ASCII")
}

/// What a copy of this program does under valgrind.
fn compare(comparison: &str, token: &str) {
    match comparison {
        "ours" => {
            let secrets = [MachineSecret::new(SECRET), MachineSecret::new(PREVIOUS)];
            let secrets = secrets.map(|secret| secret.expect("fit"));
            black_box(matches_any(black_box(token), black_box(&secrets)));
        }
        "first" | "second" => {
            let of = |text: &str| SigningSecret::new(text).expect("fit");
            let mut secrets = [of("whsec_one"), of("whsec_two")];
            if comparison == "second" {
                secrets.reverse();
            }
            let header = format!("t={NOW},v1={token}");
            let verdict = black_box(verify(black_box(&header), black_box(BODY), black_box(&secrets), NOW));
            assert_eq!(verdict, if token == SIGNATURE { Ok(()) } else { Err(BadSignature::Wrong) });
        }
        _ => {
            black_box(stops_at_the_first_difference(black_box(token), black_box(SECRET)));
        }
    }
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
        compare(&comparison, &token);
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

    // A forged signature all the way to the refusal, and any up to where it is known whether it fits, whichever secret it is by.
    let forged = [0, 31, 63].map(forged_at);
    let refused = forged.each_ref().map(|token| instructions("first", "signature::verify", token));
    assert!(refused.iter().all(|count| *count == refused[0]), "the work differs: {refused:?}");
    let compared =
        [("first", &*forged[0]), ("first", SIGNATURE), ("second", &forged[2]), ("second", SIGNATURE)]
            .map(|(place, token)| instructions(place, "signature::is_signed", token));
    assert!(compared[0] > 1000, "two signatures are made: {compared:?}");
    assert!(compared.iter().all(|count| *count == compared[0]), "the work differs: {compared:?}");

    // The measurement sees what it is to see.
    let [first, last] =
        [0, 39].map(|place| instructions("naive", "stops_at_the_first_difference", &wrong_at(place)));
    assert!(last > first, "a comparison that stops early is not told apart: {first}, {last}");
}
