//! A finding: one way in which one subscription differs, in words and in values.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::row::Row;
use crate::stripe::{MalformedObject, Subscription};

/// The classes of drift.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The status differs.
    StatusMismatch,
    /// The billing period differs.
    PeriodMismatch,
    /// Whether it ends with the period differs.
    CancelAtPeriodEndMismatch,
    /// The end of the trial differs.
    TrialEndMismatch,
    /// The number of seats differs.
    QuantityMismatch,
    /// The price differs.
    PriceMismatch,
    /// The tier differs from the one that the price stands for.
    TierMismatch,
    /// At Stripe, not in the database, and its organization is known.
    MissingInDatabase,
    /// At Stripe, not in the database, and nobody knows whose it is.
    OrganizationUnknown,
    /// In the database, and Stripe answers 404.
    MissingInStripe,
    /// The customer differs.
    CustomerMismatch,
    /// One organization has several subscriptions that live.
    DuplicateLiveSubscription,
    /// No tier is known for the price.
    UnknownPrice,
    /// A status that this program does not know.
    UnknownStatus,
    /// Several items with different periods.
    MixedItemPeriods,
    /// Live and test are mixed.
    LivemodeMismatch,
    /// An object of Stripe's that could not be read.
    MalformedObject,
}

impl Kind {
    /// All of them, in the order of the documentation's table.
    pub const ALL: [Self; 17] = [
        Self::StatusMismatch,
        Self::PeriodMismatch,
        Self::CancelAtPeriodEndMismatch,
        Self::TrialEndMismatch,
        Self::QuantityMismatch,
        Self::PriceMismatch,
        Self::TierMismatch,
        Self::MissingInDatabase,
        Self::OrganizationUnknown,
        Self::MissingInStripe,
        Self::CustomerMismatch,
        Self::DuplicateLiveSubscription,
        Self::UnknownPrice,
        Self::UnknownStatus,
        Self::MixedItemPeriods,
        Self::LivemodeMismatch,
        Self::MalformedObject,
    ];

    /// The `type` of a finding.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StatusMismatch => "status_mismatch",
            Self::PeriodMismatch => "period_mismatch",
            Self::CancelAtPeriodEndMismatch => "cancel_at_period_end_mismatch",
            Self::TrialEndMismatch => "trial_end_mismatch",
            Self::QuantityMismatch => "quantity_mismatch",
            Self::PriceMismatch => "price_mismatch",
            Self::TierMismatch => "tier_mismatch",
            Self::MissingInDatabase => "missing_in_database",
            Self::OrganizationUnknown => "organization_unknown",
            Self::MissingInStripe => "missing_in_stripe",
            Self::CustomerMismatch => "customer_mismatch",
            Self::DuplicateLiveSubscription => "duplicate_live_subscription",
            Self::UnknownPrice => "unknown_price",
            Self::UnknownStatus => "unknown_status",
            Self::MixedItemPeriods => "mixed_item_periods",
            Self::LivemodeMismatch => "livemode_mismatch",
            Self::MalformedObject => "malformed_object",
        }
    }
}

/// One finding, as it is written into `reconciliation_findings`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `<type>:<subject>`: the same finding of the same run is one row, however often it is sent.
    pub finding_key: String,
    /// Its class.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How bad one of these is by itself (critical, high, warning, info).
    pub severity: super::plan::Severity,
    /// Whose subscription it is, where known.
    pub organization_id: Option<Uuid>,
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
    /// What is done about it, where nothing is; the database words the rest by the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_taken: Option<String>,
}

/// What findings are about.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Whose subscription it is.
    pub organization_id: Option<Uuid>,
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
            organization_id: row.map(|row| row.organization_id),
            stripe_subscription_id: Some(subscription.id.clone()),
            stripe_customer_id: Some(subscription.customer.clone()),
            livemode: subscription.livemode,
        }
    }

    /// A row.
    pub fn of_row(row: &Row) -> Self {
        Self {
            organization_id: Some(row.organization_id),
            stripe_subscription_id: Some(row.stripe_subscription_id.clone()),
            stripe_customer_id: row.stripe_customer_id.clone(),
            livemode: row.livemode,
        }
    }

    /// A finding about this subject.
    pub fn finding(&self, kind: Kind, issue: String, details: Value) -> Finding {
        let subject = match (&self.stripe_subscription_id, self.organization_id) {
            (Some(id), _) => id.clone(),
            (None, Some(organization)) => organization.to_string(),
            (None, None) => "unnamed".to_owned(),
        };
        Finding {
            finding_key: format!("{}:{subject}", kind.as_str()),
            kind,
            severity: super::plan::severity_of_one(kind),
            organization_id: self.organization_id,
            stripe_subscription_id: self.stripe_subscription_id.clone(),
            stripe_customer_id: self.stripe_customer_id.clone(),
            livemode: self.livemode,
            issue,
            details,
            action_taken: None,
        }
    }
}

/// An object that could not be read. `place` tells nameless ones apart.
pub fn malformed(object: &MalformedObject, place: &str) -> Finding {
    let issue = format!("Stripe sent an object that cannot be read: {}.", object.reason);
    let subject = Subject { stripe_subscription_id: object.id.clone(), ..Subject::default() };
    let mut finding = subject.finding(Kind::MalformedObject, issue, json!({"created": object.created}));
    if object.id.is_none() {
        finding.finding_key = format!("{}:{place}", Kind::MalformedObject.as_str());
    }
    finding
}

/// An organization with several live subscriptions.
pub fn duplicate_live(organization: Uuid, subscriptions: &[String]) -> Finding {
    let issue =
        format!("The organization has {} subscriptions that live at the same time.", subscriptions.len());
    let subject = Subject { organization_id: Some(organization), ..Subject::default() };
    let shown: Vec<&String> = subscriptions.iter().take(20).collect();
    subject.finding(Kind::DuplicateLiveSubscription, issue, json!({"stripe_subscription_ids": shown}))
}
