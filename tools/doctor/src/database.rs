//! Whether the database answers, has the migrations, knows both keys, which table it has adopted, and when there was a run.

use billing_ops::context::Context;
use billing_ops::monitor::db::read_facts;
use billing_ops::monitor::judge::Facts;
use billing_ops::secret::Secret;
use billing_ops::supabase::judged::{Refusal, Verdict};
use billing_ops::supabase::{Asker, DatabaseError, Fault, Retry};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;

use crate::adoption;
use crate::line::Line;

/// A token of the right shape that nobody signed: whoever refuses it has accepted the key that came with it.
const UNSIGNED_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiYXV0aGVudGljYXRlZCJ9.AAAA";

/// Asks the database. Nothing is said where its settings are unfit: that has been said.
pub(crate) async fn examine(context: &Context) -> Vec<Line> {
    #[derive(Deserialize)]
    struct Schema {
        #[serde(default)]
        version: u32,
    }
    let Ok(database) = context.supabase() else { return Vec::new() };
    let answer = database
        .call(Asker::Service, Retry::Safe, "billing_ops_schema", &json!({ "p_client": "doctor" }))
        .await
        .map_err(Refusal::from)
        .and_then(|verdict: Verdict<Schema>| verdict.admitted("schema"));
    let schema = match answer {
        Ok((_, schema)) => schema,
        Err(refusal) => return vec![refused(&refusal)],
    };
    let mut lines = vec![Line::fine(format!(
        "database: answers, accepts the secret key, has the migrations (schema version {})",
        schema.version
    ))];
    if context.config.supabase_publishable_key().is_ok() {
        let token = Secret::new(UNSIGNED_TOKEN);
        let answer: Result<Verdict<Schema>, _> = database
            .call(Asker::Person(&token), Retry::Safe, "admin_authorize", &json!({ "p_route": "resolve" }))
            .await;
        lines.push(judge_publishable_key(answer.map(|_| ())));
    }
    match adoption::ask(database).await {
        Ok(adoption) => lines.extend(adoption::judge(&adoption)),
        Err(error) => lines.push(failed(&error)),
    }
    lines.push(match read_facts(database, Asker::Service, "doctor").await {
        Ok(facts) => last_run(&facts),
        Err(refusal) => refused(&refusal),
    });
    lines
}

fn refused(refusal: &Refusal) -> Line {
    match refusal {
        Refusal::Database(error) => failed(error),
        Refusal::RateLimited(_) => {
            Line::wrong("database: it was asked too often from this address.", "wait for a minute")
        }
        Refusal::Unauthorized | Refusal::Forbidden | Refusal::NotFound(_) => {
            Line::wrong(format!("database: an odd answer ({refusal})"), "please report it")
        }
    }
}

fn failed(error: &DatabaseError) -> Line {
    let (what, remedy) = match error.fault {
        Fault::NotAuthenticated => (
            "Supabase does not accept SUPABASE_SECRET_KEY.",
            "is the key of this very project? Supabase dashboard, Project Settings, API Keys",
        ),
        Fault::NotPermitted | Fault::MissingMigration => (
            "The database lacks migrations of billing-ops, or grants of them.",
            "npx supabase@3 db push; if that has been done, in the SQL editor: notify pgrst, 'reload schema'",
        ),
        Fault::Unavailable | Fault::TimedOut => (
            "The database does not answer at the moment.",
            "is SUPABASE_URL right, is the project paused? https://status.supabase.com",
        ),
        Fault::NotAdopted => ("No table is adopted.", "in the SQL editor: select billing_ops.detect();"),
        Fault::NotConfigured => ("A setting is missing.", "docs/OPERATIONS.md, Settings"),
        Fault::Unexpected => ("Something went wrong that should not.", "please report it"),
    };
    Line::wrong(format!("database: {what} ({error})"), remedy)
}

/// PostgREST refuses the token with a code of its own; the gateway before it refuses a key that it does not know without one.
fn judge_publishable_key(answer: Result<(), DatabaseError>) -> Line {
    match answer {
        Err(error) if error.detail.contains("code PGRST3") => {
            Line::fine("publishable key: accepted; a token that nobody signed is refused")
        }
        Err(error) if matches!(error.fault, Fault::NotAuthenticated | Fault::NotPermitted) => Line::wrong(
            "publishable key: Supabase does not accept it.",
            "is it of this very project? Supabase dashboard, Project Settings, API Keys",
        ),
        Err(error) => failed(&error),
        Ok(()) => Line::wrong(
            "publishable key: a token that nobody signed was accepted.",
            "nobody should ever see this: is SUPABASE_URL really a Supabase project?",
        ),
    }
}

fn last_run(facts: &Facts) -> Line {
    let now = facts.now.unwrap_or_else(Utc::now);
    let ago = |then: DateTime<Utc>| match now - then {
        age if age < TimeDelta::hours(2) => format!("{} minutes ago", age.num_minutes()),
        age => format!("{} hours ago", age.num_hours()),
    };
    match (facts.last_good_run_finished_at, facts.live_run_id) {
        (_, Some(_)) => Line::fine("runs: one is under way"),
        (Some(then), None) if now - then < TimeDelta::hours(2) => {
            Line::fine(format!("runs: the last good one ended {}", ago(then)))
        }
        (Some(then), None) => Line::wrong(
            format!("runs: the last good one ended {}.", ago(then)),
            "docs/OPERATIONS.md, Alerts, reconcile_stale",
        ),
        (None, None) => Line::note("runs: there has been none yet. `make smoke URL=…` makes the first one."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_token_proves_the_key_and_a_refused_key_does_not() {
        let refusal = |detail: &str| {
            Err(DatabaseError {
                fault: Fault::NotAuthenticated,
                in_a_persons_name: true,
                detail: detail.to_owned(),
            })
        };
        let fine = judge_publishable_key(refusal("HTTP 401, code PGRST301"));
        assert!(matches!(fine, Line::Fine(_)), "{fine}");
        let wrong = judge_publishable_key(refusal("HTTP 401, code none"));
        assert!(matches!(wrong, Line::Wrong { .. }), "{wrong}");
    }
}
