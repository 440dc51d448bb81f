//! What follows the scan: fresh looks at single subscriptions, bought subscriptions that are missing, and duplicates.

use std::collections::{BTreeSet, HashMap};

use futures::stream::{StreamExt, iter};
use uuid::Uuid;

use super::drift;
use super::finding::{self, Finding};
use super::group::{Shared, Trouble, buyer};
use super::plan::{self, Item, Repairs, Tripped, breaker_threshold};
use super::row::Row;
use super::scan::{FRESH_LIMIT, Stop, Sweep};
use super::store::{DUPLICATES_PAGE, ReconcileStore, UNPLACED_PAGE};
use crate::stripe::{StripeError, Subscription};

/// Subscriptions that are retrieved at once, and how many of them together make one batch.
const RETRIEVERS: usize = 8;
const CHUNK: usize = 200;
/// Sessions whose subscriptions are looked up in one round trip.
const SESSIONS: usize = 1_000;
/// A session can be paid until it expires, a day at most after it was created
/// (<https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-expires_at>); lists are by creation.
const SESSION_LIFETIME: i64 = 86_400;
/// More bought subscriptions that the database lacks are not kept in memory; the scan finds them all the same.
const BOUGHT_LIMIT: usize = 50_000;

/// Whether there was time for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    All,
    /// Time was up.
    Stopped,
}

/// Lists the completed checkout sessions of the last `hours`, and keeps those whose subscription the database lacks.
pub(super) async fn bought<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    sweep: &mut Sweep,
    hours: u32,
    stop: &Stop,
) -> Result<(HashMap<String, Option<Uuid>>, Done), Trouble> {
    let from = (shared.clock.started_at - i64::from(hours) * 3_600 - SESSION_LIFETIME).max(0);
    let (mut bought, mut gathered) = (HashMap::new(), HashMap::new());
    let mut after: Option<String> = None;
    loop {
        if stop.is_due() {
            return Ok((bought, Done::Stopped));
        }
        let page = shared.stripe.completed_sessions(from, after.as_deref(), shared.until);
        let page = match stop.or_due(page).await {
            Ok(page) => page,
            Err(StripeError::Deadline) => return Ok((bought, Done::Stopped)),
            Err(error) => return Err(error.into()),
        };
        let last = page.data.iter().rev().find_map(|element| match element {
            Ok(session) => Some(session.id.clone()),
            Err(object) => object.id.clone(),
        });
        for element in page.data {
            match element {
                Ok(session) => {
                    if let Some(subscription) = &session.subscription {
                        gathered.insert(subscription.clone(), buyer(&session));
                    }
                }
                Err(object) => {
                    let message = format!("Stripe sent a session that cannot be read: {}.", object.reason);
                    sweep.record.failed(object.id.as_deref(), &message);
                }
            }
        }
        let more = page.has_more && last.is_some() && last != after;
        if gathered.len() >= SESSIONS || !more {
            for id in known(shared, gathered.keys()).await? {
                gathered.remove(&id);
            }
            bought.extend(gathered.drain().take(BOUGHT_LIMIT.saturating_sub(bought.len())));
        }
        if !more {
            return Ok((bought, Done::All));
        }
        after = last;
    }
}

/// Those of the given Stripe ids that the database has.
async fn known<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    ids: impl Iterator<Item = &String>,
) -> Result<Vec<String>, Trouble> {
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let group = shared.store.group(&ids, None).await?;
    Ok(group.rows.into_iter().map(|row| row.stripe_subscription_id).collect())
}

/// Adds the rows that no scan has placed in time to those that need a fresh look.
pub(super) async fn unplaced<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    sweep: &mut Sweep,
) -> Result<(), Trouble> {
    let mut after = None;
    loop {
        let page = shared.store.unplaced(after).await?;
        let full = page.rows.len() == UNPLACED_PAGE;
        after = page.rows.last().map(|(id, _)| *id);
        let kept = page.rows.into_iter().map(|(_, id)| sweep.look_afresh(id)).filter(|kept| *kept).count();
        if !full || (kept == 0 && sweep.too_many) {
            return Ok(());
        }
    }
}

/// Whether repairs are held back, and why.
pub(super) fn breaker(sweep: &Sweep) -> Option<Tripped> {
    if sweep.mixed_modes {
        return Some(Tripped::MixedModes);
    }
    let (suspects, threshold) = (sweep.fresh.len() as u64, breaker_threshold(sweep.scanned()));
    (sweep.too_many || suspects > threshold)
        .then(|| Tripped::TooMany { suspects, threshold: threshold.min(FRESH_LIMIT as u64) })
}

/// Records what was found of the subscriptions whose repair does not happen now. `why`: in the place of "held back".
pub(super) async fn record_put_off<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    sweep: &mut Sweep,
    why: Option<&str>,
) -> Result<(), Trouble> {
    let items: Vec<Item> = std::mem::take(&mut sweep.put_off)
        .into_values()
        .map(|mut findings| match why {
            None => Item::held(findings),
            Some(why) => {
                findings.iter_mut().for_each(|finding| finding.action_taken = Some(why.to_owned()));
                Item::record(findings)
            }
        })
        .collect();
    let counts = sweep.record.counts;
    Ok(shared.apply(&items, counts, None, &mut sweep.record).await?)
}

