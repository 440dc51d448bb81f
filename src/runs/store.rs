//! The reconciler's store in Postgres: each call is one SQL function, fenced by the run's id and attempt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::answer::StoredResult;
use super::read::{Adapter, Found};
use super::run::Run;
use crate::alerts::condition::{Condition, State};
use crate::drift::class::Class;
use crate::drift::repair::{Applied, Item};
use crate::drift::row::Row;
use crate::reconcile::Ending;
use crate::reconcile::progress::{Counts, Cursor};
use crate::reconcile::store::{
    self, Batch, Checkout, DUPLICATES_PAGE, Duplicates, Ground, Group, Lookup, Piece, ReconcileStore,
    Recorded, StoreError, UNLISTED_LIMIT, UNPLACED_PAGE, Unplaced,
};
use crate::reconcile::tally::Tally;
use crate::supabase::{Asker, DatabaseError, Fault, Retry, Supabase};

/// How long a call waits before it is made again while the database is away, at first and at most. A genuine PostgREST comes back with
/// a back-off of its own, of up to 32 s.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// How long after the run's own time its end may still be written.
const TO_FINISH: Duration = Duration::from_secs(20);

/// How long a run waits while the database is away.
#[derive(Clone, Debug)]
pub struct Patience {
    /// The end of the run's time.
    pub until: Instant,
    /// Becomes true when the process must end: then nothing is waited for any more.
    pub stop: watch::Receiver<bool>,
}

impl Patience {
    /// Waits, and says whether there was time for it.
    async fn lasts(&self, pause: Duration) -> bool {
        let mut stop = self.stop.clone();
        if *stop.borrow() || Instant::now() + pause >= self.until {
            return false;
        }
        tokio::select! {
            () = sleep(pause) => true,
            _ = stop.wait_for(|stop| *stop) => false,
        }
    }
}

/// The store of one attempt of one run.
#[derive(Debug)]
pub struct RunStore {
    database: Arc<Supabase>,
    patience: Patience,
    run_id: Uuid,
    attempt: u32,
    lease_seconds: u64,
    livemode: bool,
}

#[derive(Deserialize)]
struct Written {
    outcome: String,
    #[serde(default)]
    items: Vec<(Applied, Option<String>)>,
    #[serde(default)]
    entries: Vec<Recorded>,
    #[serde(default)]
    allowed: BTreeMap<Class, u64>,
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

/// The parameters of `apply_reconciliation_batch`. Borrowed, and never a tree of values: batches are most of what a run holds in memory.
#[derive(Serialize)]
struct Apply<'a> {
    p_lease_seconds: u64,
    p_items: &'a [Item],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    p_cleared: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    p_looked_up: Vec<(&'a str, Option<&'a str>, Option<&'a str>)>,
    p_counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_cursor: Option<Cursor>,
}

/// The parameters of `read_subscriptions_for_reconcile`.
#[derive(Serialize)]
struct Read<'a> {
    p_listed: Vec<(&'a str, i64)>,
    p_named: Vec<&'a str>,
    p_livemode: bool,
    p_unlisted_limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_horizon: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_created_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_created_to: Option<String>,
}

impl RunStore {
    /// The store of a run that is ours, with the lease that each write extends, in seconds, and whether it reads live data.
    pub fn new(
        database: Arc<Supabase>,
        run: &Run,
        lease_seconds: u64,
        livemode: bool,
        patience: Patience,
    ) -> Self {
        Self { database, patience, run_id: run.id, attempt: run.attempt, lease_seconds, livemode }
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
        self.patiently(&self.patience, function, parameters).await
    }

    /// Makes a call until it is answered, as long as patience lasts. All of a run's calls are safe to make again.
    async fn patiently<R: serde::de::DeserializeOwned>(
        &self,
        patience: &Patience,
        function: &str,
        parameters: &impl Serialize,
    ) -> Result<R, StoreError> {
        let (mut pause, longest) = PAUSES;
        loop {
            match self.database.call(Asker::Service, Retry::Safe, function, parameters).await {
                Err(error) if error.fault == Fault::Unavailable && patience.lasts(pause).await => {
                    pause = (pause * 2).min(longest);
                }
                answer => return answer.map_err(store_error),
            }
        }
    }

    /// A write that is fenced, and safe to send again: the database knows what it has applied already.
    async fn write(&self, function: &str, parameters: impl Serialize) -> Result<Written, StoreError> {
        self.write_patiently(&self.patience, function, parameters).await
    }

