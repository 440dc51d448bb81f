//! Subscriptions out of a seed: number i is computed when it is asked for, so that a million need no memory.
//!
//! Everything about subscription i is a function of the seed, i, how many there are and what time it is. Ids hold
//! their index in a scrambled form: a retrieve or a cursor finds its object without a table.

use crate::prices::{PRICES, Price};
use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400;
/// How far back the oldest generated subscription was created: two years.
const HISTORY: i64 = 2 * 365 * DAY;
/// Nothing generated is younger than ten minutes, so that no generated object looks as if its webhook were in flight.
const YOUNGEST: i64 = 600;
const TRIAL: i64 = 14 * DAY;
/// A checkout session is this much older than the subscription that it led to.
const CHECKOUT: i64 = 45;

/// The time that [`Generator::new`] takes for now: 2026-11-23T00:00:00Z.
pub const DEFAULT_NOW: i64 = 1_795_392_000;

/// What a database that agrees with Stripe would hold about one subscription. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionFacts {
    /// `sub_…`.
    pub id: String,
    /// `cus_…`, one for each subscription.
    pub customer: String,
    /// A UUID, one for each subscription; Stripe has it in `metadata.organization_id`.
    pub organization_id: String,
    /// One of Stripe's eight statuses.
    pub status: &'static str,
    /// The id of one of [`PRICES`].
    pub price: &'static str,
    /// Seats.
    pub quantity: u64,
    /// The customer has asked for it to end with the period.
    pub cancel_at_period_end: bool,
    /// When the trial ends or ended, if there was one.
    pub trial_end: Option<i64>,
    /// Of the one item.
    pub current_period_start: i64,
    /// Of the one item.
    pub current_period_end: i64,
    /// When it was created: what lists are ordered by.
    pub created: i64,
    /// Live or test mode.
    pub livemode: bool,
}

/// How the `created` times of the generated subscriptions lie in the two years that they span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// A business that grows steadily: twice as many a day at twice its age.
    #[default]
    Growth,
    /// The same growth in bursts, as after an import: this many at a time share one second.
    Bursts(u32),
}

/// The prefixes of ids that are derived from an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    Subscription,
    Customer,
    Item,
    Invoice,
    PaymentMethod,
    Session,
    Event,
}

impl IdKind {
    /// Prefix and length of what follows it, as in real ids.
    fn form(self, livemode: bool) -> (&'static str, usize) {
        match self {
            Self::Subscription => ("sub_1", 23),
            Self::Customer => ("cus_", 14),
            Self::Item => ("si_", 14),
            Self::Invoice => ("in_1", 23),
            Self::PaymentMethod => ("pm_1", 23),
            Self::Event => ("evt_1", 23),
            Self::Session if livemode => ("cs_live_a1", 56),
            Self::Session => ("cs_test_a1", 56),
        }
    }
}

/// The generated subscriptions of one account, each with the checkout session that it came from.
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    subscriptions: u32,
    now: i64,
    spread: Spread,
    livemode: bool,
}

impl Generator {
    /// `subscriptions` test-mode subscriptions, as of [`DEFAULT_NOW`], in steady growth.
    pub fn new(seed: u64, subscriptions: u32) -> Self {
        Self { seed, subscriptions, now: DEFAULT_NOW, spread: Spread::Growth, livemode: false }
    }

    /// The same as of another time (Unix seconds): what has begun, ended or renewed by then.
    pub fn at(self, now: i64) -> Self {
        Self { now, ..self }
    }

    /// The same with another spread of `created`.
    pub fn spread(self, spread: Spread) -> Self {
        Self { spread, ..self }
    }

    /// The same in live or test mode.
    pub fn livemode(self, livemode: bool) -> Self {
        Self { livemode, ..self }
    }

    /// How many there are; their indexes are `0..len()`.
    pub fn len(&self) -> u32 {
        self.subscriptions
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.subscriptions == 0
    }

    /// Whether the objects are of live mode.
    pub fn is_livemode(&self) -> bool {
        self.livemode
    }

