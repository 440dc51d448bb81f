//! The scan: readers that take pages of windows, and groups of what they read that are compared with the database. One
//! task owns all state and waits for whatever is done next, so there is nothing to lock.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::finding::Finding;
use super::group::{self, Compared, Gathered, Read, Shared, Trouble};
use super::progress::{CURSOR_VERSION, Cursor, Ledger};
use super::record::Record;
use super::store::ReconcileStore;
use super::windows::{Head, Nonsense, Position, Scan, WindowId};
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
/// How often the cursor is stored, for the case that the process dies.
const CHECKPOINT: Duration = Duration::from_secs(2);
/// The most subscriptions that are kept for a fresh look. With more, the circuit breaker trips whatever the percentage.
pub(super) const FRESH_LIMIT: usize = 20_000;

/// When a run stops reading.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) at: Instant,
    pub(super) signal: watch::Receiver<bool>,
}

impl Stop {
    /// Whether it is time.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.at || *self.signal.borrow()
    }

    /// What comes of asking Stripe, unless it is time before that: a process that is to end does not wait for a Stripe that is
    /// slow. Only for reads, as the work is dropped.
    pub(super) async fn or_due<T>(
        &self,
        work: impl Future<Output = Result<T, StripeError>>,
    ) -> Result<T, StripeError> {
        let mut stop = self.clone();
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = stop.due() => Err(StripeError::Deadline),
        }
    }

    /// Waits until it is time.
    pub(super) async fn due(&mut self) {
        let at = self.at;
        let signal = async {
            if self.signal.wait_for(|stop| *stop).await.is_err() {
                // Nobody is left who could give the signal.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = sleep_until(at) => {}
            () = signal => {}
        }
    }
}

/// The state of a sweep.
pub(super) struct Sweep {
    pub(super) scan: Scan,
    pub(super) ledger: Ledger,
    /// What this run has done.
    pub(super) record: Record,
    /// What earlier runs of the same sweep have done.
    pub(super) before: Cursor,
    /// Subscriptions that need a fresh look.
    pub(super) fresh: BTreeSet<String>,
    pub(super) too_many: bool,
    /// What was found of those whose repair waits, to be recorded if it is held back.
    pub(super) put_off: BTreeMap<String, Vec<Finding>>,
    pub(super) dealt_with: HashSet<String>,
    pub(super) mixed_modes: bool,
    checkpoint: Instant,
}

impl Sweep {
    /// Goes on with what `before` left, or begins anew if it cannot be understood.
    pub(super) fn new(before: Option<Cursor>, now: i64) -> Self {
        let resumed = before
            .filter(|cursor| cursor.version == CURSOR_VERSION && cursor.upper <= now)
            .and_then(|cursor| {
                let scan = Scan::resume(cursor.upper, cursor.windows.clone()).ok()?;
                Some((scan, cursor))
            });
        let (scan, mut before) = resumed.unwrap_or_else(|| (Scan::new(now), blank(now)));
        Self {
            scan,
            ledger: Ledger::default(),
            record: Record::default(),
            fresh: std::mem::take(&mut before.fresh),
            too_many: before.too_many,
            before,
            put_off: BTreeMap::new(),
            dealt_with: HashSet::new(),
            mixed_modes: false,
            checkpoint: Instant::now(),
        }
    }

    /// The cursor, if it is time to store it again.
    pub(super) fn checkpoint(&mut self) -> Option<Cursor> {
        (self.checkpoint.elapsed() >= CHECKPOINT).then(|| {
            self.checkpoint = Instant::now();
            self.cursor()
        })
    }

    /// What would be left to do if the run ended now.
    pub(super) fn cursor(&self) -> Cursor {
        let mut tally = self.before.tally.clone();
        tally.merge(self.record.tally.clone());
        Cursor {
            version: CURSOR_VERSION,
            upper: self.scan.upper(),
            windows: self.ledger.left(&self.scan),
            fresh: self.fresh.clone(),
            too_many: self.too_many,
            scanned: self.scanned(),
            tally,
            blemished: self.is_blemished(),
        }
    }

    /// Subscriptions that the sweep has read.
    pub(super) fn scanned(&self) -> u64 {
        self.before.scanned + self.record.counts.scanned_count
    }

    /// Whether something could not be looked at.
    pub(super) fn is_blemished(&self) -> bool {
        self.before.blemished || self.record.counts.error_count > 0
    }

    /// Notes that a subscription needs a fresh look.
    pub(super) fn look_afresh(&mut self, id: String) -> bool {
        if self.fresh.len() >= FRESH_LIMIT && !self.fresh.contains(&id) {
            self.too_many = true;
            return false;
        }
        self.fresh.insert(id);
        true
    }

