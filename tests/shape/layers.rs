//! What may depend on what. A room of src/ uses only rooms above it in this table, and no file imports one that imports it.
//! The table is printed into docs/ARCHITECTURE.md: `UPDATE_DOCS=1 cargo test --test shape layers` writes it anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::{files_below, read, root};

/// Floor, room, what it is for. A room may use those of the lines before it.
const ROOMS: &[(&str, &str, &str)] = &[
    (
        "ground",
        "secret",
        "texts that never show themselves; machine secrets, compared in constant time; what Stripe signs with",
    ),
    ("ground", "config", "every setting, read once: one table of names and checks"),
    ("ground", "log", "JSON lines"),
    ("doors", "stripe", "a client that can only GET: token bucket, retries within a deadline, partial types"),
    ("doors", "supabase", "one call of a SQL function; its errors by code; admitted or refused; pages"),
    ("doors", "context", "the clients of a process"),
    ("pure core", "alerts", "severity, conditions, alerts; `db` lists and resolves them"),
    ("pure core", "drift", "what can differ, comparing, planning, repairs"),
    ("acting", "reconcile", "one run, step by step, over the seam `store`"),
    ("acting", "episodes", "drift that stands, one entry each: the pages that admins read"),
    ("acting", "runs", "a run's key, start, lease, store, end and answer"),
    ("acting", "decisions", "what people decide: approve, revert, except, policies"),
    ("acting", "monitor", "facts to conditions; the heartbeat"),
    ("acting", "notify", "somebody is told: the outbox, messages in words, one file for each receiver"),
    (
        "acting",
        "events",
        "what Stripe tells by itself: signature, event, what is noted of it, and the pass that follows",
    ),
    (
        "acting",
        "report",
        "what is told to other programs: numbers for a Prometheus, exports of what is on record",
    ),
    ("surface", "http", "reading a request, answering it, what each status means"),
    ("surface", "auth", "who calls: a machine's secret, a person's token"),
    ("surface", "endpoints", "one file an endpoint: its route, its description, its handler"),
    ("surface", "openapi", "the document of what the endpoints say of themselves"),
];

/// Files by the beginning of their path, what must not stand in them, and why.
const NEVER: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "drift/",
            "alerts/severity",
            "alerts/condition",
            "alerts/alert",
            "events/event",
            "events/signature",
            "stripe/event",
            "monitor/judge",
            "reconcile/windows",
            "notify/message",
            "notify/digest",
            "notify/health",
            "report/export",
            "report/metrics",
        ],
        &["tokio", "reqwest", "supabase", "crate::config", "::now(", "async "],
        "what decides is a function of values",
    ),
    (&["stripe/"], &["crate::supabase"], "doors do not know each other"),
    (&["supabase/"], &["crate::stripe"], "doors do not know each other"),
    (&["reconcile/"], &["crate::supabase", "crate::runs"], "the engine knows the database by its seam only"),
    (
        &[
            "secret",
            "config",
            "log",
            "stripe/",
            "supabase/",
            "context",
            "alerts/",
            "drift/",
            "events/",
            "reconcile/",
            "runs/",
            "decisions/",
            "monitor/",
            "notify/",
            "episodes/",
            "report/",
        ],
        &["ApiError", "Reply"],
        "errors become answers at the surface",
    ),
];

/// Each file of src/ without its tests: its path below src/, and its lines of code.
fn sources() -> Vec<(String, String)> {
    let files =
        files_below("src").into_iter().filter(|path| path.ends_with(".rs") && !path.contains("tests"));
    let code = |text: String| {
        let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        own.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    files.map(|path| (path["src/".len()..].to_owned(), code(read(&path)))).collect()
}

/// The room that a file below src/ belongs to. `lib.rs` is the sign at the door.
fn room(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

/// What follows each `crate::` in a text, as segments of a path.
fn named<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    text.split(prefix).skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        rest[..end].split("::").filter(|segment| !segment.is_empty()).collect()
    })
}

