//! Everything that a running server knows.

use crate::asked::{Asked, Reply};
use crate::email::Sent;
use crate::fault::Fault;
use crate::pagerduty::Incident;
use crate::received::Received;
use crate::{discord, email, pagerduty, slack, webhook, word};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What is to be done with a request.
#[derive(Debug)]
pub(crate) enum Step {
    /// It is answered.
    Answer(Reply, Option<(&'static str, String)>),
    /// Its connection is closed.
    Cut,
    /// It waits until something changes.
    Wait,
}

#[derive(Debug, Default)]
pub(crate) struct Kept {
    received: Vec<Received>,
    faults: HashMap<&'static str, Fault>,
    incidents: Vec<Incident>,
    emails: HashMap<String, Sent>,
    /// How many messages have been delivered: what ids are made of.
    delivered: u64,
}

#[derive(Debug)]
pub(crate) struct State {
    kept: Mutex<Kept>,
    changed: watch::Sender<()>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::default(), changed: watch::Sender::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Judges a request, once or, after [`Step::Wait`], again. `place` is where it is kept, from the first time on.
    pub(crate) fn judge(&self, asked: &Asked, place: &mut Option<usize>) -> Step {
        let mut kept = self.lock();
        let mut received = Received::new(asked);
        let step = match kept.faults.get(asked.receiver).cloned() {
            None => {
                let reply = kept.check(asked);
                received.status = Some(reply.status);
                received.accepted = reply.why.is_none();
                received.reason.clone_from(&reply.why);
                Step::Answer(reply, None)
            }
            Some(Fault::AcceptThenDrop) => {
                let reply = kept.check(asked);
                received.accepted = reply.why.is_none();
                received.reason = reply.why;
                Step::Cut
            }
            Some(Fault::Drop) => {
                received.reason = Some("closed without an answer".to_owned());
                Step::Cut
            }
            Some(Fault::Stall) => {
                received.reason = Some("no answer yet".to_owned());
                Step::Wait
            }
            Some(Fault::Status(status, body, retry_after)) => {
                received.status = Some(status);
                received.reason = Some("on request".to_owned());
                let is_json = serde_json::from_str::<Value>(&body).is_ok_and(|body| body.is_object());
                let mut reply = Reply::text(status, &body, None);
                if is_json {
                    reply.content_type = "application/json";
                }
                Step::Answer(reply, retry_after.map(|seconds| ("retry-after", seconds.to_string())))
            }
            Some(Fault::Redirect(url)) => {
                received.status = Some(307);
                received.reason = Some("sent elsewhere on request".to_owned());
                Step::Answer(Reply::text(307, "", None), Some(("location", url)))
            }
        };
        let is_new = place.is_none();
        let place = *place.get_or_insert(kept.received.len());
        if is_new {
            kept.received.push(received);
        } else {
            kept.received[place] = received;
        }
        drop(kept);
        // A request that goes on waiting has changed nothing, and would wake itself for ever.
        if is_new || !matches!(step, Step::Wait) {
            self.changed.send_replace(());
        }
        step
    }

    /// Who sent a request that waits has gone.
    pub(crate) fn hung_up(&self, place: usize) {
        self.lock().received[place].reason = Some("hung up before an answer".to_owned());
        self.changed.send_replace(());
    }

    pub(crate) fn set_fault(&self, receiver: &str, fault: Option<Fault>) {
        let word = word(receiver);
        let mut kept = self.lock();
        match fault {
            Some(fault) => kept.faults.insert(word, fault),
            None => kept.faults.remove(word),
        };
        drop(kept);
        self.changed.send_replace(());
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    pub(crate) fn incidents(&self) -> Vec<Incident> {
        self.lock().incidents.clone()
    }
}

impl Kept {
    /// What the service itself says to it.
    fn check(&mut self, asked: &Asked) -> Reply {
        if asked.method != axum::http::Method::POST {
            return Reply::text(405, "method not allowed", Some(format!("{} is no POST", asked.method)));
        }
        let number = self.delivered + 1;
        let reply = match asked.receiver {
            "pagerduty" => pagerduty::answer(asked, &mut self.incidents, number),
            "slack" => slack::answer(asked),
            "discord" => discord::answer(asked, number),
            "email" => email::answer(asked, &mut self.emails, number),
            _ => webhook::answer(asked),
        };
        if reply.why.is_none() {
            self.delivered = number;
        }
        reply
    }
}
