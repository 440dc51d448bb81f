//! From findings to what is sent to the database: repairs, alerts, and whether repairs are held back. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::drift::Comparison;
use super::finding::{Finding, Kind};
use super::row::{Fields, Row};

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Critical,
}

/// The severity of one finding of a class by itself.
pub fn severity_of_one(kind: Kind) -> Severity {
    severity(kind, 1)
}

/// The severity of a class with `count` findings. What is repaired by itself is worth knowing, and worth a look when
/// there is much of it (webhooks are being lost); what touches money or access of the wrong customer is critical.
pub fn severity(kind: Kind, count: u64) -> Severity {
    match kind {
        Kind::StatusMismatch
        | Kind::PeriodMismatch
        | Kind::CancelAtPeriodEndMismatch
        | Kind::TrialEndMismatch
        | Kind::QuantityMismatch
        | Kind::PriceMismatch
        | Kind::TierMismatch => {
            if count > 10 {
                Severity::Warning
            } else {
                Severity::Info
            }
        }
        Kind::MissingInDatabase => {
            if count > 5 {
                Severity::Critical
            } else {
                Severity::Warning
            }
        }
        Kind::OrganizationUnknown
        | Kind::UnknownPrice
        | Kind::UnknownStatus
        | Kind::MixedItemPeriods
        | Kind::MalformedObject => Severity::Warning,
        Kind::MissingInStripe
        | Kind::CustomerMismatch
        | Kind::DuplicateLiveSubscription
        | Kind::LivemodeMismatch => Severity::Critical,
    }
}

/// How many access-lowering repairs and rows that Stripe does not list are believed: 20, or 5 % of what was scanned if
/// that is more. Beyond it the key or the database is the wrong one.
pub fn breaker_threshold(scanned: u64) -> u64 {
    (scanned / 20).max(20)
}

/// One entry of a batch for `apply_reconciliation_batch`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// What to do with the row.
    pub kind: ItemKind,
    /// For a new row: the organization that Stripe's data names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Uuid>,
    /// The columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<RowChange>,
    /// For what is only recorded: `held`, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
    /// What is recorded with it. Empty: a column is filled in that is no drift.
    pub findings: Vec<Finding>,
}

/// What to do with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// Set columns, if the row is still the one that was compared.
    Update,
    /// Insert.
    Create,
    /// Record the findings only.
    None,
}

/// The columns of an item.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RowChange {
    /// For an update.
    Update {
        /// Primary key.
        row_id: Uuid,
        /// The version that was compared.
        row_version: i64,
        /// What to set.
        #[serde(flatten)]
        fields: Box<Fields>,
    },
    /// For a new row.
    Create {
        /// `cus_…`
        stripe_customer_id: String,
        /// `sub_…`
        stripe_subscription_id: String,
        /// The rest.
        #[serde(flatten)]
        fields: Box<Fields>,
    },
}

impl Item {
    /// Records findings, and does nothing else.
    pub fn record(findings: Vec<Finding>) -> Self {
        Self { kind: ItemKind::None, organization_id: None, row: None, action: None, findings }
    }

    /// Records findings whose repair the circuit breaker holds back.
    pub fn held(findings: Vec<Finding>) -> Self {
        Self { action: Some("held"), ..Self::record(findings) }
    }

    /// Sets columns of a row.
    pub fn update(row: &Row, fields: Fields, findings: Vec<Finding>) -> Self {
        let change =
            RowChange::Update { row_id: row.id, row_version: row.row_version, fields: Box::new(fields) };
        Self { kind: ItemKind::Update, organization_id: None, row: Some(change), action: None, findings }
    }

    /// Inserts a row.
    pub fn create(
        organization: Option<Uuid>,
        customer: &str,
        id: &str,
        fields: Fields,
        finding: Finding,
    ) -> Self {
        let change = RowChange::Create {
            stripe_customer_id: customer.to_owned(),
            stripe_subscription_id: id.to_owned(),
            fields: Box::new(fields),
        };
        Self {
            kind: ItemKind::Create,
            organization_id: organization,
            row: Some(change),
            action: None,
            findings: vec![finding],
        }
    }
}

