//! A database in memory, as the engine sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use billing_ops::drift::class::Class;
use billing_ops::drift::finding::Finding;
use billing_ops::drift::repair::{Action, Applied, Follows, Item, ItemKind, RowChange};
use billing_ops::drift::row::{Fields, Row};
use billing_ops::drift::shape::Shape;
use billing_ops::reconcile::progress::Counts;
use billing_ops::reconcile::store::{
    Batch, Checkout, Duplicates, Ground, Group, Horizon, Lookup, Piece, ReconcileStore, StoreError,
    UNLISTED_LIMIT, Unplaced, Written,
};
use billing_ops::reconcile::tally::Tally;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::now;

/// So few rows are a piece of the table here, so that most tables have several.
const ROWS_OF_A_PIECE: usize = 20;

/// What another writer does to the rows, by Stripe id.
type Interference = Box<dyn FnMut(&mut State) + Send>;

/// What the database holds, and what it was asked.
pub struct State {
    pub shape: Result<Shape, String>,
    /// By Stripe id.
    pub rows: BTreeMap<String, Row>,
    /// The transaction that is next, and the one in which each row was written, by key. Rows that were there before have none.
    pub transaction: Horizon,
    pub written: BTreeMap<String, Horizon>,
    /// When a subscription was created, and whether it is live.
    pub marks: BTreeMap<String, (i64, bool)>,
    pub looked_up: BTreeMap<String, Checkout>,
    pub owners: BTreeSet<String>,
    pub odd: Vec<(String, Option<String>, String)>,
    pub findings: BTreeMap<String, (Finding, Applied)>,
    /// What stands, by drift key, and what was cleared.
    pub open: BTreeMap<String, (Uuid, DateTime<Utc>)>,
    /// Of these, what a person lets stand.
    pub excepted: BTreeSet<String>,
    /// What people have set by class, and what they have allowed once.
    pub policies: Option<BTreeMap<String, String>>,
    pub allowed: BTreeMap<Class, u64>,
    pub cleared: BTreeSet<String>,
    pub reads: u64,
    pub batches: u64,
    pub heartbeats: u64,
    pub cursor: Option<Value>,
    /// Calls after this many fail so.
    pub fails_after: Option<(u64, StoreError)>,
    /// Batches that would write one of these Stripe ids run into the timeout.
    pub slow: BTreeSet<String>,
    /// The table refuses to write these Stripe ids, and says why.
    pub refuses: BTreeMap<String, String>,
    /// Runs before each batch is applied.
    pub before_batch: Option<Interference>,
    /// Runs after each read.
    pub after_read: Option<Interference>,
    /// Whose key it is that asks.
    pub livemode: bool,
    /// Rows that grant access, where a test says so in the place of the rows.
    pub granting: Option<u64>,
    /// What is due, each in its version, and what was noted with how many seconds to wait.
    pub due: BTreeMap<String, i64>,
    pub noted: Vec<(String, i64)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            shape: Ok(shape("update_and_insert")),
            rows: BTreeMap::new(),
            transaction: 100,
            written: BTreeMap::new(),
            marks: BTreeMap::new(),
            looked_up: BTreeMap::new(),
            owners: BTreeSet::new(),
            odd: Vec::new(),
            findings: BTreeMap::new(),
            open: BTreeMap::new(),
            excepted: BTreeSet::new(),
            policies: Some(BTreeMap::new()),
            allowed: BTreeMap::new(),
            cleared: BTreeSet::new(),
            reads: 0,
            batches: 0,
            heartbeats: 0,
            cursor: None,
            fails_after: None,
            slow: BTreeSet::new(),
            refuses: BTreeMap::new(),
            before_batch: None,
            after_read: None,
            livemode: false,
            granting: None,
            due: BTreeMap::new(),
            noted: Vec::new(),
        }
    }
}

