//! How far a run has got: its counts, what a later run would have to go on with, and which windows have been written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tally::Tally;
use super::windows::{OpenWindow, Position, Scan, WindowId};
use crate::drift::class::Class;

/// The numbers of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Subscriptions read from Stripe's list.
    pub scanned_count: u64,
    /// Rows that were missing and have been created.
    pub created_count: u64,
    /// Rows that were repaired, or pointed at their owner's live subscription.
    pub updated_count: u64,
    /// Differences other than missing rows.
    pub mismatch_count: u64,
    /// Repairs that wait for a person.
    #[serde(default)]
    pub waiting_count: u64,
    /// Repairs that the circuit breaker held back.
    #[serde(default)]
    pub held_count: u64,
    /// Repairs that lost to a newer write.
    pub superseded_count: u64,
    /// Subscriptions left to the next run because their webhook may be on its way.
    pub skipped_count: u64,
    /// Items that could not be looked at or repaired.
    pub error_count: u64,
    /// All differences that the run saw.
    pub total_issues: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, part: Self) {
        self.scanned_count += part.scanned_count;
        self.created_count += part.created_count;
        self.updated_count += part.updated_count;
        self.mismatch_count += part.mismatch_count;
        self.waiting_count += part.waiting_count;
        self.held_count += part.held_count;
        self.superseded_count += part.superseded_count;
        self.skipped_count += part.skipped_count;
        self.error_count += part.error_count;
        self.total_issues += part.total_issues;
    }
}

/// What a run that did not look at everything has left to do, and what its sweep has found so far. A sweep is one pass
/// over everything, in one run or in several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// Changes when older cursors could be misread.
    pub version: u32,
    /// The sweep covers what was created before this moment, in Unix seconds.
    pub upper: i64,
    /// What is left to read.
    pub windows: Vec<OpenWindow>,
    /// Subscriptions that would lose something, and need a fresh look before they do.
    #[serde(default)]
    pub lowering: BTreeSet<String>,
    /// Subscriptions that have a row and that Stripe does not list.
    #[serde(default)]
    pub unlisted: BTreeSet<String>,
    /// Subscriptions that need a fresh look because their row was written while Stripe was being asked.
    #[serde(default)]
    pub newer: BTreeSet<String>,
    /// Whether there were more unlisted ones than could be kept.
    #[serde(default)]
    pub too_many: bool,
    /// Subscriptions whose rows can be made, once it is known how many there are.
    #[serde(default)]
    pub missing: BTreeSet<String>,
    /// How many rows would be made, including those that are already held back.
    #[serde(default)]
    pub creations: u64,
    /// Subscriptions whose owner's one row follows another: which one, as far as it is known.
    #[serde(default)]
    pub occupied: BTreeMap<String, Option<String>>,
    /// Classes with a standing difference that could not be judged.
    #[serde(default)]
    pub kept: BTreeSet<Class>,
    /// Subscriptions that the sweep has read.
    pub scanned: u64,
    /// What the sweep has found.
    pub tally: Tally,
    /// Whether some objects could not be read, so that no class can be called clear.
    #[serde(default)]
    pub blemished: bool,
}

/// The most subscriptions that are kept for a fresh look. If more than this are unlisted, the circuit breaker trips whatever the
/// percentage.
pub(super) const FRESH_LIMIT: usize = 20_000;

/// The version that this program writes.
pub const CURSOR_VERSION: u32 = 3;

/// What has been written of each window. Reading is ahead of writing, and only what was written is ticked off.
#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<WindowId, Entry>);

#[derive(Debug)]
struct Entry {
    gte: i64,
    lt: i64,
    written: Option<Position>,
}

impl Ledger {
    /// Notes where a window stands before its first page is taken in.
    pub fn open(&mut self, id: WindowId, window: &OpenWindow) {
        self.0.entry(id).or_insert_with(|| Entry {
            gte: window.gte,
            lt: window.lt,
            written: window.position.clone(),
        });
    }

    /// Notes that a window has been read to its end, and where it began after all splits.
    pub fn drained(&mut self, id: WindowId, gte: i64) {
        if let Some(entry) = self.0.get_mut(&id) {
            entry.gte = gte;
        }
    }

    /// Notes that all that was read up to `position` has been written; `None`: all of the window.
    pub fn written(&mut self, id: WindowId, position: Option<Position>) {
        match position {
            None => {
                self.0.remove(&id);
            }
            Some(position) => {
                if let Some(entry) = self.0.get_mut(&id) {
                    entry.written = Some(position);
                }
            }
        }
    }

    /// What would have to be read again if the run ended now.
    pub fn left(&self, scan: &Scan) -> Vec<OpenWindow> {
        let untouched = scan.open_with_ids().filter(|(id, _)| !self.0.contains_key(id));
        let mut left: Vec<OpenWindow> = untouched.map(|(_, window)| window.clone()).collect();
        left.extend(self.0.iter().map(|(id, entry)| OpenWindow {
            // A split moves the beginning of a window while its pages are under way.
            gte: scan.window(*id).map_or(entry.gte, |window| window.gte),
            lt: entry.lt,
            position: entry.written.clone(),
        }));
        left
    }
}
