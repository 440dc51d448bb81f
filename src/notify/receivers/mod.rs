//! One file for each receiver: a pure function from a message to a request, and a pure function from an answer to a verdict.

use strum::VariantArray as _;

use super::channel::Channel;
use crate::alerts::severity::Severity;
use crate::config::notify::{self as settings, ChannelSettings};
use crate::config::{Config, SettingError};
pub use receiver::{Answer, Outgoing, Receiver, Verdict, words};

pub mod discord;
pub mod email;
mod facts;
pub mod pagerduty;
mod receiver;
pub mod slack;
pub mod webhook;

#[cfg(test)]
mod tests;

/// A channel that has a setting.
#[derive(Debug)]
pub struct Configured {
    /// Which.
    pub channel: Channel,
    /// The least severity that it is told of.
    pub least: Severity,
    /// Changes with any of its settings.
    pub fingerprint: String,
    /// Who is told; or what is wrong with its settings, so that nobody is told by this channel.
    pub receiver: Result<Box<dyn Receiver>, SettingError>,
}

/// The channels that have a setting, in the order of [`Channel`].
pub fn configured(config: &Config) -> Vec<Configured> {
    Channel::VARIANTS.iter().filter_map(|channel| one(*channel, config)).collect()
}

fn one(channel: Channel, config: &Config) -> Option<Configured> {
    let settings = settings_of(channel);
    let fingerprint = config.notify_fingerprint(settings)?;
    let (least, receiver) = match config.notify_least(settings) {
        Ok(word) => (word.and_then(|word| word.parse().ok()), receiver_of(channel, config).transpose()?),
        Err(error) => (None, Err(error)),
    };
    Some(Configured { channel, least: least.unwrap_or(channel.default_least()), fingerprint, receiver })
}

fn settings_of(channel: Channel) -> &'static ChannelSettings {
    match channel {
        Channel::Pagerduty => &settings::PAGERDUTY,
        Channel::Slack => &settings::SLACK,
        Channel::Discord => &settings::DISCORD,
        Channel::Email => &settings::EMAIL,
        Channel::Webhook => &settings::WEBHOOK,
    }
}

fn receiver_of(channel: Channel, config: &Config) -> Result<Option<Box<dyn Receiver>>, SettingError> {
    fn boxed(receiver: impl Receiver + 'static) -> Box<dyn Receiver> {
        Box::new(receiver)
    }
    Ok(match channel {
        Channel::Pagerduty => config.notify_pagerduty()?.map(pagerduty::Pagerduty::new).map(boxed),
        Channel::Slack => config.notify_slack()?.map(slack::Slack::new).map(boxed),
        Channel::Discord => config.notify_discord()?.map(discord::Discord::new).map(boxed),
        Channel::Email => config.notify_email()?.map(email::Email::new).map(boxed),
        Channel::Webhook => config.notify_webhook()?.map(webhook::Webhook::new).map(boxed),
    })
}
