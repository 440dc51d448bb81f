//! What a run has done so far: numbers, the first differences in full for the answer, and what could not be looked at.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::progress::Counts;
use super::progress::FRESH_LIMIT;
use super::store::Recorded;
use super::tally::Tally;
use crate::alerts::severity::Severity;
use crate::drift::class::Class;
use crate::drift::finding::Finding;
use crate::drift::repair::{Action, Applied, Item, ItemKind, RowChange};

/// How many differences the answer holds in full; all are in the database.
const REPORTED: usize = 200;
/// How many errors the answer holds.
const ERRORS: usize = 50;

/// A difference in the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reported {
    /// Its entry.
    #[serde(default)]
    pub drift_id: Option<Uuid>,
    /// Its class.
    #[serde(rename = "type")]
    pub class: Class,
    /// Whose subscription it is, where known.
    pub organization_id: Option<String>,
    /// `sub_…`, where it is about one.
    pub stripe_subscription_id: Option<String>,
    /// The difference in a sentence.
    pub issue: String,
    /// Whether it is repaired.
    pub fixed: bool,
    /// What was done.
    pub action: Action,
    /// What was done, in a sentence.
    pub action_taken: String,
    /// When a run first saw it.
    #[serde(default)]
    pub first_seen_at: Option<DateTime<Utc>>,
}

/// The entries that a batch was recorded under.
pub(super) struct Entries<'a> {
    by_key: HashMap<&'a str, (Uuid, DateTime<Utc>, Action)>,
    started_at: i64,
}

impl<'a> Entries<'a> {
    /// `started_at`: when the run began, in Unix seconds. What was first seen before that is not new.
    pub(super) fn of(entries: &'a [Recorded], started_at: i64) -> Self {
        let by_key =
            entries.iter().map(|(key, id, seen, action)| (key.as_str(), (*id, *seen, *action))).collect();
        Self { by_key, started_at }
    }
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemError {
    /// `sub_…` or `cs_…`, where known.
    pub id: Option<String>,
    /// Why, in a sentence.
    pub error: String,
}

/// How bad a difference that stands is.
fn severity(class: Class, action: Action, finding: &Finding) -> Severity {
    match (class, action) {
        // Somebody pays and has nothing, and it stays so until a person looks at the table.
        (Class::MissingInDatabase, Action::Refused) => Severity::Critical,
        _ if class == finding.class => finding.severity,
        _ => class.severity(),
    }
}

/// What was done, by a run or by a part of one.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The numbers.
    pub counts: Counts,
    /// Differences by class.
    pub tally: Tally,
    /// The first differences that are new or were fixed.
    pub reported: Vec<Reported>,
    /// The first of those that stood before and still do.
    pub standing: Vec<Reported>,
    /// The first errors.
    pub errors: Vec<ItemError>,
    /// Whether the table refused something that was to be written.
    pub refused: bool,
    /// Subscriptions whose rows can be made, once it is known how many there are.
    pub postponed: Vec<String>,
    /// Subscriptions whose owner's one row follows another: which one, where the database said so.
    pub occupied: Vec<(String, Option<String>)>,
    /// Rows that would be made: postponed or held back.
    pub creations: u64,
    /// Subscriptions that could not be judged, or whose row was written by somebody else meanwhile: to be looked at again. No more than
    /// can be due at once; a scan meets the others again by itself.
    pub unsettled: HashSet<String>,
    /// Subscriptions of which something was put on record, as many as can be kept. If the same difference came twice in one run, the
    /// database would take it for a batch that is sent again.
    pub recorded: HashSet<String>,
    /// Of these, those whose owner nobody knows.
    pub unknown: HashSet<String>,
}

