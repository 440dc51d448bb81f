//! The functions: what Vercel's builder takes for one, and the limits that it does not check.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use billing_ops::config::Config;

use crate::{files_below, function_sources, functions_package, read, root, vercel};

/// Hobby's limit; Pro has none (<https://vercel.com/docs/limits>).
const MOST_FUNCTIONS: usize = 12;

/// What a run may take after its budget: writing what is left, and an answer.
const SECONDS_TO_FINISH: u64 = 15;

#[test]
fn every_api_file_is_a_binary_of_the_same_path_and_there_is_no_other() {
    let package = functions_package();
    let binaries: BTreeSet<String> = package["targets"]
        .as_array()
        .expect("targets")
        .iter()
        .filter(|target| target["kind"][0] == "bin")
        .map(|target| Path::new(target["src_path"].as_str().expect("a path")))
        .map(|path| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned())
        .collect();
    let sources: BTreeSet<String> = function_sources().into_iter().collect();
    assert_eq!(binaries, sources);
}

#[test]
fn api_holds_functions_only() {
    assert_eq!(files_below("api"), function_sources(), "what is no function belongs into src/");
}

#[test]
fn there_are_no_more_functions_than_the_smallest_plan_takes() {
    let count = function_sources().len();
    assert!((1..=MOST_FUNCTIONS).contains(&count), "{count} functions");
}

#[test]
fn nothing_makes_the_builder_take_this_for_one_server() {
    // With a src/main.rs the builder picks its preset for Rust servers, and drops every file under api/ without a word.
    assert!(!root().join("src/main.rs").exists());
    assert!(
        vercel()["framework"].is_null() && vercel().as_object().expect("an object").contains_key("framework")
    );
}

#[test]
fn the_runtime_is_pinned() {
    let package = functions_package();
    let dependencies = package["dependencies"].as_array().expect("dependencies");
    let runtime = dependencies.iter().find(|one| one["name"] == "vercel_runtime").expect("vercel_runtime");
    let requirement = runtime["req"].as_str().expect("a requirement");
    assert!(
        requirement.starts_with('='),
        "{requirement}: before 2.4.1 wait_until was broken, so no version is taken unseen"
    );
}

#[test]
fn postgrests_upsert_is_used_nowhere() {
    // It cannot name the predicate of a partial unique index, so that every upsert on those fails with 42P10.
    let word = ["on", "conflict"].join("_");
    for path in ["src", "api"].into_iter().flat_map(files_below) {
        assert!(!read(&path).contains(&word), "{path} holds {word}");
    }
}

#[test]
fn a_run_ends_before_the_platform_ends_it() {
    let vercel = vercel();
    let budget = Config::default().reconcile_budget().expect("the default").as_secs();
    for source in ["api/subscriptions/reconcile.rs", "api/admin/billing-alerts/reconcile.rs"] {
        let seconds = vercel["functions"][source]["maxDuration"].as_u64().expect("maxDuration");
        assert!(seconds >= budget + SECONDS_TO_FINISH, "{source}: {seconds} s for a budget of {budget} s");
        assert!(seconds <= 300, "{source}: Hobby allows 300 s");
    }
}

#[test]
fn every_function_has_a_limit_of_its_own_choosing_and_the_general_pattern_comes_last() {
    // The builder takes the first pattern that matches, so the order in the file decides.
    let text = read("vercel.json");
    let general = text.find(r#""api/**/*.rs""#).expect("the pattern for all functions");
    for pattern in vercel()["functions"].as_object().expect("functions").keys() {
        let place = text.find(&format!("\"{pattern}\"")).expect("its own text");
        assert!(place <= general, "{pattern} comes after the general pattern");
    }
}

#[test]
fn the_static_folder_is_never_empty() {
    // From an empty output folder the platform would publish the sources instead.
    let folder = vercel()["outputDirectory"].as_str().expect("outputDirectory").to_owned();
    let tracked =
        Command::new("git").args(["ls-files", "--", &folder]).current_dir(root()).output().expect("git runs");
    assert!(tracked.status.success() && !tracked.stdout.is_empty(), "git knows no file below {folder}/");
}
