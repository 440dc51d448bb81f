//! The places where alarms go, on this machine: for tests and demonstrations.
//!
//! | receiver | stands for | below the base address |
//! | --- | --- | --- |
//! | `pagerduty` | PagerDuty, Events API v2 | `/pagerduty/v2/enqueue` |
//! | `slack` | a Slack incoming webhook | `/slack/services/…` |
//! | `discord` | a Discord webhook | `/discord/api/webhooks/…` |
//! | `email` | Resend, `POST /emails` | `/resend/emails` |
//! | `webhook` | somebody who follows Standard Webhooks 1.0 | `/webhook/…` |
//!
//! Each takes and refuses what its documentation says that the service takes and refuses, in the service's own words.
//! Where the documentation leaves something open, the stricter reading counts: a message that passes here should pass
//! there. What was received is kept ([`Received`]), and what can go wrong goes wrong on request ([`Fault`]).
//! `GET /` shows to a person what has arrived.
//!
//! It listens on 127.0.0.1 only: the page asks nobody who they are.

mod asked;
mod discord;
mod email;
mod fault;
mod pagerduty;
mod received;
mod server;
mod slack;
mod state;
mod webhook;

pub use fault::Fault;
pub use pagerduty::{Incident, IncidentStatus};
pub use received::{Received, line};
pub use server::Receivers;

/// The words for the receivers, in the order in which billing-ops lists its channels.
pub const RECEIVERS: [&str; 5] = ["pagerduty", "slack", "discord", "email", "webhook"];

/// The word for a receiver, as the crate has it.
///
/// # Panics
///
/// If there is none: a test that misspells one would wait for ever.
pub(crate) fn word(receiver: &str) -> &'static str {
    let known = RECEIVERS.into_iter().find(|known| *known == receiver);
    known.unwrap_or_else(|| panic!("{receiver:?} is no receiver: there are {RECEIVERS:?}"))
}

/// The key of PagerDuty's integration.
pub const PAGERDUTY_KEY: &str = "R0receiverspagerdutykey000000001";
/// What follows the base address in Slack's webhook. The last part is its secret.
pub const SLACK_PATH: &str = "/slack/services/T0RECEIVERS/B0RECEIVERS/receiversslacksecret0001";
/// What follows the base address in Discord's webhook. The last part is its secret.
pub const DISCORD_PATH: &str = "/discord/api/webhooks/1300000000000000001/receivers-discord-token_0001";
/// The key of Resend's API.
pub const RESEND_KEY: &str = "re_receivers_key0001";
/// Who sends the e-mails.
pub const EMAIL_FROM: &str = "billing-ops <alarms@example.com>";
/// Who gets the e-mails.
pub const EMAIL_TO: &str = "oncall@example.com,finance@example.com";
/// What follows the base address in the address of the signed webhook.
pub const WEBHOOK_PATH: &str = "/webhook/receivers-hook-0001";
/// What the key of the signed webhook is made of.
pub(crate) const WEBHOOK_KEY: &[u8; 32] = b"receivers-webhook-signing-key-01";
