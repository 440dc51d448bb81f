//! What would be taken from customers and is not, because it is too much at once or nobody has decided about it.

use std::collections::BTreeMap;

use super::breaker::{self, Tripped};
use super::engine::{Engine, Interrupted, ToWrite};
use super::store::ReconcileStore;
use super::sweep::Sweep;
use crate::drift::class::Class;
use crate::drift::finding::Finding;
use crate::drift::repair::{Action, Item};

/// What was found of subscriptions whose repair waits for a fresh look.
type PutOff = BTreeMap<String, Vec<Finding>>;

/// Holds back what the circuit breaker does not believe, and leaves in the queue what must be looked at afresh. What is not written
/// without a person's word is looked at, too, as long as there is little of it.
pub(super) async fn lowering<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    tripped: &mut Vec<Tripped>,
) -> Result<(), Interrupted> {
    let (taken, told): (Vec<String>, Vec<String>) =
        sweep.lowering.iter().cloned().partition(|id| engine.would_lower(sweep.put_off.get(id)));
    if let Some(too_many) = engine.too_many_lose(taken.len()) {
        let held = but_allowed(engine, sweep, taken).await?;
        if !held.is_empty() {
            tripped.push(too_many);
            let found = take_out(sweep, &held);
            record(engine, sweep, found, None).await?;
        }
    }
    if breaker::lowering(told.len() as u64, engine.granting).is_some() {
        let found = take_out(sweep, &told);
        record(engine, sweep, found, None).await?;
    }
    Ok(())
}

/// The suspects that nobody has allowed. A person allows a number of each class, once.
async fn but_allowed<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &Sweep,
    suspects: Vec<String>,
) -> Result<Vec<String>, Interrupted> {
    let mut left: BTreeMap<Class, u64> = engine.allowances().await?;
    let held = suspects.into_iter().filter(|id| {
        let findings = sweep.put_off.get(id).into_iter().flatten();
        let classes: Vec<Class> = findings
            .filter(|finding| finding.lowers_access && engine.instead(finding).is_none())
            .map(|finding| finding.class)
            .collect();
        let allowed = !classes.is_empty()
            && classes.iter().all(|class| left.get(class).is_some_and(|number| *number > 0));
        if allowed {
            for class in &classes {
                left.entry(*class).and_modify(|number| *number -= 1);
            }
        }
        !allowed
    });
    Ok(held.collect())
}

fn take_out(sweep: &mut Sweep, ids: &[String]) -> PutOff {
    for id in ids {
        sweep.lowering.remove(id);
    }
    ids.iter().filter_map(|id| sweep.put_off.remove_entry(id)).collect()
}

/// Records what was found of subscriptions whose repair does not happen now. `why`: said instead of "held back".
pub(super) async fn record<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    found: PutOff,
    why: Option<&str>,
) -> Result<(), Interrupted> {
    let items: Vec<Item> = found
        .into_values()
        // Nothing to tell: the repair would only have refreshed what the app does not keep.
        .filter(|findings| !findings.is_empty())
        .map(|findings| match why {
            None => Item::record(findings, Some(Action::Held)),
            Some(why) => Item::record(findings, None).not_written(Action::None, Some(why)),
        })
        .collect();
    let found = ToWrite { items: &items, counts: sweep.record.counts, ..ToWrite::default() };
    Ok(engine.apply(found, &mut sweep.record).await?)
}
