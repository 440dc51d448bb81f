//! Which table is reconciled, which were found, what of it is mapped, and the next step where there is one.

use billing_ops::supabase::{Asker, DatabaseError, Retry, Supabase};
use serde::Deserialize;
use serde_json::json;

use crate::line::Line;

/// What a mapping can say of a row, in its own words.
const WORDS: [&str; 9] = [
    "customer",
    "status",
    "tier",
    "price",
    "quantity",
    "period_start",
    "period_end",
    "cancel_at_period_end",
    "trial_end",
];

/// What `detect()` says in "why" before what stands in the way.
const OBJECTION: &str = "It cannot be adopted as it is";

/// What the database answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Adoption {
    state: State,
    candidates: Vec<Candidate>,
}

/// `billing_ops.adapter_state()`.
#[derive(Debug, Deserialize)]
struct State {
    adopted: bool,
    fingerprint_ok: bool,
    changed: Option<String>,
    table: Option<String>,
    /// The words that are mapped.
    #[serde(default)]
    has: Vec<String>,
    /// Those of them that the app itself keeps true.
    #[serde(default)]
    keeps: Vec<String>,
    #[serde(default)]
    owners_known: bool,
    #[serde(default)]
    admins: bool,
    #[serde(default)]
    writes: String,
}

/// One proposal of `billing_ops.detect()`.
#[derive(Debug, Deserialize)]
struct Candidate {
    preset: String,
    table: String,
    why: String,
}

/// Asks the database.
pub(crate) async fn ask(database: &Supabase) -> Result<Adoption, DatabaseError> {
    database.call(Asker::Service, Retry::Safe, "billing_ops_adoption", &json!({})).await
}

/// What a person is told. Pure.
pub(crate) fn judge(adoption: &Adoption) -> Vec<Line> {
    let Adoption { state, candidates } = adoption;
    let mut lines: Vec<Line> = candidates
        .iter()
        .map(|Candidate { preset, table, why }| {
            Line::fine(format!("found: {table} has the shape of {preset}. {why}"))
        })
        .collect();
    match &state.table {
        Some(table) if state.adopted => lines.extend(judge_adopted(state, table)),
        _ => lines.push(judge_unadopted(candidates)),
    }
    lines
}

fn judge_unadopted(candidates: &[Candidate]) -> Line {
    let what = "adopted: no table yet, so no run does anything.";
    match candidates {
        [] => Line::wrong(
            what,
            "no table has a shape that is known here: write a mapping (docs/ADOPTING.md) and pass it to \
             billing_ops.adopt in the SQL editor",
        ),
        [only] if only.why.contains(OBJECTION) => Line::wrong(
            what,
            "put right what stands in the way, or write a mapping that fits, from: select billing_ops.detect() -> 0 -> \
             'mapping'; then pass it to billing_ops.adopt",
        ),
        [only] => Line::wrong(
            what,
            format!(
                "is {} the table that decides? In the SQL editor: select billing_ops.adopt();",
                only.table
            ),
        ),
        several => {
            let choices: Vec<String> = several
                .iter()
                .enumerate()
                .map(|(place, candidate)| format!("{place} for {}", candidate.table))
                .collect();
            Line::wrong(
                what,
                format!(
                    "in the SQL editor: select billing_ops.adopt(billing_ops.detect() -> N -> 'mapping'); N is {}",
                    choices.join(", ")
                ),
            )
        }
    }
}

fn judge_adopted(state: &State, table: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    if state.fingerprint_ok {
        lines.push(Line::fine(format!("adopted: {table}")));
    } else {
        let changed = state.changed.as_deref().unwrap_or("It is no longer as it was.");
        lines.push(Line::wrong(
            format!("adopted: {table} has changed since, and nothing is written until it is adopted again. {changed}"),
            "in the SQL editor: select billing_ops.adopt(mapping) from billing_ops.adoption; where that is refused, the \
             sentence says what the mapping must say instead",
        ));
    }
    let is_mapped = |word: &&str| state.has.iter().any(|mapped| mapped == word);
    let is_kept = |word: &&str| state.keeps.iter().any(|kept| kept == word);
    let mapped: Vec<&str> = WORDS.into_iter().filter(is_mapped).collect();
    lines.push(Line::fine(format!("mapped: {}", mapped.join(", "))));
    let compared = |word: &&str| *word == "customer" || is_kept(word);
    let refreshed: Vec<&str> = mapped.into_iter().filter(|word| !compared(word)).collect();
    if !refreshed.is_empty() {
        lines.push(Line::fine(format!(
            "not in \"keeps\", so refreshed without a word and never drift: {}",
            refreshed.join(", ")
        )));
    }
    let unmapped: Vec<&str> = WORDS.into_iter().filter(|word| !is_mapped(word)).collect();
    if !unmapped.is_empty() {
        lines.push(Line::fine(format!("not mapped, so never looked at: {}", unmapped.join(", "))));
    }
    if !state.owners_known {
        lines.push(Line::fine("the mapping names no table of owners, so an owner who is gone is not missed"));
    }
    if !state.admins {
        lines.push(Line::fine(
            "the mapping names no table of admins: they are the people in billing_ops.admins",
        ));
    }
    lines.push(judge_writes(&state.writes));
    lines
}

