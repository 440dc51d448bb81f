//! Events that Stripe sends: did Stripe send it, and which subscription is it about?
//!
//! - [`signature`]: whether Stripe signed the request.
//! - [`event`]: the useful parts of an event: its mode, its type, the id of a subscription.
//! - [`db`]: marks the subscription as due; [`passes`]: makes sure that it is looked at in time.
//!
//! Of what an event says about a subscription only the id is believed. Events come late, twice and out of order, so Stripe is
//! asked for the current state (<https://docs.stripe.com/webhooks#event-ordering>).

pub mod db;
pub mod event;
pub mod passes;
pub mod signature;

#[cfg(test)]
mod tests;
