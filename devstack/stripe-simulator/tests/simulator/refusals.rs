//! What Stripe refuses, and how it says so.

use crate::common::{Stripe, text};
use reqwest::Method;
use serde_json::json;
use stripe_simulator::{Config, RESTRICTED_KEY, SECRET_KEY, SubscriptionChange};

#[test]
fn no_key_and_a_wrong_key_are_401() {
    let stripe = Stripe::with(1);
    let without = stripe.with_key(None, "/v1/subscriptions");
    assert_eq!(without.status, 401);
    assert!(without.refusal().3.starts_with("You did not provide an API key."), "{}", without.body);
    assert!(without.header("www-authenticate").is_some());
    let wrong = stripe.with_key(Some("sk_test_51HsomebodyElsesKey9x2Q"), "/v1/subscriptions");
    assert_eq!(
        wrong.refusal(),
        (401, None, None, "Invalid API Key provided: sk_test_*******************9x2Q")
    );
    assert_eq!(wrong.body["error"]["type"], "invalid_request_error");
}

#[test]
fn a_restricted_key_learns_which_permission_it_lacks() {
    let stripe = Stripe::with(1);
    assert_eq!(stripe.restricted("/v1/subscriptions").status, 200);
    stripe.simulator.missing_permissions(&["rak_subscription_read", "rak_event_read"]);
    for target in
        ["/v1/subscriptions", "/v1/subscriptions/sub_1", "/v1/subscription_items?subscription=sub_1"]
    {
        let refused = stripe.restricted(target);
        let (status, code, _, message) = refused.refusal();
        assert_eq!((status, code), (403, None), "{target}");
        assert!(message.contains("Having the 'rak_subscription_read' permission"), "{message}");
        assert!(!message.contains(RESTRICTED_KEY), "{message}");
    }
    assert_eq!(stripe.restricted("/v1/events").status, 403);
    assert_eq!(stripe.restricted("/v1/checkout/sessions").status, 200);
    assert_eq!(stripe.get("/v1/subscriptions").status, 200, "a secret key may do everything");
}

#[test]
fn the_other_mode_sees_nothing() {
    let live_key = "sk_live_simulator";
    let api_keys = vec![SECRET_KEY.to_owned(), live_key.to_owned()];
    let stripe = Stripe::start(Config { subscriptions: 5, api_keys, ..Config::default() });
    let id = stripe.simulator.generator().facts(3).id;
    assert!(stripe.with_key(Some(live_key), "/v1/subscriptions?status=all").ids().is_empty());
    let other = stripe.with_key(Some(live_key), &format!("/v1/subscriptions/{id}"));
    let message = format!(
        "No such subscription: '{id}'; a similar object exists in test mode, but a live mode key was used to make this \
         request."
    );
    assert_eq!(other.refusal(), (404, Some("resource_missing"), Some("id"), message.as_str()));

    let api_keys = vec![live_key.to_owned()];
    let live = Stripe::start(Config { subscriptions: 5, api_keys, livemode: true, ..Config::default() });
    let object = live.with_key(Some(live_key), &format!("/v1/subscriptions/{id}")).body;
    assert_eq!(
        (&object["livemode"], &object["items"]["data"][0]["price"]["livemode"]),
        (&json!(true), &json!(true))
    );
}

#[test]
fn what_is_not_there_is_resource_missing() {
    let stripe = Stripe::with(3);
    for (target, status, param, message) in [
        ("/v1/subscriptions/sub_none", 404, "id", "No such subscription: 'sub_none'"),
        ("/v1/checkout/sessions/cs_none", 404, "session", "No such checkout.session: 'cs_none'"),
        ("/v1/prices/price_none", 404, "price", "No such price: 'price_none'"),
        ("/v1/events/evt_none", 404, "id", "No such event: 'evt_none'"),
        (
            "/v1/subscriptions?starting_after=sub_none",
            400,
            "starting_after",
            "No such subscription: 'sub_none'",
        ),
        (
            "/v1/subscriptions?ending_before=sub_none",
            400,
            "ending_before",
            "No such subscription: 'sub_none'",
        ),
        (
            "/v1/subscription_items?subscription=sub_none",
            400,
            "subscription",
            "No such subscription: 'sub_none'",
        ),
    ] {
        let refused = stripe.get(target);
        assert_eq!(refused.refusal(), (status, Some("resource_missing"), Some(param), message), "{target}");
        assert_eq!(refused.body["error"]["doc_url"], "https://stripe.com/docs/error-codes/resource-missing");
        assert!(
            text(&refused.body["error"]["request_log_url"])
                .contains(refused.header("request-id").expect("one"))
        );
    }
    let gone = stripe.simulator.generator().facts(1).id;
    stripe.simulator.delete_subscription(&gone).expect("it is there");
    assert_eq!(stripe.get(&format!("/v1/subscriptions/{gone}")).status, 404);
    assert_eq!(stripe.simulator.stats().retrieved["sub_none"], 1);
    assert_eq!(stripe.simulator.stats().retrieved[&gone], 1);
}

