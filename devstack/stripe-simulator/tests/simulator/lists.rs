//! Lists: order, pages, windows, filters, and what tests put among the generated objects.

use crate::common::{Stripe, text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use stripe_simulator::{Config, PRICES, SessionChange, Spread, SubscriptionChange};

fn created(object: &Value) -> i64 {
    object["created"].as_i64().expect("a time")
}

#[test]
fn a_scan_meets_every_subscription_once_newest_first() {
    let stripe = Stripe::with(1_234);
    let objects = stripe.scan("/v1/subscriptions?status=all&limit=100");
    let expected: Vec<String> = stripe.simulator.generator().all().map(|facts| facts.id).collect();
    let found: Vec<String> = objects.iter().rev().map(|object| text(&object["id"])).collect();
    assert_eq!(found, expected);
    assert!(objects.windows(2).all(|pair| created(&pair[0]) >= created(&pair[1])));
    assert_eq!(stripe.simulator.stats().by_endpoint["/v1/subscriptions"], 13);
}

#[test]
fn windows_of_created_cover_everything_also_where_hundreds_share_a_second() {
    let config = Config { subscriptions: 1_000, spread: Spread::Bursts(250), ..Config::default() };
    let stripe = Stripe::start(config);
    let mut by_second: BTreeMap<i64, usize> = BTreeMap::new();
    for facts in stripe.simulator.generator().all() {
        *by_second.entry(facts.created).or_default() += 1;
    }
    assert_eq!(by_second.values().copied().collect::<Vec<_>>(), [250; 4]);
    let times: Vec<i64> = by_second.keys().copied().collect();
    let all = |window: &str| stripe.scan(&format!("/v1/subscriptions?status=all&limit=100&{window}")).len();
    assert_eq!(all(&format!("created={}", times[1])), 250);
    assert_eq!(all(&format!("created[gte]={}&created[lt]={}", times[0], times[2])), 500);
    assert_eq!(all(&format!("created[gt]={}", times[0])), 750);
    assert_eq!(all(&format!("created[lte]={}", times[0])), 250);
    assert_eq!(all(&format!("created[lt]={}", times[0])), 0);
    assert_eq!(all(&format!("created[gte]={}&created[lt]={}", times[2], times[1])), 0);
}

#[test]
fn ending_before_walks_back_in_the_same_order() {
    let stripe = Stripe::with(50);
    let all = stripe.get("/v1/subscriptions?status=all&limit=100").ids();
    let page = stripe.get(&format!("/v1/subscriptions?status=all&limit=10&ending_before={}", all[30]));
    assert_eq!(page.ids(), all[20..30]);
    assert!(page.has_more());
    let first = stripe.get(&format!("/v1/subscriptions?status=all&limit=10&ending_before={}", all[5]));
    assert_eq!(first.ids(), all[..5]);
    assert!(!first.has_more());
}

#[test]
fn canceled_ones_are_left_out_unless_asked_for() {
    let stripe = Stripe::with(500);
    let of = |status: &str| -> HashSet<String> {
        let facts = stripe.simulator.generator();
        facts.all().filter(|facts| facts.status == status).map(|facts| facts.id).collect()
    };
    let found = |query: &str| -> HashSet<String> {
        let objects = stripe.scan(&format!("/v1/subscriptions?limit=100{query}"));
        objects.iter().map(|object| text(&object["id"])).collect()
    };
    let canceled = of("canceled");
    assert!(!canceled.is_empty() && !of("past_due").is_empty() && !of("incomplete_expired").is_empty());
    assert_eq!(found("").len(), 500 - canceled.len());
    assert!(found("").is_disjoint(&canceled));
    assert_eq!(found("&status=canceled"), canceled);
    assert_eq!(found("&status=past_due"), of("past_due"));
    assert_eq!(found("&status=ended"), &canceled | &of("incomplete_expired"));
    assert_eq!(found("&status=all").len(), 500);
}

#[test]
fn the_default_page_has_ten() {
    let stripe = Stripe::with(50);
    assert_eq!(stripe.get("/v1/subscriptions").data().len(), 10);
    assert_eq!(stripe.get("/v1/checkout/sessions").data().len(), 10);
    let whole = stripe.get("/v1/subscriptions?status=all&limit=50");
    assert_eq!((whole.data().len(), whole.has_more()), (50, false));
    assert_eq!(whole.body["url"], "/v1/subscriptions");
    assert_eq!(whole.body["object"], "list");
}

#[test]
fn objects_say_what_the_facts_say() {
    let stripe = Stripe::with(300);
    let generator = stripe.simulator.generator();
    for object in stripe.scan("/v1/subscriptions?status=all&limit=100") {
        let facts = generator.facts(generator.index_of(&text(&object["id"])).expect("a generated id"));
        let item = &object["items"]["data"][0];
        assert_eq!(object["customer"], facts.customer);
        assert_eq!(object["metadata"]["organization_id"], facts.organization_id);
        assert_eq!(object["status"], facts.status);
        assert_eq!(object["created"], facts.created);
        assert_eq!(object["cancel_at_period_end"], facts.cancel_at_period_end);
        assert_eq!(object["trial_end"], json!(facts.trial_end));
        assert_eq!(object["livemode"], facts.livemode);
        assert_eq!(item["price"]["id"], facts.price);
        assert_eq!(item["quantity"], facts.quantity);
        assert_eq!(item["current_period_start"], facts.current_period_start);
        assert_eq!(item["current_period_end"], facts.current_period_end);
        assert_eq!(stripe.get(&format!("/v1/subscriptions/{}", facts.id)).body, object);
    }
    assert_eq!(stripe.simulator.stats().retrieved.len(), 300);
}

#[test]
fn customer_and_price_filter() {
    let stripe = Stripe::with(300);
    let generator = stripe.simulator.generator();
    let facts = generator.facts(123);
    let by_customer = stripe.get(&format!("/v1/subscriptions?status=all&customer={}", facts.customer));
    assert_eq!(by_customer.ids(), std::slice::from_ref(&facts.id));
    let priced = stripe.scan(&format!("/v1/subscriptions?status=all&limit=100&price={}", PRICES[2].id));
    assert_eq!(priced.len(), generator.all().filter(|facts| facts.price == PRICES[2].id).count());

    let moved = SubscriptionChange { customer: Some("cus_other".into()), ..Default::default() };
    stripe.simulator.patch_subscription(&facts.id, moved).expect("it is there");
    assert!(stripe.get(&format!("/v1/subscriptions?customer={}", facts.customer)).ids().is_empty());
    assert_eq!(stripe.get("/v1/subscriptions?status=all&customer=cus_other").ids(), [facts.id]);
}

#[test]
fn what_is_put_stands_in_its_place() {
    let stripe = Stripe::with(20);
    let generator = stripe.simulator.generator();
    let put = |created: Option<i64>| {
        let change = SubscriptionChange { created, ..Default::default() };
        text(&stripe.simulator.put_subscription(change).expect("a new one")["id"])
    };
    let newest = put(None);
    // In the same second as a generated one it is the later of the two.
    let among = put(Some(generator.created(10)));
    let oldest = put(Some(generator.created(0) - 1));
    let mut expected: Vec<String> = generator.all().map(|facts| facts.id).collect();
    expected.insert(11, among.clone());
    expected.insert(0, oldest.clone());
    expected.push(newest);
    expected.reverse();
    assert_eq!(stripe.get("/v1/subscriptions?status=all&limit=100").ids(), expected);
    let pages = stripe.scan("/v1/subscriptions?status=all&limit=3");
    assert_eq!(pages.iter().map(|object| text(&object["id"])).collect::<Vec<_>>(), expected);

    stripe.simulator.delete_subscription(&among).expect("it is there");
    stripe.simulator.delete_subscription(&generator.facts(4).id).expect("it is there");
    expected.retain(|id| *id != among && *id != generator.facts(4).id);
    assert_eq!(stripe.get("/v1/subscriptions?status=all&limit=100").ids(), expected);
    assert!(stripe.simulator.delete_subscription(&among).is_err());

    stripe.simulator.reset();
    assert_eq!(stripe.get("/v1/subscriptions?status=all&limit=100").ids().len(), 20);
}

#[test]
fn a_change_shows_in_lists_and_retrieves_and_keeps_its_place() {
    let stripe = Stripe::with(20);
    let before = stripe.get("/v1/subscriptions?status=all&limit=100").ids();
    let id = before[7].clone();
    let change = SubscriptionChange {
        status: Some("canceled".into()),
        current_period_end: Some(1_800_000_000),
        price: Some("price_unheard_of".into()),
        metadata: Some(serde_json::Map::new()),
        object: Some(
            json!({ "customer": { "id": "cus_object", "object": "customer" }, "pause_collection": null }),
        ),
        ..Default::default()
    };
    stripe.simulator.patch_subscription(&id, change).expect("it is there");
    let page = stripe.get("/v1/subscriptions?status=all&limit=100");
    assert_eq!(page.ids(), before);
    let object = &page.data()[7];
    assert_eq!(object["status"], "canceled");
    assert!(object["ended_at"].is_i64());
    assert_eq!(object["items"]["data"][0]["current_period_end"], 1_800_000_000);
    assert_eq!(object["items"]["data"][0]["price"]["id"], "price_unheard_of");
    assert_eq!(object["metadata"], json!({}));
    assert_eq!(object["customer"]["id"], "cus_object");
    assert_eq!(stripe.get(&format!("/v1/subscriptions/{id}")).body, *object);
    assert!(!stripe.get("/v1/subscriptions?limit=100").ids().contains(&id));
    let created = SubscriptionChange { created: Some(1), ..Default::default() };
    assert!(stripe.simulator.patch_subscription(&id, created).is_err());
}

#[test]
fn test_clock_subscriptions_are_in_no_list_but_their_own() {
    let stripe = Stripe::with(0);
    let object = Some(json!({ "test_clock": "clock_1" }));
    let put = stripe.simulator.put_subscription(SubscriptionChange { object, ..Default::default() });
    let id = text(&put.expect("a new one")["id"]);
    assert!(stripe.get("/v1/subscriptions?status=all").ids().is_empty());
    assert_eq!(
        stripe.get("/v1/subscriptions?status=all&test_clock=clock_1").ids(),
        std::slice::from_ref(&id)
    );
    assert_eq!(stripe.get(&format!("/v1/subscriptions/{id}")).status, 200);
}

#[test]
fn items_beyond_the_first_ten_are_on_further_pages() {
    let stripe = Stripe::with(5);
    let id = stripe.simulator.generator().facts(2).id;
    let items = (0..25)
        .map(|seats| stripe_simulator::ItemChange { quantity: Some(seats), ..Default::default() })
        .collect();
    let change = SubscriptionChange { items: Some(items), ..Default::default() };
    stripe.simulator.patch_subscription(&id, change).expect("it is there");
    let object = stripe.get(&format!("/v1/subscriptions/{id}")).body;
    let list = &object["items"];
    assert_eq!((list["data"].as_array().map(Vec::len), &list["has_more"]), (Some(10), &json!(true)));
    let target = text(&list["url"]);
    let all = stripe.scan(&format!("{target}&limit=7"));
    let seats: Vec<u64> = all.iter().filter_map(|item| item["quantity"].as_u64()).collect();
    assert_eq!(seats, (0..25).collect::<Vec<_>>());
    let ids: HashSet<String> = all.iter().map(|item| text(&item["id"])).collect();
    assert_eq!(ids.len(), 25);
    let back = stripe.get(&format!("{target}&limit=7&ending_before={}", text(&all[10]["id"])));
    assert_eq!(back.data(), &all[3..10]);
    assert!(back.has_more());
}

#[test]
fn each_subscription_has_its_checkout_session() {
    let stripe = Stripe::with(150);
    let generator = stripe.simulator.generator();
    let sessions = stripe.scan("/v1/checkout/sessions?limit=100&status=complete");
    assert_eq!(sessions.len(), 150);
    for (session, index) in sessions.iter().rev().zip(0..) {
        let facts = generator.facts(index);
        assert_eq!(session["subscription"], facts.id);
        assert_eq!(session["customer"], facts.customer);
        assert_eq!(session["client_reference_id"], facts.organization_id);
        assert_eq!(created(session), generator.session_created(index));
    }
    let facts = generator.facts(77);
    let found = stripe.get(&format!("/v1/checkout/sessions?subscription={}", facts.id));
    assert_eq!(found.ids(), [text(&sessions[150 - 78]["id"])]);
    let since = generator.session_created(100);
    let recent = stripe.get(&format!("/v1/checkout/sessions?limit=100&created[gte]={since}"));
    assert_eq!(recent.data().len(), 50);

    let open = SessionChange { status: Some("open".into()), ..Default::default() };
    let open = stripe.simulator.put_session(open).expect("a new one");
    assert!(open["subscription"].is_null());
    assert_eq!(stripe.get("/v1/checkout/sessions?status=open").ids(), [text(&open["id"])]);
    assert_eq!(stripe.get("/v1/checkout/sessions").ids()[0], text(&open["id"]));
    let one = stripe.get(&format!("/v1/checkout/sessions/{}", text(&open["id"])));
    assert_eq!(one.body, open);
}

#[test]
fn changes_make_events_unless_they_are_silent() {
    let stripe = Stripe::with(5);
    let simulator = &stripe.simulator;
    let id = simulator.generator().facts(1).id;
    let status = |status: &str, silent: bool| {
        let change = SubscriptionChange { status: Some(status.into()), silent, ..Default::default() };
        simulator.patch_subscription(&id, change).expect("it is there");
    };
    simulator.put_subscription(SubscriptionChange::default()).expect("a new one");
    status("past_due", false);
    status("unpaid", true);
    status("canceled", false);
    let types = |query: &str| -> Vec<String> {
        stripe.get(&format!("/v1/events{query}")).data().iter().map(|event| text(&event["type"])).collect()
    };
    let expected = ["deleted", "updated", "created"].map(|what| format!("customer.subscription.{what}"));
    assert_eq!(types(""), expected);
    assert_eq!(types("?type=customer.subscription.*&limit=1"), expected[..1]);
    assert_eq!(types("?types[]=customer.subscription.created&types[]=invoice.paid"), expected[2..]);
    let newest = stripe.get("/v1/events").data()[0].clone();
    assert_eq!(newest["data"]["object"]["id"], id);
    assert_eq!(stripe.get(&format!("/v1/events/{}", text(&newest["id"]))).body, newest);
}
