//! Severities, the circuit breaker, what is put off and what is held, as tables.

use super::*;
use crate::reconcile::finding::Subject;
use crate::reconcile::row::Moment;

fn finding(kind: Kind) -> Finding {
    let subject = Subject { stripe_subscription_id: Some("sub_1".into()), ..Subject::default() };
    subject.finding(kind, "It differs.".into(), json!({}))
}

fn row() -> Row {
    Row { id: Uuid::from_u128(1), row_version: 7, ..Row::blank() }
}

fn lowering() -> Comparison {
    Comparison {
        repaired: vec![finding(Kind::StatusMismatch)],
        repair: Fields {
            status: Some("canceled".into()),
            stripe_created: Some(Moment(5)),
            ..Fields::default()
        },
        lowers_access: true,
        ..Comparison::default()
    }
}

#[test]
fn severities_follow_the_table() {
    for (kind, count, expected) in [
        (Kind::StatusMismatch, 1, Severity::Info),
        (Kind::StatusMismatch, 10, Severity::Info),
        (Kind::StatusMismatch, 11, Severity::Warning),
        (Kind::TierMismatch, 11, Severity::Warning),
        (Kind::MissingInDatabase, 1, Severity::Warning),
        (Kind::MissingInDatabase, 5, Severity::Warning),
        (Kind::MissingInDatabase, 6, Severity::Critical),
        (Kind::OrganizationUnknown, 100, Severity::Warning),
        (Kind::MissingInStripe, 1, Severity::Critical),
        (Kind::CustomerMismatch, 1, Severity::Critical),
        (Kind::LivemodeMismatch, 1, Severity::Critical),
    ] {
        assert_eq!(severity(kind, count), expected, "{kind:?} {count}");
    }
}

#[test]
fn the_breaker_believes_20_or_5_percent() {
    for (scanned, threshold) in
        [(0, 20), (1, 20), (400, 20), (419, 20), (420, 21), (1_000, 50), (100_000, 5_000)]
    {
        assert_eq!(breaker_threshold(scanned), threshold, "{scanned}");
    }
}

#[test]
fn what_lowers_access_waits_for_a_fresh_read_but_its_place_in_time_does_not() {
    let planned = plan(lowering(), &row(), Repairs::WithoutLowering);
    assert_eq!(planned.put_off.map(|findings| findings.len()), Some(1));
    let fields = Fields { stripe_created: Some(Moment(5)), ..Fields::default() };
    assert_eq!(planned.items, [Item::update(&row(), fields, vec![])]);
}

#[test]
fn after_a_fresh_read_it_is_applied() {
    let planned = plan(lowering(), &row(), Repairs::All);
    assert!(planned.put_off.is_none());
    assert_eq!(planned.items.len(), 1);
    assert_eq!(
        serde_json::to_value(&planned.items[0]).unwrap()["row"],
        json!({
            "row_id": Uuid::from_u128(1), "row_version": 7, "status": "canceled",
            "stripe_created": "1970-01-01T00:00:05Z",
        })
    );
}

#[test]
fn with_the_breaker_open_findings_are_kept_and_nothing_is_changed() {
    let planned = plan(lowering(), &row(), Repairs::Held);
    assert_eq!(planned.items, [Item::held(vec![finding(Kind::StatusMismatch)])]);
    let fill = Comparison {
        repair: Fields { stripe_created: Some(Moment(5)), ..Fields::default() },
        ..Comparison::default()
    };
    assert!(plan(fill, &row(), Repairs::Held).items.is_empty());
}

#[test]
fn what_is_not_repairable_is_recorded_beside_what_is() {
    let comparison =
        Comparison { unrepaired: vec![finding(Kind::CustomerMismatch)], lowers_access: false, ..lowering() };
    let planned = plan(comparison, &row(), Repairs::WithoutLowering);
    let kinds: Vec<ItemKind> = planned.items.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [ItemKind::None, ItemKind::Update]);
}

fn state_of(conditions: &[Condition], key: &str) -> State {
    conditions.iter().find(|condition| condition.alert_key == key).unwrap().state
}

#[test]
fn a_class_is_clear_only_after_a_complete_sweep() {
    let mut tally = Tally::default();
    tally.add(Kind::StatusMismatch, true, "sub_1");
    for (complete, tripped, absent) in [(true, None, State::Clear), (false, None, State::Unknown)] {
        let conditions = conditions(&tally, complete, tripped);
        assert_eq!(conditions.len(), Kind::ALL.len() + 1);
        assert_eq!(state_of(&conditions, "drift_status_mismatch"), State::Holds);
        assert_eq!(state_of(&conditions, "drift_period_mismatch"), absent);
        assert_eq!(state_of(&conditions, "reconcile_circuit_breaker"), absent);
    }
}

#[test]
fn an_open_breaker_is_an_alert_and_leaves_absence_unjudged() {
    for tripped in [Tripped::MixedModes, Tripped::TooMany { suspects: 30, threshold: 20 }] {
        let conditions = conditions(&Tally::default(), true, Some(tripped));
        assert_eq!(state_of(&conditions, "reconcile_circuit_breaker"), State::Holds);
        assert_eq!(state_of(&conditions, "drift_missing_in_stripe"), State::Unknown);
        assert_eq!(state_of(&conditions, "drift_status_mismatch"), State::Clear);
    }
}

#[test]
fn alerts_say_how_many_and_how_many_of_them_are_repaired() {
    let mut tally = Tally::default();
    for at in 0..7 {
        tally.add(Kind::StatusMismatch, at < 6, &format!("sub_{at}"));
    }
    tally.add(Kind::MissingInStripe, false, "sub_x");
    let conditions = conditions(&tally, true, None);
    let of = |key: &str| conditions.iter().find(|condition| condition.alert_key == key).unwrap();
    assert_eq!(of("drift_status_mismatch").message, "7 subscriptions have another status; 6 repaired.");
    assert_eq!(of("drift_missing_in_stripe").message, "1 row is of a subscription unknown to Stripe.");
    assert_eq!(of("drift_status_mismatch").metadata["samples"].as_array().unwrap().len(), SAMPLES);
}

#[test]
fn the_tally_survives_the_cursor() {
    let mut tally = Tally::default();
    tally.add(Kind::UnknownPrice, false, "sub_1");
    let saved = serde_json::to_string(&tally).unwrap();
    assert_eq!(serde_json::from_str::<Tally>(&saved).unwrap(), tally);
}
