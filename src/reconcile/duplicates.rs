//! Owners with several live subscriptions, from what the database holds after the scan.

use super::engine::{Engine, Interrupted, ToWrite};
use super::stop::Done;
use super::store::{DUPLICATES_PAGE, ReconcileStore};
use super::sweep::Sweep;
use crate::drift::finding::{self, Finding};
use crate::drift::repair::Item;
use crate::stripe::Status;

/// Finds owners with several live subscriptions.
pub(super) async fn duplicates<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<Done, Interrupted> {
    let live = Status::live();
    let mut after: Option<String> = None;
    loop {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let page = engine.store.duplicates(&live, after.as_deref()).await?;
        let full = page.rows.len() == DUPLICATES_PAGE;
        after = page.rows.last().map(|(owner, _)| owner.clone());
        let findings: Vec<Finding> =
            page.rows.into_iter().map(|(owner, of)| finding::duplicate_live(owner, &of)).collect();
        let items: Vec<Item> =
            findings.into_iter().map(|finding| Item::record(vec![finding], None)).collect();
        let found = ToWrite { items: &items, counts: sweep.record.counts, ..ToWrite::default() };
        engine.apply(found, &mut sweep.record).await?;
        if !full {
            return Ok(Done::All);
        }
    }
}