/// How much may be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repairs {
    /// What lowers access is put off until the subscription has been read again.
    WithoutLowering,
    /// Everything: the subscription has just been read.
    All,
    /// Nothing: findings are recorded as held.
    Held,
}

/// What follows from one comparison.
#[derive(Debug, Default)]
pub struct Planned {
    /// To be sent.
    pub items: Vec<Item>,
    /// Put off until the subscription has been read again, with what was found.
    pub put_off: Option<Vec<Finding>>,
}

/// Turns a comparison into items.
pub fn plan(comparison: Comparison, row: &Row, repairs: Repairs) -> Planned {
    let mut planned = Planned::default();
    if !comparison.unrepaired.is_empty() {
        let make = if comparison.mixed_modes { Item::held } else { Item::record };
        planned.items.push(make(comparison.unrepaired));
    }
    if comparison.repair.is_empty() {
        return planned;
    }
    match repairs {
        Repairs::WithoutLowering if comparison.lowers_access => {
            planned.put_off = Some(comparison.repaired);
            // What is no drift need not wait: without it the row would count as one that no scan has seen.
            let Fields { stripe_created, livemode, .. } = comparison.repair;
            let fields = Fields { stripe_created, livemode, ..Fields::default() };
            if !fields.is_empty() {
                planned.items.push(Item::update(row, fields, Vec::new()));
            }
        }
        Repairs::Held if comparison.repaired.is_empty() => {}
        Repairs::Held => planned.items.push(Item::held(comparison.repaired)),
        Repairs::WithoutLowering | Repairs::All => {
            planned.items.push(Item::update(row, comparison.repair, comparison.repaired));
        }
    }
    planned
}

/// What the database did with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// The row says now what Stripe says.
    Repaired,
    /// The row was missing and is there now.
    Created,
    /// A newer write won.
    Superseded,
    /// A constraint of the table refuses it.
    Refused,
    /// There is nobody to create the row for.
    OrganizationUnknown,
    /// Held back by the circuit breaker.
    Held,
    /// Only recorded.
    None,
}

/// How often each class was found in a sweep, with a few examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally(BTreeMap<Kind, Class>);

/// One class of a tally.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Findings.
    pub count: u64,
    /// Of these, repaired or created.
    pub fixed: u64,
    /// Subscriptions (or organizations), a few.
    pub samples: Vec<String>,
}

const SAMPLES: usize = 5;

impl Tally {
    /// Counts one finding.
    pub fn add(&mut self, kind: Kind, fixed: bool, sample: &str) {
        let class = self.0.entry(kind).or_default();
        class.count += 1;
        class.fixed += u64::from(fixed);
        if class.samples.len() < SAMPLES {
            class.samples.push(sample.to_owned());
        }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: Tally) {
        for (kind, part) in other.0 {
            let class = self.0.entry(kind).or_default();
            class.count += part.count;
            class.fixed += part.fixed;
            class.samples.extend(part.samples);
            class.samples.truncate(SAMPLES);
        }
    }

    /// Findings of a class.
    pub fn count(&self, kind: Kind) -> u64 {
        self.0.get(&kind).map_or(0, |class| class.count)
    }
}

/// What is known of a condition that an alert stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It holds.
    Holds,
    /// It does not.
    Clear,
    /// It could not be judged.
    Unknown,
}

/// A condition, for `finish_reconciliation_run`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// Names the condition and nothing else.
    pub alert_key: String,
    /// The kind of condition.
    pub alert_type: String,
    /// Whether it holds.
    pub state: State,
    /// How bad it is.
    pub severity: Severity,
    /// In a sentence.
    pub message: String,
    /// Numbers and examples.
    pub metadata: Value,
}

/// Why repairs were held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tripped {
    /// Too many at once.
    TooMany {
        /// Rows that would lose access or that Stripe does not list.
        suspects: u64,
        /// How many would have been believed.
        threshold: u64,
    },
    /// Live and test are mixed.
    MixedModes,
}

