//! The classes of drift: what each is called, and how bad it is.

use serde::{Deserialize, Serialize};

use crate::alerts::severity::Severity;

/// The classes of drift.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = DriftClass)]
pub enum Class {
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
    /// At Stripe, not in the database, and its owner is known.
    MissingInDatabase,
    /// At Stripe, not in the database, and no owner is known for it.
    OrganizationUnknown,
    /// Stripe's data name another owner than the row has, or contradict what is known here.
    OrganizationMismatch,
    /// It would lose access, and its customer has another subscription that grants it and has no row.
    ReplacedSubscription,
    /// In the database, and Stripe answers 404.
    MissingInStripe,
    /// The customer differs.
    CustomerMismatch,
    /// One owner has several subscriptions that live.
    DuplicateLiveSubscription,
    /// No tier is known for the price.
    UnknownPrice,
    /// A status that Stripe does not have, or that this program does not know.
    UnknownStatus,
    /// Several items with different periods.
    MixedItemPeriods,
    /// Live and test are mixed.
    LivemodeMismatch,
    /// Several items, and none is known to be the one that the row is about.
    AmbiguousItems,
    /// An object of Stripe's that could not be read.
    MalformedObject,
    /// A row that cannot be compared.
    MalformedRow,
}

impl Class {
    /// The `type` of a finding.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The given number of it, in words.
    pub fn phrase(self, count: u64) -> String {
        let (one, many) = match self {
            Self::StatusMismatch => {
                ("subscription had a different status", "subscriptions had a different status")
            }
            Self::PeriodMismatch => {
                ("subscription had a different period", "subscriptions had a different period")
            }
            Self::CancelAtPeriodEndMismatch => (
                "subscription differed in whether it ends with its period",
                "subscriptions differed in whether they end with their period",
            ),
            Self::TrialEndMismatch => ("trial had a different end", "trials had a different end"),
            Self::QuantityMismatch => {
                ("subscription had a different quantity", "subscriptions had a different quantity")
            }
            Self::PriceMismatch => {
                ("subscription had a different price", "subscriptions had a different price")
            }
            Self::TierMismatch => ("subscription had a different tier", "subscriptions had a different tier"),
            Self::MissingInDatabase => {
                ("subscription was missing in the database", "subscriptions were missing in the database")
            }
            Self::OrganizationUnknown => {
                ("subscription belongs to no known owner", "subscriptions belong to no known owner")
            }
            Self::OrganizationMismatch => {
                ("subscription has another owner at Stripe", "subscriptions have another owner at Stripe")
            }
            Self::ReplacedSubscription => (
                "subscription has ended, and its customer has another one without a row",
                "subscriptions have ended, and their customers have others without a row",
            ),
            Self::MissingInStripe => (
                "row names a subscription that Stripe does not know",
                "rows name subscriptions that Stripe does not know",
            ),
            Self::CustomerMismatch => (
                "subscription has a different customer at Stripe",
                "subscriptions have a different customer at Stripe",
            ),
            Self::DuplicateLiveSubscription => {
                ("owner has several live subscriptions", "owners have several live subscriptions")
            }
            Self::UnknownPrice => {
                ("subscription has a price without a tier", "subscriptions have a price without a tier")
            }
            Self::UnknownStatus => {
                ("subscription has an unknown status", "subscriptions have an unknown status")
            }
            Self::MixedItemPeriods => (
                "subscription has items with different periods",
                "subscriptions have items with different periods",
            ),
            Self::AmbiguousItems => ("subscription has several items", "subscriptions have several items"),
            Self::LivemodeMismatch => ("subscription mixes live and test", "subscriptions mix live and test"),
            Self::MalformedObject => {
                ("object from Stripe could not be read", "objects from Stripe could not be read")
            }
            Self::MalformedRow => ("row could not be compared", "rows could not be compared"),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }

    /// How bad one difference of this class is as long as nothing has been done about it: a warning, or critical where money or the
    /// access of the wrong customer is at stake.
    pub fn severity(self) -> Severity {
        match self {
            Self::OrganizationMismatch
            | Self::ReplacedSubscription
            | Self::MissingInStripe
            | Self::CustomerMismatch
            | Self::LivemodeMismatch => Severity::Critical,
            _ => Severity::Warning,
        }
    }

    /// Whether a run or a person can have it put right: a difference in what a row says, or a row that is missing. The rest is for a
    /// person to look into.
    pub fn is_repairable(self) -> bool {
        matches!(
            self,
            Self::StatusMismatch
                | Self::PeriodMismatch
                | Self::CancelAtPeriodEndMismatch
                | Self::TrialEndMismatch
                | Self::QuantityMismatch
                | Self::PriceMismatch
                | Self::TierMismatch
                | Self::MissingInDatabase
        )
    }

    /// How many repairs of it in a run are worth a warning: that many mean that webhooks are being lost.
    pub fn worth_a_warning(self) -> u64 {
        if self == Self::MissingInDatabase { 6 } else { 11 }
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn the_word_is_what_is_written_and_read() {
        for class in Class::VARIANTS {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }

    #[test]
    fn what_touches_money_or_the_wrong_customer_is_critical() {
        let critical: Vec<&str> = Class::VARIANTS
            .iter()
            .filter(|class| class.severity() == Severity::Critical)
            .map(|class| class.as_str())
            .collect();
        assert_eq!(
            critical,
            [
                "organization_mismatch",
                "replaced_subscription",
                "missing_in_stripe",
                "customer_mismatch",
                "livemode_mismatch"
            ]
        );
    }
}
