//! Somebody is told. What happens to an alert becomes deliveries in the alert's own transaction (in SQL); here they become messages to
//! receivers.
//!
//! - [`channel`]: which there are; [`message`]: what is told, in words; [`receivers`]: one file for each receiver.
//! - [`db`]: the outbox; [`deliver`]: claims, sends and finishes; [`health`]: how the channels do.

pub mod channel;
pub mod db;
pub mod deliver;
pub mod health;
pub mod message;
pub mod receivers;
