//! A row of `public.subscriptions` as the reconciler reads and writes it.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// The facts of a row, read from an array in the order of `billing_ops.subscription_facts`. Times are Unix seconds. The default
/// says nothing: what a missing row is compared as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// Primary key.
    pub id: Uuid,
    /// Rises with every change of the row.
    pub row_version: i64,
    /// Whose it is.
    pub organization_id: Uuid,
    /// `sub_…`
    pub stripe_subscription_id: String,
    /// `cus_…`
    pub stripe_customer_id: Option<String>,
    /// One of Stripe's statuses, or what an earlier schema allowed.
    pub status: String,
    /// What the customer may use.
    pub tier: Option<String>,
    /// The price of the first item.
    pub stripe_price_id: Option<String>,
    /// The quantity of the first item.
    pub quantity: Option<i32>,
    /// Current period.
    pub current_period_start: Option<i64>,
    /// Current period.
    pub current_period_end: Option<i64>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: Option<bool>,
    /// When the trial ends or ended.
    pub trial_end: Option<i64>,
    /// Live or test; `None` until it has been observed.
    pub livemode: Option<bool>,
    /// When Stripe created it; `None` until a scan has seen it.
    pub stripe_created: Option<i64>,
    /// Milliseconds between the last write to the row and the moment at which it was read, by the database's clock.
    #[serde(default)]
    pub changed_ago_ms: Option<i64>,
}

/// A moment in Unix seconds that is written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub i64);

impl From<i64> for Moment {
    fn from(seconds: i64) -> Self {
        Self(seconds)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match DateTime::from_timestamp(self.0, 0) {
            Some(moment) => serializer.serialize_str(&moment.to_rfc3339_opts(SecondsFormat::Secs, true)),
            // Beyond the year 262,000: no date, so nothing to write.
            None => serializer.serialize_none(),
        }
    }
}

/// Columns to write. What is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fields {
    /// One of the eight statuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// From the price map or metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The price of the first item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_price_id: Option<String>,
    /// The quantity of the first item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i32>,
    /// Current period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_period_start: Option<Moment>,
    /// Current period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_period_end: Option<Moment>,
    /// Whether it ends with the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_at_period_end: Option<bool>,
    /// When the trial ends or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_end: Option<Moment>,
    /// Live or test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub livemode: Option<bool>,
    /// When Stripe created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_created: Option<Moment>,
}

impl Fields {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_an_array_with_or_without_its_age() {
        let facts = r#"["00000000-0000-0000-0000-000000000001", 3, "00000000-0000-0000-0000-000000000002", "sub_1",
            null, "active", null, null, 2, 5, 6, false, null, true, 7"#;
        let row: Row = serde_json::from_str(&format!("{facts}]")).unwrap();
        assert_eq!(
            (row.row_version, row.quantity, row.stripe_created, row.changed_ago_ms),
            (3, Some(2), Some(7), None)
        );
        let row: Row = serde_json::from_str(&format!("{facts}, 1234]")).unwrap();
        assert_eq!(row.changed_ago_ms, Some(1234));
    }

    #[test]
    fn only_what_is_set_is_written_and_times_are_rfc_3339() {
        let fields = Fields { current_period_end: Some(Moment(1_700_000_000)), ..Fields::default() };
        assert_eq!(
            serde_json::to_string(&fields).unwrap(),
            r#"{"current_period_end":"2023-11-14T22:13:20Z"}"#
        );
    }
}
