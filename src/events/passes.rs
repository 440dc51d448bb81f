//! What follows the answer to an event: somebody in this process waits until what it spoke of is due, and makes a pass. The scheduler's
//! passes would find it too, some minutes later; they make up for a process that ends before its time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::drift::compare::GRACE_SECONDS;
use crate::notify::deliver::deliver_news;
use crate::runs::db::RunRequest;
use crate::runs::key::RunKey;
use crate::runs::perform::{Performed, perform};
use crate::runs::run::TriggeredBy;

/// How long after the call a pass may still begin. The function has 300 seconds; a pass takes up to 60, and telling people up to 20.
const TIME: Duration = Duration::from_secs(200);
/// How long to wait between two passes of one process: what comes meanwhile is taken together.
const BETWEEN: Duration = Duration::from_secs(2);
/// How long to wait before the next try if another run stood in the way, or a pass could not do all of it.
const LATER: Duration = Duration::from_secs(10);

/// How long the app's own webhook is given: none where events are followed at once.
pub fn wait_of(at_once: bool) -> Duration {
    if at_once { Duration::ZERO } else { Duration::from_secs(GRACE_SECONDS.unsigned_abs()) }
}

/// Makes passes from `wait` on until nothing is due that this call has time to wait for, and tells people what follows. One call of a
/// process does it for all of them. `came`: when the call came, by both clocks.
pub async fn follow(context: &Context, wait: Duration, came: (Instant, DateTime<Utc>)) {
    if context.ready_to_reconcile().is_err() {
        return;
    }
    let end = came.0 + TIME;
    let mut next = Instant::now() + wait;
    context.due.announce();
    while let Some(turn) = context.due.take() {
        let seen = loop {
            if !lasts_until(context, &mut next, wait, end).await {
                return;
            }
            let seen = context.due.announced();
            let now = came.1 + TimeDelta::from_std(came.0.elapsed()).unwrap_or_default();
            match pass(context, now).await {
                Some(again) => next = Instant::now() + again,
                None => break seen,
            }
        };
        drop(turn);
        // If somebody came since the last pass, they found the turn taken, and went: then another pass must follow.
        if context.due.announced() == seen {
            return;
        }
        next = Instant::now() + BETWEEN;
    }
}

/// Waits, if there is time for a pass after it. What comes meanwhile may be due sooner than what is waited for. False: there is no time, or
/// the process must end.
async fn lasts_until(context: &Context, next: &mut Instant, wait: Duration, end: Instant) -> bool {
    let mut stop = context.stopping();
    loop {
        if *next > end {
            return false;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return false,
            () = sleep_until(*next) => return true,
            () = context.due.announcement() => *next = (*next).min(Instant::now() + wait.max(BETWEEN)),
        }
    }
}

/// One pass over what is due. Answers when to make another; `None`: nothing is due, or the scheduler's next pass may try.
async fn pass(context: &Context, now: DateTime<Utc>) -> Option<Duration> {
    let request = RunRequest::due(RunKey::after_an_event(now), TriggeredBy::Event, None);
    let began = std::time::Instant::now();
    let performed = perform(context, &request).await;
    if context.take_news() {
        deliver_news(context, began.elapsed()).await;
    }
    match performed {
        Ok(Performed::NothingDue(answer)) => {
            answer.next_due_in.map(|seconds| Duration::from_secs(seconds.max(1)))
        }
        Ok(Performed::Run(answer, _)) if !answer.success => None,
        Ok(Performed::Run(answer, _)) if answer.status == "success" && !answer.duplicate => Some(BETWEEN),
        // Another run stood in the way, or something could not be done.
        Ok(Performed::Run(..)) => Some(LATER),
        Err(error) => {
            tracing::warn!(%error, "what is due waits for the next pass");
            None
        }
    }
}
