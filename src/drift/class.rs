//! The classes of drift: one table of word and sentence, and how bad each is.

use serde::{Deserialize, Serialize};

use crate::alerts::severity::Severity;

/// The classes of drift.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
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

impl Class {
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

    /// The word, and what one and what several of it are called.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::StatusMismatch => (
                "status_mismatch",
                "subscription had a different status",
                "subscriptions had a different status",
            ),
            Self::PeriodMismatch => (
                "period_mismatch",
                "subscription had a different period",
                "subscriptions had a different period",
            ),
            Self::CancelAtPeriodEndMismatch => (
                "cancel_at_period_end_mismatch",
                "subscription differed in whether it ends with its period",
                "subscriptions differed in whether they end with their period",
            ),
            Self::TrialEndMismatch => {
                ("trial_end_mismatch", "trial had a different end", "trials had a different end")
            }
            Self::QuantityMismatch => (
                "quantity_mismatch",
                "subscription had a different quantity",
                "subscriptions had a different quantity",
            ),
            Self::PriceMismatch => (
                "price_mismatch",
                "subscription had a different price",
                "subscriptions had a different price",
            ),
            Self::TierMismatch => {
                ("tier_mismatch", "subscription had a different tier", "subscriptions had a different tier")
            }
            Self::MissingInDatabase => (
                "missing_in_database",
                "subscription was missing in the database",
                "subscriptions were missing in the database",
            ),
            Self::OrganizationUnknown => (
                "organization_unknown",
                "subscription belongs to no known organization",
                "subscriptions belong to no known organization",
            ),
            Self::MissingInStripe => (
                "missing_in_stripe",
                "row names a subscription that Stripe does not know",
                "rows name subscriptions that Stripe does not know",
            ),
            Self::CustomerMismatch => (
                "customer_mismatch",
                "subscription has a different customer at Stripe",
                "subscriptions have a different customer at Stripe",
            ),
            Self::DuplicateLiveSubscription => (
                "duplicate_live_subscription",
                "organization has several live subscriptions",
                "organizations have several live subscriptions",
            ),
            Self::UnknownPrice => (
                "unknown_price",
                "subscription has a price without a tier",
                "subscriptions have a price without a tier",
            ),
            Self::UnknownStatus => (
                "unknown_status",
                "subscription has an unknown status",
                "subscriptions have an unknown status",
            ),
            Self::MixedItemPeriods => (
                "mixed_item_periods",
                "subscription has items with different periods",
                "subscriptions have items with different periods",
            ),
            Self::LivemodeMismatch => {
                ("livemode_mismatch", "subscription mixes live and test", "subscriptions mix live and test")
            }
            Self::MalformedObject => (
                "malformed_object",
                "object from Stripe could not be read",
                "objects from Stripe could not be read",
            ),
        }
    }

    /// The `type` of a finding.
    pub fn as_str(self) -> &'static str {
        self.words().0
    }

    /// So many of it, in words.
    pub fn phrase(self, count: u64) -> String {
        let (_, one, many) = self.words();
        format!("{count} {}", if count == 1 { one } else { many })
    }

    /// How bad `count` of it are. What is repaired by itself is worth knowing, and worth a look when there is much of it
    /// (webhooks are being lost); what touches money or access of the wrong customer is critical.
    pub fn severity(self, count: u64) -> Severity {
        match self {
            Self::StatusMismatch
            | Self::PeriodMismatch
            | Self::CancelAtPeriodEndMismatch
            | Self::TrialEndMismatch
            | Self::QuantityMismatch
            | Self::PriceMismatch
            | Self::TierMismatch => {
                if count > 10 {
                    Severity::Warning
                } else {
                    Severity::Info
                }
            }
            Self::MissingInDatabase => {
                if count > 5 {
                    Severity::Critical
                } else {
                    Severity::Warning
                }
            }
            Self::OrganizationUnknown
            | Self::UnknownPrice
            | Self::UnknownStatus
            | Self::MixedItemPeriods
            | Self::MalformedObject => Severity::Warning,
            Self::MissingInStripe
            | Self::CustomerMismatch
            | Self::DuplicateLiveSubscription
            | Self::LivemodeMismatch => Severity::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_what_is_written_and_read() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }

    #[test]
    fn severities_follow_the_table() {
        for (class, count, expected) in [
            (Class::StatusMismatch, 1, Severity::Info),
            (Class::StatusMismatch, 10, Severity::Info),
            (Class::StatusMismatch, 11, Severity::Warning),
            (Class::TierMismatch, 11, Severity::Warning),
            (Class::MissingInDatabase, 1, Severity::Warning),
            (Class::MissingInDatabase, 5, Severity::Warning),
            (Class::MissingInDatabase, 6, Severity::Critical),
            (Class::OrganizationUnknown, 100, Severity::Warning),
            (Class::MissingInStripe, 1, Severity::Critical),
            (Class::CustomerMismatch, 1, Severity::Critical),
            (Class::LivemodeMismatch, 1, Severity::Critical),
        ] {
            assert_eq!(class.severity(count), expected, "{class:?} {count}");
        }
    }
}
