//! Before a row loses access: what else does its customer have? The row of a subscription that was replaced by another one may be the
//! last thing that lets a paying customer in.

use std::collections::{HashMap, HashSet};

use futures::stream::{StreamExt, iter};

use super::engine::{Engine, Interrupted, ToWrite};
use super::fresh::{Look, RETRIEVERS};
use super::owners::{Making, MissingJudged};
use super::store::{Lookup, ReconcileStore};
use super::sweep::Sweep;
use crate::drift::compare::{GRACE_SECONDS, Rules};
use crate::drift::missing::{Missing, missing as judge_missing};
use crate::drift::row::Row;
use crate::stripe::{Status, StripeError, Subscription};

/// What speaks against taking access from a row.
#[derive(Debug)]
pub(super) enum Others {
    /// Its customer has these subscriptions, which grant access but get no row, and its owner has no other row that grants it.
    WithoutRow(Vec<String>),
    /// Its customer has another subscription, which only the next run can judge.
    NotYet,
}

/// What Stripe says of the customers' other subscriptions.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// By the Stripe id of the row.
    pub(super) others: HashMap<String, Others>,
    /// Stripe ids of rows for which Stripe has not answered.
    pub(super) unasked: HashSet<String>,
    /// Why it has not.
    pub(super) end: Option<StripeError>,
}

/// Asks Stripe for the customers' other subscriptions wherever a row would lose access. Those without a row get one, if they can; if none
/// can, and the owner would be left with nothing, the answer says so.
pub(super) async fn others<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    looks: &[Look],
) -> Result<Asked, Interrupted> {
    let access = &engine.terms.access;
    let grants = |row: &Row| row.status.as_deref().is_some_and(|status| access.grants(&Status::of(status)));
    let suspects = looks.iter().filter_map(|(row, look)| {
        let subscription = look.as_ref().ok()?;
        let loses = grants(row) && !access.grants(&subscription.status);
        loses.then(|| (subscription.id.clone(), subscription.customer.clone()))
    });
    let suspects: Vec<(String, String)> = suspects.collect();
    let asked = suspects.into_iter().map(|(id, customer)| async move {
        let others = engine.source.not_canceled_of(&customer).await;
        (id, others)
    });
    let mut asked = iter(asked).buffer_unordered(RETRIEVERS);
    let mut of: HashMap<String, Vec<Subscription>> = HashMap::new();
    let mut unasked: HashSet<String> = HashSet::new();
    let mut end = None;
    while let Some((id, others)) = asked.next().await {
        match others {
            Ok(mut others) => {
                others.retain(|other| other.id != id && access.grants(&other.status));
                others.retain(|other| engine.terms.scope.holds(other));
                if !others.is_empty() {
                    of.insert(id, others);
                }
            }
            Err(error) => {
                unasked.insert(id);
                end = Some(error);
            }
        }
    }
    let others = stand_against(engine, sweep, looks, &of).await?;
    Ok(Asked { others, unasked, end })
}

/// What still speaks against it once every other subscription that can have a row has got it.
async fn stand_against<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    looks: &[Look],
    of: &HashMap<String, Vec<Subscription>>,
) -> Result<HashMap<String, Others>, Interrupted> {
    let access = &engine.terms.access;
    let named: HashSet<&str> = of.values().flatten().map(|other| other.id.as_str()).collect();
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    // The scan has judged most of them; what was bought since may still get its row.
    let lookup = Lookup { named: named.into_iter().collect(), ..Lookup::default() };
    let group = engine.read(lookup).await?;
    let known: HashSet<&str> = group.rows.iter().map(|row| row.stripe_subscription_id.as_str()).collect();
    let mut missing: HashMap<&str, &Subscription> = HashMap::new();
    missing.extend(
        of.values()
            .flatten()
            .filter(|other| !known.contains(other.id.as_str()))
            .map(|other| (other.id.as_str(), other)),
    );
    if missing.is_empty() {
        return Ok(HashMap::new());
    }
    // The other subscription's event may come after this one's, so it gets the full grace whatever this one gets.
    let rules = Rules { grace: GRACE_SECONDS, ..engine.rules() };
    let in_grace = |other: &Subscription| matches!(judge_missing(other, None, rules), Missing::InGrace);
    let in_grace: HashSet<&str> =
        missing.values().filter(|other| in_grace(other)).map(|other| other.id.as_str()).collect();
    let upper = sweep.scan.upper();
    // A scan has judged what is older; a pass has read nothing but what was due.
    missing.retain(|_, other| engine.changes.is_some() || other.created >= upper);
    let too_many = engine.too_many_made(sweep.creations()).is_some();
    let making = if too_many { Making::Held } else { Making::Now };
    let judged = {
        let missing: Vec<&Subscription> = missing.values().copied().collect();
        engine.judge_missing(missing.into_iter(), &group.looked_up, making, &mut sweep.record).await?
    };
    let MissingJudged { items, looked_up, .. } = judged;
    let counts = sweep.record.counts;
    let found = ToWrite { items: &items, looked_up: &looked_up, counts, ..ToWrite::default() };
    engine.apply(found, &mut sweep.record).await?;
    sweep.set_aside();
    let named = missing.keys().copied().collect();
    let made = engine.read(Lookup { named, ..Lookup::default() }).await?.rows;
    let made: HashSet<&str> = made.iter().map(|row| row.stripe_subscription_id.as_str()).collect();

    let left = of.iter().filter(|(_, others)| {
        !others.iter().any(|other| known.contains(other.id.as_str()) || made.contains(other.id.as_str()))
    });
    let left: HashMap<&str, Vec<String>> = left
        .map(|(id, others)| (id.as_str(), others.iter().map(|other| other.id.clone()).collect()))
        .collect();
    let owners: Vec<&str> = looks
        .iter()
        .filter(|(row, _)| left.contains_key(row.stripe_subscription_id.as_str()))
        .filter_map(|(row, _)| row.owner.as_deref())
        .collect();
    if left.is_empty() {
        return Ok(HashMap::new());
    }
    // A row that is itself about to lose access leaves its owner nothing.
    let rows = engine.store.rows_of(&owners).await?;
    let stays: HashSet<&str> = rows
        .iter()
        .filter(|row| !sweep.lowering.contains(&row.stripe_subscription_id))
        .filter(|row| row.status.as_deref().is_some_and(|status| access.grants(&Status::of(status))))
        .filter_map(|row| row.owner.as_deref())
        .collect();
    let answers = looks.iter().filter_map(|(row, _)| {
        let id = row.stripe_subscription_id.as_str();
        let others = left.get(id)?;
        if row.owner.as_deref().is_some_and(|owner| stays.contains(owner)) {
            return None;
        }
        let waits = |other: &String| in_grace.contains(other.as_str()) || sweep.occupied.contains_key(other);
        let answer =
            if others.iter().any(waits) { Others::NotYet } else { Others::WithoutRow(others.clone()) };
        Some((id.to_owned(), answer))
    });
    Ok(answers.collect())
}
