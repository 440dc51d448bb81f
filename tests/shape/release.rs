//! What a release has promised: databases have run its migrations, and people have read its number.

use sha2::{Digest as _, Sha256};

use crate::{files_below, read};

/// The migrations of released versions, as `sha256sum` prints them.
const RELEASED: &str = "supabase/migrations.sha256";

/// A line of the list: the checksum, and the file by its path from the root.
fn released() -> Vec<(String, String)> {
    let line = |line: &str| {
        let (checksum, path) = line.split_once("  ").unwrap_or_else(|| panic!("{RELEASED}: {line}"));
        (checksum.to_owned(), format!("supabase/{path}"))
    };
    read(RELEASED).lines().map(line).collect()
}

/// All migrations, in the order in which databases run them.
fn migrations() -> Vec<String> {
    let mut found = files_below("supabase/migrations");
    found.retain(|path| path.ends_with(".sql"));
    found.sort();
    found
}

/// A database that has run it would never run it again.
#[test]
fn a_migration_that_was_released_is_never_edited() {
    let released = released();
    assert!(!released.is_empty(), "{RELEASED} lists nothing");
    for (checksum, path) in released {
        let now = format!("{:x}", Sha256::digest(read(&path)));
        assert_eq!(now, checksum, "{path} was released: a correction is a new file ({RELEASED})");
    }
}

/// Supabase's CLI refuses a file that is older than the newest one which a database has.
#[test]
fn a_migration_that_is_added_comes_after_all_that_were_released() {
    let (released, migrations) = (released(), migrations());
    let listed: Vec<&str> = released.iter().map(|(_, path)| path.as_str()).collect();
    assert!(migrations.iter().map(String::as_str).take(listed.len()).eq(listed), "{migrations:?}");
}

#[test]
fn what_changes_is_said_of_the_version_that_is_built() {
    let changelog = read("CHANGELOG.md");
    let newest =
        changelog.lines().filter_map(|line| line.strip_prefix("## ")).find(|head| *head != "Unreleased");
    let version = newest.and_then(|head| head.split(' ').next());
    assert_eq!(version, Some(env!("CARGO_PKG_VERSION")), "CHANGELOG.md");
}