/// The seed's table, every word of it mapped and kept.
pub fn shape(writes: &str) -> Shape {
    let words = [
        "status",
        "tier",
        "price",
        "quantity",
        "period_start",
        "period_end",
        "cancel_at_period_end",
        "trial_end",
    ];
    let columns: BTreeMap<&str, &str> = words.iter().map(|word| (*word, *word)).collect();
    let described = json!({"columns": columns, "keeps": words, "writes": writes, "quantity_prices": null});
    serde_json::from_value(described).unwrap()
}

#[derive(Default)]
pub struct MemoryStore(Mutex<State>);

impl MemoryStore {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn insert(&self, row: Row) {
        let mut state = self.lock();
        state.owners.extend(row.owner.clone());
        state.rows.insert(row.stripe_subscription_id.clone(), row);
    }

    pub fn row(&self, stripe_id: &str) -> Option<Row> {
        self.lock().rows.get(stripe_id).cloned()
    }

    pub fn status(&self, stripe_id: &str) -> String {
        self.row(stripe_id).and_then(|row| row.status).unwrap_or_default()
    }

    /// Makes a row another one, as if it had been so before the run.
    pub fn change(&self, stripe_id: &str, change: impl FnOnce(&mut Row)) {
        change(self.lock().rows.get_mut(stripe_id).unwrap());
    }

    pub fn remove(&self, stripe_id: &str) {
        self.lock().rows.remove(stripe_id);
    }

    /// Types and actions of all findings.
    pub fn findings(&self) -> Vec<(&'static str, Action)> {
        let state = self.lock();
        let found = state.findings.values();
        found.map(|(finding, applied)| (applied.class(finding.class).as_str(), applied.action())).collect()
    }
}

impl State {
    /// Writes a row as the application would, now.
    pub fn write(&mut self, stripe_id: &str, change: impl FnOnce(&mut Row)) {
        let row = self.rows.get_mut(stripe_id).unwrap();
        change(row);
        row.version = self.transaction.to_string();
        self.written.insert(row.key.clone(), self.transaction);
        self.transaction += 1;
    }

    fn one_row_each(&self) -> bool {
        self.shape.as_ref().is_ok_and(|shape| shape.one_row_each)
    }

    /// Points a row at another subscription.
    fn follow(&mut self, stripe_id: &str, follows: &Follows) {
        let Some(mut row) = self.rows.remove(stripe_id) else { return };
        row.stripe_subscription_id = follows.stripe_subscription_id.clone();
        row.customer = Some(follows.customer.clone());
        self.rows.insert(row.stripe_subscription_id.clone(), row);
    }

