//! A row of the app's table as the reconciler reads and writes it, whatever the app calls its columns.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::shape::Word;

/// The facts of a row, read from an array in the order of the adapter (supabase/schemas/23_adapter.sql). Keys, owners and versions
/// are text, times Unix seconds. The default says nothing: a missing row is compared as if it were this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// Primary key.
    pub key: String,
    /// Different after every change of the row (its `xmin`): a repair applies only to the version that was compared.
    pub version: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// `sub_…`
    pub stripe_subscription_id: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// One of Stripe's statuses, or a word of the app's own.
    pub status: Option<String>,
    /// What the customer may use.
    pub tier: Option<String>,
    /// The price of the item.
    pub price: Option<String>,
    /// How many of it.
    pub quantity: Option<i64>,
    /// Current period.
    pub period_start: Option<i64>,
    /// Current period.
    pub period_end: Option<i64>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: Option<bool>,
    /// When the trial ends or ended.
    pub trial_end: Option<i64>,
    /// It was written since Stripe was asked, or may have been.
    pub newer: bool,
    /// What is odd about it, in words: such a row is neither compared nor written.
    pub odd: Option<String>,
    /// The subscription was seen with a key of the other mode.
    #[serde(skip)]
    pub other_mode: bool,
    /// The other owner whom Stripe's metadata name, if there is such an owner.
    #[serde(skip)]
    pub other_owner: Option<String>,
}

/// Columns to write. What is `None` is left as it is. Times are Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fields {
    /// One of the eight statuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// From the price map or metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The price of the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// How many of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Current period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_start: Option<i64>,
    /// Current period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_end: Option<i64>,
    /// Whether it ends with the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_at_period_end: Option<bool>,
    /// When the trial ends or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_end: Option<i64>,
}

impl Row {
    /// What the row says, by word; null where it says nothing.
    pub fn said(&self) -> Map<String, Value> {
        let Self { customer, status, tier, price, quantity, period_start, period_end, .. } = self;
        let Self { cancel_at_period_end, trial_end, .. } = self;
        let said: [(&str, Value); 9] = [
            (Word::Customer.into(), customer.clone().into()),
            (Word::Status.into(), status.clone().into()),
            (Word::Tier.into(), tier.clone().into()),
            (Word::Price.into(), price.clone().into()),
            (Word::Quantity.into(), (*quantity).into()),
            (Word::PeriodStart.into(), (*period_start).into()),
            (Word::PeriodEnd.into(), (*period_end).into()),
            (Word::CancelAtPeriodEnd.into(), (*cancel_at_period_end).into()),
            (Word::TrialEnd.into(), (*trial_end).into()),
        ];
        said.into_iter().map(|(word, value)| (word.to_owned(), value)).collect()
    }
}

impl Fields {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is written, by word.
    pub fn said(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(said)) => said,
            _ => Map::new(),
        }
    }

    /// Leaves out the words that `keeps` rejects.
    pub fn retain(&mut self, keeps: impl Fn(Word) -> bool) {
        let Self { status, tier, price, quantity, period_start, period_end, .. } = self;
        keep(status, keeps(Word::Status));
        keep(tier, keeps(Word::Tier));
        keep(price, keeps(Word::Price));
        keep(quantity, keeps(Word::Quantity));
        keep(period_start, keeps(Word::PeriodStart));
        keep(period_end, keeps(Word::PeriodEnd));
        keep(&mut self.cancel_at_period_end, keeps(Word::CancelAtPeriodEnd));
        keep(&mut self.trial_end, keeps(Word::TrialEnd));
    }
}

fn keep<T>(field: &mut Option<T>, kept: bool) {
    if !kept {
        *field = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_an_array_in_the_adapters_order() {
        let row: Row = serde_json::from_str(
            r#"["17", "763", "o", "sub_1", null, "active", null, "price_1", 2, 5, 6, false, null, true, "owner is null"]"#,
        )
        .unwrap();
        assert_eq!((row.key.as_str(), row.version.as_str(), row.owner.as_deref()), ("17", "763", Some("o")));
        assert_eq!((row.price.as_deref(), row.quantity, row.period_end), (Some("price_1"), Some(2), Some(6)));
        assert_eq!((row.newer, row.odd.as_deref()), (true, Some("owner is null")));
    }

    #[test]
    fn only_what_is_set_is_written() {
        let fields = Fields { period_end: Some(1_700_000_000), ..Fields::default() };
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"period_end":1700000000}"#);
    }
}
