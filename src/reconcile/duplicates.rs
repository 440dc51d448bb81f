//! Owners with several live subscriptions, from what the database holds after the scan.

use super::engine::{Engine, Interrupted, ToWrite};
use super::stop::Done;
use super::store::{DUPLICATES_PAGE, Piece, ReconcileStore};
use super::sweep::Sweep;
use crate::drift::finding::{self, Finding};
use crate::drift::repair::Item;
use crate::stripe::Status;

/// How many subscriptions are looked through at once. The database reads the whole table for each piece, and keeps its share: four times
/// as many fit into the 8 s after which hosted projects end a statement.
const OF_A_PIECE: u64 = 1_000_000;

/// Finds owners with several live subscriptions.
pub(super) async fn duplicates<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<Done, Interrupted> {
    let live = Status::live();
    let pieces = 1 + sweep.scanned() / OF_A_PIECE;
    let mut piece = Piece { number: 0, of: pieces };
    let mut after: Option<String> = None;
    while piece.number < pieces {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let page = engine.store.duplicates(&live, after.as_deref(), piece).await?;
        let full = page.rows.len() == DUPLICATES_PAGE;
        after = page.rows.last().map(|(owner, _)| owner.clone());
        let findings: Vec<Finding> =
            page.rows.into_iter().map(|(owner, of)| finding::duplicate_live(owner, &of)).collect();
        let items: Vec<Item> =
            findings.into_iter().map(|finding| Item::record(vec![finding], None)).collect();
        let found = ToWrite { items: &items, counts: sweep.record.counts, ..ToWrite::default() };
        engine.apply(found, &mut sweep.record).await?;
        if !full {
            piece.number += 1;
            after = None;
        }
    }
    Ok(Done::All)
}
