//! Every class of drift, and every rule about what is left alone, as a table.

use serde_json::{Value, json};

use super::access::Access;
use super::class::Class;
use super::compare::{Comparison, GRACE_SECONDS, Rules, compare};
use super::finding::Finding;
use super::missing::{Missing, missing, missing_in_stripe};
use super::row::{Fields, Row};
use super::shape::Shape;
use super::terms::Terms;
use super::tiers::Tiers;
use crate::alerts::severity::Severity;
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
        key: "17".into(),
        version: "763".into(),
        owner: Some("org_2".into()),
        stripe_subscription_id: "sub_1".into(),
        customer: Some("cus_1".into()),
        status: Some("active".into()),
        tier: Some("pro".into()),
        price: Some("price_pro".into()),
        quantity: Some(3),
        period_start: Some(NOW - 10 * DAY),
        period_end: Some(NOW + 20 * DAY),
        cancel_at_period_end: Some(false),
        ..Row::default()
    }
}

/// The table of an app that keeps these words true.
fn keeping(kept: &[&str]) -> Shape {
    shape(
        json!({
            "customer": "stripe_customer_id", "status": "status", "tier": "tier", "price": "stripe_price_id", "quantity": "quantity",
            "period_start": "current_period_start", "period_end": "current_period_end",
            "cancel_at_period_end": "cancel_at_period_end", "trial_end": "trial_end",
        }),
        kept,
    )
}

fn shape(columns: Value, kept: &[&str]) -> Shape {
    serde_json::from_value(json!({
        "columns": columns, "keeps": kept, "writes": "update_and_insert", "quantity_prices": null,
    }))
    .unwrap()
}

const ALL: &[&str] = &[
    "status",
    "tier",
    "price",
    "quantity",
    "period_start",
    "period_end",
    "cancel_at_period_end",
    "trial_end",
];

fn terms() -> Terms {
    let tiers = [("price_pro".to_owned(), "pro".to_owned()), ("price_team".to_owned(), "team".to_owned())];
    Terms { tiers: Tiers::new(tiers), ..Terms::default() }
}

fn rules<'a>(shape: &'a Shape, terms: &'a Terms) -> Rules<'a> {
    Rules { shape, terms, livemode: true, now: NOW, grace: GRACE_SECONDS }
}

fn compared(stripe: Value, change: impl FnOnce(&mut Row)) -> Comparison {
    compared_in(&keeping(ALL), stripe, change)
}

fn compared_in(shape: &Shape, stripe: Value, change: impl FnOnce(&mut Row)) -> Comparison {
    let mut row = row();
    change(&mut row);
    compare(&subscription(stripe), &row, rules(shape, &terms()))
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
            |row| row.status = Some("canceled".into()),
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
            |row| row.status = Some("trialing".into()),
            Class::StatusMismatch,
            Fields { status: Some("unpaid".into()), ..none() },
            true,
        ),
        (
            "renewed",
            json!({}),
            |row| {
                row.period_start = Some(NOW - 40 * DAY);
                row.period_end = Some(NOW - 10 * DAY);
            },
            Class::PeriodMismatch,
            Fields { period_start: Some(NOW - 10 * DAY), period_end: Some(NOW + 20 * DAY), ..none() },
            false,
        ),
        (
            "the epoch in the row",
            json!({}),
            |row| row.period_end = Some(0),
            Class::PeriodMismatch,
            Fields { period_end: Some(NOW + 20 * DAY), ..none() },
            false,
        ),
        (
            "a period that is suddenly over",
            json!({"items": {"data": [item(json!({"current_period_end": NOW - DAY}))]}}),
            |_| (),
            Class::PeriodMismatch,
            Fields { period_end: Some(NOW - DAY), ..none() },
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
            Fields { trial_end: Some(NOW + DAY), ..none() },
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
            |row| row.price = Some("price_pro_old".into()),
            Class::PriceMismatch,
            Fields { price: Some("price_pro".into()), ..none() },
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
        assert_eq!(!found.lowers.is_empty(), lowers, "{name}");
        assert!(found.unrepaired.is_empty(), "{name}");
        assert_eq!(found.repaired[0].drift_key, format!("{}:sub_1", kind.as_str()));
        assert_eq!(found.repaired[0].owner.as_deref(), Some("org_2"));
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
        ("price", other_price, |row| row.price = Some("price_new".into()), Class::UnknownPrice),
        ("live and test", json!({"livemode": false}), |_| (), Class::LivemodeMismatch),
    ];
    for (name, stripe, change, kind) in cases {
        let found = compared(stripe, change);
        assert_eq!(kinds(&found.unrepaired), [kind], "{name}");
        assert!(found.repair.is_empty() && found.repaired.is_empty(), "{name}: {:?}", found.repair);
    }
}

