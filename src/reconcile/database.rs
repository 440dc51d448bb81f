//! The reconciler's store in Postgres: each call is one SQL function, fenced by the run's id and attempt.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::plan::{Applied, Condition};
use super::progress::Counts;
use super::store::{
    Batch, DUPLICATES_PAGE, Duplicates, Group, ReconcileStore, StoreError, UNEXPLAINED_LIMIT, UNPLACED_PAGE,
    Unplaced,
};
use super::{Ending, Failure};
use crate::http::ApiError;
use crate::run_answer::StoredResult;
use crate::runs::Run;
use crate::supabase::{As, Retry, Supabase};

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
    run: Option<Run>,
}

impl RunStore {
    /// The store of a run that is ours, with the lease that each write extends, in seconds, and whether it reads live data.
    #[must_use]
    pub fn new(database: Arc<Supabase>, run: &Run, lease_seconds: u64, livemode: bool) -> Self {
        Self { database, run_id: run.id, attempt: run.attempt, lease_seconds, livemode }
    }

    /// The alerts' outcomes, each with what leads from it to its run and to Stripe's dashboard.
    fn outcomes(&self, ending: &Ending) -> Vec<Condition> {
        let mut conditions = ending.conditions.clone();
        for condition in &mut conditions {
            condition.metadata["reconciliation_log_id"] = self.run_id.to_string().into();
            condition.metadata["livemode"] = self.livemode.into();
        }
        conditions
    }

    async fn read<R: serde::de::DeserializeOwned>(
        &self,
        function: &str,
        parameters: &Value,
    ) -> Result<R, StoreError> {
        self.database.call(As::Service, Retry::Safe, function, parameters).await.map_err(store_error)
    }

    /// A write that is fenced, and safe to send again: the database knows what it has applied already.
    async fn write(&self, function: &str, mut parameters: Value) -> Result<Written, StoreError> {
        parameters["p_run_id"] = self.run_id.to_string().into();
        parameters["p_attempt"] = self.attempt.into();
        let written: Written = self.read(function, &parameters).await?;
        if written.outcome == "fenced" { Err(StoreError::Fenced) } else { Ok(written) }
    }

    /// Ends the run with its alerts, in one transaction. Answers the run as it ended.
    pub async fn finish(&self, ending: &Ending) -> Result<Run, StoreError> {
        let failure = ending.failure.as_ref().map(Failure::to_api_error);
        let result =
            StoredResult { reconciliations: ending.reconciliations.clone(), errors: ending.errors.clone() };
        let mut parameters = json!({
            "p_status": ending.status.as_str(),
            "p_counts": ending.counts,
            "p_message": ending.message,
            "p_result": result,
            "p_outcomes": self.outcomes(ending),
        });
        if let Some(failure) = failure {
            parameters["p_error_code"] = failure.code.into();
            parameters["p_error_message"] = failure.message.into();
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
        let mut parameters = json!({ "p_stripe_ids": stripe_ids, "p_unexplained_limit": UNEXPLAINED_LIMIT });
        if let Some((from, to)) = created {
            parameters["p_created_from"] = timestamp(from).into();
            parameters["p_created_to"] = timestamp(to).into();
        }
        self.read("read_subscriptions_for_reconcile", &parameters).await
    }

    async fn unplaced(&self, after: Option<Uuid>) -> Result<Unplaced, StoreError> {
        self.read("read_unplaced_subscriptions", &page(after, UNPLACED_PAGE)).await
    }

    async fn duplicates(&self, after: Option<Uuid>) -> Result<Duplicates, StoreError> {
        self.read("read_duplicate_live_subscriptions", &page(after, DUPLICATES_PAGE)).await
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Vec<Applied>, StoreError> {
        let mut parameters = json!({
            "p_lease_seconds": self.lease_seconds,
            "p_items": batch.items,
            "p_counts": batch.counts,
        });
        if let Some(cursor) = &batch.cursor {
            parameters["p_cursor"] = json!(cursor);
        }
        let written = self.write("apply_reconciliation_batch", parameters).await?;
        if written.items.len() == batch.items.len() {
            Ok(written.items)
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

fn store_error(error: ApiError) -> StoreError {
    let text = error.detail.unwrap_or(error.message);
    if error.code == "database_unavailable" {
        StoreError::Unavailable(text)
    } else {
        StoreError::Refused(text)
    }
}
