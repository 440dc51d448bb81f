//! How a subscription at Stripe and its row in the database differ, and what the row would have to say instead.
//! Pure: values in, values out.
//!
//! Rules that hold everywhere:
//! - An unknown or missing value at Stripe never replaces a known one in the database.
//! - What the app does not map is never looked at; what it maps but does not keep itself is refreshed, and is not drift.
//! - A row that is odd, or whose status is a word of the app's own, is left to a person.
//! - A tier comes from the prices, by the price map or a price's metadata; a price that neither knows becomes no tier. The
//!   subscription's own metadata can fill an empty tier and never change one.
//! - Price and quantity are those of the item whose price the row has, or of the only item; otherwise nobody can know.
//! - What Stripe is known to have changed within [`GRACE_SECONDS`] is left to the next run: its webhook may be under way.
//! - What would lower a customer's access is marked: it is applied only after a fresh read. That is a status that no
//!   longer grants access, fewer seats, another tier (tiers have no order that this program could know), and a period
//!   that is suddenly over.

use serde_json::{Map, Value, json};

use super::class::Class;
use super::finding::{Finding, Subject};
use super::row::{Fields, Row};
use super::shape::{Shape, Word};
use super::terms::Terms;
use super::tiers::Tier;
use crate::alerts::severity::Severity;
use crate::stripe::{Status, Subscription};

/// How many seconds a webhook may take before a difference counts as drift.
pub const GRACE_SECONDS: i64 = 120;

/// What a comparison depends on, besides the two sides.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What the app's table has, and what may be written of it.
    pub shape: &'a Shape,
    /// How this deployment reads Stripe's data.
    pub terms: &'a Terms,
    /// Whether the key is a live one.
    pub livemode: bool,
    /// Unix seconds.
    pub now: i64,
    /// How many seconds the app's own webhook is given: [`GRACE_SECONDS`], or none where it has been waited for already.
    pub grace: i64,
}

impl Rules<'_> {
    /// Whether Stripe is known to have changed it so recently that the app's own webhook may be under way.
    pub(super) fn gives_time_to(&self, subscription: &Subscription) -> bool {
        self.grace > 0 && subscription.last_known_change(self.now) > self.now - self.grace
    }
}

/// What came of comparing one subscription with its row.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Differences that `repair` removes.
    pub repaired: Vec<Finding>,
    /// Differences that a person has to judge.
    pub unrepaired: Vec<Finding>,
    /// What the row should say; without findings this only refreshes what the app does not keep itself.
    pub repair: Fields,
    /// The classes whose repair takes something away from the customer, drift or not.
    pub lowers: Vec<Class>,
    /// There are differences, but Stripe changed something a moment ago.
    pub in_grace: bool,
}

impl Comparison {
    /// Whether there is drift.
    pub fn differs(&self) -> bool {
        !self.repaired.is_empty() || !self.unrepaired.is_empty()
    }
}

/// Compares a subscription with its row.
pub fn compare(subscription: &Subscription, row: &Row, rules: Rules<'_>) -> Comparison {
    let mut found = Comparison::default();
    let subject = Subject::of(subscription, Some(row));
    if let Some(finding) = livemode_mismatch(subscription, Some(row), rules, &subject) {
        return Comparison { unrepaired: vec![finding], ..Comparison::default() };
    }
    if let Some(odd) = &row.odd {
        return Comparison { unrepaired: vec![subject.malformed_row(odd)], ..Comparison::default() };
    }
    if let Some(named) = &row.other_owner {
        // Whose access would be raised or lowered? Nothing is touched until somebody knows.
        let issue = "Stripe's metadata and the row name different owners.".to_owned();
        let details = json!({"owner": {"database": row.owner, "stripe": named}});
        let finding = subject.finding(Class::OrganizationMismatch, issue, details);
        return Comparison { unrepaired: vec![finding], ..Comparison::default() };
    }
    let mut differ = Differ { subject: &subject, found: &mut found, rules };

    differ.status(subscription, row);
    differ.period(subscription, row);
    differ.field(
        Class::CancelAtPeriodEndMismatch,
        Word::CancelAtPeriodEnd,
        row.cancel_at_period_end,
        subscription.cancel_at_period_end,
        |repair, value| repair.cancel_at_period_end = Some(value),
    );
    let trial_end = subscription.trial_end.filter(|moment| *moment > 0);
    differ.field(Class::TrialEndMismatch, Word::TrialEnd, row.trial_end, trial_end, |repair, value| {
        repair.trial_end = Some(value);
    });
    differ.price(subscription, row);
    differ.tier(subscription, row);
    differ.customer(subscription, row);

    for finding in &mut found.repaired {
        finding.lowers_access = found.lowers.contains(&finding.class);
        finding.propose(&found.repair, rules.shape);
    }
    if found.differs() && rules.gives_time_to(subscription) {
        return Comparison { in_grace: true, ..Comparison::default() };
    }
    found
}