    /// What the objects are made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How the `created` times lie.
    pub fn spread_of_created(&self) -> Spread {
        self.spread
    }

    /// The time that counts as now, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// All facts in the order of their creation.
    pub fn all(&self) -> impl Iterator<Item = SubscriptionFacts> + '_ {
        (0..self.subscriptions).map(|index| self.facts(index))
    }

    /// When subscription `index` was created, in Unix seconds; never decreases as the index grows.
    pub fn created(&self, index: u32) -> i64 {
        let place = match self.spread {
            Spread::Growth => index,
            Spread::Bursts(size) => index - index % size.max(1),
        };
        // Jitter of less than one place keeps the order. sqrt is exact to the last bit everywhere (IEEE 754), so the
        // same seed gives the same times on every machine.
        let jitter = (self.draw(place, 1) >> 11) as f64 / (1u64 << 53) as f64;
        let fraction = ((f64::from(place) + jitter) / f64::from(self.subscriptions.max(1))).sqrt();
        self.now - YOUNGEST - HISTORY + (HISTORY as f64 * fraction) as i64
    }

    /// When the checkout session of subscription `index` was created.
    pub fn session_created(&self, index: u32) -> i64 {
        self.created(index) - CHECKOUT
    }

    /// Everything about subscription `index`, which must be less than [`len`](Self::len).
    pub fn facts(&self, index: u32) -> SubscriptionFacts {
        let created = self.created(index);
        let age = self.now - created;
        let price = self.price(index);
        let length = if price.interval == "year" { 365 * DAY } else { 30 * DAY };
        let (status, trial) = self.status(index, age);
        let trial_end = trial.then_some(created + TRIAL);
        let (current_period_start, current_period_end) = match status {
            "trialing" => (created, created + TRIAL),
            // It ended in one of the periods that it has lived through.
            "canceled" => {
                let periods = (age / length) as u64 + 1;
                let start = created + (self.draw(index, 3) % periods) as i64 * length;
                (start, start + length)
            }
            "incomplete" | "incomplete_expired" => (created, created + length),
            _ => {
                let anchor = trial_end.filter(|end| *end <= self.now).unwrap_or(created);
                let start = anchor + (self.now - anchor) / length * length;
                (start, start + length)
            }
        };
        SubscriptionFacts {
            id: self.id(IdKind::Subscription, index),
            customer: self.id(IdKind::Customer, index),
            organization_id: self.organization_id(index),
            status,
            price: price.id,
            quantity: match self.draw(index, 4) % 10 {
                0..7 => 1,
                7..9 => 2 + self.draw(index, 5) % 8,
                _ => 10 + self.draw(index, 5) % 90,
            },
            cancel_at_period_end: matches!(status, "active" | "trialing")
                && self.draw(index, 6).is_multiple_of(20),
            trial_end,
            current_period_start,
            current_period_end,
            created,
            livemode: self.livemode,
        }
    }

    /// The index of the generated subscription with that id.
    pub fn index_of(&self, id: &str) -> Option<u32> {
        self.index_of_id(IdKind::Subscription, id)
    }

    /// The index of the generated subscription of that customer.
    pub fn index_of_customer(&self, id: &str) -> Option<u32> {
        self.index_of_id(IdKind::Customer, id)
    }

    /// The index whose id of that kind this is.
    pub(crate) fn index_of_id(&self, kind: IdKind, id: &str) -> Option<u32> {
        let body = id.strip_prefix(kind.form(self.livemode).0)?.get(..6)?;
        let mut scrambled: u64 = 0;
        for byte in body.bytes() {
            scrambled = scrambled * 62 + ALPHABET.iter().position(|letter| *letter == byte)? as u64;
        }
        let index = u32::try_from(scrambled).ok()?.wrapping_sub(self.offset(kind)).wrapping_mul(inverse(ODD));
        (index < self.subscriptions && self.id(kind, index) == id).then_some(index)
    }

    /// The id of that kind of subscription `index`.
    pub(crate) fn id(&self, kind: IdKind, index: u32) -> String {
        let (prefix, length) = kind.form(self.livemode);
        let length = prefix.len() + length;
        let mut id = String::with_capacity(length);
        id.push_str(prefix);
        push_base62(&mut id, index.wrapping_mul(ODD).wrapping_add(self.offset(kind)).into(), 6);
        let mut salt = 16 * (kind as u64 + 1);
        while id.len() < length {
            // Ten letters of base 62 are what one 64-bit number fills.
            let digits = (length - id.len()).min(10);
            push_base62(&mut id, self.draw(index, salt), digits);
            salt += 1;
        }
        id
    }

    /// The indexes whose `(time(index), index)` lies in `low..high`, where `time` never decreases.
    pub(crate) fn range(
        &self,
        low: (i64, u64),
        high: (i64, u64),
        time: impl Fn(u32) -> i64,
    ) -> std::ops::Range<u32> {
        let start = partition_point(self.subscriptions, |index| (time(index), u64::from(index)) < low);
        let end = partition_point(self.subscriptions, |index| (time(index), u64::from(index)) < high);
        start..end.max(start)
    }

    /// Status, and whether there was a trial.
    fn status(&self, index: u32, age: i64) -> (&'static str, bool) {
        let roll = self.draw(index, 2) % 1_000;
        if age < TRIAL && roll < 500 {
            return ("trialing", true);
        }
        let trial = age >= TRIAL && roll.is_multiple_of(3);
        let status = match roll {
            0..845 => "active",
            845..885 => "past_due",
            885..970 => "canceled",
            970..980 => "unpaid",
            // A first payment can be made for 23 hours; then the subscription expires.
            980..990 if age < 23 * 3_600 => "incomplete",
            980..990 => "incomplete_expired",
            // Only a trial that ends without a payment method pauses.
            _ if age >= TRIAL => return ("paused", true),
            _ => "active",
        };
        (status, trial && !status.starts_with("incomplete"))
    }

    fn price(&self, index: u32) -> &'static Price {
        match self.draw(index, 7) % 100 {
            0..40 => &PRICES[0],
            40..50 => &PRICES[1],
            50..75 => &PRICES[2],
            75..85 => &PRICES[3],
            85..95 => &PRICES[4],
            _ => &PRICES[5],
        }
    }

    pub(crate) fn organization_id(&self, index: u32) -> String {
        use std::fmt::Write as _;
        // A random (version 4) UUID as in RFC 9562.
        let bits = (u128::from(self.draw(index, 8)) << 64) | u128::from(self.draw(index, 9));
        let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let mut text = String::with_capacity(36);
        write!(text, "{bits:032x}").expect("writing to a String cannot fail");
        for place in [20, 16, 12, 8] {
            text.insert(place, '-');
        }
        text
    }

    /// A number that looks random and depends on nothing but the seed, the index and what it is for.
    pub(crate) fn draw(&self, index: u32, salt: u64) -> u64 {
        mix(mix(self.seed ^ salt.wrapping_mul(0xd6e8_feb8_6659_fd93)).wrapping_add(u64::from(index)))
    }

    fn offset(&self, kind: IdKind) -> u32 {
        mix(self.seed.wrapping_add(kind as u64)) as u32
    }
}

/// An odd factor is a bijection on 32-bit numbers: neighbours get ids that have nothing in common.
const ODD: u32 = 0x9e37_79b1;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The factor that undoes an odd one (Newton's iteration modulo 2^32).
const fn inverse(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

/// The finalizer of splitmix64.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Appends the last `length` digits of `value` in base 62, most significant first.
pub(crate) fn push_base62(out: &mut String, value: u64, length: usize) {
    let mut digits = [0u8; 16];
    let mut rest = value;
    for digit in digits[..length].iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    out.extend(digits[..length].iter().map(|digit| char::from(*digit)));
}

fn partition_point(length: u32, before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