    fn call(&mut self) -> Result<(), StoreError> {
        match &mut self.fails_after {
            Some((0, error)) => Err(error.clone()),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn facts(&self, row: &Row, horizon: Option<Horizon>) -> Row {
        let written = self.written.get(&row.key);
        let newer = horizon.is_some_and(|horizon| written.is_some_and(|written| *written >= horizon));
        let mark = self.marks.get(&row.stripe_subscription_id);
        let other_mode = mark.is_some_and(|(_, livemode)| *livemode != self.livemode);
        Row { newer, other_mode, ..row.clone() }
    }

    fn apply(&mut self, item: &Item) -> (Applied, Option<String>) {
        if let Some((_, applied)) =
            item.findings.first().and_then(|first| self.findings.get(&first.drift_key))
        {
            return (*applied, None);
        }
        let done = |action| (Applied::Done(action), None);
        match (&item.kind, &item.row) {
            (ItemKind::Update, Some(RowChange::Update { key, version, follows, fields })) => {
                let row = self.rows.values().find(|row| row.key == *key && row.version == *version);
                let Some(id) = row.map(|row| row.stripe_subscription_id.clone()) else {
                    return done(Action::Superseded);
                };
                if let Some(why) = self.refuses.get(&id) {
                    return (Applied::Done(Action::Refused), Some(why.clone()));
                }
                self.write(&id, |row| set(row, fields));
                match follows {
                    None => done(Action::Repaired),
                    Some(follows) => {
                        self.follow(&id, follows);
                        done(Action::Moved)
                    }
                }
            }
            (ItemKind::Create, Some(RowChange::Create { follows, fields })) => {
                let Follows { customer, stripe_subscription_id: id } = follows;
                let named = item.named.clone().unwrap_or_default();
                let existing = |owner: Option<String>| owner.filter(|owner| self.owners.contains(owner));
                let holders: BTreeSet<&String> = self
                    .rows
                    .values()
                    .filter(|row| row.customer.as_ref() == Some(customer))
                    .filter_map(|row| row.owner.as_ref())
                    .collect();
                let holder = if holders.len() == 1 { holders.first().copied().cloned() } else { None };
                let (metadata, checkout) = (existing(named.metadata.clone()), existing(named.checkout));
                if named.metadata.is_some() && metadata.is_none() {
                    return (Applied::OrganizationUnknown, None);
                }
                let told: BTreeSet<String> = [metadata, holder, checkout].into_iter().flatten().collect();
                if told.len() > 1 {
                    return (Applied::OrganizationMismatch, None);
                }
                let Some(owner) = told.into_iter().next() else {
                    return match existing(named.client_reference_id) {
                        Some(_) => done(Action::Waiting),
                        None => (Applied::OrganizationUnknown, None),
                    };
                };
                let of_owner = self.rows.values().find(|row| row.owner.as_ref() == Some(&owner));
                let there = of_owner.filter(|_| self.one_row_each()).cloned();
                if let Some(row) = &there {
                    let status = row.status.as_deref().unwrap_or_default();
                    if !item.gives_way.contains(&status) {
                        return (Applied::Occupied, Some(row.stripe_subscription_id.clone()));
                    }
                }
                if item.postponed {
                    return (Applied::Postponed, None);
                }
                if let Some(action) = item.action {
                    return done(action);
                }
                if self.rows.contains_key(id) {
                    return done(Action::Superseded);
                }
                if let Some(why) = self.refuses.get(id) {
                    return (Applied::Done(Action::Refused), Some(why.clone()));
                }
                if let Some(row) = there {
                    self.write(&row.stripe_subscription_id, |row| set(row, fields));
                    self.follow(&row.stripe_subscription_id, follows);
                    return done(Action::Moved);
                }
                let mut row = Row {
                    key: Uuid::new_v4().to_string(),
                    owner: Some(owner),
                    stripe_subscription_id: id.clone(),
                    customer: Some(customer.clone()),
                    ..Row::default()
                };
                set(&mut row, fields);
                self.rows.insert(id.clone(), row);
                self.write(&id.clone(), |_| ());
                done(Action::Created)
            }
            _ => done(item.action.unwrap_or(Action::None)),
        }
    }

    fn would_write(&self, item: &Item, ids: &BTreeSet<String>) -> bool {
        item.action.is_none()
            && !item.postponed
            && match &item.row {
                Some(RowChange::Update { key, .. }) => {
                    self.rows.values().any(|row| row.key == *key && ids.contains(&row.stripe_subscription_id))
                }
                Some(RowChange::Create { follows, .. }) => ids.contains(&follows.stripe_subscription_id),
                None => false,
            }
    }
}

fn set(row: &mut Row, fields: &Fields) {
    row.status = fields.status.clone().or(row.status.take());
    row.tier = fields.tier.clone().or(row.tier.take());
    row.price = fields.price.clone().or(row.price.take());
    row.quantity = fields.quantity.or(row.quantity);
    row.period_start = fields.period_start.or(row.period_start);
    row.period_end = fields.period_end.or(row.period_end);
    row.cancel_at_period_end = fields.cancel_at_period_end.or(row.cancel_at_period_end);
    row.trial_end = fields.trial_end.or(row.trial_end);
}

impl ReconcileStore for MemoryStore {
    async fn due(&self, limit: usize, _since: Option<i64>) -> Result<Vec<(String, i64)>, StoreError> {
        let mut state = self.lock();
        state.call()?;
        Ok(state.due.iter().take(limit).map(|(id, version)| (id.clone(), *version)).collect())
    }

    async fn note_events(&self, events: &[(&str, i64)]) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.call()?;
        state.noted.extend(events.iter().map(|(id, wait)| ((*id).to_owned(), *wait)));
        for (id, wait) in events {
            if *wait == 0 {
                *state.due.entry((*id).to_owned()).or_default() += 1;
            }
        }
        Ok(())
    }

    async fn standing(&self, classes: &[Class]) -> Result<Tally, StoreError> {
        let mut state = self.lock();
        state.call()?;
        let mut tally = Tally::default();
        for (finding, applied) in state.findings.values() {
            let (class, action) = (applied.class(finding.class), applied.action());
            if classes.contains(&class) {
                let fixed = matches!(action, Action::Repaired | Action::Created | Action::Moved);
                tally.add(class, (!fixed).then_some(finding.severity), "of the database");
            }
        }
        Ok(tally)
    }

    async fn ground(&self, access: &[&str]) -> Result<Ground, StoreError> {
        let mut state = self.lock();
        state.call()?;
        let grants = |row: &&Row| row.status.as_deref().is_some_and(|status| access.contains(&status));
        let granting = state.granting.unwrap_or_else(|| state.rows.values().filter(grants).count() as u64);
        let seen = state.rows.keys().filter_map(|id| state.marks.get(id));
        let live: Vec<bool> = seen.map(|(_, livemode)| *livemode).collect();
        let livemode = (!live.is_empty()).then(|| live.iter().filter(|live| **live).count() * 2 > live.len());
        Ok(Ground {
            shape: state.shape.clone(),
            unwritable: None,
            granting,
            livemode,
            policies: state.policies.clone(),
            horizon: state.transaction,
        })
    }

    async fn group(&self, lookup: Lookup<'_>) -> Result<Group, StoreError> {
        let mut state = self.lock();
        state.call()?;
        state.reads += 1;
        let Lookup { listed, named, horizon, span } = lookup;
        let livemode = state.livemode;
        for (id, created) in &listed {
            state.marks.entry((*id).to_owned()).or_insert((*created, livemode));
        }
        let wanted: BTreeSet<&str> = listed.iter().map(|(id, _)| *id).chain(named).collect();
        let rows =
            wanted.iter().filter_map(|id| state.rows.get(*id)).map(|row| state.facts(row, horizon)).collect();
        let unlisted: Vec<String> = state
            .marks
            .iter()
            .filter(|(_, (created, _))| span.is_some_and(|(from, to)| (from..to).contains(created)))
            .filter(|(id, _)| !wanted.contains(id.as_str()) && state.rows.contains_key(*id))
            .map(|(id, _)| id.clone())
            .collect();
        let unlisted_count = unlisted.len() as u64;
        let unlisted = unlisted.into_iter().take(UNLISTED_LIMIT).collect();
        let subject = |key: &String| key.split_once(':').map(|(_, subject)| subject.to_owned());
        let open = state.open.keys().filter_map(|key| Some((subject(key)?, key.clone())));
        let open: Vec<(String, String)> =
            open.filter(|(subject, _)| wanted.contains(subject.as_str())).collect();
        let excepted =
            open.iter().map(|(_, key)| key).filter(|key| state.excepted.contains(*key)).cloned().collect();
        let looked_up = wanted.iter().filter_map(|id| state.looked_up.get(*id)).cloned().collect();
        let horizon = state.transaction;
        if let Some(mut after) = state.after_read.take() {
            after(&mut state);
            state.after_read = Some(after);
        }
        Ok(Group { rows, open, excepted, looked_up, unlisted, unlisted_count, horizon })
    }

    async fn owners(&self, named: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut state = self.lock();
        state.call()?;
        Ok(named
            .iter()
            .filter(|owner| state.owners.contains(**owner))
            .map(|owner| (*owner).to_owned())
            .collect())
    }

    async fn rows_of(&self, owners: &[&str]) -> Result<Vec<Row>, StoreError> {
        let mut state = self.lock();
        state.call()?;
        let of = |row: &&Row| row.owner.as_deref().is_some_and(|owner| owners.contains(&owner));
        Ok(state.rows.values().filter(of).cloned().collect())
    }

    async fn unplaced(&self, after: Option<&str>) -> Result<Unplaced, StoreError> {
        let mut state = self.lock();
        state.call()?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let piece: Vec<(&String, &Row)> =
            state.rows.range::<str, _>((from, Bound::Unbounded)).take(ROWS_OF_A_PIECE).collect();
        let next = piece.get(ROWS_OF_A_PIECE - 1).map(|(id, _)| (*id).clone());
        let unplaced = piece.into_iter().filter(|(id, _)| !state.marks.contains_key(*id));
        let rows = unplaced.map(|(id, row)| (row.key.clone(), id.clone())).collect();
        let odd = if after.is_none() { state.odd.clone() } else { Vec::new() };
        Ok(Unplaced { rows, next, odd })
    }

    async fn duplicates(
        &self,
        statuses: &[&str],
        after: Option<&str>,
        piece: Piece,
    ) -> Result<Duplicates, StoreError> {
        assert_eq!(piece, Piece { number: 0, of: 1 }, "so few fit into one");
        let mut state = self.lock();
        state.call()?;
        let mut live: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in state.rows.values() {
            let ends = row.cancel_at_period_end == Some(true);
            if !ends && row.status.as_deref().is_some_and(|status| statuses.contains(&status)) {
                let owner = row.owner.clone().unwrap_or_default();
                live.entry(owner).or_default().push(row.stripe_subscription_id.clone());
            }
        }
        let rows = live
            .into_iter()
            .filter(|(owner, of)| of.len() > 1 && after.is_none_or(|after| owner.as_str() > after))
            .take(100)
            .collect();
        Ok(Duplicates { rows })
    }

    async fn take_allowances(&self) -> Result<BTreeMap<Class, u64>, StoreError> {
        let mut state = self.lock();
        state.call()?;
        Ok(std::mem::take(&mut state.allowed))
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Written, StoreError> {
        let mut state = self.lock();
        state.call()?;
        state.batches += 1;
        let keys = batch.items.iter().filter_map(|item| match &item.row {
            Some(RowChange::Update { key, .. }) => Some(key),
            _ => None,
        });
        let (all, different) = (keys.clone().count(), keys.collect::<BTreeSet<_>>().len());
        if all != different {
            return Err(StoreError::Refused("Each row needs a key, and no key may come twice.".into()));
        }
        if batch.items.iter().any(|item| state.would_write(item, &state.slow)) {
            return Err(StoreError::TimedOut("57014".into()));
        }
        if let Some(mut before) = state.before_batch.take() {
            before(&mut state);
            state.before_batch = Some(before);
        }
        if let Some(cursor) = batch.cursor {
            state.cursor = Some(serde_json::to_value(cursor).unwrap());
        }
        for checkout in batch.looked_up {
            state.looked_up.insert(checkout.stripe_subscription_id.clone(), checkout.clone());
        }
        let outcomes: Vec<(Applied, Option<String>)> =
            batch.items.iter().map(|item| state.apply(item)).collect();
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(now());
        let mut entries = Vec::new();
        let decided = |outcome: &Applied| !matches!(outcome, Applied::Postponed | Applied::Occupied);
        let told = batch.items.iter().zip(&outcomes).filter(|(_, (outcome, _))| decided(outcome));
        for (item, (outcome, _)) in told {
            for finding in &item.findings {
                state.findings.entry(finding.drift_key.clone()).or_insert((finding.clone(), *outcome));
                let key = finding.key_as(outcome.class(finding.class));
                let (id, seen) = *state.open.entry(key.clone()).or_insert((Uuid::new_v4(), now));
                if matches!(outcome.action(), Action::Repaired | Action::Created | Action::Moved) {
                    state.open.remove(&key);
                }
                let excepted = state.excepted.contains(&key);
                entries.push((key, id, seen, if excepted { Action::Excepted } else { outcome.action() }));
            }
        }
        for key in batch.cleared {
            state.open.remove(key);
            state.cleared.insert(key.clone());
        }
        Ok(Written { outcomes, entries })
    }

    async fn heartbeat(&self, _counts: Counts) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.call()?;
        state.heartbeats += 1;
        Ok(())
    }
}
