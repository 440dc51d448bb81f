//! One group of subscriptions against the database: read the rows, compare, repair what may be repaired at once.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::engine::{Engine, Interrupted, ToWrite};
use super::owners::{Making, MissingJudged};
use super::progress::{Counts, Cursor};
use super::record::Record;
use super::store::{Horizon, Lookup, ReconcileStore};
use crate::drift::class::Class;
use crate::drift::compare::{Comparison, compare as compare_one};
use crate::drift::finding::{self, Finding};
use crate::drift::plan::{Repairs, plan};
use crate::drift::repair::Item;
use crate::drift::row::Row;
use crate::stripe::{MalformedObject, StripeError, Subscription};

/// A subscription, and the horizon when its page was asked for: a row that was written since may know more.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) horizon: Horizon,
    pub(super) subscription: Subscription,
}

/// Subscriptions of one window that are compared together.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) read: Vec<Read>,
    pub(super) malformed: Vec<MalformedObject>,
    /// Read with the group before, and created in the second in which this one begins.
    pub(super) carried: Vec<String>,
    /// Together these are all that Stripe lists as created in this span, from and up to.
    pub(super) span: (i64, i64),
}

/// What came of a group.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) record: Record,
    /// Findings whose repair waits for a fresh read, by subscription.
    pub(super) put_off: Vec<(String, Vec<Finding>)>,
    /// Subscriptions that differ from a row which was written since Stripe was asked.
    pub(super) newer: Vec<String>,
    /// Rows of the span that Stripe does not list, and how many there are.
    pub(super) unlisted: Vec<String>,
    pub(super) unlisted_count: u64,
    /// Subscriptions without a row, as they were read.
    pub(super) missing: Vec<Subscription>,
    /// Bought subscriptions that have been dealt with.
    pub(super) dealt_with: Vec<String>,
    /// Classes with a standing difference that could not be judged.
    pub(super) kept: BTreeSet<Class>,
    /// What was due before the scan began and has been read by it, each with its version.
    pub(super) settled: Vec<(String, i64)>,
}

