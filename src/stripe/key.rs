//! The secret key: a value that never shows itself, and the mode that its prefix names.

use std::fmt;

/// Stripe's two worlds. An object of one does not exist in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Real money.
    Live,
    /// Sandboxes and test mode.
    Test,
}

impl Mode {
    /// The value of `livemode` on every object that a key of this mode can see.
    pub fn livemode(self) -> bool {
        self == Mode::Live
    }
}

/// A Stripe API key. `Debug` shows its prefix only; there is no `Display`.
#[derive(Clone)]
pub struct SecretKey {
    value: String,
    mode: Mode,
}

/// Why a value cannot be a secret key. Says nothing of the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a Stripe secret key begins with sk_live_, sk_test_, rk_live_ or rk_test_ and holds printable ASCII only"
)]
pub struct InvalidKey;

impl SecretKey {
    /// Takes a secret (`sk_`) or restricted (`rk_`) key. Publishable keys cannot read subscriptions and are refused
    /// (<https://docs.stripe.com/keys>).
    pub fn parse(value: &str) -> Result<Self, InvalidKey> {
        let rest = value.strip_prefix("sk_").or_else(|| value.strip_prefix("rk_")).ok_or(InvalidKey)?;
        let (mode, secret) = if let Some(secret) = rest.strip_prefix("live_") {
            (Mode::Live, secret)
        } else if let Some(secret) = rest.strip_prefix("test_") {
            (Mode::Test, secret)
        } else {
            return Err(InvalidKey);
        };
        if secret.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidKey);
        }
        Ok(Self { value: value.to_owned(), mode })
    }

    /// Live or test, by the prefix.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The `Authorization` header, marked as sensitive so that no HTTP library prints it.
    pub(super) fn authorization(&self) -> Result<http::HeaderValue, InvalidKey> {
        let mut header =
            http::HeaderValue::try_from(format!("Bearer {}", self.value)).map_err(|_| InvalidKey)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey({}…)", &self.value[.."sk_live_".len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_names_the_mode() {
        for (key, mode) in [
            ("sk_live_x", Mode::Live),
            ("rk_live_x", Mode::Live),
            ("sk_test_x", Mode::Test),
            ("rk_test_x", Mode::Test),
        ] {
            assert_eq!(SecretKey::parse(key).unwrap().mode(), mode, "{key}");
        }
    }

    #[test]
    fn other_values_are_refused() {
        for key in
            ["", "sk_", "sk_live_", "pk_live_abc", "sk_test_a b", "sk_test_a\n", "sk_prod_abc", "sk_test_ü"]
        {
            assert!(SecretKey::parse(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let key = SecretKey::parse("rk_test_51Canary").unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(rk_test_…)");
        assert!(!format!("{:?}", key.authorization().unwrap()).contains("Canary"));
    }
}
