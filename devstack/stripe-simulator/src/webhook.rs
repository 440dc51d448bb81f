//! Who is told of events, how, and what becomes of one telling.

use axum::http::Uri;
use serde::{Deserialize, Serialize};

/// After which delays a failed delivery is tried again in test mode: three times, as Stripe does, but sooner.
pub const TEST_RETRIES: [u64; 3] = [1_000, 5_000, 30_000];

/// The same in live mode: ever later, over three days.
pub const LIVE_RETRIES: [u64; 12] = [
    1_000, 5_000, 30_000, 300_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 57_600_000,
    64_800_000, 79_200_000,
];

/// What a webhook's body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The event as `/v1/events/{id}` shows it, with the object as it was then.
    #[default]
    Snapshot,
    /// A notification of which object has changed; its type begins with `v1.`.
    Thin,
}

/// An endpoint of the account that wants to be told of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpoint {
    /// `http://127.0.0.1:PORT/…` or `http://localhost:PORT/…`. `None`: nothing is sent, and
    /// [`Simulator::take_deliveries`](crate::Simulator::take_deliveries) hands out what would be.
    #[serde(default)]
    pub url: Option<String>,
    /// `whsec_…`, with which deliveries are signed.
    pub secret: String,
    /// The secret before this one, for as long as a roll lasts: deliveries are signed with both.
    #[serde(default)]
    pub previous_secret: Option<String>,
    /// [`Payload::Snapshot`] by default.
    #[serde(default)]
    pub payload: Payload,
    /// Types such as `invoice.paid`, in thin endpoints with or without `v1.`; `*` stands for all, and is the default.
    #[serde(default = "every_event")]
    pub enabled_events: Vec<String>,
    /// Milliseconds after which a delivery that failed is tried again, one for each further attempt;
    /// [`TEST_RETRIES`] or [`LIVE_RETRIES`] if they are not given. They pass by the simulator's clock.
    #[serde(default)]
    pub retries: Option<Vec<u64>>,
}

impl WebhookEndpoint {
    /// Snapshots of all events, sent to that address.
    pub fn new(url: &str, secret: &str) -> Self {
        Self { url: Some(url.to_owned()), ..Self::in_process(secret) }
    }

    /// Snapshots of all events, for [`Simulator::take_deliveries`](crate::Simulator::take_deliveries).
    pub fn in_process(secret: &str) -> Self {
        Self {
            url: None,
            secret: secret.to_owned(),
            previous_secret: None,
            payload: Payload::Snapshot,
            enabled_events: every_event(),
            retries: None,
        }
    }

    /// What is wrong with it, in a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(url) = &self.url {
            local(url)?;
        }
        for secret in [&self.secret].into_iter().chain(&self.previous_secret) {
            if secret.strip_prefix("whsec_").is_none_or(str::is_empty) {
                return Err("a secret begins with whsec_".to_owned());
            }
        }
        if self.enabled_events.is_empty() {
            return Err("enabled_events names no event".to_owned());
        }
        match self.enabled_events.iter().find(|name| name.contains('*') && *name != "*") {
            Some(name) => Err(format!("{name} is no type of event: Stripe takes whole names, or * alone")),
            None => Ok(()),
        }
    }

    pub(crate) fn wants(&self, kind: &str) -> bool {
        let named = |name: &String| {
            let bare = match self.payload {
                Payload::Snapshot => name,
                Payload::Thin => name.strip_prefix("v1.").unwrap_or(name),
            };
            name == "*" || bare == kind
        };
        self.enabled_events.iter().any(named)
    }

    /// The secrets that sign.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        [&self.secret].into_iter().chain(&self.previous_secret).map(String::as_str).collect()
    }
}

/// The address, if it is one on this machine: the simulator's events are nobody else's business, and whoever can
/// reach its control endpoint must not be able to send from here.
pub(crate) fn local(url: &str) -> Result<Uri, String> {
    let refused = || format!("{url} is not http://127.0.0.1 or http://localhost");
    let uri: Uri = url.parse().map_err(|_| refused())?;
    let authority = uri.authority().ok_or_else(refused)?;
    let here = uri.scheme_str() == Some("http")
        && matches!(authority.host(), "127.0.0.1" | "localhost")
        && !authority.as_str().contains('@');
    if here { Ok(uri) } else { Err(refused()) }
}

fn every_event() -> Vec<String> {
    vec!["*".to_owned()]
}

/// An endpoint, and the id that it got.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegisteredEndpoint {
    /// `we_1` and so on.
    pub id: String,
    /// The endpoint as it was given.
    #[serde(flatten)]
    pub endpoint: WebhookEndpoint,
}

/// What became of one attempt to deliver an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The endpoint answered 2xx, or it was handed out in the process.
    Taken,
    /// Lost by a fault: Stripe believes that it was taken, and the endpoint never heard of it.
    Lost,
    /// Failed by a fault: the endpoint never heard of it, and Stripe knows.
    Failed,
    /// The endpoint answered something else than 2xx; also a redirect, which Stripe does not follow.
    Refused,
    /// No answer: no connection, one that broke off, or nothing within ten seconds.
    Unreachable,
}

/// A webhook as an endpoint gets it, handed out in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The endpoint's id.
    pub endpoint: String,
    /// The event's id.
    pub event: String,
    /// The first attempt is 1.
    pub attempt: u32,
    /// When it arrives, in Unix seconds of the simulator's clock; also the `t` of the signature.
    pub at: i64,
    /// The header `Stripe-Signature`.
    pub signature: String,
    /// JSON.
    pub body: Vec<u8>,
    /// Where it is to be sent.
    pub(crate) url: Option<String>,
    /// The same in milliseconds, from which delays until the next attempt are counted.
    pub(crate) at_ms: i64,
    pub(crate) number: u64,
    pub(crate) copy: bool,
}
