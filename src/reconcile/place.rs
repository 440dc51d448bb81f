//! Live subscriptions without a row: their rows are made once the scan knows how many there are, or their owner's one row is pointed at
//! them.

use std::collections::{HashMap, HashSet};

use super::breaker::Tripped;
use super::engine::{Engine, Interrupted, ToWrite};
use super::fresh::{CHUNK, retrieve};
use super::group::{classes_of, gone};
use super::owners::{Making, MissingJudged};
use super::stop::{Done, stopped};
use super::store::{Lookup, ReconcileStore};
use super::sweep::Sweep;
use crate::drift::class::Class;
use crate::drift::missing::{Contested, contested};
use crate::drift::repair::Item;
use crate::drift::row::Row;
use crate::stripe::{StripeError, Subscription};

/// Makes the rows that are missing, or puts them on record if there are too many. What is done leaves the queue.
pub(super) async fn create<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    tripped: &mut Vec<Tripped>,
) -> Result<Done, Interrupted> {
    let too_many = engine.too_many_made(sweep.creations());
    let mut allowed = match too_many {
        None => u64::MAX,
        Some(_) => engine.allowances().await?.get(&Class::MissingInDatabase).copied().unwrap_or_default(),
    };
    tripped.extend(too_many.filter(|_| sweep.creations() > allowed));
    // What is held back below was already counted when it was put off.
    let counted = sweep.record.creations;
    while !sweep.missing.is_empty() {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let chunk: Vec<String> = sweep.missing.iter().take(CHUNK).cloned().collect();
        let (as_read, read_again) = chunk.into_iter().partition(|id| sweep.as_read.contains_key(id));
        let (answers, end) = retrieve(engine, read_again).await;
        let mut done: Vec<String> = as_read;
        let mut subscriptions: Vec<Subscription> =
            done.iter().filter_map(|id| sweep.as_read.remove(id)).collect();
        let mut absent: Vec<String> = Vec::new();
        for (id, answer) in answers {
            match answer {
                Ok(subscription) => subscriptions.push(subscription),
                // Nobody can have what no longer exists.
                Err(StripeError::NotFound { .. }) => absent.push(id.clone()),
                Err(error) => sweep.record.failed(Some(&id), &error.to_string()),
            }
            done.push(id);
        }
        let now = usize::try_from(allowed).unwrap_or(usize::MAX).min(subscriptions.len());
        let (made, held) = subscriptions.split_at(now);
        allowed -= made.len() as u64;
        for (subscriptions, making) in [(made, Making::Now), (held, Making::Held)] {
            if !subscriptions.is_empty() || !absent.is_empty() {
                make(engine, sweep, subscriptions, &std::mem::take(&mut absent), making).await?;
            }
        }
        sweep.record.creations = counted;
        for id in &done {
            sweep.missing.remove(id);
        }
        if stopped(end)? {
            return Ok(Done::Stopped);
        }
    }
    Ok(Done::All)
}

/// Judges subscriptions without a row and does what follows. `absent`: those that Stripe no longer has.
async fn make<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    subscriptions: &[Subscription],
    absent: &[String],
    making: Making,
) -> Result<(), Interrupted> {
    let named = subscriptions.iter().map(|subscription| &subscription.id).chain(absent);
    let named = named.map(String::as_str).collect();
    let group = engine.read(Lookup { named, ..Lookup::default() }).await?;
    // A row that came meanwhile is compared by the next run.
    let here_ids: HashSet<&str> = group.rows.iter().map(|row| row.stripe_subscription_id.as_str()).collect();
    let missing = subscriptions.iter().filter(|subscription| !here_ids.contains(subscription.id.as_str()));
    let judged = engine.judge_missing(missing, &group.looked_up, making, &mut sweep.record).await?;
    let MissingJudged { items, skipped, looked_up, .. } = judged;
    let kept = classes_of(&group.open, |id| skipped.contains(id));
    let cleared = gone(
        group.open,
        |id| !here_ids.contains(id) && !skipped.contains(id),
        items.iter().flat_map(|item| &item.findings),
    );
    let (counts, cursor) = (sweep.record.counts, sweep.checkpoint());
    let found = ToWrite { items: &items, cleared: &cleared, looked_up: &looked_up, counts, cursor };
    engine.apply(found, &mut sweep.record).await?;
    sweep.set_aside();
    sweep.kept.extend(kept);
    sweep.record.unsettled(here_ids.iter().map(|id| (*id).to_owned()).chain(skipped));
    Ok(())
}

