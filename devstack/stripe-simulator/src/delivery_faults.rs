//! What goes wrong between Stripe and a webhook endpoint. All chance comes from a seed, so that it can be had again.

use crate::generator::mix;
use serde::{Deserialize, Serialize};

/// What becomes of deliveries by chance. What is not given does not happen.
///
/// Whether an attempt is late or doubled is decided when it sets off, and whether it arrives when it is due. Whom it
/// befalls depends on the seed, the event's place among those that endpoints could hear of, the endpoint and the
/// attempt: the same events meet the same faults, however fast the machine is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryFaults {
    /// The part of attempts, 0 to 1, that never arrives while Stripe believes that it did: it is not tried again.
    pub lose: f64,
    /// The part of attempts that never arrives, and Stripe knows: the event is pending, and tried again.
    pub fail: f64,
    /// The part of attempts that arrives twice.
    pub double: f64,
    /// Each attempt comes late by a number of milliseconds from the first to the second.
    pub delay: (u64, u64),
    /// With delays: each comes when its own is over, so that later events overtake earlier ones. Without it, an event
    /// waits until those before it have been sent.
    pub reorder: bool,
    /// What chance is made from.
    pub seed: u64,
}

/// What an attempt is known by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    pub(crate) event: u64,
    pub(crate) endpoint: u64,
    pub(crate) attempt: u32,
    pub(crate) copy: bool,
}

/// What befalls an attempt on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Lost,
    Failed,
}

impl DeliveryFaults {
    /// What is wrong with it, in a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        let parts = [self.lose, self.fail, self.double];
        if !parts.iter().all(|part| (0.0..=1.0).contains(part)) || self.lose + self.fail > 1.0 {
            return Err("lose, fail and double are parts of one".to_owned());
        }
        if self.delay.0 > self.delay.1 {
            return Err("a delay goes from the shorter to the longer".to_owned());
        }
        if self.reorder && self.delay.0 == self.delay.1 {
            return Err("only delays that differ reorder anything".to_owned());
        }
        Ok(())
    }

    pub(crate) fn fate(&self, draw: Draw) -> Fate {
        let chance = self.part(draw, 1);
        if chance < self.lose {
            Fate::Lost
        } else if chance < self.lose + self.fail {
            Fate::Failed
        } else {
            Fate::Arrives
        }
    }

    pub(crate) fn doubles(&self, draw: Draw) -> bool {
        self.part(draw, 2) < self.double
    }

    /// In milliseconds.
    pub(crate) fn delay(&self, draw: Draw) -> i64 {
        let (shortest, longest) = self.delay;
        let width = (longest - shortest).saturating_add(1);
        i64::try_from(shortest + self.number(draw, 3) % width).unwrap_or(i64::MAX / 4)
    }

    fn number(&self, draw: Draw, salt: u64) -> u64 {
        let of_attempt = (u64::from(draw.attempt) << 1) | u64::from(draw.copy);
        [draw.event, draw.endpoint, of_attempt, salt]
            .iter()
            .fold(self.seed, |sum, part| mix(sum ^ mix(*part)))
    }

    /// From 0 to 1, without 1.
    fn part(&self, draw: Draw, salt: u64) -> f64 {
        (self.number(draw, salt) >> 11) as f64 / (1u64 << 53) as f64
    }
}
