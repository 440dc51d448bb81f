//! Every class of drift, and every rule about what is left alone, as a table.

use serde_json::{Value, json};
use uuid::Uuid;

use super::class::Class;
use super::compare::{Comparison, Rules, compare};
use super::finding::Finding;
use super::missing::{Missing, missing, missing_in_stripe};
use super::row::{Fields, Moment, Row};
use super::tiers::Tiers;
use crate::stripe::Subscription;

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn subscription(fields: Value) -> Subscription {
    let mut object = json!({
        "id": "sub_1", "status": "active", "customer": "cus_1", "created": NOW - 100 * DAY, "livemode": true,
        "cancel_at_period_end": false,
        "items": {"data": [{
            "id": "si_1", "price": {"id": "price_pro"}, "quantity": 3,
            "current_period_start": NOW - 10 * DAY, "current_period_end": NOW + 20 * DAY,
        }]},
    });
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_str(&object.to_string()).unwrap()
}

fn item(fields: Value) -> Value {
    let mut item = json!({
        "id": "si_1", "price": {"id": "price_pro"}, "quantity": 3,
        "current_period_start": NOW - 10 * DAY, "current_period_end": NOW + 20 * DAY,
    });
    item.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    item
}

/// The row that agrees with `subscription(json!({}))`.
fn row() -> Row {
    Row {
        id: Uuid::from_u128(1),
        row_version: 7,
        organization_id: Uuid::from_u128(2),
        stripe_subscription_id: "sub_1".into(),
        stripe_customer_id: Some("cus_1".into()),
        status: "active".into(),
        tier: Some("pro".into()),
        stripe_price_id: Some("price_pro".into()),
        quantity: Some(3),
        current_period_start: Some(NOW - 10 * DAY),
        current_period_end: Some(NOW + 20 * DAY),
        cancel_at_period_end: Some(false),
        trial_end: None,
        livemode: Some(true),
        stripe_created: Some(NOW - 100 * DAY),
        changed_ago_ms: None,
    }
}

fn tiers() -> Tiers {
    Tiers::new([("price_pro".to_owned(), "pro".to_owned()), ("price_team".to_owned(), "team".to_owned())])
}

fn compared(stripe: Value, change: impl FnOnce(&mut Row)) -> Comparison {
    let mut row = row();
    change(&mut row);
    compare(&subscription(stripe), &row, Rules { tiers: &tiers(), livemode: true, now: NOW })
}

fn kinds(findings: &[Finding]) -> Vec<Class> {
    findings.iter().map(|finding| finding.class).collect()
}

#[test]
fn what_agrees_needs_nothing() {
    let found = compared(json!({}), |_| ());
    assert!(found.repair.is_empty() && found.repaired.is_empty() && found.unrepaired.is_empty());
}

