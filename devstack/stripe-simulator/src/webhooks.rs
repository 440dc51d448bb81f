//! The account's webhook endpoints, and what is on its way to each.
//!
//! Everything here happens at times that are given, in milliseconds of the simulator's clock: what waits for three days
//! comes as soon as the clock is set forward.

use crate::delivery_faults::{DeliveryFaults, Draw};
use crate::webhook::{Outcome, RegisteredEndpoint, WebhookEndpoint};
use std::collections::{BTreeMap, HashMap};

/// An attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The event's id.
    pub(crate) event: String,
    /// Which of the events that were put; the same id put again is another one.
    pub(crate) number: u64,
    /// From 1.
    pub(crate) attempt: u32,
    /// It arrives a second time; what becomes of that changes nothing.
    pub(crate) copy: bool,
}

/// An endpoint, and what is on its way to it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) settings: WebhookEndpoint,
    /// By when they are due, and then by the order in which they were planned.
    queue: BTreeMap<(i64, u64), Attempt>,
    /// Events that it has not taken, by id: those on their way, and those that have failed for good.
    open: HashMap<String, u64>,
    /// When the latest event is due, which those after it must not overtake.
    latest: i64,
}

/// All endpoints of the account.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    pub(crate) faults: DeliveryFaults,
    endpoints: Vec<Endpoint>,
    /// Events that have no time yet, with the endpoint's number.
    fresh: Vec<(u64, Attempt)>,
    paused: bool,
    events: u64,
    numbers: u64,
    planned: u64,
    pub(crate) outcomes: BTreeMap<String, BTreeMap<Outcome, u64>>,
}

impl Webhooks {
    pub(crate) fn add(&mut self, settings: WebhookEndpoint) -> String {
        self.numbers += 1;
        let id = format!("we_{}", self.numbers);
        self.endpoints.push(Endpoint {
            id: id.clone(),
            number: self.numbers,
            settings,
            queue: BTreeMap::new(),
            open: HashMap::new(),
            latest: i64::MIN,
        });
        id
    }

    /// Other settings for the endpoint of that id. What is on its way to it stays so.
    pub(crate) fn change(&mut self, id: &str, settings: WebhookEndpoint) -> Result<(), String> {
        let found = self.endpoints.iter_mut().find(|endpoint| endpoint.id == id);
        found.ok_or(format!("no webhook endpoint {id}"))?.settings = settings;
        Ok(())
    }

