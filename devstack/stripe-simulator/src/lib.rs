//! A Stripe that runs on this machine, for tests, demonstrations and benchmarks.
//!
//! It answers `GET` on subscriptions, subscription items, checkout sessions, events, prices and the account as API
//! version 2026-10-28.endive does: pagination, filters, errors and headers. Its objects come out of a seed
//! ([`Generator`]), any number of them, and out of what a test puts on top ([`Action`]). Writes are counted and refused.
//! What can go wrong goes wrong on request ([`Fault`], [`RateLimit`], [`Script`]).
//!
//! What changes makes events, which are sent to whoever has registered ([`WebhookEndpoint`]), signed as Stripe signs them
//! ([`sign`]), again if they are refused, and by chance late, twice or never ([`DeliveryFaults`]).
//!
//! In a process, [`Simulator`] has a method for everything; over HTTP, `/_control` takes the same as JSON:
//!
//! | path below `/_control` | methods | body or query |
//! | --- | --- | --- |
//! | `/subscriptions` | POST, PUT | [`SubscriptionChange`] |
//! | `/subscriptions/{id}` | GET, PATCH, DELETE | [`SubscriptionChange`] |
//! | `/sessions`, `/sessions/{id}` | as above, without GET | [`SessionChange`] |
//! | `/events` | POST | [`EventInput`] |
//! | `/invoice_events` | POST | [`InvoiceEventInput`] |
//! | `/webhook_endpoints` | GET, POST, DELETE | [`WebhookEndpoint`], with a URL |
//! | `/webhook_endpoints/{id}` | PUT, DELETE | as above |
//! | `/webhook_endpoints/pause`, `/webhook_endpoints/resume` | POST | |
//! | `/delivery_faults` | GET, PUT, DELETE | [`DeliveryFaults`] |
//! | `/scripts` | POST, DELETE | [`Script`] |
//! | `/faults` | GET, POST, DELETE | [`Fault`] |
//! | `/rate_limit` | PUT, DELETE | [`RateLimit`] |
//! | `/missing_permissions` | PUT | a list of permissions |
//! | `/stats` | GET, DELETE | [`Stats`] |
//! | `/log` | GET | every request line |
//! | `/facts` | GET | `?from=0&count=100` of [`SubscriptionFacts`] |
//! | `/reset` | POST | `seed`, `subscriptions`, `spread`: what is not given stays |
//! | `/health` | GET | |
//!
//! It listens on 127.0.0.1 only: the control endpoint asks nobody who they are.

mod account;
mod api;
mod change;
mod control;
mod delivery;
mod delivery_faults;
mod error;
mod faults;
mod filter;
mod generator;
mod invoice;
mod prices;
mod query;
mod render;
mod sender;
mod serve;
mod server;
mod signature;
mod state;
mod stats;
mod store;
mod thin;
mod webhook;
mod webhooks;

pub use change::{
    Action, EventInput, InvoiceEventInput, ItemChange, Script, SessionChange, SubscriptionChange,
};
pub use delivery_faults::DeliveryFaults;
pub use faults::{Fault, FaultKind, RateLimit};
pub use generator::{DEFAULT_NOW, Generator, Spread, SubscriptionFacts};
pub use prices::{PRICES, Price, price};
pub use server::{Simulator, THREAD};
pub use signature::sign;
pub use state::Config;
pub use stats::Stats;
pub use webhook::{
    Delivery, LIVE_RETRIES, Outcome, Payload, RegisteredEndpoint, TEST_RETRIES, WebhookEndpoint,
};

/// The version whose shapes the objects have.
pub const API_VERSION: &str = "2026-10-28.endive";
/// A secret test-mode key that the simulator takes by default.
pub const SECRET_KEY: &str = "sk_test_simulator0secret";
/// A restricted test-mode key that the simulator takes by default.
pub const RESTRICTED_KEY: &str = "rk_test_simulator0restricted";
