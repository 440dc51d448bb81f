//! Which statuses let a customer use what was bought: a setting, as apps differ about it.

use strum::IntoEnumIterator as _;

use crate::stripe::Status;

/// The statuses that grant access (`ACCESS_STATUSES`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access(Vec<Status>);

impl Default for Access {
    /// Trialing, active, and past due, while Stripe still collects.
    fn default() -> Self {
        Self(vec![Status::Trialing, Status::Active, Status::PastDue])
    }
}

impl Access {
    /// The statuses that Stripe's words name.
    pub fn of(words: &[String]) -> Self {
        Self(words.iter().map(|word| Status::of(word)).collect())
    }

    /// Whether the customer may use what was bought.
    pub fn grants(&self, status: &Status) -> bool {
        self.0.contains(status)
    }

    /// The statuses of a row that gives way to a subscription with this one: those that never began or have ended and, if this one
    /// grants access, those that do not.
    pub fn gives_way_to(&self, status: &Status) -> Vec<&'static str> {
        let gives_way = |row: &Status| !row.is_live() || (self.grants(status) && !self.grants(row));
        Status::iter().filter(gives_way).map(Into::into).collect()
    }

    /// Stripe's words for these.
    pub fn words(&self) -> Vec<&'static str> {
        Status::iter().filter(|status| self.grants(status)).map(Into::into).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_grants_access_is_what_the_setting_says() {
        let strict = Access::of(&["active".to_owned(), "trialing".to_owned()]);
        assert_eq!(strict.words(), ["trialing", "active"]);
        assert!(!strict.grants(&Status::PastDue) && Access::default().grants(&Status::PastDue));
    }

    #[test]
    fn a_row_that_gives_access_gives_way_to_nothing() {
        let access = Access::default();
        let dead = ["incomplete", "incomplete_expired", "canceled"];
        assert_eq!(access.gives_way_to(&Status::Active), [&dead[..], &["unpaid", "paused"]].concat());
        assert_eq!(access.gives_way_to(&Status::Unpaid), dead);
    }

    #[test]
    fn the_setting_takes_the_statuses_of_subscriptions_that_live() {
        let config = |words: &str| Config::from_pairs([("ACCESS_STATUSES".to_owned(), words.to_owned())]);
        assert_eq!(Access::of(&config("").access_statuses().unwrap()), Access::default());
        let all = Status::live().join(", ");
        assert_eq!(Access::of(&config(&all).access_statuses().unwrap()).words(), Status::live());
        for words in ["active,", "canceled", "incomplete", "active,hibernating", "Active"] {
            assert!(config(words).access_statuses().is_err(), "{words:?}");
        }
    }
}