/// What the grants let a run do, and how to let it do more.
fn judge_writes(writes: &str) -> Line {
    let (what, more) = match writes {
        "none" => ("drift is found, and no row is written", "update"),
        "update" => ("rows are repaired, and none is made that is missing", "update_and_insert"),
        _ => {
            return Line::fine(format!("\"writes\" is \"{writes}\": rows are repaired and made"));
        }
    };
    Line::note(format!(
        "\"writes\" is \"{writes}\": {what}. For more, in the SQL editor: select billing_ops.adopt(mapping || \
         '{{\"writes\": \"{more}\"}}') from billing_ops.adoption;"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const FOUND: &str = r#"{"preset": "basejump", "table": "basejump.billing_subscriptions", "mapping": {}, "why": "Its key is."}"#;

    fn unadopted(candidates: Value) -> Vec<Line> {
        let state = json!({"adopted": false, "fingerprint_ok": false, "changed": null, "table": null, "has": [], "keeps": [],
                           "owners_known": false, "admins": false, "writes": "none"});
        told(state, candidates)
    }

    fn adopted(changes: &Value) -> Vec<Line> {
        let mut state = json!({"adopted": true, "fingerprint_ok": true, "changed": null, "table": "public.teams",
            "has": WORDS, "keeps": &WORDS[1..], "one_row_each": true, "owners_known": true, "admins": true,
            "writes": "update_and_insert", "quantity_prices": null, "adopted_at": "2026-11-27T10:00:00.000000Z"});
        for (name, value) in changes.as_object().expect("an object") {
            state[name] = value.clone();
        }
        told(state, json!([]))
    }

    fn told(state: Value, candidates: Value) -> Vec<Line> {
        judge(&serde_json::from_value(json!({"state": state, "candidates": candidates})).expect("the shape"))
    }

    fn said(lines: &[Line]) -> String {
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn is_wrong(lines: &[Line]) -> bool {
        lines.iter().any(|line| matches!(line, Line::Wrong { .. }))
    }

    #[test]
    fn where_nothing_is_adopted_the_next_step_fits_what_was_found() {
        let found: Value = serde_json::from_str(FOUND).expect("JSON");
        let mut misfit = found.clone();
        misfit["why"] = json!("Its key is. It cannot be adopted as it is: two rows say the same.");
        for (candidates, step) in [
            (json!([]), "write a mapping"),
            (json!([found]), "select billing_ops.adopt();"),
            (json!([misfit]), "put right what stands in the way"),
            (json!([found, found]), "N is 0 for basejump.billing_subscriptions, 1 for"),
        ] {
            let lines = unadopted(candidates);
            assert!(is_wrong(&lines) && said(&lines).contains(step), "{}", said(&lines));
        }
        assert!(said(&unadopted(json!([found]))).contains("has the shape of basejump. Its key is."));
    }

    #[test]
    fn an_adopted_table_is_told_word_by_word() {
        let all = adopted(&json!({}));
        assert!(!is_wrong(&all) && !all.iter().any(|line| matches!(line, Line::Note(_))), "{}", said(&all));
        assert!(!said(&all).contains("not mapped") && !said(&all).contains("refreshed"), "{}", said(&all));
        let few = said(&adopted(&json!({
            "has": ["customer", "status", "trial_end"], "keeps": ["status"], "owners_known": false, "admins": false
        })));
        for part in [
            "mapped: customer, status, trial_end\n",
            "never drift: trial_end\n",
            "not mapped, so never looked at: tier, price, quantity, period_start, period_end, cancel_at_period_end\n",
            "no table of owners",
            "billing_ops.admins\n",
        ] {
            assert!(few.contains(part), "{part}: {few}");
        }
    }

    #[test]
    fn a_table_that_changed_is_to_be_adopted_again() {
        let lines = adopted(
            &json!({"fingerprint_ok": false, "changed": "Column plan_name of public.teams no longer exists."}),
        );
        let text = said(&lines);
        assert!(is_wrong(&lines), "{text}");
        assert!(text.contains("Column plan_name of public.teams no longer exists."), "{text}");
        assert!(text.contains("select billing_ops.adopt(mapping) from billing_ops.adoption;"), "{text}");
    }

    #[test]
    fn writes_can_be_raised_one_step_at_a_time() {
        for (writes, next) in [("none", "update"), ("update", "update_and_insert")] {
            let lines = adopted(&json!({ "writes": writes }));
            let step = format!("'{{\"writes\": \"{next}\"}}'");
            assert!(!is_wrong(&lines) && said(&lines).contains(&step), "{}", said(&lines));
        }
    }
}