#[test]
fn a_row_of_the_other_mode_is_not_repaired_whatever_else_differs() {
    let found = compared(json!({"status": "canceled"}), |row| row.other_mode = true);
    assert_eq!(kinds(&found.unrepaired), [Class::LivemodeMismatch]);
    assert!(found.repair.is_empty());
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
fn a_tier_comes_from_the_map_then_from_the_price() {
    let price = |price: Value| json!({"items": {"data": [item(json!({"price": price}))]}});
    for (stripe, tier) in [
        (price(json!({"id": "price_team", "metadata": {"tier": "x"}})), "team"),
        (price(json!({"id": "price_new", "metadata": {"tier": "enterprise"}})), "enterprise"),
    ] {
        assert_eq!(compared(stripe.clone(), |_| ()).repair.tier.as_deref(), Some(tier), "{stripe}");
    }
}

/// The metadata of the day on which it was bought say "starter"; since then the customer has upgraded in the portal.
#[test]
fn metadata_of_the_day_of_the_purchase_never_change_a_tier() {
    let bought = |price: &str| json!({"metadata": {"tier": "starter"}, "items": {"data": [item(json!({"price": {"id": price}}))]}});
    let found = compared(bought("price_pro"), |_| ());
    assert!(!found.differs() && found.repair.is_empty(), "the price knows better");
    let found = compared(bought("price_new"), |row| row.price = Some("price_new".into()));
    assert!(!found.differs() && found.repair.is_empty(), "and so does the row");
    let found = compared(bought("price_new"), |row| {
        row.price = Some("price_new".into());
        row.tier = None;
    });
    assert_eq!(found.repair.tier.as_deref(), Some("starter"), "better than nothing");
}

/// A plan with seats beside it, in any order: the row is about the plan.
#[test]
fn twenty_five_seats_beside_a_plan_do_not_become_one() {
    let seats = item(json!({"id": "si_seat", "price": {"id": "price_seat"}, "quantity": 25}));
    let plan = item(json!({"quantity": 1}));
    for items in [[&seats, &plan], [&plan, &seats]] {
        let stripe = json!({"items": {"data": items}});
        let found = compared(stripe.clone(), |row| row.quantity = Some(1));
        assert!(!found.differs(), "the row has the plan's price: {:?}", found.repaired);
        let found = compared(stripe, |row| {
            row.price = Some("price_seat".into());
            row.quantity = Some(25);
        });
        assert!(found.repair.price.is_none() && found.repair.quantity.is_none(), "the row counts seats");
    }
}

#[test]
fn of_several_items_none_of_which_the_row_has_nothing_is_taken() {
    let two = json!({"items": {"data": [item(json!({"price": {"id": "price_a"}})), item(json!({"price": {"id": "price_b"}}))]}});
    for price in [None, Some("price_old".to_owned())] {
        let found = compared(two.clone(), |row| row.price = price);
        assert!(kinds(&found.unrepaired).contains(&Class::AmbiguousItems));
        assert!(found.repair.price.is_none() && found.repair.quantity.is_none() && found.lowers.is_empty());
    }
    let (shape, terms) = (keeping(ALL), terms());
    match missing(&subscription(two), None, rules(&shape, &terms)) {
        Missing::Create { fields, unrepaired, .. } => {
            assert_eq!((fields.price, fields.quantity), (None, None));
            assert!(kinds(&unrepaired).contains(&Class::AmbiguousItems));
        }
        other => panic!("{other:?}"),
    }
}

/// Where an app cuts off customers who are past due, they lose access by becoming so, and gain it by becoming active again.
#[test]
fn what_lowers_access_is_what_the_app_calls_access() {
    let strict = Terms { access: Access::of(&["active".into(), "trialing".into()]), ..terms() };
    let shape = keeping(ALL);
    let past_due = subscription(json!({"status": "past_due"}));
    assert!(!compare(&past_due, &row(), rules(&shape, &strict)).lowers.is_empty());
    assert!(compare(&past_due, &row(), rules(&shape, &terms())).lowers.is_empty());
    let was = Row { status: Some("past_due".into()), ..row() };
    let unpaid = subscription(json!({"status": "unpaid"}));
    assert!(compare(&unpaid, &was, rules(&shape, &strict)).lowers.is_empty(), "there was none to lose");
    assert!(!compare(&unpaid, &was, rules(&shape, &terms())).lowers.is_empty());
}

#[test]
fn a_row_of_another_owner_than_stripe_names_is_an_entry_and_nobodys_access_changes() {
    let found = compared(json!({"status": "canceled"}), |row| row.other_owner = Some("org_9".into()));
    assert_eq!(kinds(&found.unrepaired), [Class::OrganizationMismatch]);
    assert_eq!(found.unrepaired[0].details, json!({"owner": {"database": "org_2", "stripe": "org_9"}}));
    assert!(found.repaired.is_empty() && found.repair.is_empty() && found.lowers.is_empty());
}

#[test]
fn nobody_misses_a_row_for_what_never_began_or_has_ended() {
    let (shape, terms) = (keeping(ALL), terms());
    for status in ["incomplete", "incomplete_expired", "canceled"] {
        let stripe = subscription(json!({"status": status}));
        assert!(matches!(missing(&stripe, None, rules(&shape, &terms)), Missing::Nothing), "{status}");
    }
    for status in ["trialing", "active", "past_due", "unpaid", "paused"] {
        let stripe = subscription(json!({"status": status}));
        assert!(matches!(missing(&stripe, None, rules(&shape, &terms)), Missing::Create { .. }), "{status}");
    }
}

#[test]
fn without_configured_prices_tiers_are_left_alone() {
    let (shape, terms) = (keeping(ALL), Terms::default());
    let found = compare(&subscription(json!({})), &row(), rules(&shape, &terms));
    assert!(found.unrepaired.is_empty() && found.repair.is_empty());
}

#[test]
fn the_tier_of_an_ended_subscription_is_not_judged() {
    let found = compared(json!({"status": "canceled"}), |row| {
        row.status = Some("canceled".into());
        row.tier = Some("free".into());
    });
    assert!(found.repair.is_empty() && found.repaired.is_empty());
}

#[test]
fn what_the_app_does_not_keep_is_refreshed_without_a_word() {
    let found = compared_in(&keeping(&["status"]), json!({"trial_end": NOW - 50 * DAY}), |row| {
        row.price = None;
        row.quantity = Some(1);
        row.period_end = None;
        row.cancel_at_period_end = None;
    });
    assert!(found.repaired.is_empty() && found.unrepaired.is_empty());
    assert_eq!(
        found.repair,
        Fields {
            price: Some("price_pro".into()),
            quantity: Some(3),
            period_end: Some(NOW + 20 * DAY),
            cancel_at_period_end: Some(false),
            trial_end: Some(NOW - 50 * DAY),
            ..Fields::default()
        }
    );
}

#[test]
fn of_a_period_that_the_app_keeps_in_part_only_that_part_is_told() {
    let found = compared_in(&keeping(&["period_end"]), json!({}), |row| {
        row.period_start = None;
        row.period_end = None;
    });
    assert_eq!(kinds(&found.repaired), [Class::PeriodMismatch]);
    let expected = json!({"current_period_end": {"database": null, "stripe": NOW + 20 * DAY}});
    assert_eq!(found.repaired[0].details, expected, "by the app's own names");
    assert!(found.repair.period_start.is_some() && found.repair.period_end.is_some());
}

#[test]
fn losing_what_the_app_does_not_keep_waits_for_a_fresh_read_all_the_same() {
    let fewer = json!({"items": {"data": [item(json!({"quantity": 2}))]}});
    let found = compared_in(&keeping(&["status"]), fewer, |_| ());
    assert!(!found.lowers.is_empty() && found.repaired.is_empty());
}

#[test]
fn what_is_not_mapped_is_never_looked_at() {
    let bare = shape(json!({"status": "state"}), &["status"]);
    let other = json!({"items": {"data": [
        item(json!({"price": {"id": "price_new"}, "quantity": 9, "current_period_end": NOW + 300 * DAY})), item(json!({})),
    ]}, "trial_end": NOW + DAY, "cancel_at_period_end": true});
    let found = compared_in(&bare, other, |row| *row = Row { status: row.status.clone(), ..Row::default() });
    assert!(!found.differs() && found.repair.is_empty(), "{found:?}");
    let found = compared_in(&bare, json!({"status": "canceled"}), |_| ());
    assert_eq!(found.repaired[0].issue, "The status is canceled at Stripe and active in the database.");
    assert_eq!(found.repaired[0].details, json!({"state": {"database": "active", "stripe": "canceled"}}));
}

#[test]
fn the_quantity_is_of_the_item_that_the_mapping_names() {
    let seats: Shape = serde_json::from_value(json!({
        "columns": {"status": "status", "quantity": "seats"}, "keeps": ["quantity"], "writes": "update",
        "quantity_prices": ["price_seat", "price_seat_old"],
    }))
    .unwrap();
    let items = json!({"items": {"data": [
        item(json!({})), item(json!({"price": {"id": "price_seat_old"}, "quantity": 25})),
    ]}});
    assert_eq!(compared_in(&seats, items, |_| ()).repair.quantity, Some(25));
    let found = compared_in(&seats, json!({}), |_| ());
    assert!(found.repair.is_empty() && !found.differs(), "without such an item nothing is known");
}

#[test]
fn an_odd_row_is_one_entry_and_is_left_alone() {
    let found = compared(json!({"status": "canceled"}), |row| {
        row.odd = Some("owner is null; period_end is infinite".into());
        row.owner = None;
    });
    assert_eq!(kinds(&found.unrepaired), [Class::MalformedRow]);
    assert_eq!(
        found.unrepaired[0].issue,
        "The row cannot be compared: owner is null; period_end is infinite."
    );
    assert!(found.repaired.is_empty() && found.repair.is_empty());
}

#[test]
fn a_status_of_the_apps_own_is_an_entry_and_never_overwritten() {
    let found = compared(json!({"status": "canceled"}), |row| {
        row.status = Some("grandfathered".into());
        row.quantity = Some(2);
    });
    assert_eq!(kinds(&found.unrepaired), [Class::UnknownStatus]);
    assert_eq!(found.repair, Fields { quantity: Some(3), ..Fields::default() });
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
    assert!(!settled.in_grace && !settled.lowers.is_empty());
    let planned = compared(json!({"status": "past_due", "canceled_at": NOW + 60}), |_| ());
    assert!(!planned.in_grace);
    assert!(
        !compared(json!({"canceled_at": NOW - 60}), |_| ()).in_grace,
        "no difference, nothing to wait for"
    );
}

#[test]
fn a_missing_row_carries_all_that_is_known() {
    let (shape, terms) = (keeping(ALL), terms());
    let rules = rules(&shape, &terms);
    let owner = Some("org_9".to_owned());
    let stripe = subscription(json!({"status": "trialing", "trial_end": NOW + DAY}));
    let Missing::Create { finding, fields, unrepaired } = missing(&stripe, owner.clone(), rules) else {
        panic!("it should be created")
    };
    assert_eq!(finding.class, Class::MissingInDatabase);
    assert_eq!(finding.owner, owner);
    assert!(unrepaired.is_empty());
    assert_eq!(
        *fields,
        Fields {
            status: Some("trialing".into()),
            tier: Some("pro".into()),
            price: Some("price_pro".into()),
            quantity: Some(3),
            period_start: Some(NOW - 10 * DAY),
            period_end: Some(NOW + 20 * DAY),
            cancel_at_period_end: Some(false),
            trial_end: Some(NOW + DAY),
        }
    );
}

#[test]
fn a_missing_row_is_not_created_when_it_is_new_or_strange() {
    let (shape, terms) = (keeping(ALL), terms());
    let rules = rules(&shape, &terms);
    assert!(matches!(missing(&subscription(json!({"created": NOW - 119})), None, rules), Missing::InGrace));
    for (stripe, kind) in [
        (json!({"livemode": false}), Class::LivemodeMismatch),
        (json!({"status": "hibernating"}), Class::UnknownStatus),
    ] {
        match missing(&subscription(stripe), None, rules) {
            Missing::Leave { finding } => assert_eq!(finding.class, kind),
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
    let (shape, terms) = (keeping(ALL), terms());
    for (other_mode, kind) in [(false, Class::MissingInStripe), (true, Class::LivemodeMismatch)] {
        let finding = missing_in_stripe(&Row { other_mode, ..row() }, rules(&shape, &terms));
        assert_eq!(finding.class, kind);
    }
}

/// Dead rows that Stripe has forgotten let nobody in: worth knowing, and no reason to get up.
#[test]
fn a_row_that_grants_nothing_and_is_gone_at_stripe_wakes_nobody() {
    let (shape, terms) = (keeping(ALL), terms());
    for (status, severity) in
        [("active", Severity::Critical), ("canceled", Severity::Info), ("unpaid", Severity::Info)]
    {
        let gone = Row { status: Some(status.into()), ..row() };
        assert_eq!(missing_in_stripe(&gone, rules(&shape, &terms)).severity, severity, "{status}");
    }
}
