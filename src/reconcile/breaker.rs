//! The circuit breaker: when so much would be taken away that the key or the database must be the wrong one.

use super::sweep::{FRESH_LIMIT, Sweep};

/// Why repairs were held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tripped {
    /// Too many at once.
    TooMany {
        /// Rows that would lose access or that Stripe does not list.
        suspects: u64,
        /// How many would have been believed.
        threshold: u64,
    },
    /// Live and test are mixed.
    MixedModes,
}

/// How many access-lowering repairs and unlisted rows a run accepts: 20, or 5 % of what it scanned if that is more. Beyond
/// that, suspect a wrong key or database.
fn breaker_threshold(scanned: u64) -> u64 {
    (scanned / 20).max(20)
}

/// Whether repairs are held back, and why.
pub(super) fn breaker(sweep: &Sweep) -> Option<Tripped> {
    if sweep.mixed_modes {
        return Some(Tripped::MixedModes);
    }
    let (suspects, threshold) = (sweep.fresh.len() as u64, breaker_threshold(sweep.scanned()));
    (sweep.too_many || suspects > threshold)
        .then(|| Tripped::TooMany { suspects, threshold: threshold.min(FRESH_LIMIT as u64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_breaker_believes_20_or_5_percent() {
        for (scanned, threshold) in
            [(0, 20), (1, 20), (400, 20), (419, 20), (420, 21), (1_000, 50), (100_000, 5_000)]
        {
            assert_eq!(breaker_threshold(scanned), threshold, "{scanned}");
        }
    }
}