/// The alerts that follow from a sweep: one for each class, and the circuit breaker's. A class is clear only if the sweep
/// is complete.
pub fn conditions(tally: &Tally, complete: bool, tripped: Option<Tripped>) -> Vec<Condition> {
    let nothing = Class::default();
    let mut conditions: Vec<Condition> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let class = tally.0.get(&kind).unwrap_or(&nothing);
            // With the breaker open no absence was confirmed, so there is no saying that none is there.
            let judged = complete && !(kind == Kind::MissingInStripe && tripped.is_some());
            let state = match class.count {
                0 if judged => State::Clear,
                0 => State::Unknown,
                _ => State::Holds,
            };
            let message = match state {
                State::Clear => "A complete run found none.".to_owned(),
                _ => sentence(kind, class),
            };
            Condition {
                alert_key: format!("drift_{}", kind.as_str()),
                alert_type: format!("drift_{}", kind.as_str()),
                state,
                severity: severity(kind, class.count),
                message,
                metadata: json!({
                    "type": kind, "count": class.count, "fixed": class.fixed, "samples": class.samples
                }),
            }
        })
        .collect();
    conditions.push(breaker_condition(complete, tripped));
    conditions
}

fn breaker_condition(complete: bool, tripped: Option<Tripped>) -> Condition {
    let state = match tripped {
        Some(_) => State::Holds,
        None if complete => State::Clear,
        None => State::Unknown,
    };
    let (message, metadata) = match tripped {
        Some(Tripped::TooMany { suspects, threshold }) => (
            format!(
                "Repairs are held back: {suspects} subscriptions would lose access or are not listed by Stripe, more \
                 than {threshold}. Check that STRIPE_SECRET_KEY and the database belong together."
            ),
            json!({"reason": "too_many", "suspects": suspects, "threshold": threshold}),
        ),
        Some(Tripped::MixedModes) => (
            "Repairs are held back: live and test data are mixed. Check that STRIPE_SECRET_KEY and the database belong \
             together."
                .to_owned(),
            json!({"reason": "mixed_modes"}),
        ),
        None => ("A complete run held nothing back.".to_owned(), json!({})),
    };
    Condition {
        alert_key: "reconcile_circuit_breaker".to_owned(),
        alert_type: "reconcile_circuit_breaker".to_owned(),
        state,
        severity: Severity::Critical,
        message,
        metadata,
    }
}

fn sentence(kind: Kind, class: &Class) -> String {
    let (one, many) = match kind {
        Kind::StatusMismatch => ("subscription has another status", "subscriptions have another status"),
        Kind::PeriodMismatch => ("subscription has another period", "subscriptions have another period"),
        Kind::CancelAtPeriodEndMismatch => {
            ("subscription differs in whether it ends", "subscriptions differ in whether they end")
        }
        Kind::TrialEndMismatch => ("trial ends at another time", "trials end at another time"),
        Kind::QuantityMismatch => {
            ("subscription has another quantity", "subscriptions have another quantity")
        }
        Kind::PriceMismatch => ("subscription has another price", "subscriptions have another price"),
        Kind::TierMismatch => ("subscription has another tier", "subscriptions have another tier"),
        Kind::MissingInDatabase => ("subscription was missing", "subscriptions were missing"),
        Kind::OrganizationUnknown => {
            ("subscription belongs to no known organization", "subscriptions belong to no known organization")
        }
        Kind::MissingInStripe => {
            ("row is of a subscription unknown to Stripe", "rows are of subscriptions unknown to Stripe")
        }
        Kind::CustomerMismatch => {
            ("subscription has another customer", "subscriptions have another customer")
        }
        Kind::DuplicateLiveSubscription => {
            ("organization has several live subscriptions", "organizations have several live subscriptions")
        }
        Kind::UnknownPrice => {
            ("subscription has a price without a tier", "subscriptions have a price without a tier")
        }
        Kind::UnknownStatus => ("subscription has an unknown status", "subscriptions have an unknown status"),
        Kind::MixedItemPeriods => (
            "subscription has items with different periods",
            "subscriptions have items with different periods",
        ),
        Kind::LivemodeMismatch => ("subscription mixes live and test", "subscriptions mix live and test"),
        Kind::MalformedObject => {
            ("object of Stripe could not be read", "objects of Stripe could not be read")
        }
    };
    let what = if class.count == 1 { one } else { many };
    match class.fixed {
        0 => format!("{} {what}.", class.count),
        fixed if fixed == class.count => format!("{} {what}; repaired.", class.count),
        fixed => format!("{} {what}; {fixed} repaired.", class.count),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
