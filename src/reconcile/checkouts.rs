//! Completed checkout sessions: what was bought lately must be here, whether or not Stripe lists it.

use std::collections::{BTreeSet, HashMap};

use super::engine::{Engine, Interrupted, ToWrite};
use super::owners::{Making, MissingJudged};
use super::stop::Done;
use super::store::{Checkout, Lookup, ReconcileStore};
use super::sweep::Sweep;
use crate::stripe::{StripeError, Subscription};

/// How many bought subscriptions are retrieved before their rows are written.
const CHUNK: usize = 200;
/// How many sessions have their subscriptions looked up in one round trip.
const SESSIONS: usize = 1_000;
/// A session can be paid until it expires, a day at most after it was created
/// (<https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-expires_at>); Stripe lists by creation.
const SESSION_LIFETIME: i64 = 86_400;
/// How many bought subscriptions that the database lacks are kept in memory; the scan finds any others all the same.
const BOUGHT_LIMIT: usize = 50_000;

/// Lists the completed checkout sessions of the last `hours`, and keeps those whose subscription the database lacks.
pub(super) async fn bought<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    hours: u32,
) -> Result<(HashMap<String, Checkout>, Done), Interrupted> {
    let from = (engine.clock.started_at - i64::from(hours) * 3_600 - SESSION_LIFETIME).max(0);
    let (mut bought, mut gathered) = (HashMap::new(), HashMap::new());
    let mut after: Option<String> = None;
    loop {
        if engine.source.stop.is_due() {
            return Ok((bought, Done::Stopped));
        }
        let page = match engine.source.completed_sessions(from, after.as_deref()).await {
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
                        gathered.insert(subscription.clone(), engine.buyer(&session, subscription));
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
            for id in known(engine, gathered.keys()).await? {
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
    engine: &Engine<'_, S>,
    ids: impl Iterator<Item = &String>,
) -> Result<Vec<String>, Interrupted> {
    let named: Vec<&str> = ids.map(String::as_str).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let group = engine.read(Lookup { named, ..Lookup::default() }).await?;
    Ok(group.rows.into_iter().map(|row| row.stripe_subscription_id).collect())
}

/// Deals with bought subscriptions that the scan has not met: Stripe does not list all of them (not those of test clocks), and
/// some were created after the scan began.
pub(super) async fn bought_and_missing<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<Done, Interrupted> {
    let left: BTreeSet<&String> = engine.bought.keys().filter(|id| !sweep.dealt_with.contains(*id)).collect();
    let left: Vec<&String> = left.into_iter().collect();
    for chunk in left.chunks(CHUNK) {
        if engine.source.stop.is_due() {
            return Ok(Done::Stopped);
        }
        let known = known(engine, chunk.iter().copied()).await?;
        let missing = chunk.iter().filter(|id| !known.contains(id));
        let mut subscriptions: Vec<Subscription> = Vec::new();
        for id in missing {
            match engine.source.subscription(id).await {
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
        let judged =
            engine.judge_missing(subscriptions.iter(), &[], Making::Postponed, &mut sweep.record).await?;
        let MissingJudged { items, looked_up, .. } = judged;
        let counts = sweep.record.counts;
        let found = ToWrite { items: &items, looked_up: &looked_up, counts, ..ToWrite::default() };
        engine.apply(found, &mut sweep.record).await?;
        sweep.set_aside();
        sweep.keep(subscriptions);
    }
    Ok(Done::All)
}
