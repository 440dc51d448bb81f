//! Texts that are never printed: the machine secrets, which are compared in constant time, and the secrets that Stripe
//! signs with.

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

/// A machine secret, kept as its SHA-256 hash: all hashes have one length, so comparing two says nothing about the secrets' lengths.
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

/// A secret that Stripe signs events with. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Secret);

/// Why a text cannot be a secret of Stripe's. The words follow the name of the setting, and never hold its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_… as Stripe shows it, or several of these with commas between them")]
pub struct NoSigningSecret;

impl SigningSecret {
    /// Accepts `whsec_` and something after it, printable ASCII without white space
    /// (<https://docs.stripe.com/webhooks#verify-manually>).
    pub fn new(value: &str) -> Result<Self, NoSigningSecret> {
        let rest = value.strip_prefix("whsec_").ok_or(NoSigningSecret)?;
        if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NoSigningSecret);
        }
        Ok(Self(Secret::new(value)))
    }

    /// The key itself, for the one place that signs: the whole text, `whsec_` included. Stripe does not decode what follows, as
    /// Standard Webhooks does.
    pub fn expose(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningSecret([redacted])")
    }
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

    #[test]
    fn a_signing_secret_is_one_of_stripes_and_does_not_show_itself() {
        for value in
            ["", "whsec_", "whsec", "canary", " whsec_a", "whsec_a b", "whsec_a\n", "whsec_é", "WHSEC_a"]
        {
            assert_eq!(SigningSecret::new(value), Err(NoSigningSecret), "{value:?}");
        }
        let secret = SigningSecret::new("whsec_canary").expect("fit");
        assert_eq!(secret.expose(), b"whsec_canary");
        assert!(!format!("{secret:?}").contains("canary"));
    }
}