pub(super) fn mode_word(livemode: bool) -> &'static str {
    if livemode { "live" } else { "test" }
}

pub(super) fn livemode_mismatch(
    subscription: &Subscription,
    row: Option<&Row>,
    rules: Rules<'_>,
    subject: &Subject,
) -> Option<Finding> {
    let stripe = subscription.livemode.unwrap_or(rules.livemode);
    let database = rules.livemode != row.is_some_and(|row| row.other_mode);
    if stripe == rules.livemode && database == stripe {
        return None;
    }
    let issue = format!(
        "Live and test are mixed: the key is {}, the subscription {}, the row {}.",
        mode_word(rules.livemode),
        mode_word(stripe),
        mode_word(database)
    );
    let details = json!({"livemode": {"database": database, "stripe": stripe}});
    Some(subject.finding(Class::LivemodeMismatch, issue, details))
}

pub(super) fn unknown_status(subject: &Subject, raw: &str, database: Option<&str>) -> Finding {
    let shown: String = raw.chars().take(40).collect();
    let issue = format!("Stripe gives a status that is not known here: \"{shown}\".");
    subject.finding(Class::UnknownStatus, issue, json!({"status": {"database": database, "stripe": shown}}))
}

/// Collects the differences of one subscription.
pub(super) struct Differ<'a> {
    pub(super) subject: &'a Subject,
    pub(super) found: &'a mut Comparison,
    pub(super) rules: Rules<'a>,
}

