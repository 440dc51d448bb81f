//! How a subscription at Stripe and its row in the database differ, and what the row would have to say instead.
//! Pure: values in, values out.
//!
//! Rules that hold everywhere:
//! - An unknown or missing value at Stripe never replaces a known one in the database.
//! - A tier comes from the price map or metadata; a price that neither knows becomes no tier.
//! - What Stripe is known to have changed within [`GRACE_SECONDS`] is left to the next run: its webhook may be under way.
//! - What would lower a customer's access is marked: it is applied only after a fresh read. That is a status that no
//!   longer grants access, fewer seats, another tier (tiers have no order that this program could know), and a period
//!   that is suddenly over.

use serde_json::{Map, Value, json};

use super::class::Class;
use super::finding::{Finding, Subject};
use super::row::{Fields, Row};
use super::tiers::{Tier, Tiers};
use crate::stripe::{Status, Subscription};

/// How many seconds a webhook may take before a difference counts as drift.
pub const GRACE_SECONDS: i64 = 120;

/// What a comparison is made by, beside the two sides.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Price to tier.
    pub tiers: &'a Tiers,
    /// Whether the key is a live one.
    pub livemode: bool,
    /// Unix seconds.
    pub now: i64,
}

/// What came of comparing one subscription with its row.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Differences that `repair` removes.
    pub repaired: Vec<Finding>,
    /// Differences that a person has to judge.
    pub unrepaired: Vec<Finding>,
    /// What the row should say; without findings this only completes columns that were never filled.
    pub repair: Fields,
    /// Whether the repair takes something away from the customer.
    pub lowers_access: bool,
    /// There are differences, but Stripe changed something a moment ago.
    pub in_grace: bool,
    /// The row, Stripe's object and the key are not all live or all test.
    pub mixed_modes: bool,
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
        return Comparison { unrepaired: vec![finding], mixed_modes: true, ..Comparison::default() };
    }
    // A row that no run has looked at yet may lack what earlier schemas had no columns for. That is not drift.
    let first_look = row.stripe_created.is_none();
    let mut differ = Differ { subject: &subject, found: &mut found, first_look };

    differ.status(subscription, row);
    differ.period(subscription, row, rules.now);
    differ.field(
        Class::CancelAtPeriodEndMismatch,
        "cancel_at_period_end",
        row.cancel_at_period_end,
        subscription.cancel_at_period_end,
        |repair, value| repair.cancel_at_period_end = Some(value),
    );
    let trial_end = subscription.trial_end.filter(|moment| *moment > 0);
    differ.field(Class::TrialEndMismatch, "trial_end", row.trial_end, trial_end, |repair, value| {
        repair.trial_end = Some(value.into());
    });
    differ.price(subscription, row);
    differ.tier(subscription, row, rules.tiers);
    differ.customer(subscription, row);
    differ.complete(subscription, row);

    for finding in &mut found.repaired {
        finding.lowers_access = found.lowers_access;
    }
    if found.differs() && subscription.last_known_change(rules.now) > rules.now - GRACE_SECONDS {
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
    let database = row.and_then(|row| row.livemode).unwrap_or(stripe);
    if stripe == rules.livemode && database == stripe {
        return None;
    }
    let issue = format!(
        "Live and test are mixed: the key is {}, the subscription {}, the row {}.",
        mode_word(rules.livemode),
        mode_word(stripe),
        mode_word(database)
    );
    let details = json!({"livemode": {"database": row.and_then(|row| row.livemode), "stripe": stripe}});
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
    pub(super) first_look: bool,
}

