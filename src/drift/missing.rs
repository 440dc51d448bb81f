//! A subscription without a row, a row without a subscription, and two subscriptions that one row could follow.

use serde_json::json;

use super::class::Class;
use super::compare::{Comparison, Differ, Rules, livemode_mismatch, mode_word, unknown_status};
use super::finding::{Finding, Subject, duplicate_live};
use super::repair::{Action, Follows, Item};
use super::row::{Fields, Row};
use super::shape::Word;
use crate::alerts::severity::Severity;
use crate::stripe::{Status, Subscription};

/// What to do about a subscription that has no row.
#[derive(Clone, Debug)]
pub enum Missing {
    /// It never began or has ended: nobody misses a row for it, and one could stand in the way of the app's own. Or it is another
    /// application's.
    Nothing,
    /// Too young: its webhook may be on its way.
    InGrace,
    /// The row that is missing.
    Create {
        /// Says that it is missing.
        finding: Box<Finding>,
        /// Its columns.
        fields: Box<Fields>,
        /// Differences within Stripe's own data that a person has to judge.
        unrepaired: Vec<Finding>,
    },
    /// It cannot be judged well enough to create a row.
    Leave {
        /// Why.
        finding: Box<Finding>,
    },
}

/// Judges a subscription that has no row. `owner` is the one that Stripe's data names, if any does.
pub fn missing(subscription: &Subscription, owner: Option<String>, rules: Rules<'_>) -> Missing {
    let lives = subscription.status.is_live() || matches!(subscription.status, Status::Unknown(_));
    if !lives || !rules.terms.scope.holds(subscription) {
        return Missing::Nothing;
    }
    if rules.gives_time_to(subscription) {
        return Missing::InGrace;
    }
    let mut subject = Subject::of(subscription, None);
    subject.owner = owner;
    if let Some(finding) = livemode_mismatch(subscription, None, rules, &subject) {
        return Missing::Leave { finding: Box::new(finding) };
    }
    if let Status::Unknown(raw) = &subscription.status {
        let finding = unknown_status(&subject, raw, None);
        return Missing::Leave { finding: Box::new(finding) };
    }
    let empty = Row::default();
    let mut found = Comparison::default();
    let mut differ = Differ { subject: &subject, found: &mut found, rules };
    differ.period(subscription, &empty);
    differ.price(subscription, &empty);
    differ.tier(subscription, &empty);
    let mut fields = found.repair;
    fields.status = Some(subscription.status.as_str().to_owned());
    fields.cancel_at_period_end = subscription.cancel_at_period_end;
    fields.trial_end = subscription.trial_end.filter(|moment| *moment > 0);
    let issue =
        format!("The subscription is {} at Stripe and not in the database.", subscription.status.as_str());
    let details = json!({"status": {"database": null, "stripe": subscription.status.as_str()}});
    let mut finding = subject.finding(Class::MissingInDatabase, issue, details);
    finding.propose(&fields, rules.shape);
    Missing::Create { finding: Box::new(finding), fields: Box::new(fields), unrepaired: found.unrepaired }
}

/// What to do where an owner's one row follows one subscription, and another one has no row.
#[derive(Debug)]
pub enum Contested {
    /// This, at once: the row is pointed at the one that counts, and what only a person can know is recorded; or a person must judge.
    Decided(Vec<Item>),
    /// Nothing: the one without a row is no longer live, or one of the two ends with its period and the row stays till then.
    Nothing,
    /// It cannot be said yet: the row loses access first, or Stripe changed something a moment ago.
    Later,
}