type Case = (&'static str, Value, fn(&mut Row), Class, Fields, bool);

#[test]
fn each_repairable_difference_is_found_and_repaired() {
    let none = Fields::default;
    let cases: Vec<Case> = vec![
        (
            "canceled there, active here",
            json!({"status": "canceled"}),
            |_| (),
            Class::StatusMismatch,
            Fields { status: Some("canceled".into()), ..none() },
            true,
        ),
        (
            "active there, canceled here",
            json!({}),
            |row| row.status = "canceled".into(),
            Class::StatusMismatch,
            Fields { status: Some("active".into()), ..none() },
            false,
        ),
        (
            "past due keeps its access",
            json!({"status": "past_due"}),
            |_| (),
            Class::StatusMismatch,
            Fields { status: Some("past_due".into()), ..none() },
            false,
        ),
        (
            "unpaid has lost it",
            json!({"status": "unpaid"}),
            |row| row.status = "trialing".into(),
            Class::StatusMismatch,
            Fields { status: Some("unpaid".into()), ..none() },
            true,
        ),
        (
            "renewed",
            json!({}),
            |row| {
                row.current_period_start = Some(NOW - 40 * DAY);
                row.current_period_end = Some(NOW - 10 * DAY);
            },
            Class::PeriodMismatch,
            Fields {
                current_period_start: Some(Moment(NOW - 10 * DAY)),
                current_period_end: Some(Moment(NOW + 20 * DAY)),
                ..none()
            },
            false,
        ),
        (
            "the epoch in the row",
            json!({}),
            |row| row.current_period_end = Some(0),
            Class::PeriodMismatch,
            Fields { current_period_end: Some(Moment(NOW + 20 * DAY)), ..none() },
            false,
        ),
        (
            "a period that is suddenly over",
            json!({"items": {"data": [item(json!({"current_period_end": NOW - DAY}))]}}),
            |_| (),
            Class::PeriodMismatch,
            Fields { current_period_end: Some(Moment(NOW - DAY)), ..none() },
            true,
        ),
        (
            "ends with the period",
            json!({"cancel_at_period_end": true}),
            |_| (),
            Class::CancelAtPeriodEndMismatch,
            Fields { cancel_at_period_end: Some(true), ..none() },
            false,
        ),
        (
            "trial",
            json!({"trial_end": NOW + DAY}),
            |_| (),
            Class::TrialEndMismatch,
            Fields { trial_end: Some(Moment(NOW + DAY)), ..none() },
            false,
        ),
        (
            "more seats",
            json!({"items": {"data": [item(json!({"quantity": 4}))]}}),
            |_| (),
            Class::QuantityMismatch,
            Fields { quantity: Some(4), ..none() },
            false,
        ),
        (
            "fewer seats",
            json!({"items": {"data": [item(json!({"quantity": 2}))]}}),
            |_| (),
            Class::QuantityMismatch,
            Fields { quantity: Some(2), ..none() },
            true,
        ),
        (
            "another price of the same tier",
            json!({}),
            |row| row.stripe_price_id = Some("price_pro_old".into()),
            Class::PriceMismatch,
            Fields { stripe_price_id: Some("price_pro".into()), ..none() },
            false,
        ),
        (
            "another tier",
            json!({}),
            |row| row.tier = Some("team".into()),
            Class::TierMismatch,
            Fields { tier: Some("pro".into()), ..none() },
            true,
        ),
        (
            "no tier yet",
            json!({}),
            |row| row.tier = None,
            Class::TierMismatch,
            Fields { tier: Some("pro".into()), ..none() },
            false,
        ),
    ];
    for (name, stripe, change, kind, repair, lowers) in cases {
        let found = compared(stripe, change);
        assert_eq!(kinds(&found.repaired), [kind], "{name}");
        assert_eq!(found.repair, repair, "{name}");
        assert_eq!(found.lowers_access, lowers, "{name}");
        assert!(found.unrepaired.is_empty(), "{name}");
        assert_eq!(found.repaired[0].drift_key, format!("{}:sub_1", kind.as_str()));
        assert_eq!(found.repaired[0].owner, Some(Uuid::from_u128(2)));
    }
}

#[test]
fn each_difference_that_a_person_has_to_judge_is_found_and_left_alone() {
    let two_periods = json!({"items": {"data": [
        item(json!({})),
        item(json!({"id": "si_2", "price": null, "current_period_end": NOW + 300 * DAY})),
    ]}});
    let two_tiers =
        json!({"items": {"data": [item(json!({})), item(json!({"price": {"id": "price_team"}}))]}});
    let other_price = json!({"items": {"data": [item(json!({"price": {"id": "price_new"}}))]}});
    type Case = (&'static str, Value, fn(&mut Row), Class);
    let cases: [Case; 6] = [
        ("customer", json!({"customer": "cus_2"}), |_| (), Class::CustomerMismatch),
        ("unknown status", json!({"status": "hibernating"}), |_| (), Class::UnknownStatus),
        ("periods", two_periods, |_| (), Class::MixedItemPeriods),
        ("tiers", two_tiers, |_| (), Class::UnknownPrice),
        ("price", other_price, |row| row.stripe_price_id = Some("price_new".into()), Class::UnknownPrice),
        ("live and test", json!({"livemode": false}), |_| (), Class::LivemodeMismatch),
    ];
    for (name, stripe, change, kind) in cases {
        let found = compared(stripe, change);
        assert_eq!(kinds(&found.unrepaired), [kind], "{name}");
        assert!(found.repair.is_empty() && found.repaired.is_empty(), "{name}: {:?}", found.repair);
        assert_eq!(found.mixed_modes, kind == Class::LivemodeMismatch, "{name}");
    }
}

#[test]
fn a_row_of_the_other_mode_is_not_repaired_whatever_else_differs() {
    let found = compared(json!({"status": "canceled"}), |row| row.livemode = Some(false));
    assert_eq!(kinds(&found.unrepaired), [Class::LivemodeMismatch]);
    assert!(found.repair.is_empty() && found.mixed_modes);
}

#[test]
fn an_unknown_price_changes_the_price_and_no_tier() {
    let found = compared(json!({"items": {"data": [item(json!({"price": {"id": "price_new"}}))]}}), |_| ());
    assert_eq!(kinds(&found.repaired), [Class::PriceMismatch]);
    assert_eq!(kinds(&found.unrepaired), [Class::UnknownPrice]);
    assert_eq!(found.repair.tier, None);
}

#[test]
fn nothing_unknown_replaces_something_known() {
    for stripe in [
        json!({"items": {"data": []}, "cancel_at_period_end": null, "livemode": null}),
        json!({"items": {"data": [item(json!({
            "quantity": null, "current_period_start": null, "current_period_end": 0,
        }))]}, "trial_end": null}),
    ] {
        let found = compared(stripe.clone(), |row| row.trial_end = Some(NOW + DAY));
        assert!(found.repair.is_empty(), "{stripe}: {:?}", found.repair);
        assert!(found.repaired.is_empty());
    }
}

#[test]
fn a_tier_comes_from_the_map_then_the_price_then_the_subscription() {
    let price = |price: Value| json!({"items": {"data": [item(json!({"price": price}))]}});
    let with_own = |mut stripe: Value| {
        stripe["metadata"] = json!({"tier": "own"});
        stripe
    };
    for (stripe, tier) in [
        (with_own(price(json!({"id": "price_team", "metadata": {"tier": "x"}}))), "team"),
        (with_own(price(json!({"id": "price_new", "metadata": {"tier": "enterprise"}}))), "enterprise"),
        (with_own(price(json!({"id": "price_new"}))), "own"),
    ] {
        assert_eq!(compared(stripe.clone(), |_| ()).repair.tier.as_deref(), Some(tier), "{stripe}");
    }
}

#[test]
fn without_configured_prices_tiers_are_left_alone() {
    let rules = Rules { tiers: &Tiers::default(), livemode: true, now: NOW };
    let found = compare(&subscription(json!({})), &row(), rules);
    assert!(found.unrepaired.is_empty() && found.repair.is_empty());
}

#[test]
fn the_tier_of_an_ended_subscription_is_not_judged() {
    let found = compared(json!({"status": "canceled"}), |row| {
        row.status = "canceled".into();
        row.tier = Some("free".into());
    });
    assert!(found.repair.is_empty() && found.repaired.is_empty());
}

#[test]
fn the_first_look_fills_in_new_columns_without_calling_it_drift() {
    let found = compared(json!({"trial_end": NOW - 50 * DAY}), |row| {
        row.stripe_created = None;
        row.stripe_price_id = None;
        row.quantity = None;
        row.cancel_at_period_end = None;
        row.livemode = None;
    });
    assert!(found.repaired.is_empty() && found.unrepaired.is_empty());
    assert_eq!(
        found.repair,
        Fields {
            stripe_price_id: Some("price_pro".into()),
            quantity: Some(3),
            cancel_at_period_end: Some(false),
            trial_end: Some(Moment(NOW - 50 * DAY)),
            livemode: Some(true),
            stripe_created: Some(Moment(NOW - 100 * DAY)),
            ..Fields::default()
        }
    );
}

#[test]
fn what_changed_a_moment_ago_is_left_to_the_next_run() {
    for (name, stripe) in [
        ("canceled", json!({"status": "canceled", "canceled_at": NOW - 60})),
        ("renewed", json!({"items": {"data": [item(json!({"current_period_start": NOW - 5}))]}})),
        ("trial over", json!({"status": "past_due", "trial_end": NOW - 119})),
        ("new", json!({"status": "past_due", "created": NOW - 30})),
    ] {
        let found = compared(stripe, |_| ());
        assert!(found.in_grace, "{name}");
        assert!(
            found.repair.is_empty() && found.repaired.is_empty() && found.unrepaired.is_empty(),
            "{name}"
        );
    }
    let settled = compared(json!({"status": "canceled", "canceled_at": NOW - 121}), |_| ());
    assert!(!settled.in_grace && settled.lowers_access);
    let planned = compared(json!({"status": "past_due", "canceled_at": NOW + 60}), |_| ());
    assert!(!planned.in_grace);
    assert!(
        !compared(json!({"canceled_at": NOW - 60}), |_| ()).in_grace,
        "no difference, nothing to wait for"
    );
}

#[test]
fn a_missing_row_carries_all_that_is_known() {
    let rules = Rules { tiers: &tiers(), livemode: true, now: NOW };
    let organization = Some(Uuid::from_u128(9));
    let stripe = subscription(json!({"status": "trialing", "trial_end": NOW + DAY}));
    let Missing::Create { finding, fields, unrepaired } = missing(&stripe, organization, rules) else {
        panic!("it should be created")
    };
    assert_eq!(finding.class, Class::MissingInDatabase);
    assert_eq!(finding.owner, organization);
    assert!(unrepaired.is_empty());
    assert_eq!(
        *fields,
        Fields {
            status: Some("trialing".into()),
            tier: Some("pro".into()),
            stripe_price_id: Some("price_pro".into()),
            quantity: Some(3),
            current_period_start: Some(Moment(NOW - 10 * DAY)),
            current_period_end: Some(Moment(NOW + 20 * DAY)),
            cancel_at_period_end: Some(false),
            trial_end: Some(Moment(NOW + DAY)),
            livemode: Some(true),
            stripe_created: Some(Moment(NOW - 100 * DAY)),
        }
    );
}

#[test]
fn a_missing_row_is_not_created_when_it_is_new_or_strange() {
    let rules = Rules { tiers: &tiers(), livemode: true, now: NOW };
    assert!(matches!(missing(&subscription(json!({"created": NOW - 119})), None, rules), Missing::InGrace));
    for (stripe, kind, mixed) in [
        (json!({"livemode": false}), Class::LivemodeMismatch, true),
        (json!({"status": "hibernating"}), Class::UnknownStatus, false),
    ] {
        match missing(&subscription(stripe), None, rules) {
            Missing::Leave { finding, mixed_modes } => {
                assert_eq!((finding.class, mixed_modes), (kind, mixed))
            }
            other => panic!("{other:?}"),
        }
    }
    let unknown_price = json!({"items": {"data": [item(json!({"price": {"id": "price_new"}}))]}});
    match missing(&subscription(unknown_price), None, rules) {
        Missing::Create { fields, unrepaired, .. } => {
            assert_eq!(fields.tier, None);
            assert_eq!(kinds(&unrepaired), [Class::UnknownPrice]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_that_stripe_does_not_know_is_missing_there_or_of_the_other_mode() {
    let tiers = tiers();
    let rules = Rules { tiers: &tiers, livemode: true, now: NOW };
    for (livemode, kind, mixed) in [
        (Some(true), Class::MissingInStripe, false),
        (None, Class::MissingInStripe, false),
        (Some(false), Class::LivemodeMismatch, true),
    ] {
        let (finding, mixed_modes) = missing_in_stripe(&Row { livemode, ..row() }, rules);
        assert_eq!((finding.class, mixed_modes), (kind, mixed));
    }
}
