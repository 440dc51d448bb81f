//! What the account holds: the generated objects, and above them what tests have put, changed or taken away.

use crate::generator::{Generator, IdKind, SubscriptionFacts};
use crate::render;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Where an object stands in a list: by `created`, then by the order of arrival. Lists run from the highest down.
pub(crate) type Key = (i64, u64);

/// Objects that were put come after generated ones of the same second: their sequence starts above every index.
const FIRST_SEQUENCE: u64 = 1 << 32;

/// How many items a subscription shows in itself; the rest is behind `has_more`.
pub(crate) const ITEMS_SHOWN: usize = 10;

/// An object that is kept as JSON.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) object: Value,
    /// All items of a subscription, also those which the object itself does not show.
    pub(crate) items: Vec<Value>,
}

impl Stored {
    /// Keeps the object; the items are those that it shows.
    pub(crate) fn new(object: Value) -> Self {
        let items = object["items"]["data"].as_array().cloned().unwrap_or_default();
        Self { object, items }
    }
}

/// An object of a list, generated or stored.
pub(crate) enum Row<'a> {
    Generated(u32, SubscriptionFacts),
    Stored(&'a Stored),
}

/// What a collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Subscription,
    Session,
    Event,
}

/// All objects of one kind.
#[derive(Debug)]
pub(crate) struct Collection {
    kind: Kind,
    /// Generated objects that were changed, or deleted (`None`).
    changed: HashMap<u32, Option<Stored>>,
    added: BTreeMap<Key, Stored>,
    keys: HashMap<String, Key>,
    next: u64,
}

