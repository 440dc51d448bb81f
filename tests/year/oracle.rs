//! The oracle: who has paid, from what happened at Stripe and from nothing else, and what the app makes of it.

use crate::app::Row;
use crate::company::Company;

/// What an owner is entitled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Nothing,
    One {
        tier: &'static str,
        seats: u64,
    },
    /// Two at the same time: they must be let in, and nobody can say with which.
    Several,
}

/// In what the app is wrong about an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    LockedOut,
    LetIn,
    Tier,
    Seats,
}

impl Wrong {
    pub const ALL: [Self; 4] = [Self::LockedOut, Self::LetIn, Self::Tier, Self::Seats];

    pub fn words(self) -> &'static str {
        match self {
            Self::LockedOut => "pays and is locked out",
            Self::LetIn => "does not pay and is let in",
            Self::Tier => "has the wrong tier",
            Self::Seats => "has the wrong seats",
        }
    }
}

pub fn truth(company: &Company<'_>, owner: usize) -> Truth {
    let mut granting = company.of(owner).filter(|(_, subscription)| subscription.grants());
    match (granting.next(), granting.next()) {
        (None, _) => Truth::Nothing,
        (Some((_, one)), None) => Truth::One { tier: one.tier(), seats: one.seats },
        (Some(_), Some(_)) => Truth::Several,
    }
}

/// An owner gets in by any row of theirs, so each of these must say the right thing.
pub fn judge<'r>(truth: Truth, rows: impl Iterator<Item = &'r Row>) -> Option<Wrong> {
    let granting: Vec<&Row> = rows.filter(|row| row.grants()).collect();
    match (truth, granting.is_empty()) {
        (Truth::Nothing, true) => None,
        (Truth::Nothing, false) => Some(Wrong::LetIn),
        (_, true) => Some(Wrong::LockedOut),
        (Truth::Several, false) => None,
        (Truth::One { tier, seats }, false) => {
            if granting.iter().any(|row| row.tier.as_deref() != Some(tier)) {
                Some(Wrong::Tier)
            } else if granting.iter().any(|row| row.seats != Some(seats as i64)) {
                Some(Wrong::Seats)
            } else {
                None
            }
        }
    }
}
