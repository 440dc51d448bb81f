//! A repair: what a batch asks of the database, and what became of each entry.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::finding::Finding;
use super::row::{Fields, Row};

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
    /// What is recorded with it. Empty: a column is filled in that does not count as drift.
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

/// What was done about a difference.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::VariantNames, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = DriftAction)]
pub enum Action {
    /// The row says now what Stripe says.
    Repaired,
    /// The row was made.
    Created,
    /// The owner's one row was pointed at their live subscription.
    Moved,
    /// It would be repaired; nothing is written yet.
    Observed,
    /// It would be repaired once a person approves.
    Waiting,
    /// It would be repaired, and the circuit breaker says: too much at once.
    Held,
    /// A person has said why it may stay.
    Excepted,
    /// A newer write won.
    Superseded,
    /// The table refuses it.
    Refused,
    /// Only a person can know what is right.
    None,
    /// It went away by itself.
    Cleared,
    /// A person took the repair back.
    Reverted,
}

impl Action {
    /// In a sentence's worth of words, with the entry's own reason where it has one.
    pub fn words(self, reason: Option<&str>) -> String {
        let words = match self {
            Self::Repaired => "set to what Stripe says",
            Self::Created => "row created from Stripe",
            Self::Moved => "the owner's row now follows this subscription",
            Self::Observed => "none yet: repairs are switched off",
            Self::Waiting => "none yet: waits for approval",
            Self::Held => "held back by the circuit breaker",
            Self::Excepted => "left as it is: a person said so",
            Self::Superseded => "left alone: the row was written while the run looked",
            Self::Refused => "left alone: a constraint of the table refuses it",
            Self::None => "none: a person has to decide",
            Self::Cleared => "gone by itself",
            Self::Reverted => "taken back by a person",
        };
        reason.unwrap_or(words).to_owned()
    }
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
    /// No organization is known to create the row for.
    OrganizationUnknown,
    /// Held back by the circuit breaker.
    Held,
    /// Only recorded.
    None,
}

impl Applied {
    /// What was done about the item's differences.
    pub fn action(self) -> Action {
        match self {
            Self::Repaired => Action::Repaired,
            Self::Created => Action::Created,
            Self::Superseded => Action::Superseded,
            Self::Refused => Action::Refused,
            Self::Held => Action::Held,
            Self::OrganizationUnknown | Self::None => Action::None,
        }
    }
}