    async fn write_patiently(
        &self,
        patience: &Patience,
        function: &str,
        parameters: impl Serialize,
    ) -> Result<Written, StoreError> {
        let fenced = Fenced { p_run_id: self.run_id, p_attempt: self.attempt, parameters };
        let written: Written = self.patiently(patience, function, &fenced).await?;
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
            "p_scope": ending.scope,
            "p_covered": ending.covered,
        });
        if !ending.due.is_empty() {
            parameters["p_due"] = json!(ending.due);
        }
        if let Some(moment) = ending.events_to {
            parameters["p_events_to"] = timestamp(moment).into();
        }
        if let Some(failure) = &ending.failure {
            parameters["p_error_code"] = failure.code().into();
            parameters["p_error_message"] = failure.sentence().into();
        }
        if let Some(cursor) = &ending.cursor {
            parameters["p_cursor"] = json!(cursor);
        }
        let patience = Patience { until: self.patience.until + TO_FINISH, ..self.patience.clone() };
        let written = self.write_patiently(&patience, "finish_reconciliation_run", parameters).await?;
        written.run.ok_or_else(|| StoreError::Refused("finish_reconciliation_run answered no run".into()))
    }
}

impl ReconcileStore for RunStore {
    async fn ground(&self, access: &[&str]) -> Result<Ground, StoreError> {
        let parameters = json!({ "p_access": access });
        let adapter: Adapter = self.read("read_adapter_for_reconcile", &parameters).await?;
        Ok(adapter.into())
    }

    async fn group(&self, lookup: Lookup<'_>) -> Result<Group, StoreError> {
        let Lookup { listed, named, horizon, span } = lookup;
        let parameters = Read {
            p_listed: listed,
            p_named: named,
            p_livemode: self.livemode,
            p_unlisted_limit: UNLISTED_LIMIT,
            p_horizon: horizon.map(|horizon| horizon.to_string()),
            p_created_from: span.map(|(from, _)| timestamp(from)),
            p_created_to: span.map(|(_, to)| timestamp(to)),
        };
        let found: Found = self.read("read_subscriptions_for_reconcile", &parameters).await?;
        Ok(found.into())
    }

    async fn owners(&self, named: &[&str]) -> Result<Vec<String>, StoreError> {
        self.read("read_owners_for_reconcile", &json!({ "p_owners": named })).await
    }

    async fn rows_of(&self, owners: &[&str]) -> Result<Vec<Row>, StoreError> {
        self.read("read_rows_of_owners_for_reconcile", &json!({ "p_owners": owners })).await
    }

    async fn unplaced(&self, after: Option<&str>) -> Result<Unplaced, StoreError> {
        let parameters = json!({ "p_after": after, "p_limit": UNPLACED_PAGE });
        self.read("read_unplaced_subscriptions", &without_nulls(parameters)).await
    }

    async fn duplicates(
        &self,
        statuses: &[&str],
        after: Option<&str>,
        Piece { number, of }: Piece,
    ) -> Result<Duplicates, StoreError> {
        let parameters = json!({ "p_statuses": statuses, "p_after": after, "p_limit": DUPLICATES_PAGE,
            "p_piece": number, "p_pieces": of });
        self.read("read_duplicate_live_subscriptions", &without_nulls(parameters)).await
    }

    async fn take_allowances(&self) -> Result<BTreeMap<Class, u64>, StoreError> {
        let written = self.write("take_drift_allowances", json!({})).await?;
        Ok(written.allowed)
    }

    async fn due(&self, limit: usize, since: Option<i64>) -> Result<Vec<(String, i64)>, StoreError> {
        let parameters = json!({ "p_limit": limit, "p_since": since.map(timestamp) });
        self.read("read_due_subscriptions", &without_nulls(parameters)).await
    }

    async fn note_events(&self, events: &[(&str, i64)]) -> Result<(), StoreError> {
        self.read("note_stripe_events", &json!({ "p_events": events })).await.map(|_: Value| ())
    }

    async fn standing(&self, classes: &[Class]) -> Result<Tally, StoreError> {
        self.read("read_standing_drift", &json!({ "p_types": classes })).await
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<store::Written, StoreError> {
        let Batch { items, cleared, looked_up, counts, cursor } = batch;
        let parameters = Apply {
            p_lease_seconds: self.lease_seconds,
            p_items: items,
            p_cleared: cleared,
            p_looked_up: looked_up
                .iter()
                .map(|checkout| {
                    let Checkout { stripe_subscription_id, owner, source } = checkout;
                    (stripe_subscription_id.as_str(), owner.as_deref(), source.as_deref())
                })
                .collect(),
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

/// Drops the nulls: a parameter that is not given has its default, one that is null would be null.
fn without_nulls(mut parameters: Value) -> Value {
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.retain(|_, value| !value.is_null());
    }
    parameters
}

/// Unix seconds as Postgres reads them. What no calendar has becomes the calendar's end on that side.
fn timestamp(seconds: i64) -> String {
    let bound = if seconds < 0 { DateTime::<Utc>::UNIX_EPOCH } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp(seconds, 0).unwrap_or(bound).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What a call's error means to the engine.
pub(crate) fn store_error(error: DatabaseError) -> StoreError {
    match error.fault {
        Fault::Unavailable => StoreError::Unavailable(error.to_string()),
        Fault::TimedOut => StoreError::TimedOut(error.to_string()),
        Fault::NotAdopted => StoreError::NotAdopted,
        _ => StoreError::Refused(error.to_string()),
    }
}
