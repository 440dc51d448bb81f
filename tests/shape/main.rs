//! What the platform does not check and a deployment rests on: schedules, routes, limits, and documents that must not
//! drift from the code. Fast, and without a stack: `cargo test --test shape`.

mod cron;
mod documents;
mod functions;
mod layers;
mod monitoring;
mod release;
mod schedules;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file's text, by its path from the root.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `vercel.json`.
fn vercel() -> Value {
    serde_json::from_str(&read("vercel.json")).expect("vercel.json is JSON")
}

/// What Cargo says of the workspace's own packages.
fn cargo_metadata() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// The package of the functions.
fn functions_package() -> Value {
    let is_it = |package: &Value| package["name"] == "billing-ops";
    cargo_metadata().into_iter().find(is_it).expect("the package billing-ops")
}

/// All files below a folder, as paths from the root, with `/` between their parts.
fn files_below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(root()).expect("below the root");
                found.push(below.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// The functions' sources, as Vercel's builder finds them: it skips every path with a part that begins with `_` or `.`.
fn function_sources() -> Vec<String> {
    let hidden = |path: &str| path.split('/').any(|part| part.starts_with(['_', '.']));
    files_below("api").into_iter().filter(|path| path.ends_with(".rs") && !hidden(path)).collect()
}

/// The route of a function's source.
fn route_of(source: &str) -> String {
    let path = source.strip_suffix(".rs").unwrap_or(source);
    format!("/{}", path.strip_suffix("/index").unwrap_or(path))
}
