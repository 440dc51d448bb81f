//! The circuit breaker: when so much would be taken away that the key or the database must be the wrong one.

use super::plan::{Tripped, breaker_threshold};
use super::sweep::{FRESH_LIMIT, Sweep};

/// Whether repairs are held back, and why.
pub(super) fn breaker(sweep: &Sweep) -> Option<Tripped> {
    if sweep.mixed_modes {
        return Some(Tripped::MixedModes);
    }
    let (suspects, threshold) = (sweep.fresh.len() as u64, breaker_threshold(sweep.scanned()));
    (sweep.too_many || suspects > threshold)
        .then(|| Tripped::TooMany { suspects, threshold: threshold.min(FRESH_LIMIT as u64) })
}
