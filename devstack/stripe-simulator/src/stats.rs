//! What was asked of the simulator, for tests that count.

use crate::webhook::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many request lines are kept.
const LOG_LENGTH: usize = 100_000;

/// Counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// All requests below `/v1`.
    pub requests: u64,
    /// By endpoint, such as `/v1/subscriptions/{id}`; `other` for what is none.
    pub by_endpoint: BTreeMap<String, u64>,
    /// By status of the answer; connections that were cut count as 0.
    pub by_status: BTreeMap<u16, u64>,
    /// Being answered now.
    pub in_flight: u64,
    /// The most that were being answered at once.
    pub max_in_flight: u64,
    /// Refused by a rate limit, or by a fault of status 429.
    pub rate_limited: u64,
    /// Requests of a method other than GET, each of which was refused.
    pub writes_refused: u64,
    /// How often each id was retrieved by its own path, found or not.
    pub retrieved: BTreeMap<String, u64>,
    /// Attempts to deliver an event that have ended, by the endpoint's id and by what became of them.
    pub deliveries: BTreeMap<String, BTreeMap<Outcome, u64>>,
    /// `METHOD path?query` of the first 100,000 requests, in order of arrival.
    #[serde(skip)]
    pub log: Vec<String>,
}

impl Stats {
    pub(crate) fn begin(&mut self, method: &str, target: &str, endpoint: &str, id: Option<&str>) {
        self.requests += 1;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
        *self.by_endpoint.entry(endpoint.to_owned()).or_default() += 1;
        if let Some(id) = id {
            *self.retrieved.entry(id.to_owned()).or_default() += 1;
        }
        if method != "GET" {
            self.writes_refused += 1;
        }
        if self.log.len() < LOG_LENGTH {
            self.log.push(format!("{method} {target}"));
        }
    }

    pub(crate) fn end(&mut self, status: Option<u16>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(status) = status {
            *self.by_status.entry(status).or_default() += 1;
            if status == 429 {
                self.rate_limited += 1;
            }
        }
    }

    /// Forgets everything but what is being answered now.
    pub(crate) fn reset(&mut self) {
        *self = Self { in_flight: self.in_flight, max_in_flight: self.in_flight, ..Self::default() };
    }
}
