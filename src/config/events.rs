//! The settings of Stripe's events, and of how often everything is looked at, event or no event.

use super::values::list;
use super::{Config, SettingError};
use crate::secret::SigningSecret;

/// When the subscription that an event names is looked at. `REPAIR_MODE` says what may be written then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsMode {
    /// A while later: the app's own webhook goes first, and this is the check that it did.
    Verify,
    /// At once: the app leaves its table to billing-ops.
    Apply,
}

impl EventsMode {
    /// The word of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Apply => "apply",
        }
    }
}

impl Config {
    /// What Stripe signs events with: the secrets of `STRIPE_WEBHOOK_SECRET`, then those of its `_PREVIOUS` twin. Each variable may
    /// hold several, separated by commas, because each endpoint has its own. Empty where neither is set; an error that names the
    /// variable where one of them holds something else.
    pub fn stripe_webhook_secrets(&self) -> Result<Vec<SigningSecret>, SettingError> {
        let mut secrets = self.stripe_webhook_secret("STRIPE_WEBHOOK_SECRET")?;
        secrets.extend(self.stripe_webhook_secret("STRIPE_WEBHOOK_SECRET_PREVIOUS")?);
        Ok(secrets)
    }

    /// The secrets of one variable.
    pub(super) fn stripe_webhook_secret(&self, name: &str) -> Result<Vec<SigningSecret>, SettingError> {
        let Some(value) = self.optional(name) else { return Ok(Vec::new()) };
        let secrets = list(value).iter().map(|secret| SigningSecret::new(secret)).collect::<Result<_, _>>();
        secrets.map_err(|unfit| SettingError(format!("{name} {unfit}.")))
    }

    /// When the subscription that an event names is looked at. If it is not set, the app's own webhook goes first.
    pub fn events_mode(&self) -> Result<EventsMode, SettingError> {
        match self.optional("EVENTS_MODE") {
            None | Some("verify") => Ok(EventsMode::Verify),
            Some("apply") => Ok(EventsMode::Apply),
            Some(_) => Err(SettingError("EVENTS_MODE must be verify or apply.".into())),
        }
    }

    /// After how many hours everything must be looked at again: 1 to 720.
    pub fn full_scan_every(&self) -> Result<u32, SettingError> {
        self.number("FULL_SCAN_EVERY_HOURS", 1, 1, 720)
    }

    /// Whether Stripe is asked for the events that did not arrive, so that somebody is told.
    pub fn stripe_delivery_health(&self) -> Result<bool, SettingError> {
        match self.optional("STRIPE_DELIVERY_HEALTH") {
            None | Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(_) => Err(SettingError("STRIPE_DELIVERY_HEALTH must be on or off.".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "STRIPE_WEBHOOK_SECRET";
    const PREVIOUS: &str = "STRIPE_WEBHOOK_SECRET_PREVIOUS";

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn secrets(pairs: &[(&str, &str)]) -> Vec<String> {
        let secrets = config(pairs).stripe_webhook_secrets().expect("right");
        let text = |secret: &SigningSecret| String::from_utf8(secret.expose().to_vec()).expect("ASCII");
        secrets.iter().map(text).collect()
    }

    #[test]
    fn without_a_word_the_defaults_hold() {
        for pairs in [
            &[][..],
            &[
                (SECRET, ""),
                (PREVIOUS, " "),
                ("EVENTS_MODE", ""),
                ("FULL_SCAN_EVERY_HOURS", ""),
                ("STRIPE_DELIVERY_HEALTH", ""),
            ],
        ] {
            let config = config(pairs);
            assert_eq!(config.stripe_webhook_secrets(), Ok(Vec::new()));
            assert_eq!(config.events_mode(), Ok(EventsMode::Verify));
            assert_eq!(config.full_scan_every(), Ok(1));
            assert_eq!(config.stripe_delivery_health(), Ok(true));
            assert_eq!(config.complaints(), [""; 0]);
        }
    }

    #[test]
    fn every_secret_of_both_variables_is_taken() {
        assert_eq!(secrets(&[(SECRET, "whsec_a")]), ["whsec_a"]);
        assert_eq!(secrets(&[(PREVIOUS, "whsec_b")]), ["whsec_b"]);
        let several = [(PREVIOUS, "whsec_c"), (SECRET, " whsec_a ,\twhsec_b\n")];
        assert_eq!(secrets(&several), ["whsec_a", "whsec_b", "whsec_c"]);
    }

    #[test]
    fn a_wrong_secret_is_named_and_never_quoted() {
        for name in [SECRET, PREVIOUS] {
            for value in [
                "canary",
                "whsec_",
                "whsec_a,",
                ",whsec_a",
                "whsec_a,,whsec_b",
                "whsec_a,canary",
                "whsec_a whsec_canary",
                "whsec_canaryé",
                "sk_test_canary",
            ] {
                let config = config(&[(SECRET, "whsec_a"), (PREVIOUS, "whsec_b"), (name, value)]);
                let error = config.stripe_webhook_secrets().expect_err(value);
                assert!(error.0.starts_with(&format!("{name} must be whsec_…")), "{error}");
                assert!(!error.0.contains("canary"), "{error}");
                let wrong: Vec<_> = config.wrong_options().into_iter().map(|(name, _)| name).collect();
                assert_eq!(wrong, [name], "{value}");
            }
        }
    }

    #[test]
    fn words_and_numbers_are_these_and_no_others() {
        for (value, mode) in [("verify", EventsMode::Verify), ("apply", EventsMode::Apply)] {
            assert_eq!(config(&[("EVENTS_MODE", value)]).events_mode(), Ok(mode));
            assert_eq!(mode.as_str(), value);
        }
        for (value, on) in [("on", true), ("off", false)] {
            assert_eq!(config(&[("STRIPE_DELIVERY_HEALTH", value)]).stripe_delivery_health(), Ok(on));
        }
        for value in ["1", "720"] {
            assert!(config(&[("FULL_SCAN_EVERY_HOURS", value)]).full_scan_every().is_ok(), "{value}");
        }
        for (name, values) in [
            ("EVENTS_MODE", ["Apply", "auto", "canary"]),
            ("STRIPE_DELIVERY_HEALTH", ["true", "ON", "canary"]),
            ("FULL_SCAN_EVERY_HOURS", ["0", "721", "canary"]),
        ] {
            for value in values {
                let wrong = config(&[(name, value)]).wrong_options();
                assert_eq!(wrong.len(), 1, "{name} {value}");
                assert!(wrong[0].0 == name && !wrong[0].1.contains("canary"), "{wrong:?}");
            }
        }
    }
}
