//! What Stripe tells by itself: is it Stripe who speaks, and of which subscription?
//!
//! - [`signature`]: whether Stripe signed what came.
//! - [`event`]: what an event says that is of use: its mode, its type, the id of a subscription.
//! - [`db`]: the subscription is noted as due; [`passes`]: somebody looks at it in time.
//!
//! Nothing that an event says of a subscription is believed but its id: events come late, twice and out of order, so what is true
//! now is asked for (<https://docs.stripe.com/webhooks#event-ordering>).

pub mod db;
pub mod event;
pub mod passes;
pub mod signature;

#[cfg(test)]
mod tests;