#[test]
fn every_room_is_in_the_table_and_uses_only_rooms_above_it() {
    let place = |name: &str| ROOMS.iter().position(|(_, room, _)| *room == name);
    for (path, code) in sources().iter().filter(|(path, _)| path != "lib.rs") {
        let own =
            place(room(path)).unwrap_or_else(|| panic!("src/{path} is in no room of tests/shape/layers.rs"));
        for segments in named(code, "crate::") {
            let Some(used) = segments.first().and_then(|name| place(name)) else { continue };
            assert!(used <= own, "src/{path} uses crate::{}, which stands on it", segments.join("::"));
        }
    }
    let rooms: BTreeSet<String> = sources().iter().map(|(path, _)| room(path).to_owned()).collect();
    let gone: Vec<_> = ROOMS.iter().filter(|(_, room, _)| !rooms.contains(*room)).collect();
    assert!(gone.is_empty(), "rooms that are not there: {gone:?}");
}

#[test]
fn what_must_never_be_known_is_not_named() {
    for (path, code) in &sources() {
        for (files, words, why) in NEVER {
            if files.iter().any(|beginning| path.starts_with(beginning)) {
                let found: Vec<_> = words.iter().filter(|word| code.contains(**word)).collect();
                assert!(found.is_empty(), "src/{path} names {found:?}, but {why}");
            }
        }
    }
}

#[test]
fn sql_is_called_where_one_looks_for_it() {
    let allowed = ["supabase/", "runs/store.rs", "endpoints/health.rs"];
    for (path, code) in &sources() {
        let calls = code.contains("Retry::") || code.contains(".ask(");
        let expected =
            path.ends_with("/db.rs") || allowed.iter().any(|beginning| path.starts_with(beginning));
        assert!(!calls || expected, "src/{path} calls SQL: that belongs into a db.rs");
    }
}

/// The files that a file imports: `crate::room::file` from anywhere, `super::file` beside it.
fn imports(path: &str, code: &str, files: &BTreeSet<String>) -> BTreeSet<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let file = |segments: &[&str]| {
        let join = |count: usize| segments[..count].join("/");
        (1..=segments.len()).rev().find_map(|count| {
            [format!("{}.rs", join(count)), format!("{}/mod.rs", join(count))]
                .into_iter()
                .find(|path| files.contains(path))
        })
    };
    let near = |segments: Vec<&str>| {
        let mut whole: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
        whole.extend(segments);
        file(&whole)
    };
    let own = code.replace("pub(super)", "").replace("pub(crate)", "");
    let far = named(&own, "crate::").filter_map(|segments| file(&segments));
    let beside = named(&own, "super::").filter_map(near);
    // A mod.rs names the files of its folder without a prefix.
    let below = named(&own, "use ").filter(|_| path.ends_with("/mod.rs")).filter_map(near);
    far.chain(beside).chain(below).filter(|found| found != path).collect()
}

#[test]
fn no_file_imports_one_that_imports_it() {
    let sources = sources();
    let files: BTreeSet<String> = sources.iter().map(|(path, _)| path.clone()).collect();
    let mut graph: BTreeMap<&str, BTreeSet<String>> =
        sources.iter().map(|(path, code)| (path.as_str(), imports(path, code, &files))).collect();
    assert!(
        graph["reconcile/group.rs"].contains("reconcile/engine.rs"),
        "imports are not read rightly: {graph:?}"
    );
    // Files that import nothing that is left are taken away until none is: what stays is a circle.
    while let Some(leaf) = graph.iter().find(|(_, uses)| uses.is_empty()).map(|(path, _)| *path) {
        graph.remove(leaf);
        graph.values_mut().for_each(|uses| {
            uses.remove(leaf);
        });
    }
    assert!(graph.is_empty(), "these import one another in a circle: {graph:#?}");
}

#[test]
fn the_architecture_page_shows_the_table() {
    const BEGIN: &str = "<!-- rooms: from tests/shape/layers.rs -->\n";
    const END: &str = "<!-- end of rooms -->";
    let mut table = String::from("| floor | room | for |\n| --- | --- | --- |\n");
    for (floor, room, purpose) in ROOMS {
        table.push_str(&format!("| {floor} | `{room}` | {purpose} |\n"));
    }
    let page = read("docs/ARCHITECTURE.md");
    let (before, rest) = page.split_once(BEGIN).expect("the page has the place of the table");
    let (_, after) = rest.split_once(END).expect("the table has an end");
    let expected = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join("docs/ARCHITECTURE.md"), &expected).expect("the page can be written");
    } else {
        assert!(
            page == expected,
            "docs/ARCHITECTURE.md is old: UPDATE_DOCS=1 cargo test --test shape layers"
        );
    }
}
