//! A repair: what a batch asks of the database, and what became of each entry.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::class::Class;
use super::finding::Finding;
use super::row::{Fields, Row};
use super::shape::Word;

/// One entry of a batch for `apply_reconciliation_batch`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// What to do with the row.
    pub kind: ItemKind,
    /// For a new row: whom Stripe's data name as the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named: Option<Named>,
    /// The columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<RowChange>,
    /// What the row said before, for each word that is set: what a person can have put back.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub was: Map<String, Value>,
    /// For a new row where each owner has one: the statuses of a row that it may take the place of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gives_way: Vec<&'static str>,
    /// For a new row: it is only asked whose it would be, and whether there is room. It is made once it is known how many there are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub postponed: bool,
    /// What becomes of the findings where nothing is to be written. For a new row that is not to be made, it is still asked whose
    /// it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// What is recorded with it. Empty: only a column that does not count as drift is refreshed.
    pub findings: Vec<Finding>,
}

/// Whom Stripe's data name as the owner of a subscription, by how far each can be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The subscription's own metadata, which only the app's server can set.
    pub metadata: Option<String>,
    /// Its checkout's metadata, likewise.
    pub checkout: Option<String>,
    /// Its checkout's `client_reference_id`, which whoever opens a payment link can set.
    pub client_reference_id: Option<String>,
}

impl Named {
    /// The one that would be believed first.
    pub fn first(&self) -> Option<&String> {
        self.metadata.as_ref().or(self.checkout.as_ref()).or(self.client_reference_id.as_ref())
    }
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
        key: String,
        /// The version that was compared.
        version: String,
        /// The subscription that it follows from now on, and its customer.
        #[serde(flatten)]
        follows: Option<Follows>,
        /// What to set.
        #[serde(flatten)]
        fields: Box<Fields>,
    },
    /// For a new row.
    Create {
        /// Whose it is at Stripe.
        #[serde(flatten)]
        follows: Follows,
        /// The rest.
        #[serde(flatten)]
        fields: Box<Fields>,
    },
}

/// The subscription that a row follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Follows {
    /// `cus_…`
    pub customer: String,
    /// `sub_…`
    pub stripe_subscription_id: String,
}

impl Item {
    fn blank(kind: ItemKind, row: Option<RowChange>, findings: Vec<Finding>) -> Self {
        Self {
            kind,
            named: None,
            row,
            was: Map::new(),
            gives_way: Vec::new(),
            postponed: false,
            action: None,
            findings,
        }
    }

    /// Records findings, and does nothing else. Without an action a person has to decide.
    pub fn record(findings: Vec<Finding>, action: Option<Action>) -> Self {
        Self { action, ..Self::blank(ItemKind::None, None, findings) }
    }

    /// Sets columns of a row.
    pub fn update(row: &Row, fields: Fields, findings: Vec<Finding>) -> Self {
        Self::change(row, None, fields, findings)
    }

    /// Points a row at another subscription.
    pub fn move_to(row: &Row, follows: Follows, fields: Fields, finding: Finding) -> Self {
        Self::change(row, Some(follows), fields, vec![finding])
    }

    fn change(row: &Row, follows: Option<Follows>, fields: Fields, findings: Vec<Finding>) -> Self {
        let (sets, moves) = (fields.said(), follows.is_some());
        let mut was = row.said();
        was.retain(|word, _| sets.contains_key(word) || (moves && word == <&str>::from(Word::Customer)));
        if moves {
            was.insert("stripe_subscription_id".to_owned(), row.stripe_subscription_id.clone().into());
        }
        let change = RowChange::Update {
            key: row.key.clone(),
            version: row.version.clone(),
            follows,
            fields: Box::new(fields),
        };
        Self { was, ..Self::blank(ItemKind::Update, Some(change), findings) }
    }

    /// Inserts a row, or points the owner's one row at the subscription if its status is one of `gives_way`.
    pub fn create(
        named: Named,
        follows: Follows,
        gives_way: Vec<&'static str>,
        fields: Fields,
        finding: Finding,
    ) -> Self {
        let change = RowChange::Create { follows, fields: Box::new(fields) };
        Self { named: Some(named), gives_way, ..Self::blank(ItemKind::Create, Some(change), vec![finding]) }
    }

    /// Whether the row is pointed at another subscription.
    pub fn moves(&self) -> bool {
        matches!(&self.row, Some(RowChange::Update { follows: Some(_), .. }))
    }

    /// Whether a row that is there would be changed.
    pub fn sets_something(&self) -> bool {
        match &self.row {
            Some(RowChange::Update { follows, fields, .. }) => follows.is_some() || !fields.is_empty(),
            Some(RowChange::Create { .. }) | None => false,
        }
    }

    /// Leaves out the columns of a row whose class `keeps` rejects.
    pub fn keep_fields(&mut self, keeps: impl Fn(Class) -> bool) {
        if let Some(RowChange::Update { fields, .. }) = &mut self.row {
            fields.retain(|word| word.class().is_some_and(&keeps));
            let sets = fields.said();
            self.was.retain(|word, _| sets.contains_key(word));
        }
    }

    /// The same item where the mapping does not allow it to be written: no person can have it done either.
    pub fn impossible(mut self, why: &str) -> Self {
        for finding in &mut self.findings {
            (finding.proposal, finding.sets) = (None, Vec::new());
        }
        self.not_written(Action::Observed, Some(why))
    }

    /// The same item, with nothing written.
    pub fn not_written(self, action: Action, why: Option<&str>) -> Self {
        let mut item = match self.kind {
            ItemKind::Create => Self { action: Some(action), ..self },
            ItemKind::Update | ItemKind::None => Self::record(self.findings, Some(action)),
        };
        if let Some(why) = why {
            item.findings.iter_mut().for_each(|finding| finding.reason = Some(why.to_owned()));
        }
        item
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
    /// It would be repaired, but the circuit breaker says: too much at once.
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
            Self::Refused => "left alone: the table refuses it",
            Self::None => "none: a person has to decide",
            Self::Cleared => "gone by itself",
            Self::Reverted => "taken back by a person",
        };
        match reason {
            Some(reason) if self == Self::Refused => format!("left alone: {reason}"),
            reason => reason.unwrap_or(words).to_owned(),
        }
    }
}

/// What the database did with an item: an action, or it turned out to be of another class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// No owner is known to create the row for.
    OrganizationUnknown,
    /// Stripe and the database contradict each other about the owner.
    OrganizationMismatch,
    /// The row can be made, once it is known how many there are: nothing is on record yet.
    Postponed,
    /// The owner's one row follows another subscription, which the reason names: nothing is on record yet.
    Occupied,
    /// Anything else.
    #[serde(untagged)]
    Done(Action),
}

impl Applied {
    /// What was done about the item's differences.
    pub fn action(self) -> Action {
        match self {
            Self::OrganizationUnknown | Self::OrganizationMismatch => Action::None,
            Self::Postponed | Self::Occupied => Action::None,
            Self::Done(action) => action,
        }
    }

    /// The class that an item's difference turned out to be of.
    pub fn class(self, sent: Class) -> Class {
        match self {
            Self::OrganizationUnknown => Class::OrganizationUnknown,
            Self::OrganizationMismatch => Class::OrganizationMismatch,
            Self::Postponed | Self::Occupied | Self::Done(_) => sent,
        }
    }
}
