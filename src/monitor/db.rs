//! The monitor's two calls: the facts, and the outcomes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::judge::{Deliveries, Facts};
use crate::alerts::condition::Condition;
use crate::supabase::judged::{Refusal, Verdict, set};
use crate::supabase::{Asker, DatabaseError, Retry, Supabase};

/// Reads the facts in the caller's name: one round trip, which also counts the call and, for a person, judges them.
pub async fn read_facts(database: &Supabase, asker: Asker<'_>, client: &str) -> Result<Facts, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        facts: Facts,
    }
    let function = match asker {
        Asker::Service => "monitor_facts",
        Asker::Person(_) => "admin_monitor_facts",
    };
    let verdict: Verdict<Answer> =
        database.call(asker, Retry::Safe, function, &json!({ "p_client": client })).await?;
    let (_, answer) = verdict.admitted("condition")?;
    Ok(answer.facts)
}

/// Which alerts a pass changed, by key.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlertChanges {
    /// Opened.
    pub raised: Vec<String>,
    /// Counted again.
    pub refreshed: Vec<String>,
    /// Resolved because their condition cleared.
    pub resolved: Vec<String>,
}

/// Applies the outcomes in one transaction and one round trip. Not sent again if its answer is lost: an alert would be
/// counted twice for one look.
///
/// `deliveries`: what Stripe said of its deliveries, where it was asked; it is remembered for the next pass.
pub async fn apply(
    database: &Supabase,
    outcomes: &[Condition],
    deliveries: Option<&Option<Deliveries>>,
) -> Result<AlertChanges, DatabaseError> {
    #[derive(Deserialize)]
    struct Answer {
        alerts: AlertChanges,
        pruned: Value,
    }
    let mut parameters = json!({ "p_outcomes": outcomes });
    set(
        &mut parameters,
        "p_deliveries",
        deliveries.map(|said| said.as_ref().map_or(json!({}), |said| json!(said))),
    );
    let answer: Answer =
        database.call(Asker::Service, Retry::Unsafe, "apply_monitor_outcomes", &parameters).await?;
    tracing::info!(
        raised = ?answer.alerts.raised,
        refreshed = ?answer.alerts.refreshed,
        resolved = ?answer.alerts.resolved,
        pruned = %answer.pruned,
        "monitor pass"
    );
    if let Some(code) = answer.pruned.get("error") {
        tracing::warn!(%code, "nothing was pruned");
    }
    Ok(answer.alerts)
}