impl Record {
    /// Counts an item with what became of it.
    pub(super) fn applied(
        &mut self,
        item: &Item,
        applied: Applied,
        reason: Option<&str>,
        entries: &Entries<'_>,
    ) {
        let action = applied.action();
        self.refused |= action == Action::Refused;
        let would_be_made = item.kind == ItemKind::Create && action == Action::Held;
        self.creations += u64::from(would_be_made || applied == Applied::Postponed);
        if let (Applied::Postponed | Applied::Occupied, Some(RowChange::Create { follows, .. })) =
            (applied, &item.row)
        {
            let id = follows.stripe_subscription_id.clone();
            match applied {
                Applied::Occupied => self.occupied.push((id, reason.map(str::to_owned))),
                _ => self.postponed.push(id),
            }
            return;
        }
        if item.findings.is_empty() {
            // Only a column that does not count as drift was refreshed.
            return;
        }
        let fixed = matches!(action, Action::Repaired | Action::Created | Action::Moved);
        self.counts.created_count += u64::from(action == Action::Created);
        self.counts.updated_count += u64::from(matches!(action, Action::Repaired | Action::Moved));
        self.counts.superseded_count += u64::from(action == Action::Superseded);
        // Somebody who pays should not wait longer than an hour because too much came at once or their row was locked.
        let to_be_tried = matches!(action, Action::Superseded | Action::Refused)
            || (action == Action::Held && item.kind == ItemKind::Create);
        if to_be_tried {
            self.unsettled(item.findings.iter().filter_map(|finding| finding.stripe_subscription_id.clone()));
        }
        for finding in &item.findings {
            let class = applied.class(finding.class);
            self.note(finding, class);
            let entry = entries.by_key.get(finding.key_as(class).as_str()).copied();
            // The database knows best whether a person lets it stand.
            let excepted = matches!(entry, Some((.., Action::Excepted)));
            let action = if excepted { Action::Excepted } else { action };
            let missing = matches!(class, Class::MissingInDatabase | Class::OrganizationUnknown);
            self.counts.total_issues += 1;
            self.counts.waiting_count += u64::from(action == Action::Waiting);
            self.counts.held_count += u64::from(action == Action::Held);
            self.counts.mismatch_count += u64::from(!missing);
            if !matches!(action, Action::Superseded | Action::Excepted) {
                let sample = finding.stripe_subscription_id.as_deref().or(finding.owner.as_deref());
                let standing = (!fixed).then(|| severity(class, action, finding));
                self.tally.add(class, standing, sample.unwrap_or("unnamed"));
            }
            let new = entry.is_none_or(|(_, seen, _)| seen.timestamp() >= entries.started_at);
            let list = if new || fixed { &mut self.reported } else { &mut self.standing };
            if list.len() < REPORTED {
                list.push(Reported {
                    drift_id: entry.map(|(id, ..)| id),
                    class,
                    organization_id: finding.owner.clone(),
                    stripe_subscription_id: finding.stripe_subscription_id.clone(),
                    issue: finding.issue.clone(),
                    fixed,
                    action,
                    action_taken: action.words(reason.or(finding.reason.as_deref())),
                    first_seen_at: entry.map(|(_, seen, _)| seen),
                });
            }
        }
    }

    /// What the answer holds in full: first what is new or was fixed, then what stood before.
    pub fn told(self) -> (Vec<Reported>, Vec<ItemError>) {
        let told = self.reported.into_iter().chain(self.standing).take(REPORTED).collect();
        (told, self.errors)
    }

    /// Counts something that could not be looked at.
    pub fn failed(&mut self, id: Option<&str>, error: &str) {
        self.counts.error_count += 1;
        self.unsettled(id.map(str::to_owned));
        if self.errors.len() < ERRORS {
            self.errors.push(ItemError { id: id.map(str::to_owned), error: error.to_owned() });
        }
    }

    fn note(&mut self, finding: &Finding, class: Class) {
        let Some(id) = &finding.stripe_subscription_id else { return };
        if self.recorded.len() < FRESH_LIMIT {
            self.recorded.insert(id.clone());
        }
        if class == Class::OrganizationUnknown && self.unknown.len() < FRESH_LIMIT {
            self.unknown.insert(id.clone());
        }
    }

    /// Notes what is to be looked at again.
    pub(super) fn unsettled(&mut self, ids: impl IntoIterator<Item = String>) {
        let room = FRESH_LIMIT.saturating_sub(self.unsettled.len());
        self.unsettled.extend(ids.into_iter().take(room));
    }

    /// Adds what a part of the run has done.
    pub fn merge(&mut self, part: Record) {
        self.counts += part.counts;
        self.tally.merge(part.tally);
        self.reported.extend(part.reported);
        self.reported.truncate(REPORTED);
        self.standing.extend(part.standing);
        self.standing.truncate(REPORTED);
        self.errors.extend(part.errors);
        self.errors.truncate(ERRORS);
        self.refused |= part.refused;
        self.postponed.extend(part.postponed);
        self.occupied.extend(part.occupied);
        self.creations += part.creations;
        self.unsettled(part.unsettled);
        self.recorded.extend(part.recorded.into_iter().take(FRESH_LIMIT));
        self.unknown.extend(part.unknown.into_iter().take(FRESH_LIMIT));
    }
}
