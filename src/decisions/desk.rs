//! The engine's store where a person decides: of what a pass would do, only what the person was shown is done.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::db::{self, Applying};

use crate::drift::class::Class;
use crate::drift::entry::Entry;
use crate::drift::finding::Finding;
use crate::drift::repair::{Action, Applied, Item, ItemKind};
use crate::drift::row::Row;
use crate::reconcile::progress::Counts;
use crate::reconcile::store::{
    Batch, Duplicates, Ground, Group, Lookup, Piece, ReconcileStore, StoreError, Unplaced, Written,
};
use crate::reconcile::tally::Tally;
use crate::runs::store::store_error;
use crate::supabase::Supabase;

/// What became of one approval.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It was done, or a newer write or the table prevented it.
    Decided { outcome: String, drift: Entry },
    /// It is no longer what was shown: nothing was written.
    Conflict { why: String, drift: Option<Entry> },
}

/// The store of one call.
pub(super) struct Desk<'a> {
    database: &'a Supabase,
    actor: Uuid,
    /// As the person's own call has read it.
    group: Option<Group>,
    /// What is to be approved, by drift key, as it was shown.
    wanted: HashMap<String, Entry>,
    fates: Mutex<HashMap<Uuid, Fate>>,
}

/// An item, and the entry that it is about.
#[derive(Serialize)]
struct Approved<'a> {
    id: Uuid,
    /// Whom a new row must belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(flatten)]
    item: Item,
}

#[derive(Serialize)]
struct Changed<'a> {
    id: Uuid,
    finding: &'a Finding,
}

impl<'a> Desk<'a> {
    /// `wanted`: entries of different subscriptions.
    pub(super) fn new(
        database: &'a Supabase,
        actor: Uuid,
        group: Option<Group>,
        wanted: impl IntoIterator<Item = Entry>,
    ) -> Self {
        let wanted = wanted.into_iter().map(|entry| (entry.drift_key.clone(), entry)).collect();
        Self { database, actor, group, wanted, fates: Mutex::default() }
    }

    /// Whether all of these are subscriptions of what is to be approved.
    fn covers(&self, ids: &[&str]) -> bool {
        let own: HashSet<&str> =
            self.wanted.values().filter_map(|entry| entry.stripe_subscription_id.as_deref()).collect();
        ids.iter().all(|id| own.contains(id))
    }

    /// What became of each entry. What is not there could not be judged.
    pub(super) fn fates(self) -> HashMap<Uuid, Fate> {
        self.fates.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: Uuid, fate: Fate) {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner).insert(id, fate);
    }

    fn take_in(&self, items: &[Approved<'_>], gone: &[Uuid], changed: &[Uuid], answer: Applying) {
        let quicker = "Somebody else, or a run, was quicker: look again.";
        let mut drift: HashMap<Uuid, Entry> =
            answer.drift.into_iter().map(|entry| (entry.id, entry.worded())).collect();
        if answer.outcome != "applied" {
            for id in items.iter().map(|item| item.id).chain(gone.iter().chain(changed).copied()) {
                self.note(id, Fate::Conflict { why: quicker.to_owned(), drift: None });
            }
            return;
        }
        for (item, (outcome, _)) in items.iter().zip(answer.items) {
            let entry = drift.remove(&item.id);
            let closed = entry.as_ref().is_some_and(|entry| entry.closed_at.is_some());
            let why = match (outcome.as_str(), entry) {
                // The engine deals with this in another way.
                ("occupied", _) => continue,
                ("superseded", drift) if closed => (quicker, drift),
                ("repaired" | "created" | "moved" | "superseded" | "refused", Some(drift)) => {
                    self.note(item.id, Fate::Decided { outcome, drift });
                    continue;
                }
                ("closed", drift) => (quicker, drift),
                (_, drift) => {
                    ("It is not known any more whose subscription this is: wait for the next run.", drift)
                }
            };
            self.note(item.id, Fate::Conflict { why: why.0.to_owned(), drift: why.1 });
        }
        for id in gone {
            if let Some(drift) = drift.remove(id) {
                self.note(*id, Fate::Decided { outcome: "gone".to_owned(), drift });
            }
        }
        for id in changed {
            let why = "It is not what was shown any more: this is what would be done now.".to_owned();
            self.note(*id, Fate::Conflict { why, drift: drift.remove(id) });
        }
    }
}

/// What is found instead of whatever else could differ.
const INSTEAD_OF_A_COMPARISON: [Class; 7] = [
    Class::LivemodeMismatch,
    Class::MalformedRow,
    Class::OrganizationMismatch,
    Class::ReplacedSubscription,
    Class::MissingInStripe,
    Class::UnknownStatus,
    Class::DuplicateLiveSubscription,
];

/// Whether what would be done is what was shown.
fn is_as_shown(entry: &Entry, finding: &Finding) -> bool {
    let proposal = finding.proposal.as_ref().map(|proposal| json!(proposal));
    // The database finds out whose a new row is, and compares that with whom the person was shown.
    let owner = finding.class == Class::MissingInDatabase || entry.owner == finding.owner;
    let same = entry.proposal == proposal && entry.details == finding.details;
    same && owner && entry.lowers_access == finding.lowers_access
}

