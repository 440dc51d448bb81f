//! Which parts of Stripe's subscriptions have been read, and which to read next. A pure state machine: no clock, no
//! network.
//!
//! A scan covers every subscription created in `[0, upper)`, where `upper` is the moment at which the scan began.
//! `created` never changes, so a subscription cannot move from a part that is still to be read into one that has been
//! read, whatever else happens to it (splitting by status loses what changes status between two pages). A window
//! `[gte, lt)` is read newest first by cursor pages. When a reader has nothing to do, the unread part of the window with the
//! most left is split. Open and drained windows always tile `[0, upper)`: that is the proof, kept at
//! run time by [`Scan::is_complete`] and in the tests by every step, that nothing was left out.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::stripe::pages::{PAGE_SIZE, Window};

/// A split costs about one page that is not full. It must save more than that.
const SMALLEST_SPLIT_IN_PAGES: f64 = 4.0;
/// How many pages one reader reads alone. The first splits are guesses, as nobody knows how old an account is, and most cost
/// a page with nothing on it: 1,000 subscriptions should be read in ten calls, not in fifteen.
const PAGES_ALONE: u64 = 10;
/// From then on one more reader is added per this many pages.
const PAGES_PER_READER: u64 = 2;
/// A split reaches back by at most this many times what the scan has read: past the end of a young account there is nothing.
const REACH: f64 = 4.0;
/// Nothing at Stripe is older (2010-01-01), so the middle of an unread part is not sought before this.
const STRIPE_BEGAN: i64 = 1_262_304_000;

/// Names a window for as long as the scan lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId(u32);

/// A window that has not been drained. Written into a run's cursor, so that a later run can go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWindow {
    /// Created at or after, in Unix seconds.
    pub gte: i64,
    /// Created before, in Unix seconds.
    pub lt: i64,
    /// How far it has been read; `None`: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// The place up to which a window has been read: all that is newer, and of the second `created` those `seen`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Creation time of the last subscription read.
    pub created: i64,
    /// The page to be read next begins after this one. `None`: it vanished, and the second is read again.
    pub after: Option<String>,
    /// Those that were read of that second. Stripe creates a few hundred in a second at most, so this stays small.
    pub seen: HashSet<String>,
}

/// What is known of one element of a page.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Unknown only for objects that could not be read.
    pub id: Option<&'a str>,
    /// Unknown only for objects that could not be read.
    pub created: Option<i64>,
}

/// What a page meant for its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRead {
    /// For each element of the page, whether it belongs to this window and is new.
    pub keep: Vec<bool>,
    /// Whether the window has been read to its end.
    pub drained: bool,
    /// All that was created from here on (to where the window began) has been read.
    pub complete_from: i64,
}

/// Why a page cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// An element outside the window that was asked for.
    #[error("a page has subscriptions that were not asked for")]
    OutsideWindow,
    /// Newest first is what Stripe documents and the scan rests on.
    #[error("a page is not sorted by creation time")]
    Unsorted,
    /// More is promised, but nothing on the page can serve as the cursor.
    #[error("a page has nothing to go on from, and yet it is not the last")]
    Stuck,
}

/// Windows that cannot be those of one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved windows overlap or lie outside the scan")]
pub struct InvalidWindows;

/// The state of a scan.
#[derive(Debug)]
pub struct Scan {
    upper: i64,
    open: BTreeMap<WindowId, Open>,
    /// Drained parts, disjoint, as start to end.
    drained: BTreeMap<i64, i64>,
    next_id: u32,
    pages: u64,
}

#[derive(Debug)]
struct Open {
    window: OpenWindow,
    /// A page of it is being read.
    busy: bool,
    /// Subscriptions read by this scan, and the time span they lay in: the estimate of what is left.
    read: u64,
    read_from: i64,
}

impl Scan {
    /// A scan of everything created before `upper` (Unix seconds).
    pub fn new(upper: i64) -> Self {
        let mut scan = Self::empty(upper);
        if upper > 0 {
            scan.add(OpenWindow { gte: 0, lt: upper, position: None });
        }
        scan
    }