#[test]
fn parameters_are_checked() {
    let stripe = Stripe::with(3);
    for (target, code, param) in [
        ("/v1/subscriptions?stauts=all", Some("parameter_unknown"), "stauts"),
        ("/v1/subscriptions?created[after]=1", Some("parameter_unknown"), "created[after]"),
        ("/v1/subscriptions?subscription=sub_1", Some("parameter_unknown"), "subscription"),
        ("/v1/subscriptions/sub_1?limit=1", Some("parameter_unknown"), "limit"),
        ("/v1/subscriptions?limit=0", Some("parameter_invalid_integer"), "limit"),
        ("/v1/subscriptions?limit=101", Some("parameter_invalid_integer"), "limit"),
        ("/v1/subscriptions?limit=ten", Some("parameter_invalid_integer"), "limit"),
        ("/v1/subscriptions?created[gte]=yesterday", Some("parameter_invalid_integer"), "created[gte]"),
        ("/v1/subscriptions?status=cancelled", None, "status"),
        ("/v1/subscriptions?expand[]=data.everything", None, "expand"),
        ("/v1/subscriptions?expand[]=customer", None, "expand"),
        ("/v1/checkout/sessions?status=completed", None, "status"),
        ("/v1/subscription_items", Some("parameter_missing"), "subscription"),
    ] {
        let refused = stripe.get(target);
        let (status, found, at, _) = refused.refusal();
        assert_eq!((status, found, at), (400, code, Some(param)), "{target}: {}", refused.body);
    }
    assert_eq!(stripe.get("/v1/subscriptions?a=1").refusal().3, "Received unknown parameter: a");
    assert_eq!(stripe.get("/v1/subscriptions?a=1&b=2").refusal().3, "Received unknown parameters: a, b");
    for fine in
        ["expand[]=data.customer", "expand%5B0%5D=data.default_payment_method", "limit=100", "limit=1"]
    {
        assert_eq!(stripe.get(&format!("/v1/subscriptions?{fine}")).status, 200, "{fine}");
    }
    let id = stripe.simulator.generator().facts(1).id;
    let both = stripe.get(&format!("/v1/subscriptions?starting_after={id}&ending_before={id}"));
    assert_eq!(both.status, 400);
    assert_eq!(stripe.get("/v1/refunds").refusal().0, 404);
    assert!(
        stripe.get("/v1/refunds").refusal().3.starts_with("Unrecognized request URL (GET: /v1/refunds).")
    );
}

#[test]
fn writes_are_counted_and_refused() {
    let stripe = Stripe::with(3);
    let id = stripe.simulator.generator().facts(1).id;
    let before = stripe.simulator.subscription(&id);
    for (method, target) in [
        (Method::POST, format!("/v1/subscriptions/{id}")),
        (Method::DELETE, format!("/v1/subscriptions/{id}")),
        (Method::POST, "/v1/subscriptions".to_owned()),
        (Method::PUT, "/v1/refunds".to_owned()),
    ] {
        let answer = stripe.send(method, &target, Some(SECRET_KEY)).expect("an answer");
        assert_eq!(answer.status().as_u16(), 403, "{target}");
    }
    // One without a key is a write all the same.
    let answer = stripe.send(Method::POST, "/v1/subscriptions", None).expect("an answer");
    assert_eq!(answer.status().as_u16(), 401);
    stripe.get("/v1/subscriptions");
    let stats = stripe.simulator.stats();
    assert_eq!((stats.writes_refused, stats.requests), (5, 6));
    assert_eq!(stats.log[0], format!("POST /v1/subscriptions/{id}"));
    assert_eq!(stripe.simulator.subscription(&id), before);
}