impl Collection {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            changed: HashMap::new(),
            added: BTreeMap::new(),
            keys: HashMap::new(),
            next: FIRST_SEQUENCE,
        }
    }

    fn index_of(&self, generator: &Generator, id: &str) -> Option<u32> {
        match self.kind {
            Kind::Subscription => generator.index_of(id),
            Kind::Session => generator.index_of_id(IdKind::Session, id),
            Kind::Event => None,
        }
    }

    fn time(&self, generator: &Generator, index: u32) -> i64 {
        match self.kind {
            Kind::Session => generator.session_created(index),
            Kind::Subscription | Kind::Event => generator.created(index),
        }
    }

    /// Where the object of that id stands, if there is one.
    pub(crate) fn key_of(&self, generator: &Generator, id: &str) -> Option<Key> {
        if let Some(key) = self.keys.get(id) {
            return Some(*key);
        }
        let index = self.index_of(generator, id)?;
        let deleted = matches!(self.changed.get(&index), Some(None));
        (!deleted).then(|| (self.time(generator, index), u64::from(index)))
    }

    pub(crate) fn get<'a>(&'a self, generator: &Generator, id: &str) -> Option<Row<'a>> {
        if let Some(key) = self.keys.get(id) {
            return self.added.get(key).map(Row::Stored);
        }
        self.row(generator, self.index_of(generator, id)?)
    }

    fn row<'a>(&'a self, generator: &Generator, index: u32) -> Option<Row<'a>> {
        match self.changed.get(&index) {
            None => Some(Row::Generated(index, generator.facts(index))),
            Some(stored) => stored.as_ref().map(Row::Stored),
        }
    }

    /// Everything stored and, of the generated objects, those that were changed and the one given: the rows that can
    /// match when only one generated object can, without looking at a million.
    pub(crate) fn candidates(&self, index: Option<u32>) -> Vec<u32> {
        let mut candidates: Vec<u32> = self.changed.keys().copied().chain(index).collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// The objects whose keys lie in `low..high`, in either direction; of the generated ones only `candidates`, if
    /// they are given (in ascending order).
    pub(crate) fn walk<'a>(
        &'a self,
        generator: &'a Generator,
        (low, high): (Key, Key),
        descending: bool,
        candidates: Option<Vec<u32>>,
    ) -> Box<dyn Iterator<Item = Row<'a>> + 'a> {
        if low >= high {
            return Box::new(std::iter::empty());
        }
        let range = match self.kind {
            Kind::Event => 0..0,
            Kind::Subscription | Kind::Session => {
                generator.range(low, high, |index| self.time(generator, index))
            }
        };
        let indexes: Box<dyn DoubleEndedIterator<Item = u32>> = match candidates {
            None => Box::new(range),
            Some(candidates) => Box::new(candidates.into_iter().filter(move |index| range.contains(index))),
        };
        let generated = indexes.map(|index| (self.time(generator, index), u64::from(index)));
        let added = self.added.range(low..high).map(|(key, _)| *key);
        let keys: Box<dyn Iterator<Item = Key>> = if descending {
            Box::new(Merged { left: generated.rev().peekable(), right: added.rev().peekable(), descending })
        } else {
            Box::new(Merged { left: generated.peekable(), right: added.peekable(), descending })
        };
        Box::new(keys.filter_map(move |key| match u32::try_from(key.1) {
            Ok(index) => self.row(generator, index),
            Err(_) => self.added.get(&key).map(Row::Stored),
        }))
    }

    /// Puts an object in the place of the one with its id, or as a new one. Says whether it is new.
    ///
    /// An object keeps the place that its first `created` gave it.
    pub(crate) fn put(&mut self, generator: &Generator, stored: Stored) -> Result<bool, String> {
        let id = stored.object["id"].as_str().ok_or("the object needs an id")?.to_owned();
        let created = stored.object["created"].as_i64().ok_or("the object needs a created time")?;
        if let Some(key) = self.keys.get(&id) {
            if key.0 != created {
                return Err("created never changes".to_owned());
            }
            self.added.insert(*key, stored);
            return Ok(false);
        }
        if let Some(index) = self.index_of(generator, &id) {
            if self.time(generator, index) != created {
                return Err("created never changes".to_owned());
            }
            let before = self.changed.insert(index, Some(stored));
            return Ok(matches!(before, Some(None)));
        }
        let key = (created, self.next);
        self.next += 1;
        self.keys.insert(id, key);
        self.added.insert(key, stored);
        Ok(true)
    }

    /// An object that was put, and is none of the generated ones.
    pub(crate) fn stored(&self, id: &str) -> Option<&Stored> {
        self.added.get(self.keys.get(id)?)
    }

    /// The same, to change anything but what it is found by.
    pub(crate) fn stored_mut(&mut self, id: &str) -> Option<&mut Stored> {
        self.added.get_mut(self.keys.get(id)?)
    }

    /// Takes an object away. Says whether there was one.
    pub(crate) fn delete(&mut self, generator: &Generator, id: &str) -> bool {
        if let Some(key) = self.keys.remove(id) {
            return self.added.remove(&key).is_some();
        }
        match self.index_of(generator, id) {
            Some(index) => !matches!(self.changed.insert(index, None), Some(None)),
            None => false,
        }
    }

    /// Appends an object's JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>, generator: &Generator, row: &Row<'_>) {
        match row {
            Row::Generated(index, facts) if self.kind == Kind::Session => {
                render::session(out, generator, *index, facts);
            }
            Row::Generated(index, facts) => render::subscription(out, generator, *index, facts),
            Row::Stored(stored) => {
                serde_json::to_writer_pretty(out, &stored.object).expect("a Value always serializes");
            }
        }
    }

    /// A copy of the object that can be changed and put back.
    pub(crate) fn copy(&self, generator: &Generator, id: &str) -> Option<Stored> {
        let row = self.get(generator, id)?;
        if let Row::Stored(stored) = row {
            return Some(stored.clone());
        }
        let mut json = Vec::new();
        self.write(&mut json, generator, &row);
        Some(Stored::new(serde_json::from_slice(&json).expect("the templates are JSON")))
    }
}

/// Two sorted sequences of keys as one.
struct Merged<L: Iterator, R: Iterator> {
    left: std::iter::Peekable<L>,
    right: std::iter::Peekable<R>,
    descending: bool,
}

impl<L: Iterator<Item = Key>, R: Iterator<Item = Key>> Iterator for Merged<L, R> {
    type Item = Key;

    fn next(&mut self) -> Option<Key> {
        match (self.left.peek(), self.right.peek()) {
            (Some(left), Some(right)) if (left > right) == self.descending => self.left.next(),
            (Some(_), None) => self.left.next(),
            _ => self.right.next(),
        }
    }
}
