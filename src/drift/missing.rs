//! A subscription without a row, and a row without a subscription.

use serde_json::json;

use super::class::Class;
use super::compare::{
    Comparison, Differ, GRACE_SECONDS, Rules, livemode_mismatch, mode_word, unknown_status,
};
use super::finding::{Finding, Subject};
use super::row::{Fields, Row};
use crate::alerts::severity::Severity;
use crate::stripe::{Status, Subscription};

/// What to do about a subscription that has no row.
#[derive(Clone, Debug)]
pub enum Missing {
    /// It never began or has ended: nobody misses a row for it, and one could stand in the way of the app's own.
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
    if !subscription.status.is_live() && !matches!(subscription.status, Status::Unknown(_)) {
        return Missing::Nothing;
    }
    if subscription.last_known_change(rules.now) > rules.now - GRACE_SECONDS {
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
    let finding = subject.finding(Class::MissingInDatabase, issue, details);
    Missing::Create { finding: Box::new(finding), fields: Box::new(fields), unrepaired: found.unrepaired }
}

/// A row whose subscription Stripe says it does not have: to a key of the other mode it has none of them.
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
        // Nobody has anything by it.
        finding.severity = Severity::Info;
    }
    finding
}

/// The key is of the other mode than the rows: whatever it lists is somebody else's, and what it does not list is no news.
pub fn wrong_mode(livemode: bool) -> Finding {
    let (key, rows) = (mode_word(livemode), mode_word(!livemode));
    let issue = format!("The key is {key}, and the rows are of {rows} subscriptions: nothing was compared.");
    let details = json!({"livemode": {"database": !livemode, "stripe": livemode}});
    let subject = Subject { livemode: Some(livemode), ..Subject::default() };
    let mut finding = subject.finding(Class::LivemodeMismatch, issue, details);
    finding.drift_key = format!("{}:key", Class::LivemodeMismatch.as_str());
    finding
}