/// Retrieves each subscription that needs it, and does what follows. What is done leaves `sweep.fresh`.
pub(super) async fn look<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    sweep: &mut Sweep,
    stop: &Stop,
) -> Result<Done, Trouble> {
    while !sweep.fresh.is_empty() {
        if stop.is_due() {
            return Ok(Done::Stopped);
        }
        let chunk: Vec<String> = sweep.fresh.iter().take(CHUNK).cloned().collect();
        let ids: Vec<&str> = chunk.iter().map(String::as_str).collect();
        // Rows first, Stripe second: a row that is written in between has another version, and is left alone.
        let rows = shared.store.group(&ids, None).await?.rows;
        let gone: Vec<&String> =
            chunk.iter().filter(|id| !rows.iter().any(|row| row.stripe_subscription_id == **id)).collect();
        let (looks, end) = retrieve(shared, rows).await;
        // What there was time for is done, so that each run gets further.
        let looked: Vec<String> = looks.iter().map(|(row, _)| row.stripe_subscription_id.clone()).collect();
        let items = judge(shared, sweep, looks);
        let (counts, cursor) = (sweep.record.counts, sweep.checkpoint());
        shared.apply(&items, counts, cursor, &mut sweep.record).await?;
        for id in looked.iter().chain(gone) {
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
    shared: &Shared<'_, S>,
    rows: Vec<Row>,
) -> (Vec<Look>, Option<StripeError>) {
    let looks = rows.into_iter().map(|row| async move {
        let look = shared.stripe.subscription(&row.stripe_subscription_id, shared.until);
        let look = shared.stop.or_due(look).await;
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

fn judge<S: ReconcileStore>(shared: &Shared<'_, S>, sweep: &mut Sweep, looks: Vec<Look>) -> Vec<Item> {
    let (mut items, rules) = (Vec::new(), shared.rules());
    for (row, look) in looks {
        match look {
            Ok(subscription) => {
                let comparison = drift::compare(&subscription, &row, rules);
                sweep.mixed_modes |= comparison.mixed_modes;
                if comparison.in_grace {
                    sweep.record.counts.skipped_count += 1;
                    continue;
                }
                let repairs = if sweep.mixed_modes { Repairs::Held } else { Repairs::All };
                items.extend(plan::plan(comparison, &row, repairs).items);
            }
            Err(StripeError::NotFound { .. }) => {
                let (finding, mixed_modes) = drift::missing_in_stripe(&row, rules);
                sweep.mixed_modes |= mixed_modes;
                items.push(Item::record(vec![finding]));
            }
            Err(error) => {
                sweep.record.failed(Some(&row.stripe_subscription_id), &error.to_string());
            }
        }
    }
    items
}

/// Deals with bought subscriptions that the scan has not met: Stripe does not list all (not those of test clocks), and
/// some were created after the scan began.
pub(super) async fn bought_and_missing<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    sweep: &mut Sweep,
    stop: &Stop,
) -> Result<Done, Trouble> {
    let left: BTreeSet<&String> = shared.bought.keys().filter(|id| !sweep.dealt_with.contains(*id)).collect();
    let left: Vec<&String> = left.into_iter().collect();
    for chunk in left.chunks(CHUNK) {
        if stop.is_due() {
            return Ok(Done::Stopped);
        }
        let known = known(shared, chunk.iter().copied()).await?;
        let missing = chunk.iter().filter(|id| !known.contains(id));
        let mut subscriptions: Vec<Subscription> = Vec::new();
        for id in missing {
            match stop.or_due(shared.stripe.subscription(id, shared.until)).await {
                Ok(subscription) => subscriptions.push(subscription),
                Err(StripeError::Deadline) => return Ok(Done::Stopped),
                // Nobody can have what no longer exists.
                Err(StripeError::NotFound { .. }) => {}
                Err(error @ StripeError::Malformed { .. }) => {
                    let message = format!("A completed checkout names it. {error}");
                    sweep.record.failed(Some(id), &message);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (mut items, mixed) = match shared.judge_missing(subscriptions.iter(), &mut sweep.record).await {
            Ok(judged) => judged,
            Err(StripeError::Deadline) => return Ok(Done::Stopped),
            Err(error) => return Err(error.into()),
        };
        sweep.mixed_modes |= mixed;
        if sweep.mixed_modes {
            items = items.into_iter().map(|item| Item::held(item.findings)).collect();
        }
        let counts = sweep.record.counts;
        shared.apply(&items, counts, None, &mut sweep.record).await?;
    }
    Ok(Done::All)
}

/// Finds organizations with several live subscriptions.
pub(super) async fn duplicates<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    sweep: &mut Sweep,
    stop: &Stop,
) -> Result<Done, Trouble> {
    let mut after = None;
    loop {
        if stop.is_due() {
            return Ok(Done::Stopped);
        }
        let page = shared.store.duplicates(after).await?;
        let full = page.rows.len() == DUPLICATES_PAGE;
        after = page.rows.last().map(|(organization, _)| *organization);
        let findings: Vec<Finding> =
            page.rows.iter().map(|(id, of)| finding::duplicate_live(*id, of)).collect();
        let items: Vec<Item> = findings.into_iter().map(|finding| Item::record(vec![finding])).collect();
        let counts = sweep.record.counts;
        shared.apply(&items, counts, None, &mut sweep.record).await?;
        if !full {
            return Ok(Done::All);
        }
    }
}
