//! Documents that must not drift from the code.

use std::collections::BTreeSet;

use billing_ops::config;
use billing_ops::monitor::judge::{Facts, Thresholds, judge};
use billing_ops::reconcile::conditions::conditions as conditions_of_a_run;
use billing_ops::reconcile::tally::Tally;
use chrono::TimeDelta;
use serde_json::Value;

use crate::{cargo_metadata, read};

/// The keys of the monitor's conditions.
fn monitor_keys() -> Vec<String> {
    let ever = TimeDelta::zero();
    let thresholds = Thresholds {
        reconcile_stale_after: ever,
        high_severity_stale_after: ever,
        sweep_incomplete_after: ever,
    };
    judge(&Facts::default(), &thresholds, &[]).into_iter().map(|of| of.alert_key).collect()
}

/// Every key that an alert can have: the monitor's conditions, and those of a run.
fn alert_keys() -> BTreeSet<String> {
    let of_a_run = conditions_of_a_run(&Tally::default(), true, &BTreeSet::new(), &[])
        .into_iter()
        .map(|of| of.alert_key);
    monitor_keys().into_iter().chain(of_a_run).collect()
}

/// One that was counted would keep `high_severity_stale` open for as long as it is open itself, and the other way round.
#[test]
fn no_alert_of_the_monitor_counts_as_one_that_somebody_left_unattended() {
    let facts = read("supabase/schemas/50_monitor.sql");
    let (_, list) = facts.split_once("a.alert_key not in (").expect("the list");
    let listed: Vec<&str> = list.split(')').next().expect("its end").split(',').map(str::trim).collect();
    let keys: Vec<String> = monitor_keys().iter().map(|key| format!("'{key}'")).collect();
    assert_eq!(listed, keys);
}

#[test]
fn every_alert_is_explained() {
    let operations = read("docs/OPERATIONS.md");
    let keys = alert_keys();
    assert!(keys.contains("reconcile_stale") && keys.contains("drift_status_mismatch"), "{keys:?}");
    let unexplained: Vec<&String> =
        keys.iter().filter(|key| !operations.contains(&format!("| `{key}` |"))).collect();
    assert!(unexplained.is_empty(), "docs/OPERATIONS.md has no row for {unexplained:?}");
}

#[test]
fn no_alert_is_explained_that_does_not_exist() {
    let (operations, keys) = (read("docs/OPERATIONS.md"), alert_keys());
    for key in operations.lines().filter_map(|line| line.strip_prefix("| `drift_")?.split('`').next()) {
        assert!(keys.contains(&format!("drift_{key}")), "no code raises drift_{key}");
    }
}

#[test]
fn every_setting_is_explained() {
    let (operations, example) = (read("docs/OPERATIONS.md"), read(".env.example"));
    for name in config::names() {
        assert!(operations.contains(&format!("`{name}`")), "docs/OPERATIONS.md lacks {name}");
        assert!(example.contains(&format!("{name}=")), ".env.example lacks {name}");
    }
}

#[test]
fn the_example_sets_nothing_that_is_unknown_and_holds_no_secret() {
    for line in read(".env.example").lines() {
        let Some((name, value)) = line.trim_start_matches(['#', ' ']).split_once('=') else { continue };
        if name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            assert!(config::names().any(|known| known == name), "{name} is not a setting");
            let is_secret = name.contains("SECRET") || name.ends_with("_KEY");
            assert!(!is_secret || value.is_empty(), "{name} has a value");
        }
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let document = read("docs/DEPENDENCIES.md");
    let mut names = BTreeSet::new();
    for package in cargo_metadata() {
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            if dependency["path"].is_null() {
                names.insert(dependency["name"].as_str().expect("a name").to_owned());
            }
        }
    }
    for manifest in ["dashboard/package.json", "tools/packaging/package.json"] {
        // The dashboard's is read where it is: the functions can be built without it.
        if !crate::root().join(manifest).exists() {
            continue;
        }
        let manifest: Value = serde_json::from_str(&read(manifest)).expect("JSON");
        for kind in ["dependencies", "devDependencies"] {
            names.extend(manifest[kind].as_object().into_iter().flat_map(|all| all.keys().cloned()));
        }
    }
    let missing: Vec<&String> =
        names.iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/DEPENDENCIES.md gives no reason for {missing:?}");
}
