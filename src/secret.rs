//! Texts that never show themselves, and the machine secrets that are compared in constant time.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// A text that must not be shown: `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// A machine secret, kept as its SHA-256 hash: all hashes are of one length, so comparing two tells nothing of the secrets'.
#[derive(Clone)]
pub struct MachineSecret {
    hash: [u8; 32],
}

/// Why a text cannot be a machine secret. The words follow the name of the setting, and never hold its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitSecret {
    /// Guessing it is too easy.
    #[error("is shorter than 16 characters")]
    TooShort,
    /// It cannot travel in a header unchanged.
    #[error("holds characters other than printable ASCII")]
    NotPrintable,
}

impl MachineSecret {
    /// Accepts a secret of 16 or more printable ASCII characters without white space, the set that Vercel can send for
    /// `CRON_SECRET`.
    pub fn new(value: &str) -> Result<Self, UnfitSecret> {
        if value.len() < 16 {
            return Err(UnfitSecret::TooShort);
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UnfitSecret::NotPrintable);
        }
        Ok(Self { hash: Sha256::digest(value).into() })
    }
}

impl fmt::Debug for MachineSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MachineSecret([redacted])")
    }
}

/// True if the token is one of the secrets. Every secret is compared, whichever matches.
pub fn matches_any(token: &str, secrets: &[MachineSecret]) -> bool {
    let hash: [u8; 32] = Sha256::digest(token).into();
    let found = secrets.iter().fold(Choice::from(0), |found, secret| found | secret.hash.ct_eq(&hash));
    found.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    #[test]
    fn a_secret_that_is_short_or_odd_is_refused() {
        for value in ["", "0123456789abcde", "0123456789abcdéf", "0123456789 abcdef", "0123456789abcde\n"] {
            assert!(MachineSecret::new(value).is_err(), "{value:?}");
        }
        assert!(MachineSecret::new(SECRET).is_ok());
    }

    #[test]
    fn any_of_the_secrets_opens_and_nothing_else_does() {
        let secrets =
            [MachineSecret::new(SECRET).expect("fit"), MachineSecret::new("the-previous-one").expect("fit")];
        assert!(matches_any(SECRET, &secrets));
        assert!(matches_any("the-previous-one", &secrets));
        for token in ["", "0123456789abcdeF", "0123456789abcdef0", "0123456789abcde"] {
            assert!(!matches_any(token, &secrets), "{token:?}");
        }
        assert!(!matches_any(SECRET, &[]));
    }
}
