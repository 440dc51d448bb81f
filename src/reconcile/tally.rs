//! How often each class of drift was found in a sweep.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alerts::severity::Severity;
use crate::drift::class::Class;

/// How often each class was found in a sweep, with a few examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally(BTreeMap<Class, Found>);

/// One class of a tally.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Differences.
    pub count: u64,
    /// Of these, repaired or created.
    pub fixed: u64,
    /// The worst of those that are not.
    #[serde(default)]
    pub worst: Option<Severity>,
    /// A few subscriptions (or organizations), as examples.
    pub samples: Vec<String>,
}

/// How many are named as examples.
const SAMPLES: usize = 5;

impl Tally {
    /// Counts one difference. `standing`: how bad it is, unless it has been put right.
    pub fn add(&mut self, class: Class, standing: Option<Severity>, sample: &str) {
        let found = self.0.entry(class).or_default();
        found.count += 1;
        found.fixed += u64::from(standing.is_none());
        found.worst = found.worst.max(standing);
        if found.samples.len() < SAMPLES {
            found.samples.push(sample.to_owned());
        }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: Tally) {
        for (class, part) in other.0 {
            let found = self.0.entry(class).or_default();
            found.count += part.count;
            found.fixed += part.fixed;
            found.worst = found.worst.max(part.worst);
            found.samples.extend(part.samples);
            found.samples.truncate(SAMPLES);
        }
    }

    /// The classes of which something was found.
    pub fn classes(&self) -> impl Iterator<Item = Class> {
        self.0.keys().copied()
    }

    /// The same without what was put right.
    pub fn without_fixed(mut self) -> Self {
        for found in self.0.values_mut() {
            found.count -= found.fixed.min(found.count);
            found.fixed = 0;
        }
        self
    }

    /// What was found of a class.
    pub fn of(&self, class: Class) -> Found {
        self.0.get(&class).cloned().unwrap_or_default()
    }

    /// Differences of a class.
    pub fn count(&self, class: Class) -> u64 {
        self.0.get(&class).map_or(0, |found| found.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tally_survives_the_cursor() {
        let mut tally = Tally::default();
        tally.add(Class::UnknownPrice, Some(Severity::Warning), "sub_1");
        let saved = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&saved).unwrap(), tally);
    }
}
