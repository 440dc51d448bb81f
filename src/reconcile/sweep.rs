//! The state of a sweep: what is left to read, what needs a fresh look, and what has been done.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::group::Compared;
use super::progress::{CURSOR_VERSION, Cursor, FRESH_LIMIT, Ledger};
use super::record::Record;
use super::tally::Tally;
use super::windows::Scan;
use crate::drift::class::Class;
use crate::drift::finding::Finding;
use crate::stripe::Subscription;

/// How often the cursor is stored, in case the process dies.
const CHECKPOINT: Duration = Duration::from_secs(2);

/// The most subscriptions that are kept as they were read, about a kilobyte each; others are read again before their rows are made.
const AS_READ_LIMIT: usize = 5_000;

/// The state of a sweep.
pub(super) struct Sweep {
    pub(super) scan: Scan,
    pub(super) ledger: Ledger,
    /// What this run has done.
    pub(super) record: Record,
    /// What earlier runs of the same sweep have done.
    pub(super) before: Cursor,
    /// Subscriptions that would lose something: looked at afresh before they do.
    pub(super) lowering: BTreeSet<String>,
    /// Rows whose subscription Stripe does not list: looked up one by one.
    pub(super) unlisted: BTreeSet<String>,
    /// Subscriptions whose row was written while Stripe was being asked: nobody can say yet whether they differ.
    pub(super) newer: BTreeSet<String>,
    /// Whether there were more unlisted ones than could be kept.
    pub(super) too_many: bool,
    /// What was found of those whose repair waits, to be recorded if it is held back.
    pub(super) put_off: BTreeMap<String, Vec<Finding>>,
    /// Subscriptions whose rows can be made, once it is known how many there are.
    pub(super) missing: BTreeSet<String>,
    /// Some of these, as this run read them.
    pub(super) as_read: HashMap<String, Subscription>,
    /// Subscriptions whose owner's one row follows another: which one, as far as it is known.
    pub(super) occupied: BTreeMap<String, Option<String>>,
    pub(super) dealt_with: HashSet<String>,
    /// Subscriptions that this run took out of what is due, each with the version in which it was noted; and those that were read, with
    /// when Stripe made them (Unix seconds).
    pub(super) due: BTreeMap<String, i64>,
    pub(super) due_read: BTreeMap<String, i64>,
    /// What was due before the scan began and was judged by it, each with its version.
    pub(super) settled_by_scan: BTreeMap<String, i64>,
    /// Classes with a standing difference that could not be judged: nothing says that they are clear.
    pub(super) kept: BTreeSet<Class>,
    checkpoint: Instant,
}

impl Sweep {
    /// Goes on with what `before` left, or begins anew if it cannot be understood.
    pub(super) fn new(before: Option<Cursor>, now: i64) -> Self {
        let resumed = before
            .filter(|cursor| cursor.version == CURSOR_VERSION && cursor.upper <= now)
            .and_then(|cursor| {
                let scan = Scan::resume(cursor.upper, cursor.windows.clone()).ok()?;
                Some((scan, cursor))
            });
        let (scan, mut before) = resumed.unwrap_or_else(|| (Scan::new(now), blank(now)));
        Self {
            scan,
            ledger: Ledger::default(),
            record: Record::default(),
            lowering: std::mem::take(&mut before.lowering),
            unlisted: std::mem::take(&mut before.unlisted),
            newer: std::mem::take(&mut before.newer),
            too_many: before.too_many,
            missing: std::mem::take(&mut before.missing),
            as_read: HashMap::new(),
            occupied: std::mem::take(&mut before.occupied),
            due: BTreeMap::new(),
            due_read: BTreeMap::new(),
            settled_by_scan: BTreeMap::new(),
            kept: std::mem::take(&mut before.kept),
            before,
            put_off: BTreeMap::new(),
            dealt_with: HashSet::new(),
            checkpoint: Instant::now(),
        }
    }

