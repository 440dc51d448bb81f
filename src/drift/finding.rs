//! A finding: one way in which one subscription differs, in words and in values.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::class::Class;
use super::row::{Fields, Row};
use super::shape::{Shape, Word};
use crate::alerts::severity::Severity;
use crate::stripe::{MalformedObject, Subscription};

/// One difference, as it is written into `drift`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `<type>:<subject>`: one entry while the difference stands, however many runs see it.
    pub drift_key: String,
    /// Its class.
    #[serde(rename = "type")]
    pub class: Class,
    /// How bad it is for as long as nothing is done about it (critical, high, warning, info).
    pub severity: Severity,
    /// Whose subscription it is, where known.
    pub owner: Option<String>,
    /// `sub_…`
    pub stripe_subscription_id: Option<String>,
    /// `cus_…`
    pub stripe_customer_id: Option<String>,
    /// Live or test, for links into Stripe's dashboard.
    pub livemode: Option<bool>,
    /// The finding in a sentence.
    pub issue: String,
    /// `{column: {"database": …, "stripe": …}}`
    pub details: Value,
    /// What a repair would set, by the app's names; `None` where none is possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Map<String, Value>>,
    /// The same by word: what would have to be put back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<String>,
    /// Whether its repair takes something away from the customer.
    pub lowers_access: bool,
    /// What its repair waits for, where the action alone does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Finding {
    /// Notes which part of a repair belongs to this difference: for a missing row, all of it.
    pub(super) fn propose(&mut self, repair: &Fields, shape: &Shape) {
        let mut own = repair.clone();
        if self.class != Class::MissingInDatabase {
            own.retain(|word| word.class() == Some(self.class));
        }
        let said = own.said();
        self.sets = said.keys().cloned().collect();
        let named = said.into_iter().map(|(word, value)| {
            let column = word.parse::<Word>().ok().and_then(|word| shape.column(word)).map(str::to_owned);
            (column.unwrap_or(word), value)
        });
        self.proposal = Some(named.collect());
    }

    /// The key of the same difference if it turns out to be of another class.
    pub fn key_as(&self, class: Class) -> String {
        match self.drift_key.split_once(':') {
            Some((_, subject)) if class != self.class => format!("{}:{subject}", class.as_str()),
            _ => self.drift_key.clone(),
        }
    }
}

/// What findings are about.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Whose subscription it is.
    pub owner: Option<String>,
    /// `sub_…`
    pub stripe_subscription_id: Option<String>,
    /// `cus_…`
    pub stripe_customer_id: Option<String>,
    /// Live or test.
    pub livemode: Option<bool>,
}

impl Subject {
    /// A subscription at Stripe, and its row if there is one.
    pub fn of(subscription: &Subscription, row: Option<&Row>) -> Self {
        Self {
            owner: row.and_then(|row| row.owner.clone()),
            stripe_subscription_id: Some(subscription.id.clone()),
            stripe_customer_id: Some(subscription.customer.clone()),
            livemode: subscription.livemode,
        }
    }

    /// A row.
    pub fn of_row(row: &Row) -> Self {
        Self {
            owner: row.owner.clone(),
            stripe_subscription_id: Some(row.stripe_subscription_id.clone()),
            stripe_customer_id: row.customer.clone(),
            livemode: None,
        }
    }

    /// A finding about this subject.
    pub fn finding(&self, class: Class, issue: String, details: Value) -> Finding {
        let subject = self.stripe_subscription_id.as_deref().or(self.owner.as_deref()).unwrap_or("unnamed");
        Finding {
            drift_key: format!("{}:{subject}", class.as_str()),
            class,
            severity: class.severity(),
            owner: self.owner.clone(),
            stripe_subscription_id: self.stripe_subscription_id.clone(),
            stripe_customer_id: self.stripe_customer_id.clone(),
            livemode: self.livemode,
            issue,
            details,
            proposal: None,
            sets: Vec::new(),
            lowers_access: false,
            reason: None,
        }
    }

    /// The finding that the row cannot be compared, and why.
    pub(super) fn malformed_row(&self, odd: &str) -> Finding {
        self.finding(Class::MalformedRow, format!("The row cannot be compared: {odd}."), json!({}))
    }
}

/// An object that could not be read. `place` tells nameless ones apart.
pub fn malformed(object: &MalformedObject, place: &str) -> Finding {
    let issue = format!("Stripe sent an object that cannot be read: {}.", object.reason);
    let subject = Subject { stripe_subscription_id: object.id.clone(), ..Subject::default() };
    let mut finding = subject.finding(Class::MalformedObject, issue, json!({"created": object.created}));
    if object.id.is_none() {
        finding.drift_key = format!("{}:{place}", Class::MalformedObject.as_str());
    }
    finding
}

/// A row that no read by Stripe id can return, and why.
pub fn malformed_row(key: &str, owner: Option<String>, odd: &str) -> Finding {
    let subject = Subject { owner, ..Subject::default() };
    let mut finding = subject.malformed_row(odd);
    finding.drift_key = format!("{}:{key}", Class::MalformedRow.as_str());
    finding
}

/// An owner with several live subscriptions.
pub fn duplicate_live(owner: String, subscriptions: &[String]) -> Finding {
    let issue = format!("The owner has {} subscriptions that live at the same time.", subscriptions.len());
    let subject = Subject { owner: Some(owner), ..Subject::default() };
    let shown: Vec<&String> = subscriptions.iter().take(20).collect();
    subject.finding(Class::DuplicateLiveSubscription, issue, json!({"stripe_subscription_ids": shown}))
}
