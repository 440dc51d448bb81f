//! What the engine needs of the database: a narrow seam, so that the engine can be tested with a database in memory.

use std::collections::BTreeMap;
use std::future::Future;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::progress::{Counts, Cursor};
use super::tally::Tally;
use crate::drift::class::Class;
use crate::drift::policy::Mode;
use crate::drift::repair::{Action, Applied, Item};
use crate::drift::row::Row;
use crate::drift::shape::Shape;

/// How many unlisted rows of one window are named; beyond that they are only counted.
pub const UNLISTED_LIMIT: usize = 1_000;
/// Rows on a page of unplaced subscriptions.
pub const UNPLACED_PAGE: usize = 1_000;
/// Owners on a page of duplicates.
pub const DUPLICATES_PAGE: usize = 1_000;

/// The oldest transaction that was still at work when something was read: what commits later than that read has this id or a later
/// one (`pg_snapshot_xmin`, <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT>).
pub type Horizon = u64;

/// What a run must know of the database before it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Ground {
    /// The adopted table; or, in sentences, why there is none that can be used.
    pub shape: Result<Shape, String>,
    /// Why the table may be read but not written, in a sentence. It does no harm as long as nobody wants to write.
    pub unwritable: Option<String>,
    /// How many rows grant access now.
    pub granting: u64,
    /// Whether the rows are of live-mode subscriptions, as far as that has been seen.
    pub livemode: Option<bool>,
    /// The modes that people have set, by class of drift; `None` where they cannot be read.
    pub policies: Option<BTreeMap<String, String>>,
    /// The horizon now.
    pub horizon: Horizon,
}

impl Ground {
    /// The table as far as a mode needs it. Errors: why it cannot be used, in sentences.
    pub fn shape_for(&self, ceiling: Mode) -> Result<&Shape, String> {
        match (&self.shape, &self.unwritable) {
            (Ok(_), Some(why)) if ceiling > Mode::Observe => Err(why.clone()),
            (shape, _) => shape.as_ref().map_err(Clone::clone),
        }
    }
}

/// A part of Stripe's list, to be looked up.
#[derive(Clone, Debug, Default)]
pub struct Lookup<'a> {
    /// Subscriptions as Stripe lists them, with when they were created, in Unix seconds: each is remembered.
    pub listed: Vec<(&'a str, i64)>,
    /// Other ids of which the rows are wanted.
    pub named: Vec<&'a str>,
    /// Rows that were written since are marked as newer; `None`: all rows count as old.
    pub horizon: Option<Horizon>,
    /// Also wanted: rows of subscriptions created in this span (Unix seconds, from and up to) that are not among these ids.
    pub span: Option<(i64, i64)>,
}

/// What Stripe said of a subscription's checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// `sub_…`
    pub stripe_subscription_id: String,
    /// Whom it names.
    pub owner: Option<String>,
    /// In which field it names them; `None` where it names nobody.
    pub source: Option<String>,
}

/// Rows that belong to a part of Stripe's list.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The rows with the ids that were asked for.
    pub rows: Vec<Row>,
    /// What stands of the subscriptions that were asked for: Stripe id and drift key.
    pub open: Vec<(String, String)>,
    /// Of the keys of `open`, those that a person lets stand for a while.
    pub excepted: Vec<String>,
    /// Of the subscriptions that were asked for, those whose checkout has been looked up before.
    pub looked_up: Vec<Checkout>,
    /// Stripe ids of rows in the span that was asked for which are not among those ids.
    pub unlisted: Vec<String>,
    /// How many of these there are, named or not.
    pub unlisted_count: u64,
    /// As of this read.
    pub horizon: Horizon,
}

/// Rows that no page of Stripe's list leads to.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Unplaced {
    /// Rows of subscriptions that no scan has seen, in the order of the Stripe id: key and Stripe id.
    pub rows: Vec<(String, String)>,
    /// The Stripe id to go on behind; none at the end of the table.
    pub next: Option<String>,
    /// With the first piece, rows whose Stripe id is not a valid one: key, owner, and what is odd.
    pub odd: Vec<(String, Option<String>, String)>,
}

