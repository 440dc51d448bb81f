//! The one call behind the metrics.

use serde::Deserialize;
use serde_json::json;

use super::metrics::Facts;
use crate::supabase::judged::{Refusal, Verdict};
use crate::supabase::{Asker, Retry, Supabase};

/// Reads what is measured, all of one snapshot: one round trip, which also counts the call by `client`, its address.
///
/// Errors: too many calls from that address, or those of the database.
pub async fn read_metrics(database: &Supabase, client: &str) -> Result<Facts, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        facts: Facts,
    }
    let parameters = json!({ "p_client": client });
    let verdict: Verdict<Answer> =
        database.call(Asker::Service, Retry::Safe, "read_metrics", &parameters).await?;
    let (_, answer) = verdict.admitted("metric")?;
    Ok(answer.facts)
}