    /// A scan that goes on where an earlier one stopped: whatever lies in none of `open` has been read.
    pub fn resume(upper: i64, mut open: Vec<OpenWindow>) -> Result<Self, InvalidWindows> {
        open.sort_by_key(|window| window.gte);
        let mut scan = Self::empty(upper);
        let mut end = 0;
        for window in open {
            let position_fits = window
                .position
                .as_ref()
                .is_none_or(|position| (window.gte..window.lt).contains(&position.created));
            if window.gte < end || window.lt <= window.gte || window.lt > upper || !position_fits {
                return Err(InvalidWindows);
            }
            if window.gte > end {
                scan.drained.insert(end, window.gte);
            }
            end = window.lt;
            scan.add(window);
        }
        if end < upper {
            scan.drained.insert(end, upper);
        }
        Ok(scan)
    }

    fn empty(upper: i64) -> Self {
        Self { upper, open: BTreeMap::new(), drained: BTreeMap::new(), next_id: 0, pages: 0 }
    }

    fn add(&mut self, window: OpenWindow) -> WindowId {
        let id = WindowId(self.next_id);
        self.next_id += 1;
        let read_from = window.unread_to() + 1;
        self.open.insert(id, Open { window, busy: false, read: 0, read_from });
        id
    }

    /// The moment before which everything is covered, in Unix seconds.
    pub fn upper(&self) -> i64 {
        self.upper
    }

    /// The page that a reader with nothing to do should read next. `None`: there is none that could be read now, either
    /// because all is drained or because what is left is too little to share. `may_split`: another reader would help.
    pub fn next_page(&mut self, may_split: bool) -> Option<(WindowId, Window)> {
        let free = self.open.iter().find(|(_, open)| !open.busy).map(|(id, _)| *id);
        let id = free.or_else(|| if may_split { self.split() } else { None })?;
        let open = self.open.get_mut(&id)?;
        open.busy = true;
        Some((id, open.window.query()))
    }

    /// Splits the window with the most left, and returns the older part.
    fn split(&mut self) -> Option<WindowId> {
        // Like a slow start: as many readers as pages have shown that there is work for.
        let more = self.pages.saturating_sub(PAGES_ALONE - PAGES_PER_READER) / PAGES_PER_READER;
        if self.open.len() as u64 > more {
            return None;
        }
        let (parent, estimate) = self
            .open
            .iter()
            .map(|(id, open)| (*id, open.estimate()))
            .max_by(|(_, left), (_, right)| left.total_cmp(right))?;
        if estimate < SMALLEST_SPLIT_IN_PAGES * PAGE_SIZE as f64 {
            return None;
        }
        let reach = REACH * (self.pages as usize * PAGE_SIZE) as f64;
        let parent = self.open.get_mut(&parent)?;
        let middle = parent.window.middle()?.max(parent.reach_back(reach));
        let older = OpenWindow { gte: parent.window.gte, lt: middle, position: None };
        parent.window.gte = middle;
        Some(self.add(older))
    }

    /// Takes in a page. `asked` is the query it answers; `page` its elements, newest first.
    pub fn page_read(
        &mut self,
        id: WindowId,
        asked: &Window,
        page: &[Head<'_>],
        has_more: bool,
    ) -> Result<PageRead, Nonsense> {
        check_order(asked, page)?;
        let Some(open) = self.open.get_mut(&id) else {
            return Ok(PageRead { keep: vec![false; page.len()], drained: true, complete_from: self.upper });
        };
        let last_named = page.iter().rposition(|head| head.id.is_some());
        if has_more && last_named.is_none() {
            return Err(Nonsense::Stuck);
        }
        // Nameless elements at the end of a page come again at the head of the next one.
        let usable = if has_more { last_named.map_or(0, |at| at + 1) } else { page.len() };
        let gte = open.window.gte;
        let mut keep = Vec::with_capacity(page.len());
        let mut past_the_end = false;
        let mut created =
            open.window.position.as_ref().map_or(open.window.lt - 1, |position| position.created);
        for (at, head) in page.iter().enumerate() {
            created = head.created.unwrap_or(created);
            // A split since the page was asked for: the rest belongs to the other half.
            past_the_end |= created < gte;
            let new = at < usable && !past_the_end && open.window.note(head.id, created);
            keep.push(new);
        }
        open.busy = false;
        open.read += keep.iter().filter(|kept| **kept).count() as u64;
        self.pages += 1;
        let drained = past_the_end || !has_more;
        if drained {
            let window = self.open.remove(&id).map(|open| open.window);
            if let Some(window) = window {
                self.drained.insert(window.gte, window.lt);
            }
            return Ok(PageRead { keep, drained, complete_from: gte });
        }
        if let (Some(position), Some(last)) = (&mut open.window.position, last_named) {
            position.after = page[last].id.map(str::to_owned);
        }
        Ok(PageRead { keep, drained, complete_from: open.window.unread_to() + 1 })
    }

    /// The object after which a page was to begin no longer exists. The window goes on from the second it was in,
    /// leaving out what was read of that second. `false`: the page had no cursor, so this cannot be.
    pub fn cursor_vanished(&mut self, id: WindowId) -> bool {
        let Some(open) = self.open.get_mut(&id) else { return false };
        open.busy = false;
        open.window.position.as_mut().is_some_and(|position| position.after.take().is_some())
    }

    /// Keeps a window from being read on, until it is released.
    pub fn hold(&mut self, id: WindowId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.busy = true;
        }
    }

