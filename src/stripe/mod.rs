//! A thin Stripe client that can only read.
//!
//! - [`key`]: the secret key, which is never printed, and the mode (live or test) that its prefix names.
//! - [`bucket`]: the token bucket that all requests of a process pass through.
//! - [`client`]: one GET with time limits, retries and errors.
//! - [`types`]: the few fields that reconciling needs, decoded element by element.
//! - [`event`]: the events that are used, and the subscription that each names.
//! - [`pages`]: the endpoints.
//! - [`error`]: what can go wrong, in words for a person.
//!
//! Why not `async-stripe`? It decodes a page as a whole, so one object with a missing field loses ninety-nine others, and it adds
//! three times the size of all the rest to every function.

pub mod bucket;
pub mod client;
pub mod error;
pub mod event;
pub mod key;
pub mod pages;
pub mod types;

pub use client::{Retries, Stripe};
pub use error::StripeError;
pub use event::StripeEvent;
pub use key::{Mode, SecretKey};
pub use types::{CheckoutSession, Item, MalformedObject, Metadata, Page, Status, Subscription};
