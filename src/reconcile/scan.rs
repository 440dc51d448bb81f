//! The scan: readers that take pages of windows, and groups of what they read that are compared with the database. One
//! task owns all state and waits for whatever is done next, so there is nothing to lock.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::engine::{Engine, Interrupted};
use super::group::{self, Compared, Gathered, Read};
use super::owners::Making;
use super::store::{Horizon, ReconcileStore};
use super::sweep::Sweep;
use super::windows::{Head, Nonsense, Position, WindowId};
use crate::stripe::error::RequestId;
use crate::stripe::pages::Window;
use crate::stripe::{MalformedObject, Page, StripeError, Subscription};

/// Pages under way at once. With Stripe's usual 100 to 300 ms a page, eight keep 25 requests a second busy.
const READERS: usize = 8;
/// Groups under way at once; PostgREST has ten connections by default, and others need some.
const WRITERS: usize = 4;
/// Subscriptions in a group: one round trip for ten pages.
const GROUP: usize = 1_000;
/// How often the lease is extended when nothing else does.
const HEARTBEAT: Duration = Duration::from_secs(15);

struct PageDone {
    id: WindowId,
    asked: Window,
    horizon: Horizon,
    result: Result<Page<Subscription>, StripeError>,
}

struct GroupDone {
    id: WindowId,
    /// `None`: the window's last group.
    up_to: Option<Position>,
    result: Result<Compared, Interrupted>,
}

/// What has been read of a window and not been handed to a writer yet.
#[derive(Default)]
struct Pending {
    gathered: Gathered,
    /// The window has been read to its end.
    last: bool,
    /// An earlier group of the window is being written. One at a time, so that what is ticked off has no gaps.
    writing: bool,
    /// The window is not read any further until that is done.
    held: bool,
}

/// Reads everything that is left, or as much as there is time for. An error ends the reading; what had been read is still
/// written, if the database lets it.
pub(super) async fn run<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
) -> Result<(), Interrupted> {
    let mut reads: FuturesUnordered<BoxFuture<'_, PageDone>> = FuturesUnordered::new();
    let mut writes: FuturesUnordered<BoxFuture<'_, GroupDone>> = FuturesUnordered::new();
    let mut pending: BTreeMap<WindowId, Pending> = BTreeMap::new();
    let mut interrupted: Option<Interrupted> = None;
    let mut stopping = false;
    let mut heartbeat = every(HEARTBEAT);
    let mut due = pin!(engine.source.stop.due());
    // One turn: start what may be started, then take in whatever is done first.
    loop {
        let reading = !stopping && interrupted.is_none();
        // While a window waits for its writer, reading in more places at once would only pile up more.
        let may_split = !pending.values().any(|pending| pending.held);
        while reading
            && reads.len() < READERS
            && writes.len() < WRITERS
            && let Some((id, window)) = sweep.scan.next_page(may_split)
        {
            reads.push(Box::pin(read_page(engine, id, window)));
        }
        // With the database gone there is nobody to hand groups to; with Stripe gone, what was read is still worth writing.
        let lost = matches!(interrupted, Some(Interrupted::Store(_)));
        if !reading {
            // Pages under way are dropped: they are read again from the cursor.
            reads.clear();
        }
        // Once reading is over, what was read goes out whether or not it fills a group.
        let waiting: Vec<WindowId> = pending
            .iter()
            .filter(|(_, pending)| !lost && pending.is_ready(!reading))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            if let Some(write) = hand_over(engine, sweep, &mut pending, id) {
                writes.push(write);
            }
        }
        // Nothing under way and nothing started: everything is drained, or may not go on.
        if reads.is_empty() && writes.is_empty() {
            return interrupted.map_or(Ok(()), Err);
        }
        tokio::select! {
            Some(page) = reads.next() => {
                if let Err(error) = take_page(sweep, &mut pending, page) {
                    match error {
                        StripeError::Deadline => stopping = true,
                        error => interrupted = interrupted.or(Some(error.into())),
                    }
                }
            }
            Some(GroupDone { id, up_to, result }) = writes.next() => match result {
                Ok(compared) => {
                    // Only now is this part of the window behind us: reading is ahead of writing.
                    sweep.take_in(compared);
                    sweep.ledger.written(id, up_to);
                    if let Some(pending) = pending.get_mut(&id) {
                        pending.writing = false;
                        if std::mem::take(&mut pending.held) {
                            sweep.scan.release(id);
                        }
                    }
                }
                // The group's part of the window stays on the cursor.
                Err(Interrupted::Stripe(StripeError::Deadline)) => {
                    stopping = true;
                    pending.remove(&id);
                }
                Err(error) => {
                    interrupted = interrupted.or(Some(error));
                    pending.remove(&id);
                }
            },
            () = &mut due, if !stopping => stopping = true,
            _ = heartbeat.tick() => {
                if let Err(error) = engine.store.heartbeat(sweep.record.counts).await {
                    interrupted = interrupted.or(Some(error.into()));
                }
            }
        }
    }
}

