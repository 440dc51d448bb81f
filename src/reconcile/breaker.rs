//! The circuit breaker: it trips when so much would be taken away or made, or is missing at Stripe, that a key, a setting or the
//! database must be the wrong one.

use super::progress::FRESH_LIMIT;

/// Why something was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tripped {
    /// Too many subscriptions would lose access at once, so none of them does.
    Lowering {
        /// Subscriptions that would lose access.
        suspects: u64,
        /// The most that would have been believed.
        threshold: u64,
    },
    /// Stripe does not list too many of the rows: only some of them are looked up.
    Unlisted {
        /// Rows that it does not list.
        suspects: u64,
        /// The most that would have been believed.
        threshold: u64,
    },
    /// Too many rows would be made at once, so none is.
    Creations {
        /// Rows that would be made.
        suspects: u64,
        /// The most that would have been believed.
        threshold: u64,
    },
    /// The key is of the other mode than the rows: nothing was compared.
    WrongMode,
}

/// How many may lose access in a run: three, or 5 % of the rows that grant it, whichever is more. Rows that grant none say nothing
/// about how many customers there are.
pub(super) fn lowering(suspects: u64, granting: u64) -> Option<Tripped> {
    let threshold = (granting / 20).max(3);
    (suspects > threshold).then_some(Tripped::Lowering { suspects, threshold })
}

/// How many rows may be missing at Stripe: 20, or 5 % of those that grant access, whichever is more. `more`: there are more than
/// were counted.
pub(super) fn unlisted(suspects: usize, more: bool, granting: u64) -> Option<Tripped> {
    let (suspects, threshold) = (suspects as u64, (granting / 20).max(20));
    (more || suspects > threshold).then_some(Tripped::Unlisted { suspects, threshold })
}

/// How many rows may be made in a sweep: likewise 20 or 5 %, but no more than a cursor should carry.
pub(super) fn creations(suspects: u64, granting: u64) -> Option<Tripped> {
    let threshold = (granting / 20).clamp(20, FRESH_LIMIT as u64);
    (suspects > threshold).then_some(Tripped::Creations { suspects, threshold })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_or_5_percent_of_those_who_pay_may_lose_access_at_once() {
        for (granting, most) in [(0, 3), (15, 3), (79, 3), (80, 4), (8_000, 400)] {
            assert_eq!(lowering(most, granting), None, "{granting}");
            let tripped = Tripped::Lowering { suspects: most + 1, threshold: most };
            assert_eq!(lowering(most + 1, granting), Some(tripped), "{granting}");
        }
    }

    #[test]
    fn twenty_or_5_percent_may_be_missing_on_either_side() {
        for (granting, most) in [(0, 20), (400, 20), (420, 21), (8_000, 400)] {
            assert_eq!(unlisted(most, false, granting), None, "{granting}");
            assert!(unlisted(most + 1, false, granting).is_some(), "{granting}");
            assert!(unlisted(most, true, granting).is_some(), "{granting}");
            assert_eq!(creations(most as u64, granting), None, "{granting}");
            assert!(creations(most as u64 + 1, granting).is_some(), "{granting}");
        }
    }
}