    /// The cursor, if it is time to store it again.
    pub(super) fn checkpoint(&mut self) -> Option<Cursor> {
        (self.checkpoint.elapsed() >= CHECKPOINT).then(|| {
            self.checkpoint = Instant::now();
            self.cursor()
        })
    }

    /// What would be left to do if the run ended now.
    pub(super) fn cursor(&self) -> Cursor {
        let mut tally = self.before.tally.clone();
        tally.merge(self.record.tally.clone());
        Cursor {
            version: CURSOR_VERSION,
            upper: self.scan.upper(),
            windows: self.ledger.left(&self.scan),
            lowering: self.lowering.clone(),
            unlisted: self.unlisted.clone(),
            newer: self.newer.clone(),
            too_many: self.too_many,
            missing: self.missing.clone(),
            creations: self.creations(),
            occupied: self.occupied.clone(),
            kept: self.kept.clone(),
            scanned: self.scanned(),
            tally,
            blemished: self.is_blemished(),
        }
    }

    /// Subscriptions that the sweep has read.
    pub(super) fn scanned(&self) -> u64 {
        self.before.scanned + self.record.counts.scanned_count
    }

    /// Rows that the sweep would make.
    pub(super) fn creations(&self) -> u64 {
        self.before.creations + self.record.creations
    }

    /// Moves what waits for later steps out of the record.
    pub(super) fn set_aside(&mut self) {
        self.missing.extend(self.record.postponed.drain(..));
        self.occupied.extend(self.record.occupied.drain(..));
    }

    /// Keeps subscriptions as they were read, as far as they are among those whose rows wait to be made and there is room.
    pub(super) fn keep(&mut self, read: impl IntoIterator<Item = Subscription>) {
        for subscription in read {
            if self.as_read.len() < AS_READ_LIMIT && self.missing.contains(&subscription.id) {
                self.as_read.insert(subscription.id.clone(), subscription);
            }
        }
    }

    /// Whether something could not be looked at.
    pub(super) fn is_blemished(&self) -> bool {
        self.before.blemished || self.record.counts.error_count > 0
    }

    /// Notes that Stripe did not list a row's subscription, as long as there is room for it.
    pub(super) fn not_listed(&mut self, id: String) {
        if self.unlisted.len() >= FRESH_LIMIT && !self.unlisted.contains(&id) {
            self.too_many = true;
        } else {
            self.unlisted.insert(id);
        }
    }

    /// Takes in what came of a group.
    pub(super) fn take_in(&mut self, compared: Compared) {
        self.record.merge(compared.record);
        self.set_aside();
        self.keep(compared.missing);
        self.dealt_with.extend(compared.dealt_with);
        self.kept.extend(compared.kept);
        self.settled_by_scan.extend(compared.settled);
        self.too_many |= compared.unlisted_count > compared.unlisted.len() as u64;
        for id in compared.unlisted {
            self.not_listed(id);
        }
        for id in compared.newer {
            if self.newer.len() < FRESH_LIMIT {
                self.newer.insert(id);
            } else {
                // The next run meets them again.
                self.record.counts.skipped_count += 1;
            }
        }
        for (id, findings) in compared.put_off {
            self.put_off(id, findings);
        }
    }

    /// Keeps what was found of a subscription until it has been looked at afresh.
    pub(super) fn put_off(&mut self, id: String, findings: Vec<Finding>) {
        self.unlisted.remove(&id);
        self.lowering.insert(id.clone());
        self.put_off.insert(id, findings);
    }
}

fn blank(upper: i64) -> Cursor {
    Cursor {
        version: CURSOR_VERSION,
        upper,
        windows: Vec::new(),
        lowering: BTreeSet::new(),
        unlisted: BTreeSet::new(),
        newer: BTreeSet::new(),
        too_many: false,
        missing: BTreeSet::new(),
        creations: 0,
        occupied: BTreeMap::new(),
        kept: BTreeSet::new(),
        scanned: 0,
        tally: Tally::default(),
        blemished: false,
    }
}