/// A ticker that does not catch up, and whose first tick is not now.
fn every(period: Duration) -> Interval {
    let mut ticker = interval(period);
    ticker.reset();
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

async fn read_page<S: ReconcileStore>(engine: &Engine<'_, S>, id: WindowId, asked: Window) -> PageDone {
    let horizon = engine.horizon();
    let result = engine.source.subscriptions(&asked).await;
    PageDone { id, asked, horizon, result }
}

/// Adds a page to what has been read of its window.
fn take_page(
    sweep: &mut Sweep,
    pending: &mut BTreeMap<WindowId, Pending>,
    PageDone { id, asked, horizon, result }: PageDone,
) -> Result<(), StripeError> {
    let page = match result {
        Ok(page) => page,
        Err(StripeError::NotFound { .. }) if sweep.scan.cursor_vanished(id) => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(window) = sweep.scan.window(id) {
        sweep.ledger.open(id, window);
        pending.entry(id).or_insert_with(|| {
            let (upper, carried) = match &window.position {
                Some(position) => (position.created + 1, position.seen.iter().cloned().collect()),
                None => (window.lt, Vec::new()),
            };
            Pending {
                gathered: Gathered { span: (upper, upper), carried, ..Gathered::default() },
                ..Pending::default()
            }
        });
    }
    let Some(pending) = pending.get_mut(&id) else { return Ok(()) };
    let heads: Vec<Head<'_>> = page.data.iter().map(head).collect();
    let read = sweep.scan.page_read(id, &asked, &heads, page.has_more).map_err(nonsense)?;
    for (element, _) in page.data.into_iter().zip(read.keep).filter(|(_, keep)| *keep) {
        match element {
            Ok(subscription) => pending.gathered.read.push(Read { horizon, subscription }),
            Err(object) => pending.gathered.malformed.push(object),
        }
    }
    pending.gathered.span.0 = read.complete_from;
    if read.drained {
        pending.last = true;
        sweep.ledger.drained(id, read.complete_from);
    } else if pending.writing && pending.gathered.read.len() >= GROUP {
        // The writer is behind: read no further until it is done.
        sweep.scan.hold(id);
        pending.held = true;
    }
    Ok(())
}

fn head(element: &Result<Subscription, MalformedObject>) -> Head<'_> {
    match element {
        Ok(subscription) => Head { id: Some(&subscription.id), created: Some(subscription.created) },
        // What an odd object says about its age need not be true.
        Err(object) => Head { id: object.id.as_deref(), created: None },
    }
}

fn nonsense(error: Nonsense) -> StripeError {
    StripeError::Malformed { reason: error.to_string(), request_id: RequestId::default() }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.gathered.read.is_empty() && self.gathered.malformed.is_empty()
    }

    /// Whether it should be handed to a writer. `at_once`: nothing more will be read.
    fn is_ready(&self, at_once: bool) -> bool {
        !self.writing && (self.last || self.gathered.read.len() >= GROUP || (at_once && !self.is_empty()))
    }
}

/// Hands what was read of a window to a writer. A last group goes out even if it is empty: the database may have rows
/// where Stripe has nothing.
fn hand_over<'a, S: ReconcileStore>(
    engine: &'a Engine<'_, S>,
    sweep: &mut Sweep,
    pending: &mut BTreeMap<WindowId, Pending>,
    id: WindowId,
) -> Option<BoxFuture<'a, GroupDone>> {
    let last = pending.get(&id)?.last;
    let (gathered, up_to) = if last {
        (pending.remove(&id)?.gathered, None)
    } else {
        let position = sweep.scan.window(id)?.position.clone()?;
        let from = pending.get(&id)?.gathered.span.0;
        let next = Gathered {
            span: (from, from),
            carried: position.seen.iter().cloned().collect(),
            ..Gathered::default()
        };
        let slot = pending.get_mut(&id)?;
        slot.writing = true;
        (std::mem::replace(&mut slot.gathered, next), Some(position))
    };
    let counts = sweep.record.counts;
    let cursor = sweep.checkpoint();
    // Once it is plain that there are too many, each is put on record as it comes: there is nothing to wait for any more.
    let too_many = engine.too_many_made(sweep.creations()).is_some();
    let making = if too_many { Making::Held } else { Making::Postponed };
    Some(Box::pin(async move {
        let result = group::compare(engine, gathered, making, counts, cursor).await;
        GroupDone { id, up_to, result }
    }))
}