/// Compares a group with the database and writes what follows. `making`: what becomes of rows that are missing.
pub(super) async fn compare<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    mut group: Gathered,
    making: Making,
    counts: Counts,
    cursor: Option<Cursor>,
) -> Result<Compared, Interrupted> {
    complete_items(engine, &mut group).await?;
    let rules = engine.rules();
    // The rows of all that was read, and whatever else was created in the same span, in one round trip. What was carried over or
    // could not be read is named too, so that its rows do not pass for unlisted; so is what is not of the key's mode, which must not
    // be remembered as listed.
    let of_the_key = |read: &&Read| read.subscription.livemode.is_none_or(|mode| mode == rules.livemode);
    let (listed, strange): (Vec<&Read>, Vec<&Read>) = group.read.iter().partition(of_the_key);
    let mut named: Vec<&str> = strange.iter().map(|read| read.subscription.id.as_str()).collect();
    named.extend(group.carried.iter().map(String::as_str));
    named.extend(group.malformed.iter().filter_map(|object| object.id.as_deref()));
    let listed =
        listed.iter().map(|read| (read.subscription.id.as_str(), read.subscription.created)).collect();
    // One horizon for the whole group: the oldest. A row that wrongly passes for newer costs a fresh look; one that wrongly passes for
    // older costs what a webhook wrote.
    let horizon = group.read.iter().map(|read| read.horizon).min();
    let mut answer = engine.read(Lookup { listed, named, horizon, span: Some(group.span) }).await?;

    let mut done =
        Compared { unlisted: answer.unlisted, unlisted_count: answer.unlisted_count, ..Compared::default() };
    if engine.changes.is_none() {
        let due = |read: &Read| engine.due_before.get_key_value(&read.subscription.id);
        done.settled =
            group.read.iter().filter_map(due).map(|(id, version)| (id.clone(), *version)).collect();
    }
    // Rows that are there: compare, and look afresh where somebody wrote after the page was asked for.
    let read: HashMap<&str, &Read> =
        group.read.iter().map(|read| (read.subscription.id.as_str(), read)).collect();
    let pairs = answer.rows.iter_mut().filter_map(|row| {
        let read = read.get(row.stripe_subscription_id.as_str())?;
        Some((row, &read.subscription))
    });
    engine.mark_other_owners(pairs).await?;
    let mut known: HashSet<&str> = HashSet::with_capacity(answer.rows.len());
    // Subscriptions that nothing could be said of in this run: what stands of them stays as it is.
    let mut unjudged: HashSet<&str> = HashSet::new();
    let mut different: Vec<(&Row, Comparison)> = Vec::new();
    for row in &answer.rows {
        let Some(read) = read.get(row.stripe_subscription_id.as_str()) else { continue };
        known.insert(&row.stripe_subscription_id);
        let comparison = compare_one(&read.subscription, row, rules);
        if comparison.in_grace {
            done.record.counts.skipped_count += 1;
            unjudged.insert(&row.stripe_subscription_id);
        } else if row.newer && row.odd.is_none() && (comparison.differs() || !comparison.repair.is_empty()) {
            // Whoever wrote the row may have known more than the page did.
            done.newer.push(row.stripe_subscription_id.clone());
            unjudged.insert(&row.stripe_subscription_id);
        } else if comparison.differs() || !comparison.repair.is_empty() {
            different.push((row, comparison));
        }
    }
    // Subscriptions without a row.
    let missing = group
        .read
        .iter()
        .map(|read| &read.subscription)
        .filter(|subscription| !known.contains(subscription.id.as_str()));
    done.dealt_with = missing
        .clone()
        .filter(|subscription| engine.bought.contains_key(&subscription.id))
        .map(|subscription| subscription.id.clone())
        .collect();
    let judged = engine.judge_missing(missing, &answer.looked_up, making, &mut done.record).await?;
    let MissingJudged { mut items, skipped, looked_up, beside } = judged;

    for (row, comparison) in different {
        let stands = engine.only_stands(&comparison, &answer.open);
        let repairs = if stands { Repairs::All } else { Repairs::WithoutLowering };
        let planned = plan(comparison, row, repairs, engine.shape.writes);
        items.extend(planned.items);
        done.put_off.extend(planned.put_off.map(|findings| (row.stripe_subscription_id.clone(), findings)));
    }
    for (place, object) in group.malformed.iter().enumerate() {
        let message = format!("Stripe sent an object that cannot be read: {}.", object.reason);
        done.record.failed(object.id.as_deref(), &message);
        let place = format!("{}-{}-{place}", group.span.0, group.span.1);
        items.push(Item::record(vec![finding::malformed(object, &place)], None));
    }
    let judged = |id: &str| read.contains_key(id) && !unjudged.contains(id) && !skipped.contains(id);
    let put_off = done.put_off.iter().flat_map(|(_, findings)| findings);
    done.kept = classes_of(&answer.open, |id| read.contains_key(id) && !judged(id));
    let mut cleared =
        gone(answer.open, judged, items.iter().flat_map(|item| &item.findings).chain(put_off).chain(&beside));
    // Whether their customer has another subscription is found out by the look that these wait for.
    cleared.retain(|key| {
        !done
            .put_off
            .iter()
            .any(|(id, _)| key.split_once(':') == Some((Class::ReplacedSubscription.as_str(), id.as_str())))
    });
    done.record.unsettled(
        unjudged.iter().filter(|id| !done.newer.iter().any(|newer| newer == *id)).map(|id| (*id).to_owned()),
    );
    done.record.unsettled(skipped);
    done.record.counts.scanned_count = (group.read.len() + group.malformed.len()) as u64;
    let found = ToWrite { items: &items, cleared: &cleared, looked_up: &looked_up, counts, cursor };
    engine.apply(found, &mut done.record).await?;
    let postponed: HashSet<String> = done.record.postponed.iter().cloned().collect();
    let read = group.read.into_iter().map(|read| read.subscription);
    done.missing = read.filter(|subscription| postponed.contains(&subscription.id)).collect();
    Ok(done)
}

/// Fetches the items that did not come with their subscriptions. A subscription whose items cannot be read is an odd object like any other.
async fn complete_items<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    group: &mut Gathered,
) -> Result<(), Interrupted> {
    let mut odd: Vec<String> = Vec::new();
    for read in group.read.iter_mut().filter(|read| read.subscription.items.has_more) {
        match engine.source.complete_items(&mut read.subscription).await {
            Ok(()) => {}
            Err(StripeError::Malformed { reason, .. }) => {
                let Subscription { id, created, .. } = &read.subscription;
                odd.push(id.clone());
                group.malformed.push(MalformedObject {
                    id: Some(id.clone()),
                    created: Some(*created),
                    reason,
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    group.read.retain(|read| !odd.contains(&read.subscription.id));
    Ok(())
}

/// The classes of what stands, of the subscriptions for which `of` holds.
pub(super) fn classes_of(open: &[(String, String)], of: impl Fn(&str) -> bool) -> BTreeSet<Class> {
    let keys = open.iter().filter(|(id, _)| of(id)).filter_map(|(_, key)| key.split_once(':'));
    keys.filter_map(|(class, _)| class.parse().ok()).collect()
}

/// Of the differences that stand, those whose subscription was judged and which were not found again.
pub(super) fn gone<'a>(
    open: Vec<(String, String)>,
    judged: impl Fn(&str) -> bool,
    found: impl Iterator<Item = &'a Finding>,
) -> Vec<String> {
    if open.is_empty() {
        return Vec::new();
    }
    let mut keys: HashSet<String> = HashSet::new();
    for finding in found {
        keys.insert(finding.drift_key.clone());
        // The database decides whose it is, and so which of the three classes it is.
        if finding.class == Class::MissingInDatabase {
            keys.insert(finding.key_as(Class::OrganizationUnknown));
            keys.insert(finding.key_as(Class::OrganizationMismatch));
        }
    }
    open.into_iter().filter(|(id, key)| judged(id) && !keys.contains(key)).map(|(_, key)| key).collect()
}