impl Differ<'_> {
    fn status(&mut self, subscription: &Subscription, row: &Row) {
        let stripe = &subscription.status;
        if let Status::Unknown(raw) = stripe {
            self.found.unrepaired.push(unknown_status(self.subject, raw, Some(&row.status)));
            return;
        }
        if stripe.as_str() == row.status {
            return;
        }
        let issue =
            format!("The status is {} at Stripe and {} in the database.", stripe.as_str(), row.status);
        self.repairable(
            Class::StatusMismatch,
            issue,
            &[("status", json!(row.status), json!(stripe.as_str()))],
        );
        self.found.repair.status = Some(stripe.as_str().to_owned());
        self.found.lowers_access |=
            Status::of(row.status.as_str()).grants_access() && !stripe.grants_access();
    }

    pub(super) fn period(&mut self, subscription: &Subscription, row: &Row, now: i64) {
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
        if let Some(start) = period.start.filter(|start| row.current_period_start != Some(*start)) {
            differences.push(("current_period_start", json!(row.current_period_start), json!(start)));
            self.found.repair.current_period_start = Some(start.into());
        }
        if let Some(end) = period.end.filter(|end| row.current_period_end != Some(*end)) {
            differences.push(("current_period_end", json!(row.current_period_end), json!(end)));
            self.found.repair.current_period_end = Some(end.into());
            let over = end <= now && row.current_period_end.is_some_and(|before| before > now);
            self.found.lowers_access |= over && subscription.status.grants_access();
        }
        if !differences.is_empty() {
            let issue = "The billing period differs from Stripe's.".to_owned();
            self.repairable(Class::PeriodMismatch, issue, &differences);
        }
    }

    /// The row has room for one price: that of the first item.
    pub(super) fn price(&mut self, subscription: &Subscription, row: &Row) {
        let Some(item) = subscription.items.data.first() else { return };
        if let Some(price) = &item.price {
            let before = row.stripe_price_id.clone();
            self.field(
                Class::PriceMismatch,
                "stripe_price_id",
                before,
                Some(price.id.clone()),
                |repair, value| {
                    repair.stripe_price_id = Some(value);
                },
            );
        }
        let quantity = item.quantity.and_then(|quantity| i32::try_from(quantity).ok());
        self.field(Class::QuantityMismatch, "quantity", row.quantity, quantity, |repair, value| {
            repair.quantity = Some(value);
        });
        self.found.lowers_access |=
            matches!((row.quantity, quantity), (Some(before), Some(after)) if after < before);
    }

    /// Tiers matter, and are judged, while a subscription lives: what the application does to the tier of one that
    /// ended is its own business.
    pub(super) fn tier(&mut self, subscription: &Subscription, row: &Row, tiers: &Tiers) {
        if !subscription.status.is_live() {
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
                self.found.lowers_access |= row.tier.as_ref().is_some_and(|before| *before != tier);
                self.field(Class::TierMismatch, "tier", row.tier.clone(), Some(tier), |repair, value| {
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
                let details = json!({"tier": {"database": row.tier, "stripe": null}, "prices": prices});
                self.found.unrepaired.push(self.subject.finding(Class::UnknownPrice, issue, details));
            }
        }
    }

    fn customer(&mut self, subscription: &Subscription, row: &Row) {
        let Some(database) = row.stripe_customer_id.as_ref().filter(|id| **id != subscription.customer)
        else {
            return;
        };
        let issue = "Stripe and the database name different customers.".to_owned();
        let details = json!({"stripe_customer_id": {"database": database, "stripe": subscription.customer}});
        self.found.unrepaired.push(self.subject.finding(Class::CustomerMismatch, issue, details));
    }

    /// Fills in what does not count as drift: where the subscription belongs in time, and its mode.
    pub(super) fn complete(&mut self, subscription: &Subscription, row: &Row) {
        if row.stripe_created != Some(subscription.created) {
            self.found.repair.stripe_created = Some(subscription.created.into());
        }
        if row.livemode.is_none() {
            self.found.repair.livemode = subscription.livemode;
        }
    }

    /// A column of later schemas: filled in silently at the first look, drift afterwards.
    fn field<T: PartialEq + Clone>(
        &mut self,
        class: Class,
        column: &'static str,
        database: Option<T>,
        stripe: Option<T>,
        repair: impl FnOnce(&mut Fields, T),
    ) where
        Value: From<T>,
    {
        let Some(stripe) = stripe.filter(|stripe| database.as_ref() != Some(stripe)) else { return };
        if database.is_some() || !self.first_look {
            let (before, after) = (database.map_or(Value::Null, Value::from), Value::from(stripe.clone()));
            let issue =
                format!("{column} is {} at Stripe and {} in the database.", plain(&after), plain(&before));
            self.repairable(class, issue, &[(column, before, after)]);
        }
        repair(&mut self.found.repair, stripe);
    }

    fn repairable(&mut self, class: Class, issue: String, differences: &[(&str, Value, Value)]) {
        let details: Map<String, Value> = differences
            .iter()
            .map(|(column, database, stripe)| {
                ((*column).to_owned(), json!({"database": database, "stripe": stripe}))
            })
            .collect();
        self.found.repaired.push(self.subject.finding(class, issue, Value::Object(details)));
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
