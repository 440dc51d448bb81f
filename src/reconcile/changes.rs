//! Lists Stripe's own events since the last time, and notes what they speak of as due, beside what came as a webhook. A list of changes
//! is not a list of subscriptions: it only brings forward what a scan would find anyway, and proves nothing.

use std::collections::HashMap;

use super::engine::{Engine, Interrupted};
use super::store::ReconcileStore;
use super::sweep::Sweep;
use crate::drift::compare::GRACE_SECONDS;
use crate::stripe::StripeError;
use crate::stripe::event::TYPES;
use crate::stripe::pages::EventsAsked;

/// How far back events are listed again, in seconds: Stripe may list an event later than it was made, and clocks differ.
const OVERLAP: i64 = 600;

/// How listing the events went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// All that have come since are noted.
    All,
    /// Time was up. What was listed is noted, and the next run lists from the same moment.
    Stopped,
    /// The key may not read events.
    NotAllowed,
}

/// Notes as due what Stripe's events since `from` (Unix seconds) speak of.
pub(super) async fn note<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    from: i64,
) -> Result<Listed, Interrupted> {
    let wait = if engine.terms.events_at_once { 0 } else { GRACE_SECONDS };
    let mut after: Option<String> = None;
    loop {
        let asked = EventsAsked {
            types: TYPES,
            created_gte: from - OVERLAP,
            created_lte: None,
            undelivered: false,
            starting_after: after.as_deref(),
        };
        let page = match engine.source.events(&asked).await {
            Ok(page) => page,
            Err(StripeError::Deadline) => return Ok(Listed::Stopped),
            Err(StripeError::MissingPermission { .. }) => return Ok(Listed::NotAllowed),
            Err(error) => return Err(error.into()),
        };
        let mut due: HashMap<&str, i64> = HashMap::new();
        let mut last: Option<&str> = None;
        for event in &page.data {
            match event {
                Ok(event) => {
                    last = Some(&event.id);
                    if let Some(id) = &event.subscription {
                        let wait = (event.created + wait - engine.clock.now()).max(0);
                        let known = due.entry(id).or_insert(wait);
                        *known = wait.max(*known);
                    }
                }
                Err(object) => {
                    let message = format!("Stripe listed an event that cannot be read: {}.", object.reason);
                    sweep.record.failed(object.id.as_deref(), &message);
                    last = object.id.as_deref().or(last);
                }
            }
        }
        if !due.is_empty() {
            engine.store.note_events(&due.into_iter().collect::<Vec<_>>()).await?;
        }
        let last = last.map(str::to_owned);
        if !page.has_more {
            return Ok(Listed::All);
        }
        // Stripe says that there is more, but there is nothing to go on from.
        if last.is_none() || last == after {
            return Ok(Listed::Stopped);
        }
        after = last;
    }
}