#[test]
fn answers_carry_a_request_id_and_the_version() {
    let stripe = Stripe::with(1);
    let (one, two) = (stripe.get("/v1/subscriptions"), stripe.get("/v1/subscriptions?nonsense=1"));
    for answer in [&one, &two] {
        assert!(answer.header("request-id").is_some_and(|id| id.starts_with("req_")));
        assert_eq!(answer.header("stripe-version"), Some("2026-10-28.endive"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_ne!(one.header("request-id"), two.header("request-id"));
    let send = |version: &str| {
        let client = crate::common::client();
        let url = format!("{}/v1/subscriptions", stripe.simulator.url());
        client.get(url).bearer_auth(SECRET_KEY).header("stripe-version", version).send().expect("an answer")
    };
    let older = send("2024-06-20");
    assert_eq!(
        (older.status().as_u16(), &older.headers()["stripe-version"]),
        (200, &"2024-06-20".parse().expect("ASCII"))
    );
    assert_eq!(send("latest").status().as_u16(), 400);
}

#[test]
fn the_control_endpoint_does_all_of_it_over_http() {
    let stripe = Stripe::with(5);
    let control = |method: Method, path: &str, body| stripe.control(method, path, &body);
    let facts = control(Method::GET, "/facts?from=2&count=2", json!(null)).body;
    assert_eq!(facts[1], serde_json::to_value(stripe.simulator.generator().facts(3)).expect("JSON"));
    let id = text(&facts[0]["id"]);

    let put =
        control(Method::POST, "/subscriptions", json!({ "status": "trialing", "organization_id": "o" }));
    assert_eq!((put.status, &put.body["status"]), (200, &json!("trialing")));
    assert_eq!(stripe.get("/v1/subscriptions").ids()[0], text(&put.body["id"]));
    let patched = control(Method::PATCH, &format!("/subscriptions/{id}"), json!({ "status": "unpaid" }));
    assert_eq!(stripe.get(&format!("/v1/subscriptions/{id}")).body, patched.body);
    assert_eq!(control(Method::DELETE, &format!("/subscriptions/{id}"), json!(null)).status, 200);
    assert_eq!(stripe.get(&format!("/v1/subscriptions/{id}")).status, 404);
    assert_eq!(control(Method::PATCH, "/subscriptions/sub_none", json!({})).status, 400);

    let session = control(Method::POST, "/sessions", json!({ "subscription": "sub_1" })).body;
    assert_eq!(stripe.get("/v1/checkout/sessions").ids()[0], text(&session["id"]));
    assert_eq!(control(Method::PUT, "/missing_permissions", json!(["rak_event_read"])).status, 204);
    assert_eq!(stripe.restricted("/v1/events").status, 403);
    assert_eq!(control(Method::PUT, "/rate_limit", json!({ "per_second": 0.001, "burst": 1 })).status, 204);
    assert_eq!([stripe.get("/v1/events").status, stripe.get("/v1/events").status], [200, 429]);
    let script = json!({ "path": "/v1/events", "at": 1, "actions": [{ "delete_session": session["id"] }] });
    assert_eq!(control(Method::POST, "/scripts", script).status, 204);
    assert_eq!(control(Method::DELETE, "/rate_limit", json!(null)).status, 204);
    assert_eq!(stripe.get("/v1/events").status, 200);
    assert!(!stripe.get("/v1/checkout/sessions?limit=100").ids().contains(&text(&session["id"])));

    let fault = json!({ "kind": { "status": { "status": 502 } }, "path": "/v1/account", "count": 2 });
    assert_eq!(control(Method::POST, "/faults", fault).status, 204);
    assert_eq!(control(Method::GET, "/faults", json!(null)).body[0]["count"], 2);
    assert_eq!([stripe.get("/v1/account").status, stripe.get("/v1/account").status], [502, 502]);
    assert_eq!(control(Method::POST, "/faults", json!({ "kind": "garbage" })).status, 204);
    assert_eq!(control(Method::DELETE, "/faults", json!(null)).status, 204);
    assert_eq!(stripe.get("/v1/account").body["object"], "account");

    let stats = control(Method::GET, "/stats", json!(null)).body;
    assert_eq!((&stats["rate_limited"], &stats["retrieved"][&id]), (&json!(1), &json!(2)));
    assert!(control(Method::GET, "/log", json!(null)).body.as_array().is_some_and(|log| log.len() > 5));
    assert_eq!(control(Method::POST, "/reset", json!({ "subscriptions": 7 })).status, 204);
    assert_eq!(stripe.get("/v1/subscriptions?status=all").ids().len(), 7);
    assert_eq!(stripe.simulator.stats().requests, 1);

    for (path, mistake) in [
        ("/subscriptions", json!({ "satus": "active" })),
        ("/faults", json!({ "kind": "flood" })),
        ("/faults", json!({ "kind": "cut", "cuont": 2 })),
        ("/reset", json!({ "subs": 7 })),
    ] {
        assert!((400..500).contains(&control(Method::POST, path, mistake.clone()).status), "{mistake}");
    }
}

#[test]
fn it_ends_when_it_is_dropped() {
    let stripe = Stripe::with(1);
    stripe.simulator.put_subscription(SubscriptionChange::default()).expect("a new one");
    let url = stripe.simulator.url();
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    assert_eq!(stripe.get("/v1/subscriptions").status, 200);
    drop(stripe);
    let again = Stripe::start(Config { port, ..Config::default() });
    assert_eq!(again.simulator.url(), url);
    assert_eq!(again.get("/v1/subscriptions").ids().len(), 0);
}
