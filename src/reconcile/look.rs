//! Fresh looks: a subscription is read again from Stripe before anything is taken away, and where Stripe did not list it.

use std::collections::HashSet;

use futures::stream::{StreamExt, iter};

use super::engine::{Engine, Interrupted};
use super::group::gone;
use super::stop::Done;
use super::store::{Group, ReconcileStore, UNPLACED_PAGE};
use super::sweep::Sweep;
use crate::drift::compare::compare;
use crate::drift::missing::missing_in_stripe;
use crate::drift::plan::{Repairs, plan};
use crate::drift::repair::Item;
use crate::drift::row::Row;
use crate::stripe::{StripeError, Subscription};

/// Subscriptions that are retrieved at once, and how many of them together make one batch.
const RETRIEVERS: usize = 8;
pub(super) const CHUNK: usize = 200;

/// Adds the rows that no scan has placed in time to those that need a fresh look.
pub(super) async fn unplaced<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<(), Interrupted> {
    let mut after = None;
    loop {
        let page = engine.store.unplaced(after).await?;
        let full = page.rows.len() == UNPLACED_PAGE;
        after = page.rows.last().map(|(id, _)| *id);
        let kept = page.rows.into_iter().map(|(_, id)| sweep.look_afresh(id)).filter(|kept| *kept).count();
        if !full || (kept == 0 && sweep.too_many) {
            return Ok(());
        }
    }
}

/// Records what was found of the subscriptions whose repair does not happen now. `why`: in the place of "held back".
pub(super) async fn record_put_off<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    why: Option<&str>,
) -> Result<(), Interrupted> {
    let items: Vec<Item> = std::mem::take(&mut sweep.put_off)
        .into_values()
        .map(|mut findings| match why {
            None => Item::held(findings),
            Some(why) => {
                findings.iter_mut().for_each(|finding| finding.reason = Some(why.to_owned()));
                Item::record(findings)
            }
        })
        .collect();
    let counts = sweep.record.counts;
    Ok(engine.apply(&items, &[], counts, None, &mut sweep.record).await?)
}

/// Retrieves each subscription that needs it, and does what follows. What is done leaves `sweep.fresh`.
pub(super) async fn look<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<Done, Interrupted> {
    while !sweep.fresh.is_empty() {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let chunk: Vec<String> = sweep.fresh.iter().take(CHUNK).cloned().collect();
        let ids: Vec<&str> = chunk.iter().map(String::as_str).collect();
        // Rows first, Stripe second: a row that is written in between has another version, and is left alone.
        let Group { rows, open, .. } = engine.store.group(&ids, None).await?;
        let without_row: Vec<&String> =
            chunk.iter().filter(|id| !rows.iter().any(|row| row.stripe_subscription_id == **id)).collect();
        // A chunk that ends early is kept as far as it got; what is left stays in `fresh`, and so on the cursor.
        let (looks, end) = retrieve(engine, rows).await;
        // What there was time for is done, so that each run gets further.
        let looked: Vec<String> = looks.iter().map(|(row, _)| row.stripe_subscription_id.clone()).collect();
        let (items, judged) = judge(engine, sweep, looks);
        let cleared = gone(open, |id| judged.contains(id), items.iter().flat_map(|item| &item.findings));
        let (counts, cursor) = (sweep.record.counts, sweep.checkpoint());
        engine.apply(&items, &cleared, counts, cursor, &mut sweep.record).await?;
        for id in looked.iter().chain(without_row) {
            sweep.fresh.remove(id);
            sweep.put_off.remove(id);
        }
        match end {
            None => {}
            Some(StripeError::Deadline) => return Ok(Done::Stopped),
            Some(error) => return Err(error.into()),
        }
    }
    Ok(Done::All)
}

/// A row, and what Stripe says of its subscription: the object, or what is wrong with this one.
type Look = (Row, Result<Subscription, StripeError>);

/// Retrieves the subscriptions of rows, until all are there or something is wrong that concerns them all.
async fn retrieve<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    rows: Vec<Row>,
) -> (Vec<Look>, Option<StripeError>) {
    let looks = rows.into_iter().map(|row| async move {
        let look = engine.source.subscription(&row.stripe_subscription_id).await;
        (row, look)
    });
    let mut looks = iter(looks).buffer_unordered(RETRIEVERS);
    let mut looked = Vec::new();
    while let Some((row, look)) = looks.next().await {
        match look {
            Ok(_) | Err(StripeError::NotFound { .. } | StripeError::Malformed { .. }) => {
                looked.push((row, look))
            }
            Err(error) => return (looked, Some(error)),
        }
    }
    (looked, None)
}

/// What follows from fresh looks, and the subscriptions that could be judged by them.
fn judge<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    looks: Vec<Look>,
) -> (Vec<Item>, HashSet<String>) {
    let (mut items, mut judged, rules) = (Vec::new(), HashSet::new(), engine.rules());
    for (row, look) in looks {
        match look {
            Ok(subscription) => {
                let comparison = compare(&subscription, &row, rules);
                sweep.mixed_modes |= comparison.mixed_modes;
                if comparison.in_grace {
                    sweep.record.counts.skipped_count += 1;
                    continue;
                }
                judged.insert(row.stripe_subscription_id.clone());
                let repairs = if sweep.mixed_modes { Repairs::Held } else { Repairs::All };
                items.extend(plan(comparison, &row, repairs).items);
            }
            Err(StripeError::NotFound { .. }) => {
                let (finding, mixed_modes) = missing_in_stripe(&row, rules);
                sweep.mixed_modes |= mixed_modes;
                judged.insert(row.stripe_subscription_id.clone());
                items.push(Item::record(vec![finding]));
            }
            Err(error) => {
                sweep.record.failed(Some(&row.stripe_subscription_id), &error.to_string());
            }
        }
    }
    (items, judged)
}
