//! The reconciler's store in Postgres: each call is one SQL function, fenced by the run's id and attempt.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::StoredResult;
use super::run::Run;
use crate::alerts::condition::{Condition, State};
use crate::drift::repair::{Applied, Item};
use crate::reconcile::Ending;
use crate::reconcile::progress::{Counts, Cursor};
use crate::reconcile::store::{
    self, Batch, DUPLICATES_PAGE, Duplicates, Group, ReconcileStore, StoreError, UNEXPLAINED_LIMIT,
    UNPLACED_PAGE, Unplaced,
};
use crate::supabase::{Asker, DatabaseError, Fault, Retry, Supabase};

/// The store of one attempt of one run.
#[derive(Debug)]
pub struct RunStore {
    database: Arc<Supabase>,
    run_id: Uuid,
    attempt: u32,
    lease_seconds: u64,
    livemode: bool,
}

#[derive(Deserialize)]
struct Written {
    outcome: String,
    #[serde(default)]
    items: Vec<Applied>,
    #[serde(default)]
    entries: Vec<(String, Uuid, DateTime<Utc>)>,
    #[serde(default)]
    run: Option<Run>,
}

/// The parameters of every write.
#[derive(Serialize)]
struct Fenced<P> {
    p_run_id: Uuid,
    p_attempt: u32,
    #[serde(flatten)]
    parameters: P,
}

/// Of `apply_reconciliation_batch`. Borrowed, and never a tree of values: batches are most of what a run holds in memory.
#[derive(Serialize)]
struct Apply<'a> {
    p_lease_seconds: u64,
    p_items: &'a [Item],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    p_cleared: &'a [String],
    p_counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_cursor: Option<Cursor>,
}

/// Of `read_subscriptions_for_reconcile`.
#[derive(Serialize)]
struct Read<'a> {
    p_stripe_ids: &'a [&'a str],
    p_unexplained_limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_created_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_created_to: Option<String>,
}

impl RunStore {
    /// The store of a run that is ours, with the lease that each write extends, in seconds, and whether it reads live data.
    pub fn new(database: Arc<Supabase>, run: &Run, lease_seconds: u64, livemode: bool) -> Self {
        Self { database, run_id: run.id, attempt: run.attempt, lease_seconds, livemode }
    }

    /// The alerts' outcomes, each with what leads from it to its run and to Stripe's dashboard.
    fn outcomes(&self, ending: &Ending) -> Vec<Condition> {
        let mut conditions = ending.conditions.clone();
        for condition in &mut conditions {
            if let State::Holds { metadata, .. } = &mut condition.state {
                metadata["reconciliation_log_id"] = self.run_id.to_string().into();
                metadata["livemode"] = self.livemode.into();
            }
        }
        conditions
    }

    async fn read<R: serde::de::DeserializeOwned>(
        &self,
        function: &str,
        parameters: &impl Serialize,
    ) -> Result<R, StoreError> {
        self.database.call(Asker::Service, Retry::Safe, function, parameters).await.map_err(store_error)
    }

    /// A write that is fenced, and safe to send again: the database knows what it has applied already.
    async fn write(&self, function: &str, parameters: impl Serialize) -> Result<Written, StoreError> {
        let fenced = Fenced { p_run_id: self.run_id, p_attempt: self.attempt, parameters };
        let written: Written = self.read(function, &fenced).await?;
        if written.outcome == "fenced" { Err(StoreError::Fenced) } else { Ok(written) }
    }

    /// Ends the run with its alerts, in one transaction. Answers the run as it ended.
    pub async fn finish(&self, ending: &Ending) -> Result<Run, StoreError> {
        let result =
            StoredResult { reconciliations: ending.reconciliations.clone(), errors: ending.errors.clone() };
        let mut parameters = json!({
            "p_status": ending.status,
            "p_counts": ending.counts,
            "p_message": ending.message,
            "p_result": result,
            "p_outcomes": self.outcomes(ending),
            "p_judged": ending.judged,
        });
        if let Some(failure) = &ending.failure {
            parameters["p_error_code"] = failure.code().into();
            parameters["p_error_message"] = failure.sentence().into();
        }
        if let Some(cursor) = &ending.cursor {
            parameters["p_cursor"] = json!(cursor);
        }
        let written = self.write("finish_reconciliation_run", parameters).await?;
        written.run.ok_or_else(|| StoreError::Refused("finish_reconciliation_run answered no run".into()))
    }
}

impl ReconcileStore for RunStore {
    async fn group(&self, stripe_ids: &[&str], created: Option<(i64, i64)>) -> Result<Group, StoreError> {
        let parameters = Read {
            p_stripe_ids: stripe_ids,
            p_unexplained_limit: UNEXPLAINED_LIMIT,
            p_created_from: created.map(|(from, _)| timestamp(from)),
            p_created_to: created.map(|(_, to)| timestamp(to)),
        };
        self.read("read_subscriptions_for_reconcile", &parameters).await
    }

    async fn unplaced(&self, after: Option<Uuid>) -> Result<Unplaced, StoreError> {
        self.read("read_unplaced_subscriptions", &page(after, UNPLACED_PAGE)).await
    }

    async fn duplicates(&self, after: Option<Uuid>) -> Result<Duplicates, StoreError> {
        self.read("read_duplicate_live_subscriptions", &page(after, DUPLICATES_PAGE)).await
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<store::Written, StoreError> {
        let Batch { items, cleared, counts, cursor } = batch;
        let parameters = Apply {
            p_lease_seconds: self.lease_seconds,
            p_items: items,
            p_cleared: cleared,
            p_counts: counts,
            p_cursor: cursor,
        };
        let written = self.write("apply_reconciliation_batch", parameters).await?;
        if written.items.len() == items.len() {
            Ok(store::Written { outcomes: written.items, entries: written.entries })
        } else {
            Err(StoreError::Refused("apply_reconciliation_batch answered for other items".into()))
        }
    }

    async fn heartbeat(&self, counts: Counts) -> Result<(), StoreError> {
        let parameters = json!({ "p_lease_seconds": self.lease_seconds, "p_counts": counts });
        self.write("heartbeat_reconciliation_run", parameters).await.map(drop)
    }
}

fn page(after: Option<Uuid>, limit: usize) -> Value {
    match after {
        Some(after) => json!({ "p_after": after, "p_limit": limit }),
        None => json!({ "p_limit": limit }),
    }
}

/// Unix seconds as Postgres reads them. What no calendar has becomes the calendar's end on that side.
fn timestamp(seconds: i64) -> String {
    let bound = if seconds < 0 { DateTime::<Utc>::UNIX_EPOCH } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp(seconds, 0).unwrap_or(bound).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn store_error(error: DatabaseError) -> StoreError {
    match error.fault {
        Fault::Unavailable => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}
