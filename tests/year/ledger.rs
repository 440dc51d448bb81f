//! Who was wronged, for how long, and by whom.
//!
//! An owner is looked at twice an hour: before the run and after it. Whatever is wrong before it is the webhooks' doing, if one got
//! lost or is under way; the run is there to end it. It is billing-ops' doing if somebody who was right is wrong after a run; if
//! somebody was wrong before a sweep over everything, and is wrong after it; and if every webhook came, the app by itself would be right,
//! and yet the app is wrong.
//!
//! What is left to a person is neither: the entry says so, and the person acts an hour later.

use std::collections::BTreeMap;

use crate::oracle::Wrong;

/// Why somebody is wronged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A webhook was lost, late, or overtaken, and no sweep has been over it since.
    Webhook,
    /// The circuit breaker holds the repair, and a person knows.
    Held,
    /// Only a person can know what is right, and has been told, by an entry of that class.
    Told(String),
    BillingOps(Fault),
}

/// What billing-ops did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A run made wrong what was right.
    WroteWrong,
    /// A sweep over everything, undisturbed, left it wrong.
    LeftWrong,
    /// The app was told of everything, and is wrong only because billing-ops has written before.
    StoodInTheWay,
}

impl Cause {
    pub fn words(&self) -> String {
        match self {
            Self::Webhook => "webhook".to_owned(),
            Self::Held => "held".to_owned(),
            Self::Told(class) => format!("told:{class}"),
            Self::BillingOps(Fault::WroteWrong) => "WROTE WRONG".to_owned(),
            Self::BillingOps(Fault::LeftWrong) => "LEFT WRONG".to_owned(),
            Self::BillingOps(Fault::StoodInTheWay) => "STOOD IN THE WAY".to_owned(),
        }
    }

    pub fn is_billing_ops(&self) -> bool {
        matches!(self, Self::BillingOps(_))
    }
}

/// How it stands with one owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub wrong: Wrong,
    /// When it was first seen.
    pub since: i64,
    pub cause: Cause,
}

/// What is known of an owner at a look.
pub struct Look {
    pub owner: usize,
    pub at: i64,
    pub wrong: Option<Wrong>,
}

#[derive(Default)]
pub struct Ledger {
    standing: BTreeMap<usize, Standing>,
    /// Owner-hours by cause.
    pub hours: BTreeMap<(Cause, Wrong), u64>,
    /// Owner-hours had there been webhooks only.
    pub alone: BTreeMap<Wrong, u64>,
    /// What billing-ops did: how often.
    pub faults: BTreeMap<(Fault, Wrong), u64>,
}

/// What Stripe has just changed is left to the next run for two minutes, and may not be judged by this one.
pub const GRACE: i64 = 130;

impl Ledger {
    /// Before a run. `alone`: what would be wrong by webhooks alone; `untold`: since the last sweep something changed of which the app has
    /// not been told, or too late. Answers what billing-ops did.
    pub fn before(&mut self, look: &Look, alone: Option<Wrong>, untold: bool) -> Option<Fault> {
        if let Some(wrong) = alone {
            *self.alone.entry(wrong).or_default() += 1;
        }
        let Some(wrong) = look.wrong else {
            self.standing.remove(&look.owner);
            return None;
        };
        let new = !self.standing.contains_key(&look.owner);
        let fault = (new && alone.is_none() && !untold).then_some(Fault::StoodInTheWay);
        let cause = fault.map_or(Cause::Webhook, Cause::BillingOps);
        let standing =
            self.standing.entry(look.owner).or_insert_with(|| Standing { wrong, since: look.at, cause });
        standing.wrong = wrong;
        *self.hours.entry((standing.cause.clone(), wrong)).or_default() += 1;
        self.noted(fault, wrong)
    }

    /// After a run. `changed_at`: when Stripe last changed anything of theirs; `sweep`: when the sweep began that this run has ended, if
    /// nothing disturbed it; `entry`: what leaves it to a person. Answers what billing-ops did.
    pub fn after(
        &mut self,
        look: &Look,
        changed_at: i64,
        sweep: Option<i64>,
        entry: Option<Cause>,
    ) -> Option<Fault> {
        let Some(wrong) = look.wrong else {
            self.standing.remove(&look.owner);
            return None;
        };
        let Some(standing) = self.standing.get_mut(&look.owner) else {
            // What changed while the run was at work, its webhook or the next run will tell. And what was right because a row said the
            // same of another subscription may be for a person to say of this one, who has been told.
            let told = entry.filter(|entry| matches!(entry, Cause::Told(_)));
            let fault = (changed_at < look.at && told.is_none()).then_some(Fault::WroteWrong);
            let cause = fault.map(Cause::BillingOps).or(told).unwrap_or(Cause::Webhook);
            self.standing.insert(look.owner, Standing { wrong, since: look.at, cause });
            return self.noted(fault, wrong);
        };
        standing.wrong = wrong;
        let seen = sweep.is_some_and(|began| standing.since <= began && changed_at <= began - GRACE);
        if let Some(entry) = entry.filter(|_| seen) {
            standing.cause = entry;
        } else if seen && !standing.cause.is_billing_ops() {
            standing.cause = Cause::BillingOps(Fault::LeftWrong);
            return self.noted(Some(Fault::LeftWrong), wrong);
        }
        None
    }

    /// Those who wait for a person.
    pub fn waiting(&self) -> Vec<usize> {
        let waits = |standing: &Standing| matches!(standing.cause, Cause::Held | Cause::Told(_));
        self.standing.iter().filter(|(_, standing)| waits(standing)).map(|(owner, _)| *owner).collect()
    }

    pub fn nobody_is_wronged(&self) -> bool {
        self.standing.is_empty()
    }

    fn noted(&mut self, fault: Option<Fault>, wrong: Wrong) -> Option<Fault> {
        if let Some(fault) = fault {
            *self.faults.entry((fault, wrong)).or_default() += 1;
        }
        fault
    }
}
