//! The alerts that follow from a sweep: one for each class of drift, and the circuit breaker's. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strum::VariantArray as _;

use super::breaker::Tripped;
use super::tally::{Found, Tally};
use crate::alerts::condition::{Condition, State};
use crate::alerts::severity::Severity;
use crate::drift::class::Class;

/// Judges each class, and the breaker. A class is clear only if the sweep is complete, nothing was held back, and nothing of it that stands
/// was left unjudged (`kept`).
pub fn conditions(
    tally: &Tally,
    complete: bool,
    kept: &BTreeSet<Class>,
    tripped: &[Tripped],
) -> Vec<Condition> {
    let judged = |class| complete && tripped.is_empty() && !kept.contains(&class);
    let classes = Class::VARIANTS.iter().map(|&class| {
        Condition::new(format!("drift_{}", class.as_str()), of_class(class, &tally.of(class), judged(class)))
    });
    let breaker = Condition::new("reconcile_circuit_breaker", of_breaker(complete, tripped));
    classes.chain([breaker]).collect()
}

fn of_class(class: Class, found: &Found, judged: bool) -> State {
    match found.count {
        0 if judged => State::clear("A complete run found none."),
        0 => State::Unknown,
        count => State::Holds {
            severity: severity(class, found),
            message: sentence(class, found),
            metadata: json!({
                "type": class, "count": count, "fixed": found.fixed, "samples": found.samples
            }),
        },
    }
}

/// As bad as the worst difference that stands, and at least a warning if much was put right.
fn severity(class: Class, found: &Found) -> Severity {
    let fixed = if found.fixed >= class.worth_a_warning() { Severity::Warning } else { Severity::Info };
    found.worst.map_or(fixed, |worst| worst.max(fixed))
}

fn of_breaker(complete: bool, tripped: &[Tripped]) -> State {
    if tripped.is_empty() {
        return if complete { State::clear("A complete run held nothing back.") } else { State::Unknown };
    }
    let (sentences, reasons): (Vec<String>, Vec<Value>) = tripped.iter().map(told).unzip();
    let message = format!(
        "{} Check that STRIPE_SECRET_KEY, PRICE_TIERS and the database belong together.",
        sentences.join(" ")
    );
    State::Holds { severity: Severity::Critical, message, metadata: json!({"held": reasons}) }
}

/// What tripped, in a sentence, and the numbers behind it.
fn told(tripped: &Tripped) -> (String, Value) {
    match tripped {
        Tripped::Lowering { suspects, threshold } => (
            format!(
                "{suspects} subscriptions would lose access at once, more than {threshold}: none of them does."
            ),
            json!({"reason": "lowering", "suspects": suspects, "threshold": threshold}),
        ),
        Tripped::Unlisted { suspects, threshold } => (
            format!("Stripe does not list {suspects} subscriptions that have a row, more than {threshold}."),
            json!({"reason": "unlisted", "suspects": suspects, "threshold": threshold}),
        ),
        Tripped::Creations { suspects, threshold } => (
            format!("{suspects} rows would be made at once, more than {threshold}: none of them is."),
            json!({"reason": "creations", "suspects": suspects, "threshold": threshold}),
        ),
        Tripped::WrongMode => (
            "The key and the rows are of different modes, live and test: nothing was compared.".to_owned(),
            json!({"reason": "wrong_mode"}),
        ),
    }
}

fn sentence(class: Class, found: &Found) -> String {
    let phrase = class.phrase(found.count);
    match found.fixed {
        0 => format!("{phrase}."),
        fixed if fixed == found.count => format!("{phrase}; repaired."),
        fixed => format!("{phrase}; {fixed} repaired."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(conditions: &[Condition], key: &str) -> Option<bool> {
        conditions.iter().find(|condition| condition.alert_key == key).unwrap().holds()
    }

    #[test]
    fn a_class_is_clear_only_after_a_complete_sweep_that_held_nothing_back() {
        let mut tally = Tally::default();
        tally.add(Class::StatusMismatch, None, "sub_1");
        let held = [Tripped::Lowering { suspects: 30, threshold: 3 }];
        for (complete, tripped, absent, breaker) in [
            (true, &[][..], Some(false), Some(false)),
            (false, &[], None, None),
            (true, &held, None, Some(true)),
            (true, &[Tripped::WrongMode], None, Some(true)),
        ] {
            let conditions = conditions(&tally, complete, &BTreeSet::new(), tripped);
            assert_eq!(conditions.len(), Class::VARIANTS.len() + 1);
            assert_eq!(state_of(&conditions, "drift_status_mismatch"), Some(true));
            assert_eq!(state_of(&conditions, "drift_period_mismatch"), absent);
            assert_eq!(state_of(&conditions, "reconcile_circuit_breaker"), breaker);
        }
    }

    #[test]
    fn an_alert_is_as_bad_as_its_worst_member_that_stands() {
        let severity_of = |class, fixed, standing: &[Severity]| {
            let mut tally = Tally::default();
            (0..fixed).for_each(|_| tally.add(class, None, "sub"));
            standing.iter().for_each(|severity| tally.add(class, Some(*severity), "sub"));
            severity(class, &tally.of(class))
        };
        for (class, fixed, standing, expected) in [
            (Class::StatusMismatch, 10, &[][..], Severity::Info),
            (Class::StatusMismatch, 11, &[], Severity::Warning),
            (Class::StatusMismatch, 1, &[Severity::Warning], Severity::Warning),
            (Class::MissingInDatabase, 5, &[], Severity::Info),
            (Class::MissingInDatabase, 600, &[], Severity::Warning),
            (Class::MissingInDatabase, 0, &[Severity::Critical], Severity::Critical),
            (Class::MissingInStripe, 0, &[Severity::Info; 30], Severity::Info),
            (Class::MissingInStripe, 0, &[Severity::Info, Severity::Critical], Severity::Critical),
        ] {
            assert_eq!(severity_of(class, fixed, standing), expected, "{class:?} {fixed} {standing:?}");
        }
    }

    #[test]
    fn alerts_say_how_many_and_how_many_of_them_are_repaired() {
        let mut tally = Tally::default();
        for at in 0..7 {
            tally.add(Class::StatusMismatch, (at == 6).then_some(Severity::Warning), &format!("sub_{at}"));
        }
        tally.add(Class::MissingInStripe, Some(Severity::Critical), "sub_x");
        let conditions = conditions(&tally, true, &BTreeSet::new(), &[]);
        let json = |key: &str| {
            let condition = conditions.iter().find(|condition| condition.alert_key == key).unwrap();
            serde_json::to_value(condition).unwrap()
        };
        let message = |key: &str| json(key)["message"].as_str().unwrap().to_owned();
        assert_eq!(message("drift_status_mismatch"), "7 subscriptions had a different status; 6 repaired.");
        assert_eq!(
            message("drift_missing_in_stripe"),
            "1 row names a subscription that Stripe does not know."
        );
        assert_eq!(json("drift_status_mismatch")["metadata"]["samples"].as_array().unwrap().len(), 5);
    }
}
