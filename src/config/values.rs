//! How the text of a setting is read. The errors name the setting and never hold its value.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

/// Whether a key, if it is a token, is that of nobody in particular. Its signature is PostgREST's business; here it only matters that a
/// token which opens everything is not handed to browsers. A key that is not a token says nothing of a role.
pub(super) fn is_anonymous(key: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        role: String,
    }
    let mut parts = key.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return true;
    };
    let claims = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok();
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    claims.is_some_and(|claims| claims.role == "anon")
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
