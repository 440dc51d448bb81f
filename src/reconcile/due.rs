//! Subscriptions that Stripe's events spoke of: each is read afresh, and then judged by the steps that follow a scan.

use super::breaker::{self, Tripped};
use super::engine::{Changes, Engine, Interrupted};
use super::fresh::{CHUNK, retrieve};
use super::group::{self, Gathered, Read};
use super::job::{Lately, Settled};
use super::look::{self, Queue};
use super::owners::Making;
use super::progress::FRESH_LIMIT;
use super::stop::{Done, stopped};
use super::store::{ReconcileStore, StoreError};
use super::sweep::Sweep;
use super::write;
use crate::drift::compare::GRACE_SECONDS;
use crate::stripe::event::is_subscription_id;
use crate::stripe::{MalformedObject, StripeError, Subscription};

/// How many due subscriptions one pass takes; the next one goes on.
const OF_A_PASS: usize = 200;

/// The owner of a subscription that is younger than this, in seconds, is perhaps not written down yet.
const YOUNG: i64 = 900;

/// A sweep has read whatever had its last event at least this many seconds before it began. The margin allows for clocks, and for what was
/// too young for it to judge.
const COVERED: i64 = 300;

/// How much of what is due is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// As much of it as a pass takes.
    OfAPass,
    /// All of it.
    All,
    /// What had an event after, or just before, this moment (Unix seconds), at which a sweep began.
    NotCovered(i64),
}

impl Which {
    /// At most how many, and only what had an event since when.
    pub(super) fn limits(self) -> (usize, Option<i64>) {
        match self {
            Self::OfAPass => (OF_A_PASS, None),
            Self::All => (FRESH_LIMIT, None),
            Self::NotCovered(began) => (FRESH_LIMIT, Some(began - COVERED)),
        }
    }
}

/// Looks at what is due and does what follows. `lately`: what runs over less than everything have written within the last hour.
pub(super) async fn take<S: ReconcileStore>(
    engine: &mut Engine<'_, S>,
    sweep: &mut Sweep,
    which: Which,
    lately: Lately,
    tripped: &mut Vec<Tripped>,
) -> Result<Done, Interrupted> {
    engine.changes = Some(Changes { lately, made_before: sweep.creations() });
    // The versions are read before Stripe is asked, so that nothing that is noted from here on passes for settled.
    let (limit, since) = which.limits();
    let due = engine.store.due(limit, since).await?.into_iter();
    sweep.due = due.filter(|(id, version)| sweep.settled_by_scan.get(id) != Some(version)).collect();
    if let Which::NotCovered(_) = which {
        leave_to_passes(engine, sweep).await?;
    }
    if sweep.due.is_empty() {
        return Ok(Done::All);
    }
    let ids: Vec<String> = sweep.due.keys().cloned().collect();
    for chunk in ids.chunks(CHUNK) {
        if engine.source.stop.is_due() || read(engine, sweep, chunk).await? == Done::Stopped {
            return Ok(Done::Stopped);
        }
    }
    if look::look(engine, sweep, Queue::Newer).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    // However many Stripe does not know, each is put on record. If they are too many, that is an alarm of its own.
    tripped.extend(breaker::unlisted(sweep.unlisted.len(), false, engine.granting));
    if look::look(engine, sweep, Queue::Unlisted).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    write::write(engine, sweep, tripped).await
}

/// After a scan: what it could not judge becomes due in a while, and what it has put on record is left to a pass. Recorded twice in one
/// run, the second record would be taken for the first one, sent again.
async fn leave_to_passes<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<(), StoreError> {
    let unsettled = std::mem::take(&mut sweep.record.unsettled);
    let recorded = &sweep.record.recorded;
    sweep.due.retain(|id, _| recorded.len() < FRESH_LIMIT && !recorded.contains(id));
    // What is looked at now need not be noted.
    let later = |id: &&String| is_subscription_id(id) && !sweep.due.contains_key(*id);
    let again: Vec<(&str, i64)> =
        unsettled.iter().filter(later).map(|id| (id.as_str(), GRACE_SECONDS)).collect();
    if again.is_empty() { Ok(()) } else { engine.store.note_events(&again).await }
}

/// Reads these subscriptions from Stripe and compares them as a scan does.
async fn read<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    ids: &[String],
) -> Result<Done, Interrupted> {
    let horizon = engine.horizon();
    let (answers, end) = retrieve(engine, ids.to_vec()).await;
    let created =
        |answer: &Result<Subscription, StripeError>| answer.as_ref().map_or(0, |found| found.created);
    let read: Vec<(String, i64)> = answers.iter().map(|(id, answer)| (id.clone(), created(answer))).collect();
    let mut gathered = Gathered::default();
    for (id, answer) in answers {
        match answer {
            Ok(subscription) => gathered.read.push(Read { horizon, subscription }),
            Err(StripeError::Malformed { reason, .. }) => {
                gathered.malformed.push(MalformedObject { id: Some(id), created: None, reason });
            }
            // If it has a row, the look at unlisted rows judges it; otherwise there is nothing to judge.
            Err(_) => {
                sweep.not_listed(id);
            }
        }
    }
    let compared =
        group::compare(engine, gathered, Making::Postponed, sweep.record.counts, sweep.checkpoint()).await?;
    sweep.take_in(compared);
    sweep.due_read.extend(read);
    Ok(if stopped(end)? { Done::Stopped } else { Done::All })
}

/// What became of what was due, after all steps or as many as there was time for.
pub(super) fn settled(sweep: &Sweep) -> Settled {
    let under_way = |id: &String| {
        let queues = [&sweep.newer, &sweep.unlisted, &sweep.missing, &sweep.lowering];
        queues.iter().any(|queue| queue.contains(id)) || sweep.occupied.contains_key(id)
    };
    let read = sweep.due.iter().filter(|(id, _)| sweep.due_read.contains_key(*id) && !under_way(id));
    // An owner who has just bought may be written down a moment after Stripe's event.
    let too_young = |id: &String| {
        let created = sweep.due_read.get(id).copied().unwrap_or_default();
        sweep.record.unknown.contains(id) && created > sweep.scan.upper() - YOUNG
    };
    let (again, done) = read
        .map(|(id, version)| (id.clone(), *version))
        .partition(|(id, _)| sweep.record.unsettled.contains(id) || too_young(id));
    let mut settled = Settled { done, again };
    settled.done.extend(sweep.settled_by_scan.iter().map(|(id, version)| (id.clone(), *version)));
    settled
}