    /// Takes the endpoint of that id away, and gives back the events that it had not taken.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Vec<String>> {
        let place = self.endpoints.iter().position(|endpoint| endpoint.id == id)?;
        let gone = self.endpoints.remove(place);
        self.fresh.retain(|(number, _)| *number != gone.number);
        Some(gone.open.into_keys().collect())
    }

    pub(crate) fn list(&self) -> Vec<RegisteredEndpoint> {
        let registered = |endpoint: &Endpoint| RegisteredEndpoint {
            id: endpoint.id.clone(),
            endpoint: endpoint.settings.clone(),
        };
        self.endpoints.iter().map(registered).collect()
    }

    /// There is an event. Gives back how many endpoints want it.
    pub(crate) fn announce(&mut self, event: &str, kind: &str) -> u64 {
        if self.endpoints.is_empty() {
            return 0;
        }
        self.events += 1;
        let mut pending = 0;
        for endpoint in self.endpoints.iter_mut().filter(|endpoint| endpoint.settings.wants(kind)) {
            endpoint.open.insert(event.to_owned(), self.events);
            let attempt = Attempt { event: event.to_owned(), number: self.events, attempt: 1, copy: false };
            self.fresh.push((endpoint.number, attempt));
            pending += 1;
        }
        pending
    }

    /// The event is replaced by another one of the same id: what is on its way is of no interest any more.
    pub(crate) fn forget(&mut self, event: &str) {
        self.fresh.retain(|(_, attempt)| attempt.event != event);
        for endpoint in &mut self.endpoints {
            endpoint.queue.retain(|_, attempt| attempt.event != event);
            endpoint.open.remove(event);
        }
    }

    /// What was announced sets off, unless deliveries are paused. Says whether anything did.
    pub(crate) fn release(&mut self, now: i64) -> bool {
        if self.paused || self.fresh.is_empty() {
            return false;
        }
        for (number, attempt) in std::mem::take(&mut self.fresh) {
            let in_process = self.by_number(number).is_some_and(|endpoint| endpoint.settings.url.is_none());
            // Who plays time sets the clock in seconds: the real milliseconds since then must not change who comes first.
            self.plan(number, attempt, if in_process { now - now.rem_euclid(1_000) } else { now });
        }
        true
    }

    pub(crate) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// An attempt sets off, and its copy if there is to be one.
    fn plan(&mut self, number: u64, attempt: Attempt, now: i64) {
        let Some(endpoint) = self.endpoints.iter_mut().find(|endpoint| endpoint.number == number) else {
            return;
        };
        let draw = draw(number, &attempt);
        let mut due = now.saturating_add(self.faults.delay(draw));
        if attempt.attempt == 1 && !self.faults.reorder {
            due = due.max(endpoint.latest);
            endpoint.latest = due;
        }
        if self.faults.doubles(draw) {
            let copy = Attempt { copy: true, ..attempt.clone() };
            let again = due.saturating_add(self.faults.delay(Draw { copy: true, ..draw }));
            endpoint.queue.insert((again, self.planned + 1), copy);
        }
        endpoint.queue.insert((due, self.planned), attempt);
        self.planned += 2;
    }

    /// Takes the first attempt that is due until then, of all endpoints that get theirs over HTTP or of all others:
    /// the endpoint's number, when it was due, and the attempt. If there is none, when the next one is due.
    pub(crate) fn pop(&mut self, until: i64, over_http: bool) -> Result<(u64, i64, Attempt), Option<i64>> {
        if self.paused {
            return Err(None);
        }
        let of_kind =
            self.endpoints.iter_mut().filter(|endpoint| endpoint.settings.url.is_some() == over_http);
        let keyed =
            of_kind.filter_map(|endpoint| endpoint.queue.keys().next().copied().map(|key| (key, endpoint)));
        let (key, endpoint) = keyed.min_by_key(|(key, _)| *key).ok_or(None)?;
        if key.0 > until {
            return Err(Some(key.0));
        }
        let attempt = endpoint.queue.remove(&key).ok_or(None)?;
        Ok((endpoint.number, key.0, attempt))
    }

    pub(crate) fn by_number(&self, number: u64) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.number == number)
    }

    /// An attempt has come to an end; the next one is planned if there is one in `retries`. Says whether the endpoint
    /// has taken the event now, as far as Stripe knows.
    pub(crate) fn settle(
        &mut self,
        id: &str,
        attempt: &Attempt,
        outcome: Outcome,
        now: i64,
        retries: &[u64],
    ) -> bool {
        let Some(endpoint) = self.endpoints.iter_mut().find(|endpoint| endpoint.id == id) else {
            return false;
        };
        *self.outcomes.entry(id.to_owned()).or_default().entry(outcome).or_default() += 1;
        if attempt.copy || endpoint.open.get(&attempt.event) != Some(&attempt.number) {
            return false;
        }
        if matches!(outcome, Outcome::Taken | Outcome::Lost) {
            endpoint.open.remove(&attempt.event);
            return true;
        }
        let retries = endpoint.settings.retries.as_deref().unwrap_or(retries);
        if let Some(delay) = retries.get(attempt.attempt as usize - 1) {
            let after = now.saturating_add(i64::try_from(*delay).unwrap_or(i64::MAX / 4));
            let (number, next) =
                (endpoint.number, Attempt { attempt: attempt.attempt + 1, ..attempt.clone() });
            self.plan(number, next, after);
        }
        false
    }

    /// A delivery that counted as taken was not after all. Says whether it had been.
    pub(crate) fn reopen(&mut self, id: &str, attempt: &Attempt) -> bool {
        let Some(endpoint) = self.endpoints.iter_mut().find(|endpoint| endpoint.id == id) else {
            return false;
        };
        if let Some(taken) = self.outcomes.get_mut(id).and_then(|counts| counts.get_mut(&Outcome::Taken)) {
            *taken = taken.saturating_sub(1);
        }
        let reopened = !attempt.copy && !endpoint.open.contains_key(&attempt.event);
        if reopened {
            endpoint.open.insert(attempt.event.clone(), attempt.number);
        }
        reopened
    }

    /// The clock was set back by so much: what is on its way is as far away as it was.
    pub(crate) fn shift(&mut self, by: i64) {
        for endpoint in &mut self.endpoints {
            endpoint.latest = endpoint.latest.saturating_sub(by);
            let queue = std::mem::take(&mut endpoint.queue);
            endpoint.queue =
                queue.into_iter().map(|((due, place), attempt)| ((due - by, place), attempt)).collect();
        }
    }
}

/// What chance knows an attempt by.
pub(crate) fn draw(endpoint: u64, attempt: &Attempt) -> Draw {
    Draw { event: attempt.number, endpoint, attempt: attempt.attempt, copy: attempt.copy }
}
