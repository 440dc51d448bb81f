//! What is applied at once, what is put off and what is held.

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::drift::class::Class;
use crate::drift::finding::Subject;
use crate::drift::repair::ItemKind;
use crate::drift::row::Moment;

fn finding(class: Class) -> Finding {
    let subject = Subject { stripe_subscription_id: Some("sub_1".into()), ..Subject::default() };
    subject.finding(class, "It differs.".into(), json!({}))
}

fn row() -> Row {
    Row { id: Uuid::from_u128(1), row_version: 7, ..Row::default() }
}

fn lowering() -> Comparison {
    Comparison {
        repaired: vec![finding(Class::StatusMismatch)],
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
    assert_eq!(planned.items, [Item::held(vec![finding(Class::StatusMismatch)])]);
    let fill = Comparison {
        repair: Fields { stripe_created: Some(Moment(5)), ..Fields::default() },
        ..Comparison::default()
    };
    assert!(plan(fill, &row(), Repairs::Held).items.is_empty());
}

#[test]
fn what_is_not_repairable_is_recorded_beside_what_is() {
    let comparison =
        Comparison { unrepaired: vec![finding(Class::CustomerMismatch)], lowers_access: false, ..lowering() };
    let planned = plan(comparison, &row(), Repairs::WithoutLowering);
    let kinds: Vec<ItemKind> = planned.items.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [ItemKind::None, ItemKind::Update]);
}