/// Owners with several live subscriptions, and the Stripe ids of these.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Duplicates {
    /// In the order of the owner.
    pub rows: Vec<(String, Vec<String>)>,
}

/// A share of the owners of a table that is too large to be looked at in one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which one, from 0.
    pub number: u64,
    /// Of how many.
    pub of: u64,
}

/// Findings and their repairs, to be applied in one transaction.
#[derive(Debug)]
pub struct Batch<'a> {
    /// What to do.
    pub items: &'a [Item],
    /// Keys of differences that were looked for and are gone.
    pub cleared: &'a [String],
    /// What Stripe said of checkouts, to be remembered.
    pub looked_up: &'a [Checkout],
    /// The run's totals so far.
    pub counts: Counts,
    /// What would be left to do if the run ended here; `None`: the stored cursor stays.
    pub cursor: Option<Cursor>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// For each item, in their order, what was done and why.
    pub outcomes: Vec<(Applied, Option<String>)>,
    /// The entries of what was recorded.
    pub entries: Vec<Recorded>,
}

/// An entry as it stands after a batch: drift key, id, when it was first seen, and what was done about it.
pub type Recorded = (String, Uuid, DateTime<Utc>, Action);

/// Why the database gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The attempt has been given up for dead: another owns the run, and this one may write nothing more.
    #[error("the run belongs to another attempt now")]
    Fenced,
    /// The app's table was let go of while the run was under way.
    #[error("no table is adopted")]
    NotAdopted,
    /// The statement ran into its timeout, and nothing of it was done.
    #[error("the statement took too long: {0}")]
    TimedOut(String),
    /// The database cannot be reached or does not answer in time.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// It refuses what it was asked: a bug, or migrations that are not there.
    #[error("the database refused a call: {0}")]
    Refused(String),
}

/// The database, for one attempt of one run: every write is fenced by it.
pub trait ReconcileStore: Send + Sync {
    /// What the run must know before it begins. `access`: the statuses that grant access.
    fn ground(&self, access: &[&str]) -> impl Future<Output = Result<Ground, StoreError>> + Send;

    /// The rows of a part of Stripe's list.
    fn group(&self, lookup: Lookup<'_>) -> impl Future<Output = Result<Group, StoreError>> + Send;

    /// Those of the named owners who exist.
    fn owners(&self, named: &[&str]) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// The rows of these owners.
    fn rows_of(&self, owners: &[&str]) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// A page of rows that no page of Stripe's list leads to.
    fn unplaced(&self, after: Option<&str>) -> impl Future<Output = Result<Unplaced, StoreError>> + Send;

    /// A page of owners with several rows in these statuses, of those that fall to a piece of the table.
    fn duplicates(
        &self,
        statuses: &[&str],
        after: Option<&str>,
        piece: Piece,
    ) -> impl Future<Output = Result<Duplicates, StoreError>> + Send;

    /// How many repairs of each class people have allowed in spite of the circuit breaker. Taking them uses them up.
    fn take_allowances(&self) -> impl Future<Output = Result<BTreeMap<Class, u64>, StoreError>> + Send;

    /// What is due, the oldest first, at most `limit`: Stripe ids, each with the version in which it was noted. `since`: only what had
    /// an event since (Unix seconds).
    fn due(
        &self,
        limit: usize,
        since: Option<i64>,
    ) -> impl Future<Output = Result<Vec<(String, i64)>, StoreError>> + Send;

    /// Notes that Stripe's events speak of these, each with the seconds until it may be read.
    fn note_events(&self, events: &[(&str, i64)]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How much there is of these classes, counted by the database: for a run that saw only some of it.
    fn standing(&self, classes: &[Class]) -> impl Future<Output = Result<Tally, StoreError>> + Send;

    /// Applies a batch; says what became of it. Sent again, the same batch changes nothing.
    fn apply(&self, batch: Batch<'_>) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Extends the lease.
    fn heartbeat(&self, counts: Counts) -> impl Future<Output = Result<(), StoreError>> + Send;
}