/// Judges a subscription without a row, whose owner has one row that follows another: both as they are now. `followed` is `None` where
/// Stripe does not know that one.
pub fn contested(
    subscription: &Subscription,
    row: &Row,
    followed: Option<&Subscription>,
    rules: Rules<'_>,
) -> Contested {
    let (mut finding, fields, unrepaired) = match missing(subscription, row.owner.clone(), rules) {
        Missing::Create { finding, fields, unrepaired } => (*finding, *fields, unrepaired),
        Missing::InGrace => return Contested::Later,
        Missing::Nothing | Missing::Leave { .. } => return Contested::Nothing,
    };
    let mut refused = |why: String| {
        finding.severity = Severity::Critical;
        let item = Item::record(vec![finding.clone()], None).not_written(Action::Refused, Some(&why));
        Contested::Decided(vec![item])
    };
    let id = &row.stripe_subscription_id;
    let status = row.status.as_deref().map(Status::of);
    let Some(followed) = followed else {
        return refused(format!("the owner's one row follows {id}, which Stripe does not know"));
    };
    if row.odd.is_some() || !status.as_ref().is_some_and(|status| !matches!(status, Status::Unknown(_))) {
        return refused(format!(
            "the owner's one row follows {id} and does not say one of Stripe's statuses"
        ));
    }
    // One that ends with its period makes room by itself.
    let ends = |subscription: &Subscription| subscription.cancel_at_period_end == Some(true);
    let grants = |status: &Status| rules.terms.access.grants(status);
    let (here, there) = (&subscription.status, &followed.status);
    if there.is_live() && (grants(there) || !grants(here)) {
        if ends(subscription) || ends(followed) {
            return Contested::Nothing;
        }
        let owner = row.owner.clone().unwrap_or_default();
        let both = [id.clone(), subscription.id.clone()];
        return Contested::Decided(vec![Item::record(vec![duplicate_live(owner, &both)], None)]);
    }
    // A move gives access, or leaves it as it is; what takes access away is done elsewhere.
    if status.as_ref().is_some_and(grants) && !grants(here) {
        return Contested::Later;
    }
    let follows =
        Follows { customer: subscription.customer.clone(), stripe_subscription_id: subscription.id.clone() };
    let mut items = vec![Item::move_to(row, follows, fields, finding)];
    if !unrepaired.is_empty() {
        items.push(Item::record(unrepaired, None));
    }
    Contested::Decided(items)
}

/// A row that would lose access while its customer has others that grant it but have no row: the app would lock out somebody who pays.
pub fn replaced(subscription: &Subscription, row: &Row, others: &[String], rules: Rules<'_>) -> Finding {
    let status = row.status.as_deref().unwrap_or("nothing");
    let issue = format!(
        "The database says {status}, Stripe says {}, and the customer has another subscription, without a row, that grants access.",
        subscription.status.as_str()
    );
    let column = rules.shape.column(Word::Status).unwrap_or("status");
    let shown: Vec<&String> = others.iter().take(20).collect();
    let details = json!({
        column: {"database": row.status, "stripe": subscription.status.as_str()},
        "other_subscriptions": shown,
    });
    let mut finding =
        Subject::of(subscription, Some(row)).finding(Class::ReplacedSubscription, issue, details);
    finding.lowers_access = true;
    finding
}

/// A row whose subscription Stripe says it does not have. To a key of the other mode, Stripe says so of every row.
pub fn missing_in_stripe(row: &Row, rules: Rules<'_>) -> Finding {
    let subject = Subject { livemode: Some(rules.livemode != row.other_mode), ..Subject::of_row(row) };
    if row.other_mode {
        let issue = format!(
            "Live and test are mixed: the key is {}, the row {}.",
            mode_word(rules.livemode),
            mode_word(!rules.livemode)
        );
        let details = json!({"livemode": {"database": !rules.livemode, "stripe": null}});
        return subject.finding(Class::LivemodeMismatch, issue, details);
    }
    let status = row.status.as_deref().unwrap_or("nothing");
    let issue = format!("The database says {status}, and Stripe does not know the subscription.");
    let details = json!({"status": {"database": row.status, "stripe": null}});
    let mut finding = subject.finding(Class::MissingInStripe, issue, details);
    if !row.status.as_deref().is_some_and(|status| rules.terms.access.grants(&Status::of(status))) {
        // Nobody has access through it.
        finding.severity = Severity::Info;
    }
    finding
}

/// The key is not of the rows' mode: whatever it lists is somebody else's, and what it does not list means nothing.
pub fn wrong_mode(livemode: bool) -> Finding {
    let (key, rows) = (mode_word(livemode), mode_word(!livemode));
    let issue = format!("The key is {key}, and the rows are of {rows} subscriptions: nothing was compared.");
    let details = json!({"livemode": {"database": !livemode, "stripe": livemode}});
    let subject = Subject { livemode: Some(livemode), ..Subject::default() };
    let mut finding = subject.finding(Class::LivemodeMismatch, issue, details);
    finding.drift_key = format!("{}:key", Class::LivemodeMismatch.as_str());
    finding
}
