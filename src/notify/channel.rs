//! Where alarms go. Nothing else knows which channels there are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alerts::severity::Severity;

/// A way to reach somebody.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Channel {
    /// PagerDuty, Events API v2.
    Pagerduty,
    /// A Slack incoming webhook.
    Slack,
    /// A Discord webhook.
    Discord,
    /// E-mail, by Resend.
    Email,
    /// A signed webhook (Standard Webhooks).
    Webhook,
}

impl Channel {
    /// The word that stands for it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The least severity that it is told of, where none is set: a channel that wakes people is told less.
    pub fn default_least(self) -> Severity {
        match self {
            Self::Pagerduty | Self::Email => Severity::High,
            Self::Slack | Self::Discord => Severity::Warning,
            Self::Webhook => Severity::Info,
        }
    }
}