/// Where each owner has one row: reads the row, then afresh both subscriptions that it could follow, and points it at the one that
/// counts. What waits for its row to lose access stays in the queue.
pub(super) async fn contest<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<Done, Interrupted> {
    let queue: Vec<(String, Option<String>)> = sweep.occupied.clone().into_iter().collect();
    for chunk in queue.chunks(CHUNK) {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let named = chunk.iter().filter_map(|(_, followed)| followed.as_deref()).collect();
        let rows = engine.read(Lookup { named, ..Lookup::default() }).await?.rows;
        let rows: HashMap<&str, &Row> =
            rows.iter().map(|row| (row.stripe_subscription_id.as_str(), row)).collect();
        let followed = rows.keys().map(|id| (*id).to_owned());
        let ids = chunk.iter().map(|(id, _)| id.clone()).chain(followed).collect();
        let (answers, end) = retrieve(engine, ids).await;
        let mut items: Vec<Item> = Vec::new();
        // A row is written once in a batch: another subscription that wants it is tried again after this one.
        let mut moved: HashSet<&str> = HashSet::new();
        for (id, followed) in chunk {
            let row = followed.as_deref().and_then(|id| rows.get(id));
            let (Some(row), Some(Ok(subscription))) = (row, answers.get(id)) else { continue };
            if moved.contains(row.key.as_str()) {
                continue;
            }
            let followed = match answers.get(&row.stripe_subscription_id) {
                Some(Ok(followed)) => Some(followed),
                Some(Err(StripeError::NotFound { .. })) => None,
                _ => continue,
            };
            match contested(subscription, row, followed, engine.rules()) {
                Contested::Later => continue,
                Contested::Nothing => {}
                Contested::Decided(decided) => {
                    // The row is written before its old subscription would make it lose access.
                    let moves = decided.iter().find(|item| item.moves());
                    moved.extend(moves.map(|_| row.key.as_str()));
                    let written =
                        |item: &Item| item.findings.iter().all(|found| engine.instead(found).is_none());
                    if moves.is_some_and(written) {
                        sweep.lowering.remove(&row.stripe_subscription_id);
                        sweep.put_off.remove(&row.stripe_subscription_id);
                    }
                    items.extend(decided);
                }
            }
            sweep.occupied.remove(id);
        }
        let found = ToWrite { items: &items, counts: sweep.record.counts, ..ToWrite::default() };
        engine.apply(found, &mut sweep.record).await?;
        if stopped(end)? {
            return Ok(Done::Stopped);
        }
    }
    Ok(Done::All)
}

/// Tries once more to give rows to those that are left over: their owner's row may have lost access by now, or gone elsewhere. What
/// still finds no room is left to the next run.
pub(super) async fn contest_again<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    tripped: &[Tripped],
) -> Result<Done, Interrupted> {
    let queue: Vec<String> = sweep.occupied.keys().cloned().collect();
    let too_many = tripped.iter().any(|tripped| matches!(tripped, Tripped::Creations { .. }));
    let making = if too_many { Making::Held } else { Making::Now };
    for chunk in queue.chunks(CHUNK) {
        let (answers, end) = retrieve(engine, chunk.to_vec()).await;
        for id in answers.keys() {
            sweep.occupied.remove(id);
        }
        let subscriptions: Vec<Subscription> = answers.into_values().flatten().collect();
        make(engine, sweep, &subscriptions, &[], making).await?;
        if stopped(end)? {
            return Ok(Done::Stopped);
        }
    }
    sweep.record.counts.skipped_count += sweep.occupied.len() as u64;
    let left = std::mem::take(&mut sweep.occupied);
    sweep.record.unsettled(left.into_keys());
    Ok(Done::All)
}
