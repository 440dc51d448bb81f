//! The shape of the app's table, as far as a comparison must know it: which words are mapped, what the app calls them, which of them it
//! keeps true itself, and what may be written.

use std::collections::BTreeMap;

use serde::Deserialize;
use strum::EnumCount as _;

use super::class::Class;

/// What a row can say of a subscription. Only `status` is always mapped.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum Word {
    /// Whose money it is: `cus_…`. Compared, and never repaired.
    Customer,
    /// Stripe's status.
    Status,
    /// What the customer may use.
    Tier,
    /// The price of the item.
    Price,
    /// How many of it.
    Quantity,
    /// The start of the current period.
    PeriodStart,
    /// The end of the current period.
    PeriodEnd,
    /// Whether it ends with the period.
    CancelAtPeriodEnd,
    /// When the trial ends or ended.
    TrialEnd,
}

impl Word {
    /// The class of a difference in it; `None` for the customer, which nothing repairs.
    pub fn class(self) -> Option<Class> {
        match self {
            Self::Customer => None,
            Self::Status => Some(Class::StatusMismatch),
            Self::Tier => Some(Class::TierMismatch),
            Self::Price => Some(Class::PriceMismatch),
            Self::Quantity => Some(Class::QuantityMismatch),
            Self::PeriodStart | Self::PeriodEnd => Some(Class::PeriodMismatch),
            Self::CancelAtPeriodEnd => Some(Class::CancelAtPeriodEndMismatch),
            Self::TrialEnd => Some(Class::TrialEndMismatch),
        }
    }
}

/// What the mapping allows to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writes {
    /// Nothing.
    #[default]
    None,
    /// Rows that are there.
    Update,
    /// New rows, too.
    UpdateAndInsert,
}

/// The shape of the adopted table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Described")]
pub struct Shape {
    columns: [Option<String>; Word::COUNT],
    keeps: [bool; Word::COUNT],
    /// What may be written.
    pub writes: Writes,
    /// Each owner has one row, which follows whatever subscription they have.
    pub one_row_each: bool,
    /// The prices whose item has the quantity, where the mapping names them.
    pub quantity_prices: Option<Vec<String>>,
}

/// As the database describes it.
#[derive(Deserialize)]
struct Described {
    columns: BTreeMap<String, String>,
    keeps: Vec<String>,
    writes: Writes,
    #[serde(default)]
    one_row_each: bool,
    quantity_prices: Option<Vec<String>>,
}

impl From<Described> for Shape {
    fn from(described: Described) -> Self {
        let mut shape = Self {
            writes: described.writes,
            one_row_each: described.one_row_each,
            quantity_prices: described.quantity_prices,
            ..Self::default()
        };
        // A word that is not known here comes from a later version's database, and is not compared.
        for (word, column) in described.columns {
            if let Ok(word) = word.parse::<Word>() {
                shape.columns[word as usize] = Some(column);
            }
        }
        for word in described.keeps.iter().filter_map(|word| word.parse::<Word>().ok()) {
            shape.keeps[word as usize] = true;
        }
        shape
    }
}

impl Shape {
    /// What the app calls it; `None` where it is not mapped.
    pub fn column(&self, word: Word) -> Option<&str> {
        self.columns[word as usize].as_deref()
    }

    /// Whether the app keeps it true itself, so that a difference is drift. What it does not keep is refreshed without a word.
    pub fn keeps(&self, word: Word) -> bool {
        self.keeps[word as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_read_as_the_database_describes_it() {
        let shape: Shape = serde_json::from_str(
            r#"{"adopted": true, "columns": {"status": "state", "price": "price_id", "colour": "c"},
                "keeps": ["status"], "writes": "update", "quantity_prices": null, "horizon": "763"}"#,
        )
        .unwrap();
        assert_eq!(shape.column(Word::Status), Some("state"));
        assert_eq!(shape.column(Word::Tier), None);
        assert!(shape.keeps(Word::Status) && !shape.keeps(Word::Price));
        assert!(shape.writes < Writes::UpdateAndInsert);
    }
}
