//! Tells people. Whatever happens to an alert becomes deliveries in the alert's own transaction (in SQL). Here the deliveries become
//! messages to receivers.
//!
//! - [`channel`]: the kinds of channels; [`message`]: what is told, in words; [`digest`]: the week in
//!   words; [`receivers`]: one file for each receiver.
//! - [`db`]: the outbox; [`deliver`]: claims, sends and finishes; [`health`]: how the channels are doing.

pub mod channel;
pub mod db;
pub mod deliver;
pub mod digest;
pub mod health;
pub mod message;
pub mod receivers;
