//! What a mode lets a run write: nothing that nobody has allowed, and what is allowed is not held up by the rest.

use serde_json::json;

use super::*;
use crate::drift::finding::Subject;
use crate::drift::repair::{Follows, Named, RowChange};
use crate::drift::row::{Fields, Row};
use crate::drift::shape::Word;

fn policy(ceiling: Mode, stored: &[(&str, &str)]) -> Policy {
    let stored = stored.iter().map(|(class, mode)| ((*class).to_owned(), (*mode).to_owned())).collect();
    Policy::new(ceiling, Some(&stored))
}

fn finding(class: Class) -> Finding {
    let subject = Subject { stripe_subscription_id: Some("sub_1".into()), ..Subject::default() };
    subject.finding(class, "It differs.".into(), json!({}))
}

/// A row whose status and tier differ, and whose trial is refreshed beside them.
fn update() -> Item {
    let fields = Fields {
        status: Some("canceled".into()),
        tier: Some("pro".into()),
        trial_end: Some(5),
        ..Fields::default()
    };
    let findings = vec![finding(Class::StatusMismatch), finding(Class::TierMismatch)];
    Item::update(&Row { key: "17".into(), version: "763".into(), ..Row::default() }, fields, findings)
}

fn create() -> Item {
    let follows = Follows { customer: "cus_1".into(), stripe_subscription_id: "sub_1".into() };
    let finding = finding(Class::MissingInDatabase);
    Item {
        postponed: true,
        ..Item::create(Named::default(), follows, Vec::new(), Fields::default(), finding)
    }
}

fn split(policy: &Policy, excepted: &[&str], item: Item) -> Vec<Item> {
    Say { policy, excepted: |key: &str| excepted.contains(&key) }.split(item)
}

/// By item: what is done with the row, under which action, and which classes are told.
fn told(items: &[Item]) -> Vec<(ItemKind, Option<Action>, Vec<Class>)> {
    let classes = |item: &Item| item.findings.iter().map(|finding| finding.class).collect();
    items.iter().map(|item| (item.kind, item.action, classes(item))).collect()
}

fn written(items: &[Item]) -> Vec<String> {
    let fields = items.iter().filter_map(|item| match &item.row {
        Some(RowChange::Update { fields, .. }) => Some(fields.said()),
        _ => None,
    });
    fields.flatten().map(|(word, _)| word).collect()
}

#[test]
fn what_counts_is_the_lower_of_the_setting_and_the_policy() {
    use Mode::{Approve, Auto, Observe};
    for (ceiling, stored, counts) in [
        (Observe, "auto", Observe),
        (Approve, "auto", Approve),
        (Auto, "observe", Observe),
        (Auto, "approve", Approve),
        (Auto, "auto", Auto),
        (Auto, "sometimes", Observe),
    ] {
        let policy = policy(ceiling, &[("tier_mismatch", stored)]);
        assert_eq!(policy.of(Class::TierMismatch), counts, "{ceiling:?} {stored}");
        assert_eq!(policy.of(Class::StatusMismatch), ceiling, "nobody has set it");
    }
    assert_eq!(Policy::new(Auto, None).of(Class::StatusMismatch), Observe, "it cannot be read");
    assert_eq!(Policy::default().of(Class::StatusMismatch), Observe, "nobody has said anything");
}

#[test]
fn in_auto_everything_is_written_as_it_was_planned() {
    let auto = policy(Mode::Auto, &[]);
    assert_eq!(split(&auto, &[], update()), [update()]);
    assert_eq!(split(&auto, &[], create()), [create()]);
}

#[test]
fn in_observe_nothing_is_written_not_even_to_fill_something_in() {
    let observe = policy(Mode::Observe, &[]);
    let items = split(&observe, &[], update());
    let classes = vec![Class::StatusMismatch, Class::TierMismatch];
    assert_eq!(told(&items), [(ItemKind::None, Some(Action::Observed), classes)]);
    let refresh = Item { findings: Vec::new(), ..update() };
    assert!(split(&observe, &[], refresh).is_empty());
    let created = split(&observe, &[], create());
    assert_eq!(created[0].action, Some(Action::Observed), "whose it would be is still asked");
    assert!(!created[0].postponed, "it need not be counted, as it is not made");
}

#[test]
fn each_class_of_one_row_goes_its_own_way() {
    let mixed = policy(Mode::Auto, &[("status_mismatch", "approve")]);
    let items = split(&mixed, &[], update());
    let waits = (ItemKind::None, Some(Action::Waiting), vec![Class::StatusMismatch]);
    assert_eq!(told(&items), [waits, (ItemKind::Update, None, vec![Class::TierMismatch])]);
    assert_eq!(written(&items), ["tier", "trial_end"]);
    assert_eq!(
        items[1].was.keys().collect::<Vec<_>>(),
        ["tier", "trial_end"],
        "nothing else can be put back"
    );
    let refreshed = policy(Mode::Auto, &[("trial_end_mismatch", "observe")]);
    assert_eq!(written(&split(&refreshed, &[], update())), ["status", "tier"], "a refresh has a class, too");
}

#[test]
fn what_a_person_lets_stand_is_left_and_the_rest_is_repaired() {
    let items = split(&policy(Mode::Auto, &[]), &["status_mismatch:sub_1"], update());
    let left = (ItemKind::None, Some(Action::Excepted), vec![Class::StatusMismatch]);
    assert_eq!(told(&items), [left, (ItemKind::Update, None, vec![Class::TierMismatch])]);
    let created = split(&policy(Mode::Auto, &[]), &["missing_in_database:sub_1"], create());
    assert_eq!(created[0].action, Some(Action::Excepted));
}

#[test]
fn a_row_that_is_moved_is_written_whole_or_not_at_all() {
    let follows = Follows { customer: "cus_1".into(), stripe_subscription_id: "sub_1".into() };
    let fields = Fields { status: Some("active".into()), tier: Some("pro".into()), ..Fields::default() };
    let moves = Item::move_to(&Row::default(), follows, fields, finding(Class::MissingInDatabase));
    let tiers_wait = policy(Mode::Auto, &[("tier_mismatch", "approve")]);
    assert_eq!(split(&tiers_wait, &[], moves.clone()), std::slice::from_ref(&moves));
    let waits = policy(Mode::Auto, &[("missing_in_database", "approve")]);
    let waiting = vec![Class::MissingInDatabase];
    assert_eq!(told(&split(&waits, &[], moves)), [(ItemKind::None, Some(Action::Waiting), waiting)]);
}

#[test]
fn the_breaker_holds_what_would_be_written_and_nothing_else() {
    let held =
        Item::record(vec![finding(Class::StatusMismatch), finding(Class::TierMismatch)], Some(Action::Held));
    let mixed = policy(Mode::Auto, &[("tier_mismatch", "observe")]);
    let items = split(&mixed, &[], held);
    let (status, tier) = (vec![Class::StatusMismatch], vec![Class::TierMismatch]);
    assert_eq!(
        told(&items),
        [(ItemKind::None, Some(Action::Held), status), (ItemKind::None, Some(Action::Observed), tier)]
    );
}

#[test]
fn every_word_that_is_repaired_has_a_class_that_can_be_set() {
    for word in Word::VARIANTS {
        let Some(class) = word.class() else { continue };
        assert!(class.is_repairable(), "{word:?}");
    }
    assert!(Class::MissingInDatabase.is_repairable() && !Class::CustomerMismatch.is_repairable());
}