impl Differ<'_> {
    fn status(&mut self, subscription: &Subscription, row: &Row) {
        let stripe = &subscription.status;
        let database = row.status.as_deref().unwrap_or_default();
        if let Status::Unknown(raw) = stripe {
            self.found.unrepaired.push(unknown_status(self.subject, raw, Some(database)));
            return;
        }
        if stripe.as_str() == database {
            return;
        }
        let before = Status::of(database);
        if matches!(before, Status::Unknown(_)) {
            let shown: String = database.chars().take(40).collect();
            let issue = format!("The database gives a status that is not one of Stripe's: \"{shown}\".");
            let details = json!({self.name(Word::Status): {"database": shown, "stripe": stripe.as_str()}});
            self.found.unrepaired.push(self.subject.finding(Class::UnknownStatus, issue, details));
            return;
        }
        let issue = format!("The status is {} at Stripe and {database} in the database.", stripe.as_str());
        self.differs(
            Class::StatusMismatch,
            issue,
            &[(Word::Status, json!(database), json!(stripe.as_str()))],
        );
        self.found.repair.status = Some(stripe.as_str().to_owned());
        let access = &self.rules.terms.access;
        if access.grants(&before) != access.grants(stripe)
            && let Some(finding) = self.found.repaired.last_mut()
        {
            // Somebody who pays is locked out, or somebody who does not is in.
            finding.severity = Severity::Critical;
        }
        if access.grants(&before) && !access.grants(stripe) {
            self.found.lowers.push(Class::StatusMismatch);
        }
    }

    pub(super) fn period(&mut self, subscription: &Subscription, row: &Row) {
        if self.rules.shape.column(Word::PeriodStart).or(self.rules.shape.column(Word::PeriodEnd)).is_none() {
            return;
        }
        if subscription.has_mixed_periods() {
            let issue = "Its items have different periods; the database has room for one.".to_owned();
            let periods: Vec<Value> = subscription
                .items
                .data
                .iter()
                .take(20)
                .map(|item| json!([item.current_period_start, item.current_period_end]))
                .collect();
            let details = json!({"item_periods": {"database": null, "stripe": periods}});
            self.found.unrepaired.push(self.subject.finding(Class::MixedItemPeriods, issue, details));
            return;
        }
        let period = subscription.period();
        let mut differences = Vec::new();
        if let Some(start) = self.another(Word::PeriodStart, row.period_start, period.start) {
            differences.push((Word::PeriodStart, json!(row.period_start), json!(start)));
            self.found.repair.period_start = Some(start);
        }
        if let Some(end) = self.another(Word::PeriodEnd, row.period_end, period.end) {
            differences.push((Word::PeriodEnd, json!(row.period_end), json!(end)));
            self.found.repair.period_end = Some(end);
            let now = self.rules.now;
            let over = end <= now && row.period_end.is_some_and(|before| before > now);
            if over && self.rules.terms.access.grants(&subscription.status) {
                self.found.lowers.push(Class::PeriodMismatch);
            }
        }
        self.differs(
            Class::PeriodMismatch,
            "The billing period differs from Stripe's.".to_owned(),
            &differences,
        );
    }

    /// The row has room for one price, which says which item the row is about; without it, the row is about the only item. The quantity
    /// is that item's, too, unless the mapping says whose it is.
    pub(super) fn price(&mut self, subscription: &Subscription, row: &Row) {
        let items = &subscription.items.data;
        let of = |id: &str| items.iter().find(|item| item.price.as_ref().is_some_and(|price| price.id == id));
        let own = match (row.price.as_deref().and_then(of), items.as_slice()) {
            (Some(item), _) => Some(item),
            (None, [item]) => Some(item),
            (None, _) => None,
        };
        let counted = match &self.rules.shape.quantity_prices {
            None => own,
            Some(prices) => prices.iter().find_map(|price| of(price)),
        };
        let asks_for_own = self.rules.shape.column(Word::Price).is_some()
            || (self.rules.shape.column(Word::Quantity).is_some()
                && self.rules.shape.quantity_prices.is_none());
        if own.is_none() && !items.is_empty() && asks_for_own {
            let issue =
                "It has several items, and none of them is known to be the one that the row is about.";
            let prices: Vec<Option<&str>> = items
                .iter()
                .take(20)
                .map(|item| item.price.as_ref().map(|price| price.id.as_str()))
                .collect();
            let details =
                json!({self.name(Word::Price): {"database": row.price, "stripe": null}, "prices": prices});
            self.found.unrepaired.push(self.subject.finding(
                Class::AmbiguousItems,
                issue.to_owned(),
                details,
            ));
        }
        let price = own.and_then(|item| item.price.as_ref()).map(|price| price.id.clone());
        self.field(Class::PriceMismatch, Word::Price, row.price.clone(), price, |repair, value| {
            repair.price = Some(value);
        });
        // A number beyond what any app's integer could hold is not a number of seats.
        let quantity =
            counted.and_then(|item| item.quantity).filter(|quantity| i32::try_from(*quantity).is_ok());
        self.field(Class::QuantityMismatch, Word::Quantity, row.quantity, quantity, |repair, value| {
            repair.quantity = Some(value);
        });
        let seats = (row.quantity, self.found.repair.quantity);
        if matches!(seats, (Some(before), Some(after)) if after < before) {
            self.found.lowers.push(Class::QuantityMismatch);
        }
    }

    /// Tiers matter, and are judged, while a subscription lives: what the application does to the tier of one that
    /// ended is its own business.
    pub(super) fn tier(&mut self, subscription: &Subscription, row: &Row) {
        let tiers = &self.rules.terms.tiers;
        if !subscription.status.is_live() || self.rules.shape.column(Word::Tier).is_none() {
            return;
        }
        let prices: Vec<&str> = subscription
            .items
            .data
            .iter()
            .filter_map(|item| item.price.as_ref().map(|price| price.id.as_str()))
            .take(20)
            .collect();
        match tiers.of(subscription) {
            Tier::Known(tier) => {
                if row.tier.as_ref().is_some_and(|before| *before != tier) {
                    self.found.lowers.push(Class::TierMismatch);
                }
                self.field(Class::TierMismatch, Word::Tier, row.tier.clone(), Some(tier), |repair, value| {
                    repair.tier = Some(value);
                });
            }
            Tier::Hinted(_) if row.tier.is_some() => {}
            Tier::Hinted(tier) => {
                self.field(Class::TierMismatch, Word::Tier, None, Some(tier), |repair, value| {
                    repair.tier = Some(value);
                });
            }
            // With no price configured at all, tiers are not managed from here.
            Tier::Unknown if tiers.is_empty() => {}
            unclear => {
                let issue = match unclear {
                    Tier::Ambiguous => "Its prices belong to different tiers.".to_owned(),
                    _ => "No tier is configured for its price.".to_owned(),
                };
                let details =
                    json!({self.name(Word::Tier): {"database": row.tier, "stripe": null}, "prices": prices});
                self.found.unrepaired.push(self.subject.finding(Class::UnknownPrice, issue, details));
            }
        }
    }

    fn customer(&mut self, subscription: &Subscription, row: &Row) {
        let Some(database) = row.customer.as_ref().filter(|id| **id != subscription.customer) else {
            return;
        };
        let issue = "Stripe and the database name different customers.".to_owned();
        let details =
            json!({self.name(Word::Customer): {"database": database, "stripe": subscription.customer}});
        self.found.unrepaired.push(self.subject.finding(Class::CustomerMismatch, issue, details));
    }

    /// Compares one word by itself.
    fn field<T: PartialEq + Clone>(
        &mut self,
        class: Class,
        word: Word,
        database: Option<T>,
        stripe: Option<T>,
        repair: impl FnOnce(&mut Fields, T),
    ) where
        Value: From<T>,
    {
        let Some(stripe) = self.another(word, database.clone(), stripe) else { return };
        let (before, after) = (database.map_or(Value::Null, Value::from), Value::from(stripe.clone()));
        let issue = format!(
            "{} is {} at Stripe and {} in the database.",
            self.name(word),
            plain(&after),
            plain(&before)
        );
        self.differs(class, issue, &[(word, before, after)]);
        repair(&mut self.found.repair, stripe);
    }

    /// What Stripe says, where the word is mapped and the row says something else.
    fn another<T: PartialEq>(&self, word: Word, database: Option<T>, stripe: Option<T>) -> Option<T> {
        self.rules.shape.column(word)?;
        stripe.filter(|stripe| database.as_ref() != Some(stripe))
    }

    /// The app's own name for it: what people know it by.
    fn name(&self, word: Word) -> &str {
        self.rules.shape.column(word).unwrap_or(word.into())
    }

    /// Notes a difference that a repair removes, as far as it is in words that the app keeps itself.
    fn differs(&mut self, class: Class, issue: String, differences: &[(Word, Value, Value)]) {
        let details: Map<String, Value> = differences
            .iter()
            .filter(|(word, ..)| self.rules.shape.keeps(*word))
            .map(|(word, database, stripe)| {
                (self.name(*word).to_owned(), json!({"database": database, "stripe": stripe}))
            })
            .collect();
        if !details.is_empty() {
            self.found.repaired.push(self.subject.finding(class, issue, Value::Object(details)));
        }
    }
}

/// A value in a sentence.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.chars().take(80).collect(),
        other => other.to_string(),
    }
}
