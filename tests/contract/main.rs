//! What the surface promises, held against what is written down, and against what a measurement shows. Without a stack.

mod constant_time;

use std::path::Path;

use support::matrix::{self, ENDPOINTS, METHODS, TABLE, expected};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SECURITY.md");
const BEGIN: &str = "<!-- matrix: begin -->\n";
const END: &str = "<!-- matrix: end -->";

/// `UPDATE_DOCS=1 cargo test --test contract` writes the table anew.
#[test]
fn the_security_document_shows_the_table_that_is_tested() {
    let document = std::fs::read_to_string(DOCUMENT).expect("docs/SECURITY.md is there");
    let (before, rest) = document.split_once(BEGIN).expect("the mark where the table begins");
    let (_, after) = rest.split_once(END).expect("the mark where it ends");
    let expected = format!("{before}{BEGIN}{}{END}{after}", matrix::markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(DOCUMENT, &expected).expect("docs/SECURITY.md can be written");
        return;
    }
    assert!(document == expected, "docs/SECURITY.md is old: UPDATE_DOCS=1 cargo test --test contract");
}

/// Every test that docs/SECURITY.md names is there: a defence whose test was renamed or deleted is none.
#[test]
fn every_test_that_the_security_document_names_exists() {
    let document = std::fs::read_to_string(DOCUMENT).expect("docs/SECURITY.md is there");
    let sources = sources();
    let names: Vec<&str> = document
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            word.matches('_').count() >= 3
                && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
        .collect();
    assert!(names.len() > 20, "the document is not read rightly: {names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/SECURITY.md names tests that are not there: {missing:?}");
    let is_test = |word: &&str| word.contains('/') && (word.ends_with(".sql") || word.ends_with(".sh"));
    for path in document.split('`').skip(1).step_by(2).filter(is_test) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "docs/SECURITY.md names {path}");
    }
}

/// The text of every Rust file of the functions and their tests.
fn sources() -> String {
    let mut text = String::new();
    let mut folders = ["src", "tests", "devstack", "tools/doctor"]
        .map(|name| format!("{}/{name}", env!("CARGO_MANIFEST_DIR")))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path.display().to_string());
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    text
}

/// The table against the code's own list of routes and methods, so that no endpoint is left out of it.
#[test]
fn the_table_has_every_endpoint_with_its_methods() {
    use billing_ops::endpoints as e;
    let own = [
        e::health::ENDPOINT,
        e::config::ENDPOINT,
        e::reconcile::ENDPOINT,
        e::monitor::ENDPOINT,
        e::alerts::ENDPOINT,
        e::resolve::ENDPOINT,
        e::reconcile_now::ENDPOINT,
        e::runs::ENDPOINT,
        e::run::ENDPOINT,
        e::drift::ENDPOINT,
        e::drift_approve::ENDPOINT,
        e::drift_approve::MANY,
        e::drift_revert::ENDPOINT,
        e::drift_except::ENDPOINT,
        e::drift_except::END,
        e::policies::ENDPOINT,
    ];
    for (column, endpoint) in own.iter().enumerate() {
        let template = ENDPOINTS[column]
            .path
            .replace("{alert}", "{id}")
            .replace("{run}", "{id}")
            .replace("{nothing}", "{id}");
        assert_eq!(endpoint.route, template);
        for method in METHODS {
            let taken = endpoint.methods.iter().any(|own| own.as_str() == method);
            assert_eq!(
                taken,
                !matches!(expected(&[200; 25], column, method), 204 | 405),
                "{method} {template}"
            );
        }
    }
    let document = billing_ops::openapi::document();
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), ENDPOINTS.len(), "the OpenAPI document has the same endpoints");
}

/// Each kind of caller is there once.
#[test]
fn nobody_is_in_the_table_twice() {
    for (place, (who, ..)) in TABLE.iter().enumerate() {
        assert!(TABLE.iter().skip(place + 1).all(|(other, ..)| other != who), "{who:?}");
    }
}
