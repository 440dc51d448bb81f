//! What a run has done so far: numbers, the first findings in full for the answer, and what could not be looked at.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::progress::Counts;
use super::tally::Tally;
use crate::drift::class::Class;
use crate::drift::repair::{Applied, Item};

/// How many findings the answer holds in full; all are in the database.
const REPORTED: usize = 200;
/// How many errors the answer holds.
const ERRORS: usize = 50;

/// A finding in the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reported {
    /// Its class.
    #[serde(rename = "type")]
    pub class: Class,
    /// Whose subscription it is, where known.
    pub organization_id: Option<Uuid>,
    /// `sub_…`, where it is about one.
    pub stripe_subscription_id: Option<String>,
    /// The finding in a sentence.
    pub issue: String,
    /// Whether it is repaired.
    pub fixed: bool,
    /// What was done, in a sentence.
    pub action_taken: String,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemError {
    /// `sub_…` or `cs_…`, where known.
    pub id: Option<String>,
    /// Why, in a sentence.
    pub error: String,
}

/// What was done, by a run or by a part of one.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The numbers.
    pub counts: Counts,
    /// Findings by class.
    pub tally: Tally,
    /// The first findings.
    pub reported: Vec<Reported>,
    /// The first errors.
    pub errors: Vec<ItemError>,
}

impl Record {
    /// Counts an item with what became of it.
    pub fn applied(&mut self, item: &Item, applied: Applied) {
        if item.findings.is_empty() {
            // A column was filled in that does not count as drift.
            return;
        }
        let fixed = matches!(applied, Applied::Repaired | Applied::Created);
        self.counts.created_count += u64::from(applied == Applied::Created);
        self.counts.updated_count += u64::from(applied == Applied::Repaired);
        self.counts.superseded_count += u64::from(applied == Applied::Superseded);
        for finding in &item.findings {
            let class = if applied == Applied::OrganizationUnknown {
                Class::OrganizationUnknown
            } else {
                finding.class
            };
            let missing = matches!(class, Class::MissingInDatabase | Class::OrganizationUnknown);
            self.counts.total_issues += 1;
            self.counts.mismatch_count += u64::from(!missing);
            let organization = finding.organization_id.map(|id| id.to_string());
            if applied != Applied::Superseded {
                let sample = finding.stripe_subscription_id.as_deref().or(organization.as_deref());
                self.tally.add(class, fixed, sample.unwrap_or("unnamed"));
            }
            if self.reported.len() < REPORTED {
                self.reported.push(Reported {
                    class,
                    organization_id: finding.organization_id,
                    stripe_subscription_id: finding.stripe_subscription_id.clone(),
                    issue: finding.issue.clone(),
                    fixed,
                    action_taken: action(applied, finding.action_taken.as_deref()),
                });
            }
        }
    }

    /// Counts something that could not be looked at.
    pub fn failed(&mut self, id: Option<&str>, error: &str) {
        self.counts.error_count += 1;
        if self.errors.len() < ERRORS {
            self.errors.push(ItemError { id: id.map(str::to_owned), error: error.to_owned() });
        }
    }

    /// Adds what a part of the run has done.
    pub fn merge(&mut self, part: Record) {
        self.counts += part.counts;
        self.tally.merge(part.tally);
        self.reported.extend(part.reported);
        self.reported.truncate(REPORTED);
        self.errors.extend(part.errors);
        self.errors.truncate(ERRORS);
    }
}

/// The words are those that the database writes into the finding.
fn action(applied: Applied, own: Option<&str>) -> String {
    match applied {
        Applied::Repaired => "set to what Stripe says",
        Applied::Created => "row created from Stripe",
        Applied::Superseded => "left alone: the row was written while the run looked",
        Applied::Refused => "left alone: a constraint of the table refuses it",
        Applied::OrganizationUnknown => "none: no organization is known for it",
        Applied::Held => "held back by the circuit breaker",
        Applied::None => own.unwrap_or("none: a person has to decide"),
    }
    .to_owned()
}
