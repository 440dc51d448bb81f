//! Events on their way out of the account: each ends in the `pending_webhooks` of its event.

use crate::account::Account;
use crate::delivery_faults::Fate;
use crate::signature;
use crate::thin;
use crate::webhook::{Delivery, LIVE_RETRIES, Outcome, Payload, TEST_RETRIES};
use crate::webhooks::{Attempt, draw};
use serde_json::{Value, json};

impl Account {
    /// The next webhook that is due until `until` (in milliseconds), or when there will be one; it is settled later.
    /// Those that get lost or fail on their way are settled here.
    ///
    /// Over HTTP it is sent now, which is `until`; in the process it has arrived when it was due.
    pub(crate) fn next_delivery(&mut self, until: i64, over_http: bool) -> Result<Delivery, Option<i64>> {
        loop {
            let (number, due, attempt) = self.webhooks.pop(until, over_http)?;
            let at = if over_http { until } else { due };
            let Some(endpoint) = self.webhooks.by_number(number) else { continue };
            let id = endpoint.id.clone();
            let Some(event) = self.events.stored(&attempt.event) else { continue };
            match self.webhooks.faults.fate(draw(number, &attempt)) {
                Fate::Lost => self.settle(&id, &attempt, Outcome::Lost, at),
                Fate::Failed => self.settle(&id, &attempt, Outcome::Failed, at),
                Fate::Arrives => {
                    let body = match endpoint.settings.payload {
                        Payload::Snapshot => serde_json::to_vec_pretty(&event.object),
                        Payload::Thin => serde_json::to_vec_pretty(&thin::notification(&event.object)),
                    };
                    let body = body.expect("a Value always serializes");
                    let seconds = at.div_euclid(1_000);
                    return Ok(Delivery {
                        endpoint: id,
                        event: attempt.event,
                        attempt: attempt.attempt,
                        at: seconds,
                        signature: signature::header(&endpoint.settings.secrets(), seconds, &body),
                        body,
                        url: endpoint.settings.url.clone(),
                        at_ms: at,
                        number: attempt.number,
                        copy: attempt.copy,
                    });
                }
            }
        }
    }

    /// What became of a webhook, at `now` (in milliseconds).
    pub(crate) fn settle(&mut self, endpoint: &str, attempt: &Attempt, outcome: Outcome, now: i64) {
        let retries: &[u64] = if self.generator.is_livemode() { &LIVE_RETRIES } else { &TEST_RETRIES };
        if self.webhooks.settle(endpoint, attempt, outcome, now, retries) {
            self.pend(&attempt.event, -1);
        }
    }

    /// A webhook that was handed out, and counted as taken, was refused.
    pub(crate) fn refuse(&mut self, delivery: &Delivery) {
        let attempt = delivery.as_attempt();
        if self.webhooks.reopen(&delivery.endpoint, &attempt) {
            self.pend(&attempt.event, 1);
        }
        self.settle(&delivery.endpoint, &attempt, Outcome::Refused, delivery.at_ms);
    }

    /// Takes an endpoint away: no event waits for it any more.
    pub(crate) fn remove_endpoint(&mut self, id: &str) -> Result<(), String> {
        let open = self.webhooks.remove(id).ok_or(format!("no webhook endpoint {id}"))?;
        for event in open {
            self.pend(&event, -1);
        }
        Ok(())
    }

    /// So many endpoints more have not taken the event.
    fn pend(&mut self, event: &str, more: i64) {
        if let Some(stored) = self.events.stored_mut(event) {
            let pending: &mut Value = &mut stored.object["pending_webhooks"];
            *pending = json!((pending.as_i64().unwrap_or(0) + more).max(0));
        }
    }
}

impl Delivery {
    pub(crate) fn as_attempt(&self) -> Attempt {
        Attempt { event: self.event.clone(), number: self.number, attempt: self.attempt, copy: self.copy }
    }
}