/// The part of what a row would be set to that belongs to one difference.
fn only(item: &Item, key: &str, owner: Option<&str>) -> Option<Item> {
    let class = item.findings.iter().find(|finding| finding.drift_key == key)?.class;
    let mut item = item.clone();
    item.findings.retain(|finding| finding.drift_key == key);
    if item.kind == ItemKind::Update && !item.moves() {
        item.keep_fields(|of| of == class);
    }
    // The person takes the payer's word for it, where that is what they were shown.
    if let Some(named) = &mut item.named
        && named.client_reference_id.as_deref() == owner
    {
        named.checkout = named.checkout.take().or(named.client_reference_id.take());
    }
    Some(item)
}

impl ReconcileStore for Desk<'_> {
    async fn ground(&self, _access: &[&str]) -> Result<Ground, StoreError> {
        Err(StoreError::NotAdopted)
    }

    /// What the person's call has read is not read again: it was read before Stripe is asked, and a row that is written meanwhile has
    /// another version.
    async fn group(&self, lookup: Lookup<'_>) -> Result<Group, StoreError> {
        if let Some(group) = self.group.as_ref().filter(|_| self.covers(&lookup.named)) {
            let named = |id: &String| lookup.named.contains(&id.as_str());
            let mut group = group.clone();
            group.rows.retain(|row| named(&row.stripe_subscription_id));
            group.open.retain(|(id, _)| named(id));
            group.excepted.clear();
            return Ok(group);
        }
        Ok(db::subscriptions(self.database, &lookup.named).await.map_err(store_error)?.into())
    }

    async fn owners(&self, named: &[&str]) -> Result<Vec<String>, StoreError> {
        db::owners(self.database, named).await.map_err(store_error)
    }

    async fn rows_of(&self, owners: &[&str]) -> Result<Vec<Row>, StoreError> {
        db::rows_of(self.database, owners).await.map_err(store_error)
    }

    async fn unplaced(&self, _after: Option<&str>) -> Result<Unplaced, StoreError> {
        Ok(Unplaced::default())
    }

    async fn duplicates(
        &self,
        _of: &[&str],
        _after: Option<&str>,
        _piece: Piece,
    ) -> Result<Duplicates, StoreError> {
        Ok(Duplicates::default())
    }

    async fn take_allowances(&self) -> Result<BTreeMap<Class, u64>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn due(&self, _limit: usize, _since: Option<i64>) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(Vec::new())
    }

    async fn note_events(&self, _events: &[(&str, i64)]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn standing(&self, _classes: &[Class]) -> Result<Tally, StoreError> {
        Ok(Tally::default())
    }

    async fn heartbeat(&self, _counts: Counts) -> Result<(), StoreError> {
        Ok(())
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Written, StoreError> {
        let mut outcomes: Vec<(Applied, Option<String>)> =
            vec![(Applied::Done(Action::None), None); batch.items.len()];
        let mut approved: Vec<(usize, Approved<'_>)> = Vec::new();
        let mut changed: Vec<Changed<'_>> = Vec::new();
        for (place, item) in batch.items.iter().enumerate() {
            for finding in &item.findings {
                let Some(entry) = self.wanted.get(&finding.drift_key) else { continue };
                if item.kind == ItemKind::None || item.action.is_some() {
                    let why = finding.reason.clone().unwrap_or_else(|| finding.issue.clone());
                    self.note(entry.id, Fate::Conflict { why, drift: None });
                } else if !is_as_shown(entry, finding) {
                    changed.push(Changed { id: entry.id, finding });
                } else if let Some(item) = only(item, &finding.drift_key, entry.owner.as_deref()) {
                    let owner = entry.owner.as_deref().filter(|_| item.kind == ItemKind::Create);
                    approved.push((place, Approved { id: entry.id, owner, item }));
                }
            }
        }
        // What is no longer found is gone, unless something was found that keeps all else from being compared.
        let told = |entry: &Entry| {
            let told = batch.items.iter().filter(|item| item.kind == ItemKind::None);
            let mut of = told.flat_map(|item| &item.findings);
            let about = |found: &&Finding| found.stripe_subscription_id == entry.stripe_subscription_id;
            of.find(|found| about(found) && INSTEAD_OF_A_COMPARISON.contains(&found.class))
        };
        let mut gone: Vec<Uuid> = Vec::new();
        for entry in batch.cleared.iter().filter_map(|key| self.wanted.get(key)) {
            match told(entry) {
                Some(found) => {
                    let why = format!("{} A person has to look at that first.", found.issue);
                    self.note(entry.id, Fate::Conflict { why, drift: None });
                }
                None => gone.push(entry.id),
            }
        }
        if approved.is_empty() && changed.is_empty() && gone.is_empty() {
            return Ok(Written { outcomes, entries: Vec::new() });
        }
        let (places, items): (Vec<usize>, Vec<Approved<'_>>) = approved.into_iter().unzip();
        let parameters =
            json!({ "p_actor": self.actor, "p_items": items, "p_gone": gone, "p_changed": changed });
        let answer = db::apply(self.database, &parameters).await.map_err(store_error)?;
        for (place, (outcome, reason)) in places.into_iter().zip(&answer.items) {
            if outcome == "occupied" {
                outcomes[place] = (Applied::Occupied, reason.clone());
            }
        }
        let changed = changed.iter().map(|changed| changed.id).collect::<Vec<_>>();
        self.take_in(&items, &gone, &changed, answer);
        Ok(Written { outcomes, entries: Vec::new() })
    }
}
