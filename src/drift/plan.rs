//! From a comparison to what is sent to the database: what is repaired, put off, observed or only recorded. Pure.

use super::compare::Comparison;
use super::finding::Finding;
use super::repair::Item;
use super::row::Row;
use super::shape::Writes;

/// How much may be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repairs {
    /// What lowers access is put off until the subscription has been read again.
    WithoutLowering,
    /// Everything: the subscription has just been read.
    All,
}

/// What follows from one comparison.
#[derive(Debug, Default)]
pub struct Planned {
    /// To be sent.
    pub items: Vec<Item>,
    /// Put off until the subscription has been read again, with what was found.
    pub put_off: Option<Vec<Finding>>,
}

/// Why nothing follows from a finding.
const NOTHING_IS_WRITTEN: &str = "none: the mapping says that nothing is written";

/// Turns a comparison into items.
pub fn plan(comparison: Comparison, row: &Row, repairs: Repairs, writes: Writes) -> Planned {
    let mut planned = Planned::default();
    if !comparison.unrepaired.is_empty() {
        planned.items.push(Item::record(comparison.unrepaired, None));
    }
    if comparison.repair.is_empty() {
        return planned;
    }
    match repairs {
        Repairs::WithoutLowering if !comparison.lowers.is_empty() => {
            planned.put_off = Some(comparison.repaired)
        }
        Repairs::WithoutLowering | Repairs::All => {
            let item = Item::update(row, comparison.repair, comparison.repaired);
            // Whether the table may be written is asked last, so that what is told is what would be done.
            if writes >= Writes::Update {
                planned.items.push(item);
            } else if !item.findings.is_empty() {
                planned.items.push(item.impossible(NOTHING_IS_WRITTEN));
            }
        }
    }
    planned
}

#[cfg(test)]
mod tests;
