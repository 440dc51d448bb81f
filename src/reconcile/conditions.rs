//! The alerts that follow from a sweep: one for each class of drift, and the circuit breaker's. Pure.

use serde_json::json;
use strum::VariantArray as _;

use super::breaker::Tripped;
use super::tally::{Found, Tally};
use crate::alerts::condition::{Condition, State};
use crate::alerts::severity::Severity;
use crate::drift::class::Class;

/// Judges each class, and the breaker. A class is clear only if the sweep is complete.
pub fn conditions(tally: &Tally, complete: bool, tripped: Option<Tripped>) -> Vec<Condition> {
    let classes = Class::VARIANTS.iter().map(|&class| {
        // With the breaker open no absence was confirmed, so none can be ruled out.
        let judged = complete && !(class == Class::MissingInStripe && tripped.is_some());
        Condition::new(format!("drift_{}", class.as_str()), of_class(class, &tally.of(class), judged))
    });
    let breaker = Condition::new("reconcile_circuit_breaker", of_breaker(complete, tripped));
    classes.chain([breaker]).collect()
}

fn of_class(class: Class, found: &Found, judged: bool) -> State {
    match found.count {
        0 if judged => State::clear("A complete run found none."),
        0 => State::Unknown,
        count => State::Holds {
            severity: class.severity(count),
            message: sentence(class, found),
            metadata: json!({
                "type": class, "count": count, "fixed": found.fixed, "samples": found.samples
            }),
        },
    }
}

fn of_breaker(complete: bool, tripped: Option<Tripped>) -> State {
    let (message, metadata) = match tripped {
        None if complete => return State::clear("A complete run held nothing back."),
        None => return State::Unknown,
        Some(Tripped::TooMany { suspects, threshold }) => (
            format!(
                "Repairs are held back: {suspects} subscriptions would lose access or are not listed by Stripe, more \
                 than {threshold}. Check that STRIPE_SECRET_KEY and the database belong together."
            ),
            json!({"reason": "too_many", "suspects": suspects, "threshold": threshold}),
        ),
        Some(Tripped::MixedModes) => (
            "Repairs are held back: live and test data are mixed. Check that STRIPE_SECRET_KEY and the database belong \
             together."
                .to_owned(),
            json!({"reason": "mixed_modes"}),
        ),
    };
    State::Holds { severity: Severity::Critical, message, metadata }
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
    fn a_class_is_clear_only_after_a_complete_sweep() {
        let mut tally = Tally::default();
        tally.add(Class::StatusMismatch, true, "sub_1");
        for (complete, tripped, absent) in [(true, None, Some(false)), (false, None, None)] {
            let conditions = conditions(&tally, complete, tripped);
            assert_eq!(conditions.len(), Class::VARIANTS.len() + 1);
            assert_eq!(state_of(&conditions, "drift_status_mismatch"), Some(true));
            assert_eq!(state_of(&conditions, "drift_period_mismatch"), absent);
            assert_eq!(state_of(&conditions, "reconcile_circuit_breaker"), absent);
        }
    }

    #[test]
    fn an_open_breaker_is_an_alert_and_leaves_absence_unjudged() {
        for tripped in [Tripped::MixedModes, Tripped::TooMany { suspects: 30, threshold: 20 }] {
            let conditions = conditions(&Tally::default(), true, Some(tripped));
            assert_eq!(state_of(&conditions, "reconcile_circuit_breaker"), Some(true));
            assert_eq!(state_of(&conditions, "drift_missing_in_stripe"), None);
            assert_eq!(state_of(&conditions, "drift_status_mismatch"), Some(false));
        }
    }

    #[test]
    fn alerts_say_how_many_and_how_many_of_them_are_repaired() {
        let mut tally = Tally::default();
        for at in 0..7 {
            tally.add(Class::StatusMismatch, at < 6, &format!("sub_{at}"));
        }
        tally.add(Class::MissingInStripe, false, "sub_x");
        let conditions = conditions(&tally, true, None);
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
