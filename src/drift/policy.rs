//! Who decides about a repair: nobody yet, a person, or the run itself. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use super::class::Class;
use super::finding::Finding;
use super::repair::{Action, Item, ItemKind};

/// What may follow from a difference, from the least to the most.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = RepairMode)]
pub enum Mode {
    /// It is put on record.
    #[default]
    Observe,
    /// A person decides about each.
    Approve,
    /// The run repairs it.
    Auto,
}

/// The mode of each class of drift, never above what the setting allows (`REPAIR_MODE`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    ceiling: Mode,
    stored: BTreeMap<Class, Mode>,
    unread: bool,
}

impl Policy {
    /// `ceiling`: the setting. `stored`: what people have set in the database, by class; `None` where that cannot be read. A class that
    /// nobody has set is as the setting says; a word that is not known here counts as `observe`.
    pub fn new(ceiling: Mode, stored: Option<&BTreeMap<String, String>>) -> Self {
        let modes = stored
            .into_iter()
            .flatten()
            .filter_map(|(class, mode)| Some((class.parse().ok()?, mode.parse().unwrap_or(Mode::Observe))));
        Self { ceiling, stored: modes.collect(), unread: stored.is_none() }
    }

    /// The mode that counts for a class: the lower of the setting and what people have set.
    pub fn of(&self, class: Class) -> Mode {
        let stored = if self.unread { Mode::Observe } else { Mode::Auto };
        self.ceiling.min(self.stored.get(&class).copied().unwrap_or(stored))
    }
}

impl Policy {
    /// Whether every class is repaired.
    pub fn allows_everything(&self) -> bool {
        Class::VARIANTS.iter().all(|class| self.of(*class) == Mode::Auto)
    }

    /// Whether any class is repaired.
    pub fn allows_something(&self) -> bool {
        Class::VARIANTS.iter().any(|class| class.is_repairable() && self.of(*class) == Mode::Auto)
    }
}

/// What a run may write, by policy and by what people have said about single differences.
#[derive(Clone, Copy, Debug)]
pub struct Say<'a, E> {
    /// The mode of each class.
    pub policy: &'a Policy,
    /// Whether a person lets the difference of this key stand.
    pub excepted: E,
}

impl<E: Fn(&str) -> bool> Say<'_, E> {
    /// What is done instead of a difference's repair; `None`: the repair is made.
    pub fn instead(&self, finding: &Finding) -> Option<Action> {
        if (self.excepted)(&finding.drift_key) {
            return Some(Action::Excepted);
        }
        match self.policy.of(finding.class) {
            Mode::Auto => None,
            Mode::Approve => Some(Action::Waiting),
            Mode::Observe => Some(Action::Observed),
        }
    }

    /// Splits an item into what may be written and what is only put on record.
    pub fn split(&self, item: Item) -> Vec<Item> {
        let held = item.kind == ItemKind::None && item.action == Some(Action::Held);
        match item.kind {
            ItemKind::None if !held => vec![item],
            ItemKind::None => self.records(item.findings, Some(Action::Held)),
            ItemKind::Create if item.action.is_some() => vec![item],
            // One difference, and all that is to be written belongs to it.
            ItemKind::Create => vec![self.whole(item)],
            ItemKind::Update if item.moves() => vec![self.whole(item)],
            ItemKind::Update => self.fields(item),
        }
    }

    fn whole(&self, item: Item) -> Item {
        match item.findings.first().and_then(|finding| self.instead(finding)) {
            Some(action) => Item { postponed: false, ..item }.not_written(action, None),
            None => item,
        }
    }

    /// Writes those of a row's columns whose class may be repaired, including what is refreshed without being drift.
    fn fields(&self, mut item: Item) -> Vec<Item> {
        let findings = std::mem::take(&mut item.findings);
        let (written, left): (Vec<Finding>, Vec<Finding>) =
            findings.into_iter().partition(|finding| self.instead(finding).is_none());
        item.findings = written;
        item.keep_fields(|class| {
            self.policy.of(class) == Mode::Auto && !left.iter().any(|finding| finding.class == class)
        });
        let mut items = self.records(left, None);
        if item.sets_something() {
            items.push(item);
        }
        items
    }

    /// Records for what is not written, an item for each action. `otherwise`: the action where a class may be repaired.
    fn records(&self, findings: Vec<Finding>, otherwise: Option<Action>) -> Vec<Item> {
        let mut by_action: Vec<(Option<Action>, Vec<Finding>)> = Vec::new();
        for finding in findings {
            let action = self.instead(&finding).or(otherwise);
            match by_action.iter_mut().find(|(of, _)| *of == action) {
                Some((_, findings)) => findings.push(finding),
                None => by_action.push((action, vec![finding])),
            }
        }
        by_action.into_iter().map(|(action, findings)| Item::record(findings, action)).collect()
    }
}

#[cfg(test)]
mod tests;
