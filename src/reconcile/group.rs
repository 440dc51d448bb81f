//! One group of subscriptions against the database: read the rows, compare, repair what may be repaired at once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::engine::{Engine, Interrupted};
use super::progress::{Counts, Cursor};
use super::record::Record;
use super::store::ReconcileStore;
use crate::drift::class::Class;
use crate::drift::compare::{Comparison, compare as compare_one};
use crate::drift::finding::{self, Finding};
use crate::drift::plan::{Repairs, plan};
use crate::drift::repair::Item;
use crate::drift::row::Row;
use crate::stripe::{MalformedObject, Subscription};

/// A subscription, and when the page that it came with was asked for.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) asked: Instant,
    pub(super) subscription: Subscription,
}

/// Subscriptions of one window that are compared together.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) read: Vec<Read>,
    pub(super) malformed: Vec<MalformedObject>,
    /// Read with the group before, in the second in which this one begins.
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
    /// Rows of the span that Stripe does not list, and how many there are.
    pub(super) unexplained: Vec<String>,
    pub(super) unexplained_count: u64,
    /// Bought subscriptions that have been dealt with.
    pub(super) dealt_with: Vec<String>,
    pub(super) mixed_modes: bool,
}

/// Compares a group with the database and writes what follows.
pub(super) async fn compare<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    mut group: Gathered,
    held: bool,
    counts: Counts,
    cursor: Option<Cursor>,
) -> Result<Compared, Interrupted> {
    for read in group.read.iter_mut().filter(|read| read.subscription.items.has_more) {
        engine.source.complete_items(&mut read.subscription).await?;
    }
    // The rows of all that was read, and whatever else was created in the same span, in one round trip. What was carried over or
    // could not be read is named too, so that its rows do not pass for unexplained.
    let mut ids: Vec<&str> = group.read.iter().map(|read| read.subscription.id.as_str()).collect();
    ids.extend(group.carried.iter().map(String::as_str));
    ids.extend(group.malformed.iter().filter_map(|object| object.id.as_deref()));
    let answer = engine.store.group(&ids, Some(group.span)).await?;
    let answered = Instant::now();

    let mut done = Compared {
        unexplained: answer.unexplained,
        unexplained_count: answer.unexplained_count,
        ..Compared::default()
    };
    // Rows that are there: compare, and leave alone what somebody wrote after the page was asked for.
    let read: HashMap<&str, &Read> =
        group.read.iter().map(|read| (read.subscription.id.as_str(), read)).collect();
    let mut known: HashSet<&str> = HashSet::with_capacity(answer.rows.len());
    // Subscriptions that nothing could be said of in this run: what stands of them stays as it is.
    let mut unjudged: HashSet<&str> = HashSet::new();
    let mut different: Vec<(&Row, Comparison)> = Vec::new();
    let rules = engine.rules();
    for row in &answer.rows {
        let Some(read) = read.get(row.stripe_subscription_id.as_str()) else { continue };
        known.insert(&row.stripe_subscription_id);
        let comparison = compare_one(&read.subscription, row, rules);
        done.mixed_modes |= comparison.mixed_modes;
        if comparison.in_grace {
            done.record.counts.skipped_count += 1;
            unjudged.insert(&row.stripe_subscription_id);
        } else if comparison.differs() && changed_since(row, answered - read.asked) {
            // Whoever wrote the row may have known more than the page did.
            done.record.counts.superseded_count += 1;
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
    let (mut items, mixed, skipped) = engine.judge_missing(missing, &mut done.record).await?;
    done.mixed_modes |= mixed;

    // From here on nothing is looked at any more, only decided: with live and test mixed nothing is written to rows at all.
    let held = held || done.mixed_modes;
    if held {
        items = items.into_iter().map(|item| Item::held(item.findings)).collect();
    }
    let repairs = if held { Repairs::Held } else { Repairs::WithoutLowering };
    for (row, comparison) in different {
        let planned = plan(comparison, row, repairs);
        items.extend(planned.items);
        done.put_off.extend(planned.put_off.map(|findings| (row.stripe_subscription_id.clone(), findings)));
    }
    for (place, object) in group.malformed.iter().enumerate() {
        let message = format!("Stripe sent an object that cannot be read: {}.", object.reason);
        done.record.failed(object.id.as_deref(), &message);
        let place = format!("{}-{}-{place}", group.span.0, group.span.1);
        items.push(Item::record(vec![finding::malformed(object, &place)]));
    }
    let judged = |id: &str| read.contains_key(id) && !unjudged.contains(id) && !skipped.contains(id);
    let put_off = done.put_off.iter().flat_map(|(_, findings)| findings);
    let cleared = gone(answer.open, judged, items.iter().flat_map(|item| &item.findings).chain(put_off));
    done.record.counts.scanned_count = (group.read.len() + group.malformed.len()) as u64;
    engine.apply(&items, &cleared, counts, cursor, &mut done.record).await?;
    Ok(done)
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
        // Whose it is, and so which of the two it is, the database decides.
        if finding.class == Class::MissingInDatabase {
            keys.insert(finding.key_as(Class::OrganizationUnknown));
        }
    }
    open.into_iter().filter(|(id, key)| judged(id) && !keys.contains(key)).map(|(_, key)| key).collect()
}

/// Whether a row was written after the page was asked for, both measured backwards from the moment at which the row was read.
fn changed_since(row: &Row, asked_ago: Duration) -> bool {
    row.changed_ago_ms.is_some_and(|changed_ago| i128::from(changed_ago) <= asked_ago.as_millis() as i128)
}
