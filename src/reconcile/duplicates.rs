//! Owners with several live subscriptions, from what the database holds after the scan.

use super::engine::{Engine, Interrupted};
use super::stop::Done;
use super::store::{DUPLICATES_PAGE, ReconcileStore};
use super::sweep::Sweep;
use crate::drift::finding::{self, Finding};
use crate::drift::repair::Item;

/// Finds organizations with several live subscriptions.
pub(super) async fn duplicates<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<Done, Interrupted> {
    let mut after = None;
    loop {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let page = engine.store.duplicates(after).await?;
        let full = page.rows.len() == DUPLICATES_PAGE;
        after = page.rows.last().map(|(organization, _)| *organization);
        let findings: Vec<Finding> =
            page.rows.iter().map(|(id, of)| finding::duplicate_live(*id, of)).collect();
        let items: Vec<Item> = findings.into_iter().map(|finding| Item::record(vec![finding])).collect();
        let counts = sweep.record.counts;
        engine.apply(&items, &[], counts, None, &mut sweep.record).await?;
        if !full {
            return Ok(Done::All);
        }
    }
}
