//! How a channel is doing: from its settings and from what became of its last messages. Pure.

use chrono::{DateTime, Utc};
use serde::Serialize;
use strum::VariantArray as _;
use utoipa::ToSchema;

use super::channel::Channel;
use super::db::KnownChannel;
use super::receivers::Configured;

/// How a channel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelStatus {
    /// Its last message arrived, or there was none yet.
    Ok,
    /// Its last message did not.
    Failing,
    /// Nothing is sent: its settings are wrong, or its destination is gone.
    Off,
    /// It has no settings.
    NotConfigured,
}

/// A channel and how it is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChannelHealth {
    /// Which.
    pub channel: Channel,
    /// How it is doing.
    pub status: ChannelStatus,
    /// Why it is failing or off.
    pub reason: Option<String>,
    /// The least severity that it is told of.
    pub min_severity: &'static str,
    /// When a message last arrived.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When one last did not.
    pub last_failure_at: Option<DateTime<Utc>>,
}

/// All channels and how they are doing, whether set up or not.
pub fn health(configured: &[Configured], known: &[KnownChannel]) -> Vec<ChannelHealth> {
    let of = |channel: &Channel| {
        let known = known.iter().find(|known| known.channel == *channel);
        of_one(*channel, configured.iter().find(|one| one.channel == *channel), known)
    };
    Channel::VARIANTS.iter().map(of).collect()
}

fn of_one(channel: Channel, configured: Option<&Configured>, known: Option<&KnownChannel>) -> ChannelHealth {
    // What is known of other settings says nothing about these.
    let known = known.filter(|known| configured.is_some_and(|one| one.fingerprint == known.fingerprint));
    let (status, reason) = match (configured.map(|one| &one.receiver), known) {
        (None, _) => (ChannelStatus::NotConfigured, None),
        (Some(Err(error)), _) => (ChannelStatus::Off, Some(error.0.clone())),
        (Some(Ok(_)), Some(known)) if known.off_at.is_some() => {
            (ChannelStatus::Off, known.off_reason.clone())
        }
        (Some(Ok(_)), Some(known)) if known.last_failure_at > known.last_success_at => {
            (ChannelStatus::Failing, known.last_failure.clone())
        }
        (Some(Ok(_)), _) => (ChannelStatus::Ok, None),
    };
    ChannelHealth {
        channel,
        status,
        reason,
        min_severity: configured.map_or(channel.default_least(), |one| one.least).as_str(),
        last_success_at: known.and_then(|known| known.last_success_at),
        last_failure_at: known.and_then(|known| known.last_failure_at),
    }
}