    fn take_in(&mut self, compared: Compared) {
        self.record.merge(compared.record);
        self.mixed_modes |= compared.mixed_modes;
        self.dealt_with.extend(compared.dealt_with);
        self.too_many |= compared.unexplained_count > compared.unexplained.len() as u64;
        for id in compared.unexplained {
            self.look_afresh(id);
        }
        for (id, findings) in compared.put_off {
            if self.look_afresh(id.clone()) {
                self.put_off.insert(id, findings);
            }
        }
    }
}

fn blank(upper: i64) -> Cursor {
    Cursor {
        version: CURSOR_VERSION,
        upper,
        windows: Vec::new(),
        fresh: BTreeSet::new(),
        too_many: false,
        scanned: 0,
        tally: super::plan::Tally::default(),
        blemished: false,
    }
}

struct PageDone {
    id: WindowId,
    asked: Window,
    at: Instant,
    result: Result<Page<Subscription>, StripeError>,
}

struct GroupDone {
    id: WindowId,
    /// `None`: the window's last group.
    up_to: Option<Position>,
    result: Result<Compared, Trouble>,
}

/// What has been read of a window and not been handed to a writer yet.
#[derive(Default)]
struct Pending {
    gathered: Gathered,
    /// The window has been read to its end.
    last: bool,
    /// An earlier group of the window is being written. One at a time, so that what is ticked off is without gaps.
    writing: bool,
    /// The window is not read on until that is done.
    held: bool,
}

/// Reads everything that is left, or as much as there is time for. An error ends the reading; what had been read is still
/// written, if the database lets it.
pub(super) async fn run<S: ReconcileStore>(
    shared: &Shared<'_, S>,
    sweep: &mut Sweep,
    stop: &mut Stop,
) -> Result<(), Trouble> {
    let mut reads: FuturesUnordered<BoxFuture<'_, PageDone>> = FuturesUnordered::new();
    let mut writes: FuturesUnordered<BoxFuture<'_, GroupDone>> = FuturesUnordered::new();
    let mut pending: BTreeMap<WindowId, Pending> = BTreeMap::new();
    let mut trouble: Option<Trouble> = None;
    let mut stopping = false;
    let mut heartbeat = every(HEARTBEAT);
    let mut due = pin!(async {
        stop.due().await;
    });
    loop {
        let reading = !stopping && trouble.is_none();
        // While a window waits for its writer, reading on more places at once would only pile up more.
        let may_split = !pending.values().any(|pending| pending.held);
        while reading
            && reads.len() < READERS
            && writes.len() < WRITERS
            && let Some((id, window)) = sweep.scan.next_page(may_split)
        {
            reads.push(Box::pin(read_page(shared, id, window)));
        }
        let lost = matches!(trouble, Some(Trouble::Store(_)));
        if !reading {
            reads.clear();
        }
        // Once reading is over, what was read goes out whether or not it fills a group.
        let waiting: Vec<WindowId> = pending
            .iter()
            .filter(|(_, pending)| !lost && pending.is_ready(!reading))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            if let Some(write) = hand_over(shared, sweep, &mut pending, id) {
                writes.push(write);
            }
        }
        if reads.is_empty() && writes.is_empty() {
            return trouble.map_or(Ok(()), Err);
        }
        tokio::select! {
            Some(page) = reads.next() => {
                if let Err(error) = take_page(sweep, &mut pending, page) {
                    match error {
                        StripeError::Deadline => stopping = true,
                        error => trouble = trouble.or(Some(error.into())),
                    }
                }
            }
            Some(GroupDone { id, up_to, result }) = writes.next() => match result {
                Ok(compared) => {
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
                Err(Trouble::Stripe(StripeError::Deadline)) => {
                    stopping = true;
                    pending.remove(&id);
                }
                Err(error) => {
                    trouble = trouble.or(Some(error));
                    pending.remove(&id);
                }
            },
            () = &mut due, if !stopping => stopping = true,
            _ = heartbeat.tick() => {
                if let Err(error) = shared.store.heartbeat(sweep.record.counts).await {
                    trouble = trouble.or(Some(error.into()));
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

async fn read_page<S: ReconcileStore>(shared: &Shared<'_, S>, id: WindowId, asked: Window) -> PageDone {
    let at = Instant::now();
    let result = shared.stripe.subscriptions(&asked, shared.until).await;
    PageDone { id, asked, at, result }
}

/// Puts a page to what has been read of its window.
fn take_page(
    sweep: &mut Sweep,
    pending: &mut BTreeMap<WindowId, Pending>,
    PageDone { id, asked, at, result }: PageDone,
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
            Ok(subscription) => pending.gathered.read.push(Read { asked: at, subscription }),
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
        // What an odd object says of its age need not be true.
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
    shared: &'a Shared<'_, S>,
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
    let (held, counts) = (sweep.mixed_modes, sweep.record.counts);
    let cursor = sweep.checkpoint();
    Some(Box::pin(async move {
        let result = group::compare(shared, gathered, held, counts, cursor).await;
        GroupDone { id, up_to, result }
    }))
}
