//! From a comparison to what is sent to the database: what is repaired, put off, held back or only recorded. Pure.

use super::compare::Comparison;
use super::finding::Finding;
use super::repair::Item;
use super::row::{Fields, Row};

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
            // What does not count as drift need not wait: without it the row would pass for one that no scan has seen.
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

#[cfg(test)]
mod tests;
