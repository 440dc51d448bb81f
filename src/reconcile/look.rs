//! Fresh looks: a subscription is read again from Stripe before anything is taken away, and where Stripe did not list it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::engine::{Engine, Interrupted, ToWrite};
use super::fresh::{CHUNK, Look, retrieve};
use super::group::{classes_of, gone};
use super::replaced::{self, Asked, Others};
use super::stop::{Done, stopped};
use super::store::{Group, Lookup, ReconcileStore};
use super::sweep::Sweep;
use crate::drift::compare::compare;
use crate::drift::finding::{self, Finding};
use crate::drift::missing::{self, missing_in_stripe};
use crate::drift::plan::{Repairs, plan};
use crate::drift::repair::Item;
use crate::stripe::StripeError;

/// Adds the rows that no scan has seen to those that need a fresh look, and puts on record those that no scan can see. The table is
/// gone through piece by piece; a run that has no time for all of them leaves them to the next, which has read everything already.
pub(super) async fn unplaced<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<Done, Interrupted> {
    let mut after: Option<String> = None;
    loop {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let page = engine.store.unplaced(after.as_deref()).await?;
        after = page.next;
        let odd: Vec<Item> = page
            .odd
            .into_iter()
            .map(|(key, owner, odd)| Item::record(vec![finding::malformed_row(&key, owner, &odd)], None))
            .collect();
        let found = ToWrite { items: &odd, counts: sweep.record.counts, ..ToWrite::default() };
        engine.apply(found, &mut sweep.record).await?;
        for (_, id) in page.rows {
            sweep.not_listed(id);
        }
        if after.is_none() || sweep.too_many {
            return Ok(Done::All);
        }
    }
}

/// Which subscriptions are looked at afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Those whose row was written while Stripe was being asked.
    Newer,
    /// Those that Stripe does not list.
    Unlisted,
    /// Those that would lose something. Any such from the other queues go here, too, so that the circuit breaker counts them.
    Lowering,
}

impl Queue {
    fn of(self, sweep: &mut Sweep) -> &mut BTreeSet<String> {
        match self {
            Self::Newer => &mut sweep.newer,
            Self::Unlisted => &mut sweep.unlisted,
            Self::Lowering => &mut sweep.lowering,
        }
    }
}

/// Retrieves each subscription of a queue and does what follows. What is done leaves the queue.
pub(super) async fn look<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    queue: Queue,
) -> Result<Done, Interrupted> {
    while !queue.of(sweep).is_empty() {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let chunk: Vec<String> = queue.of(sweep).iter().take(CHUNK).cloned().collect();
        // Rows first, Stripe second: a row that is written in between has another version, and is left alone.
        let named = chunk.iter().map(String::as_str).collect();
        let Group { rows, open, .. } = engine.read(Lookup { named, ..Lookup::default() }).await?;
        let without_row: Vec<&String> =
            chunk.iter().filter(|id| !rows.iter().any(|row| row.stripe_subscription_id == **id)).collect();
        // A chunk that ends early is kept as far as it got; what is left stays in the queue, and so on the cursor.
        let ids = rows.iter().map(|row| row.stripe_subscription_id.clone()).collect();
        let (mut answers, mut end) = retrieve(engine, ids).await;
        let mut looks: Vec<Look> = rows
            .into_iter()
            .filter_map(|row| {
                let answer = answers.remove(&row.stripe_subscription_id)?;
                Some((row, answer))
            })
            .collect();
        let pairs = looks.iter_mut().filter_map(|(row, look)| Some((row, look.as_ref().ok()?)));
        engine.mark_other_owners(pairs).await?;
        let asked = match queue {
            Queue::Lowering => replaced::others(engine, sweep, &looks).await?,
            Queue::Newer | Queue::Unlisted => Asked::default(),
        };
        let Asked { others, unasked, end: cut_short } = asked;
        looks.retain(|(row, _)| !unasked.contains(&row.stripe_subscription_id));
        end = end.or(cut_short);
        // What there was time for is done, so that each run gets further.
        let looked: HashSet<String> =
            looks.iter().map(|(row, _)| row.stripe_subscription_id.clone()).collect();
        let Looked { items, judged, put_off } = judge(engine, sweep, looks, queue, &others);
        let waiting = put_off.iter().flat_map(|(_, findings)| findings);
        let found = items.iter().flat_map(|item| &item.findings).chain(waiting);
        sweep.kept.extend(classes_of(&open, |id| looked.contains(id) && !judged.contains(id)));
        let cleared = gone(open, |id| judged.contains(id), found);
        for (id, findings) in put_off {
            sweep.put_off(id, findings);
        }
        let (counts, cursor) = (sweep.record.counts, sweep.checkpoint());
        let found = ToWrite { items: &items, cleared: &cleared, counts, cursor, ..ToWrite::default() };
        engine.apply(found, &mut sweep.record).await?;
        for id in looked.iter().chain(without_row) {
            queue.of(sweep).remove(id);
            if queue == Queue::Lowering {
                sweep.put_off.remove(id);
            }
        }
        if stopped(end)? {
            return Ok(Done::Stopped);
        }
    }
    Ok(Done::All)
}

/// What follows from fresh looks.
#[derive(Default)]
struct Looked {
    items: Vec<Item>,
    /// The subscriptions that could be judged.
    judged: HashSet<String>,
    /// Those that would lose something after all.
    put_off: Vec<(String, Vec<Finding>)>,
}

fn judge<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    looks: Vec<Look>,
    queue: Queue,
    others: &HashMap<String, Others>,
) -> Looked {
    let (mut looked, rules) = (Looked::default(), engine.rules());
    for (row, look) in looks {
        let id = &row.stripe_subscription_id;
        match look {
            Ok(subscription) if let Some(others) = others.get(id) => match others {
                Others::NotYet => {
                    sweep.record.counts.skipped_count += 1;
                    sweep.record.unsettled([id.clone()]);
                }
                Others::WithoutRow(others) => {
                    // The other subscription's event may be on its way, and its row with it.
                    if engine.changes.is_some() {
                        sweep.record.unsettled([id.clone()]);
                    }
                    let finding = missing::replaced(&subscription, &row, others, rules);
                    looked.judged.insert(id.clone());
                    looked.items.push(Item::record(vec![finding], None));
                }
            },
            Ok(subscription) => {
                let comparison = compare(&subscription, &row, rules);
                if comparison.in_grace {
                    sweep.record.counts.skipped_count += 1;
                    sweep.record.unsettled([id.clone()]);
                    continue;
                }
                looked.judged.insert(id.clone());
                let repairs = match queue {
                    Queue::Newer | Queue::Unlisted => Repairs::WithoutLowering,
                    Queue::Lowering => Repairs::All,
                };
                let planned = plan(comparison, &row, repairs, engine.shape.writes);
                looked.items.extend(planned.items);
                looked.put_off.extend(planned.put_off.map(|findings| (id.clone(), findings)));
            }
            Err(StripeError::NotFound { .. }) => {
                let finding = missing_in_stripe(&row, rules);
                looked.judged.insert(id.clone());
                looked.items.push(Item::record(vec![finding], None));
            }
            Err(error) => sweep.record.failed(Some(id), &error.to_string()),
        }
    }
    looked
}
