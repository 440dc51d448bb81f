//! What the engine needs of the database: a narrow seam, so that the engine can be tested with a database in memory.

use std::future::Future;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::progress::{Counts, Cursor};
use crate::drift::repair::{Applied, Item};
use crate::drift::row::Row;

/// How many unexplained rows of one window are named; beyond that they are only counted.
pub const UNEXPLAINED_LIMIT: usize = 1_000;
/// Rows on a page of unplaced subscriptions.
pub const UNPLACED_PAGE: usize = 1_000;
/// Organizations on a page of duplicates.
pub const DUPLICATES_PAGE: usize = 100;

/// Rows that belong to a part of Stripe's list.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Group {
    /// The rows with the ids that were asked for.
    pub rows: Vec<Row>,
    /// What stands of the subscriptions that were asked for: Stripe id and drift key.
    #[serde(default)]
    pub open: Vec<(String, String)>,
    /// Stripe ids of rows that were created in the span that was asked for, and are not among those ids.
    pub unexplained: Vec<String>,
    /// How many of these there are, named or not.
    pub unexplained_count: u64,
}

/// Rows whose place in time is not known: primary key and Stripe id.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Unplaced {
    /// In the order of the primary key.
    pub rows: Vec<(Uuid, String)>,
}

/// Organizations with several live subscriptions, and the Stripe ids of these.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Duplicates {
    /// In the order of the organization.
    pub rows: Vec<(Uuid, Vec<String>)>,
}

/// Findings and their repairs, to be applied in one transaction.
#[derive(Debug, Serialize)]
pub struct Batch<'a> {
    /// What to do.
    pub items: &'a [Item],
    /// Keys of differences that were looked for and are gone.
    pub cleared: &'a [String],
    /// The run's totals so far.
    pub counts: Counts,
    /// What would be left to do if the run ended here; `None`: as it was.
    pub cursor: Option<Cursor>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// For each item, in their order.
    pub outcomes: Vec<Applied>,
    /// The entries of what was recorded: drift key, id, and when it was first seen.
    pub entries: Vec<(String, Uuid, DateTime<Utc>)>,
}

/// Why the database gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The attempt has been given up for dead: another owns the run, and this one may write nothing more.
    #[error("the run belongs to another attempt now")]
    Fenced,
    /// The database cannot be reached or does not answer in time.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// It refuses what it was asked: a bug, or migrations that are not there.
    #[error("the database refused a call: {0}")]
    Refused(String),
}

/// The database, for one attempt of one run: every write is fenced by it.
pub trait ReconcileStore: Send + Sync {
    /// The rows with these Stripe ids, and the Stripe ids of others that were created in `created` (Unix seconds, from
    /// and up to).
    fn group(
        &self,
        stripe_ids: &[&str],
        created: Option<(i64, i64)>,
    ) -> impl Future<Output = Result<Group, StoreError>> + Send;

    /// A page of rows that no scan has placed in time.
    fn unplaced(&self, after: Option<Uuid>) -> impl Future<Output = Result<Unplaced, StoreError>> + Send;

    /// A page of organizations with several live subscriptions.
    fn duplicates(&self, after: Option<Uuid>) -> impl Future<Output = Result<Duplicates, StoreError>> + Send;

    /// Applies a batch; says what became of it. Sent again, the same batch changes nothing.
    fn apply(&self, batch: Batch<'_>) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Extends the lease.
    fn heartbeat(&self, counts: Counts) -> impl Future<Output = Result<(), StoreError>> + Send;
}
