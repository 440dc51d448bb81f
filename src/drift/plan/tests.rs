//! What is applied at once, what is put off, what is held, and what is only told.

use serde_json::json;

use super::*;
use crate::drift::class::Class;
use crate::drift::finding::Subject;
use crate::drift::repair::Action;
use crate::drift::repair::ItemKind;
use crate::drift::row::Fields;

fn finding(class: Class) -> Finding {
    let subject = Subject { stripe_subscription_id: Some("sub_1".into()), ..Subject::default() };
    subject.finding(class, "It differs.".into(), json!({}))
}

fn row() -> Row {
    Row { key: "17".into(), version: "763".into(), ..Row::default() }
}

fn lowering() -> Comparison {
    Comparison {
        repaired: vec![finding(Class::StatusMismatch)],
        repair: Fields { status: Some("canceled".into()), period_end: Some(5), ..Fields::default() },
        lowers: vec![Class::StatusMismatch],
        ..Comparison::default()
    }
}

fn planned(comparison: Comparison, repairs: Repairs) -> Planned {
    plan(comparison, &row(), repairs, Writes::Update)
}

#[test]
fn what_lowers_access_waits_for_a_fresh_read() {
    let planned = planned(lowering(), Repairs::WithoutLowering);
    assert_eq!(planned.put_off.map(|findings| findings.len()), Some(1));
    assert!(planned.items.is_empty());
}

#[test]
fn after_a_fresh_read_it_is_applied() {
    let planned = planned(lowering(), Repairs::All);
    assert!(planned.put_off.is_none());
    assert_eq!(planned.items.len(), 1);
    assert_eq!(
        serde_json::to_value(&planned.items[0]).unwrap()["row"],
        json!({"key": "17", "version": "763", "status": "canceled", "period_end": 5})
    );
}

#[test]
fn where_the_mapping_lets_nothing_be_written_it_is_told_and_nothing_is_sent_to_the_table() {
    let planned = plan(lowering(), &row(), Repairs::WithoutLowering, Writes::None);
    assert!(planned.put_off.is_some() && planned.items.is_empty(), "it is decided as if it were done");
    let planned = plan(lowering(), &row(), Repairs::All, Writes::None);
    let item = &planned.items[0];
    assert_eq!((item.kind, item.action, planned.items.len()), (ItemKind::None, Some(Action::Observed), 1));
    assert_eq!(item.findings[0].reason.as_deref(), Some(NOTHING_IS_WRITTEN));
    let refresh = Comparison { repaired: vec![], ..lowering() };
    assert!(plan(refresh, &row(), Repairs::All, Writes::None).items.is_empty());
}

#[test]
fn what_is_not_repairable_is_recorded_beside_what_is() {
    let comparison =
        Comparison { unrepaired: vec![finding(Class::CustomerMismatch)], lowers: Vec::new(), ..lowering() };
    let planned = planned(comparison, Repairs::WithoutLowering);
    let kinds: Vec<ItemKind> = planned.items.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [ItemKind::None, ItemKind::Update]);
}
