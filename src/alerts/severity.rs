//! How bad: one scale for drift, conditions and alerts.

use serde::{Deserialize, Serialize};

/// How bad.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantNames,
    strum::EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it today.
    Warning,
    /// Look at it within the hour.
    High,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// The word that stands for it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