    /// Lets a window be read on.
    pub fn release(&mut self, id: WindowId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.busy = false;
        }
    }

    /// Where an open window stands; `None` for one that is drained.
    pub fn window(&self, id: WindowId) -> Option<&OpenWindow> {
        self.open.get(&id).map(|open| &open.window)
    }

    /// What is left to read.
    pub fn open_windows(&self) -> impl Iterator<Item = &OpenWindow> {
        self.open.values().map(|open| &open.window)
    }

    /// The same with names.
    pub fn open_with_ids(&self) -> impl Iterator<Item = (WindowId, &OpenWindow)> {
        self.open.iter().map(|(id, open)| (*id, &open.window))
    }

    /// Whether everything before `upper` has been read. Does not rest on there being no open window, but on the drained
    /// ones covering `[0, upper)` without a gap.
    pub fn is_complete(&self) -> bool {
        let mut end = 0;
        for (from, to) in &self.drained {
            if *from != end {
                return false;
            }
            end = *to;
        }
        self.open.is_empty() && end >= self.upper
    }
}

impl OpenWindow {
    fn query(&self) -> Window {
        match &self.position {
            None => Window { gte: self.gte, lt: self.lt, starting_after: None },
            Some(Position { created, after: None, .. }) => {
                Window { gte: self.gte, lt: created + 1, starting_after: None }
            }
            Some(Position { after, .. }) => {
                Window { gte: self.gte, lt: self.lt, starting_after: after.clone() }
            }
        }
    }

    /// The newest second that may hold something unread.
    pub fn unread_to(&self) -> i64 {
        self.position.as_ref().map_or(self.lt - 1, |position| position.created)
    }

    /// Notes an element as read; `false` if it had been read before.
    fn note(&mut self, id: Option<&str>, created: i64) -> bool {
        let position = self.position.get_or_insert_with(|| Position { created, ..Position::default() });
        if created < position.created {
            position.created = created;
            position.seen.clear();
        }
        id.is_none_or(|id| position.seen.insert(id.to_owned()))
    }

    /// A second in the middle of the unread part, above `gte`.
    fn middle(&self) -> Option<i64> {
        let (from, to) = (self.gte.max(STRIPE_BEGAN), self.unread_to());
        let middle = from + (to - from) / 2;
        (to > from && middle > self.gte).then_some(middle)
    }
}

impl Open {
    /// About how many subscriptions are left, if the unread part is as dense as what was read. A window of which nothing
    /// was read gives no ground for an estimate, and is not split.
    fn estimate(&self) -> f64 {
        let unread_to = self.window.unread_to();
        if self.read == 0 || self.window.middle().is_none() {
            return 0.0;
        }
        let unread_span = (unread_to - self.window.gte.max(STRIPE_BEGAN)).max(0) as f64;
        unread_span / self.seconds_each()
    }

    /// The second back to which there are about this many subscriptions, counted from what was read.
    fn reach_back(&self, subscriptions: f64) -> i64 {
        self.window.unread_to() - (subscriptions * self.seconds_each()).ceil() as i64
    }

    /// Seconds between two subscriptions, where any were read.
    fn seconds_each(&self) -> f64 {
        (self.read_from - self.window.unread_to()).max(1) as f64 / self.read.max(1) as f64
    }
}

fn check_order(asked: &Window, page: &[Head<'_>]) -> Result<(), Nonsense> {
    let mut last = i64::MAX;
    for created in page.iter().filter_map(|head| head.created) {
        if created < asked.gte || created >= asked.lt {
            return Err(Nonsense::OutsideWindow);
        }
        if created > last {
            return Err(Nonsense::Unsorted);
        }
        last = created;
    }
    Ok(())
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
