//! A database in memory, as the engine sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use billing_ops::drift::class::Class;
use billing_ops::drift::finding::Finding;
use billing_ops::drift::repair::{Applied, Item, ItemKind, RowChange};
use billing_ops::drift::row::{Fields, Row};
use billing_ops::reconcile::progress::Counts;
use billing_ops::reconcile::store::{
    Batch, Duplicates, Group, ReconcileStore, StoreError, UNEXPLAINED_LIMIT, UNPLACED_PAGE, Unplaced, Written,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::world::now;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What another writer does to the rows, by Stripe id.
type Interference = Box<dyn FnMut(&mut BTreeMap<String, Row>) + Send>;

/// What the database holds, and what it was asked.
#[derive(Default)]
pub struct State {
    /// By Stripe id.
    pub rows: BTreeMap<String, Row>,
    pub written: BTreeMap<Uuid, Instant>,
    pub organizations: BTreeSet<Uuid>,
    pub findings: BTreeMap<String, (Finding, Applied)>,
    /// What stands, by drift key, and what was cleared.
    pub open: BTreeMap<String, (Uuid, DateTime<Utc>)>,
    pub cleared: BTreeSet<String>,
    pub reads: u64,
    pub batches: u64,
    pub heartbeats: u64,
    pub cursor: Option<Value>,
    /// Calls after this many fail so.
    pub fails_after: Option<(u64, StoreError)>,
    /// Runs before each batch is applied.
    pub before_batch: Option<Interference>,
    /// One row for an organization, as in earlier schemas.
    pub one_per_organization: bool,
}

#[derive(Default)]
pub struct MemoryStore(Mutex<State>);

impl MemoryStore {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn insert(&self, row: Row) {
        let mut state = self.lock();
        state.organizations.insert(row.organization_id);
        state.rows.insert(row.stripe_subscription_id.clone(), row);
    }

    pub fn row(&self, stripe_id: &str) -> Option<Row> {
        self.lock().rows.get(stripe_id).cloned()
    }

    /// Changes a row as the application would.
    pub fn change(&self, stripe_id: &str, change: impl FnOnce(&mut Row)) {
        let mut state = self.lock();
        let row = state.rows.get_mut(stripe_id).unwrap();
        change(row);
        row.row_version += 1;
    }

    pub fn remove(&self, stripe_id: &str) {
        self.lock().rows.remove(stripe_id);
    }

    /// Types and actions of all findings.
    pub fn findings(&self) -> Vec<(&'static str, Applied)> {
        self.lock().findings.values().map(|(finding, applied)| (finding.class.as_str(), *applied)).collect()
    }
}

impl State {
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

    fn facts(&self, row: &Row) -> Row {
        let changed_ago = self.written.get(&row.id).map_or(Duration::from_secs(3_600), Instant::elapsed);
        Row { changed_ago_ms: Some(changed_ago.as_millis() as i64), ..row.clone() }
    }

    fn apply(&mut self, item: &Item) -> Applied {
        if let Some((_, applied)) =
            item.findings.first().and_then(|first| self.findings.get(&first.drift_key))
        {
            return *applied;
        }
        match (&item.kind, &item.row) {
            (ItemKind::Update, Some(RowChange::Update { row_id, row_version, fields })) => {
                match self.rows.values_mut().find(|row| row.id == *row_id) {
                    Some(row) if row.row_version == *row_version => {
                        set(row, fields);
                        row.row_version += 1;
                        Applied::Repaired
                    }
                    _ => Applied::Superseded,
                }
            }
            (
                ItemKind::Create,
                Some(RowChange::Create { stripe_customer_id, stripe_subscription_id, fields }),
            ) => {
                let named = item.organization_id.filter(|id| self.organizations.contains(id));
                let holders: BTreeSet<Uuid> = self
                    .rows
                    .values()
                    .filter(|row| row.stripe_customer_id.as_ref() == Some(stripe_customer_id))
                    .map(|row| row.organization_id)
                    .collect();
                let holder = if holders.len() == 1 { holders.first().copied() } else { None };
                let Some(organization_id) = named.or(holder) else { return Applied::OrganizationUnknown };
                if self.rows.contains_key(stripe_subscription_id) {
                    return Applied::Superseded;
                }
                if self.one_per_organization
                    && self.rows.values().any(|row| row.organization_id == organization_id)
                {
                    return Applied::Refused;
                }
                let mut row = empty_row(organization_id, stripe_customer_id, stripe_subscription_id);
                set(&mut row, fields);
                self.rows.insert(stripe_subscription_id.clone(), row);
                Applied::Created
            }
            _ if item.action == Some("held") => Applied::Held,
            _ => Applied::None,
        }
    }
}

fn empty_row(organization_id: Uuid, customer: &str, stripe_id: &str) -> Row {
    Row {
        id: Uuid::new_v4(),
        row_version: 1,
        organization_id,
        stripe_subscription_id: stripe_id.to_owned(),
        stripe_customer_id: Some(customer.to_owned()),
        status: String::new(),
        tier: None,
        stripe_price_id: None,
        quantity: None,
        current_period_start: None,
        current_period_end: None,
        cancel_at_period_end: None,
        trial_end: None,
        livemode: None,
        stripe_created: None,
        changed_ago_ms: None,
    }
}

fn set(row: &mut Row, fields: &Fields) {
    if let Some(status) = &fields.status {
        row.status = status.clone();
    }
    row.tier = fields.tier.clone().or(row.tier.take());
    row.stripe_price_id = fields.stripe_price_id.clone().or(row.stripe_price_id.take());
    row.quantity = fields.quantity.or(row.quantity);
    row.current_period_start =
        fields.current_period_start.map(|moment| moment.0).or(row.current_period_start);
    row.current_period_end = fields.current_period_end.map(|moment| moment.0).or(row.current_period_end);
    row.cancel_at_period_end = fields.cancel_at_period_end.or(row.cancel_at_period_end);
    row.trial_end = fields.trial_end.map(|moment| moment.0).or(row.trial_end);
    row.livemode = fields.livemode.or(row.livemode);
    row.stripe_created = fields.stripe_created.map(|moment| moment.0).or(row.stripe_created);
}

impl ReconcileStore for MemoryStore {
    async fn group(&self, stripe_ids: &[&str], created: Option<(i64, i64)>) -> Result<Group, StoreError> {
        let mut state = self.lock();
        state.call()?;
        state.reads += 1;
        let wanted: BTreeSet<&str> = stripe_ids.iter().copied().collect();
        let rows = wanted.iter().filter_map(|id| state.rows.get(*id)).map(|row| state.facts(row)).collect();
        let unexplained: Vec<String> = state
            .rows
            .values()
            .filter(|row| {
                created.is_some_and(|(from, to)| {
                    row.stripe_created.is_some_and(|moment| (from..to).contains(&moment))
                })
            })
            .filter(|row| !wanted.contains(row.stripe_subscription_id.as_str()))
            .map(|row| row.stripe_subscription_id.clone())
            .collect();
        let unexplained_count = unexplained.len() as u64;
        let unexplained = unexplained.into_iter().take(UNEXPLAINED_LIMIT).collect();
        let subject = |key: &String| key.split_once(':').map(|(_, subject)| subject.to_owned());
        let open = state.open.keys().filter_map(|key| Some((subject(key)?, key.clone())));
        let open = open.filter(|(subject, _)| wanted.contains(subject.as_str())).collect();
        Ok(Group { rows, open, unexplained, unexplained_count })
    }

    async fn unplaced(&self, after: Option<Uuid>) -> Result<Unplaced, StoreError> {
        let mut state = self.lock();
        state.call()?;
        let mut rows: Vec<(Uuid, String)> = state
            .rows
            .values()
            .filter(|row| row.stripe_created.is_none() && after.is_none_or(|after| row.id > after))
            .map(|row| (row.id, row.stripe_subscription_id.clone()))
            .collect();
        rows.sort();
        rows.truncate(UNPLACED_PAGE);
        Ok(Unplaced { rows })
    }

    async fn duplicates(&self, after: Option<Uuid>) -> Result<Duplicates, StoreError> {
        let mut state = self.lock();
        state.call()?;
        let mut live: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        for row in state.rows.values() {
            if matches!(row.status.as_str(), "trialing" | "active" | "past_due" | "unpaid" | "paused") {
                live.entry(row.organization_id).or_default().push(row.stripe_subscription_id.clone());
            }
        }
        let rows = live
            .into_iter()
            .filter(|(id, of)| of.len() > 1 && after.is_none_or(|after| *id > after))
            .take(100)
            .collect();
        Ok(Duplicates { rows })
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Written, StoreError> {
        let mut state = self.lock();
        state.call()?;
        state.batches += 1;
        if let Some(mut before) = state.before_batch.take() {
            before(&mut state.rows);
            state.before_batch = Some(before);
        }
        if let Some(cursor) = batch.cursor {
            state.cursor = Some(serde_json::to_value(cursor).unwrap());
        }
        let outcomes: Vec<Applied> = batch.items.iter().map(|item| state.apply(item)).collect();
        for (item, outcome) in batch.items.iter().zip(&outcomes) {
            for finding in &item.findings {
                state.findings.entry(finding.drift_key.clone()).or_insert((finding.clone(), *outcome));
            }
        }
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(now());
        let mut entries = Vec::new();
        for (item, outcome) in batch.items.iter().zip(&outcomes) {
            for finding in &item.findings {
                let key = match outcome {
                    Applied::OrganizationUnknown => finding.key_as(Class::OrganizationUnknown),
                    _ => finding.drift_key.clone(),
                };
                let (id, seen) = *state.open.entry(key.clone()).or_insert((Uuid::new_v4(), now));
                if matches!(outcome, Applied::Repaired | Applied::Created) {
                    state.open.remove(&key);
                }
                entries.push((key, id, seen));
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
