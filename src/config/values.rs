//! How the text of a setting is read. The errors name the setting and never hold its value.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use crate::secret::Secret;

/// A setting that is missing or wrong. The sentence names the variable and never holds its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(pub String);

/// `STRIPE_SCOPE` as it is written; all of it empty where it is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StripeScope {
    /// `prod_…`
    pub products: Vec<String>,
    /// `price_…`
    pub prices: Vec<String>,
    /// Of the subscription.
    pub metadata: BTreeMap<String, String>,
}

/// An https URL; http only on this machine, where nobody can listen in.
pub(super) fn secure_url(name: &str, value: &str) -> Result<Url, SettingError> {
    let url = Url::parse(value).map_err(|_| SettingError(format!("{name} must be a URL.")))?;
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "https" || (url.scheme() == "http" && loopback) {
        Ok(url)
    } else {
        Err(SettingError(format!("{name} must be an https URL.")))
    }
}

/// A key that can travel in a header.
pub(super) fn header_safe(name: &str, value: &str) -> Result<Secret, SettingError> {
    if value.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Secret::new(value))
    } else {
        Err(SettingError(format!("{name} holds white space or characters that cannot be part of a key.")))
    }
}

/// Words separated by commas, without the white space around them.
pub(super) fn list(value: &str) -> Vec<String> {
    value.split(',').map(|word| word.trim().to_owned()).collect()
}

/// A whole number in a range.
pub(super) fn whole_number(name: &str, value: &str, least: u32, most: u32) -> Result<u32, SettingError> {
    match value.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(SettingError(format!("{name} must be a whole number from {least} to {most}."))),
    }
}
