//! Which table is reconciled: the one that a mapping names, or the one that the database finds by itself.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::Client;

use crate::postgres::explain;

/// What `billing_ops.detect()` proposes for one table.
#[derive(Debug, Clone, Deserialize)]
struct Candidate {
    preset: String,
    table: String,
    mapping: Value,
}

/// What to do about the candidates that there are.
#[derive(Debug)]
enum Choice {
    Adopt(Candidate),
    /// Only a person can tell, and this sentence tells them.
    Ask(String),
}

/// Reads a mapping from a file.
///
/// # Errors
/// When there is no such file, or it is not JSON.
pub fn read_mapping(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// Adopts `mapping`, as the owner of the database.
///
/// # Errors
/// The database's own sentence, which names what does not fit.
pub(crate) async fn adopt(database: &Client, mapping: &Value) -> Result<()> {
    call_adopt(database, mapping).await.context("the mapping cannot be adopted")
}

/// Adopts what the database itself proposes, if that is one table and nothing is adopted yet. Otherwise answers with one
/// sentence that says what is to be done.
///
/// # Errors
/// When the database cannot be asked.
pub(crate) async fn adopt_what_is_found(database: &Client) -> Result<Option<String>> {
    let found = database
        .query_one("select (billing_ops.adapter_state() ->> 'adopted')::boolean, billing_ops.detect()", &[])
        .await
        .map_err(|error| explain(&error))
        .context("the database cannot say which of its tables could be adopted")?;
    // An app of the shape that billing-ops began with was adopted when it was installed.
    if found.try_get(0)? {
        return Ok(None);
    }
    match choose(serde_json::from_value(found.try_get(1)?).context("detect() answers something else")?) {
        Choice::Ask(sentence) => Ok(Some(sentence)),
        Choice::Adopt(Candidate { preset, table, mapping }) => {
            let refused = call_adopt(database, &mapping).await.err();
            Ok(refused.map(|error| {
                format!(
                    "nothing is adopted: {table} looks like {preset} and does not fit as it is ({error}); pass a mapping \
                     with --adopt FILE"
                )
            }))
        }
    }
}

/// Pure.
fn choose(mut candidates: Vec<Candidate>) -> Choice {
    if candidates.len() > 1 {
        let tables: Vec<&str> = candidates.iter().map(|candidate| candidate.table.as_str()).collect();
        return Choice::Ask(format!(
            "nothing is adopted: {} could each be the table that decides; pass the mapping of one with --adopt FILE \
             (`select billing_ops.detect()` prints them)",
            tables.join(" and ")
        ));
    }
    match candidates.pop() {
        Some(only) => Choice::Adopt(only),
        None => Choice::Ask(
            "nothing is adopted: no table has a shape that is known here; write a mapping and pass it with --adopt FILE"
                .to_owned(),
        ),
    }
}

async fn call_adopt(database: &Client, mapping: &Value) -> Result<()> {
    database.query_one("select billing_ops.adopt($1)", &[mapping]).await.map(|_| ()).map_err(|error| {
        match error.as_db_error() {
            Some(error) => anyhow!("{}", error.message().trim_end_matches('.')),
            None => explain(&error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(table: &str) -> Candidate {
        Candidate { preset: "a preset".to_owned(), table: table.to_owned(), mapping: Value::Null }
    }

    #[test]
    fn one_candidate_is_adopted_and_of_none_or_several_a_person_hears() {
        assert!(
            matches!(choose(vec![candidate("public.one")]), Choice::Adopt(only) if only.table == "public.one")
        );
        for (candidates, expected) in [
            (vec![], "no table has a shape"),
            (vec![candidate("a.one"), candidate("b.two")], "a.one and b.two"),
        ] {
            let Choice::Ask(sentence) = choose(candidates) else { panic!("a person is asked") };
            assert!(sentence.contains(expected) && sentence.contains("--adopt FILE"), "{sentence}");
        }
    }
}
