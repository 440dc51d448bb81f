//! Where the gateway has to be as PostgREST is, because postrust is not, and where it fails on request.

use std::time::{Duration, Instant};

use crate::rig::{Rig, sent};
use devstack::gateway::control::{Faults, Outage};
use serde_json::{Value, json};

#[tokio::test]
async fn arguments_arrive_as_they_were_sent() {
    let rig = Rig::new().await;
    let arguments = json!({
        "number": 7, "words": "a \"quoted\" ‘word’", "moment": "2026-11-23T10:00:00Z",
        "id": "0e9e35ac-0c9e-493e-aa19-2fefb7073ff0", "data": {"list": [1, null, "x"], "deep": {"n": 1.5}},
    });
    let (status, echo) = sent(rig.rpc("echo", &arguments)).await;
    assert_eq!(status, 200, "{echo}");
    assert_eq!(echo["number"], 7);
    assert_eq!(echo["words"], arguments["words"]);
    assert_eq!(echo["moment"], "2026-11-23T10:00:00+00:00");
    assert_eq!(echo["id"], arguments["id"]);
    assert_eq!(echo["data"], arguments["data"]);
    assert_eq!(echo["extra"], "default");

    let nulls =
        json!({"number": null, "words": null, "moment": null, "id": null, "data": null, "extra": null});
    let (status, echo) = sent(rig.rpc("echo", &nulls)).await;
    assert_eq!(status, 200, "{echo}");
    assert_eq!(
        (&echo["words_is_null"], &echo["data_is_null"], &echo["extra"]),
        (&json!(true), &json!(true), &Value::Null)
    );

    let composite = json!({"given": {"left_side": 4, "right_side": "x"}, "many": [1, 2, 3]});
    assert_eq!(sent(rig.rpc("of_pair", &composite)).await, (reqwest::StatusCode::OK, json!("x43")));
}

#[tokio::test]
async fn results_have_postgrests_shapes() {
    let rig = Rig::new().await;
    assert_eq!(sent(rig.rpc("nothing", &json!({}))).await, (reqwest::StatusCode::NO_CONTENT, json!("")));
    assert_eq!(sent(rig.rpc("numbers", &json!({"up_to": 3}))).await.1, json!([1, 2, 3]));
    assert_eq!(sent(rig.rpc("numbers", &json!({"up_to": 0}))).await.1, json!([]));
    assert_eq!(sent(rig.rpc("table_of", &json!({"up_to": 1}))).await.1, json!([{"number": 1, "word": "w"}]));
    assert_eq!(
        sent(rig.rpc("one_thing", &json!({"wanted": 2}))).await.1,
        json!({"id": 2, "name": "thing 2"})
    );
    let (_, many) = sent(rig.rpc("table_of", &json!({"up_to": 1500}))).await;
    assert_eq!(many.as_array().map(Vec::len), Some(1000), "an answer holds at most 1,000 rows");
    let tea = rig.rpc("teapot", &json!({})).send().await.expect("an answer");
    assert_eq!(tea.status(), 418);
    assert_eq!(tea.headers()["x-tea"], "green");
    // An empty body is a call without arguments.
    let bare = rig.http.post(rig.rest("/rpc/nothing")).header("apikey", &rig.keys.secret_key);
    assert_eq!(sent(bare).await.0, 204);
}

#[tokio::test]
async fn stable_functions_cannot_write() {
    let rig = Rig::new().await;
    let (status, body) = sent(rig.rpc("writes_though_stable", &json!({}))).await;
    // plpgsql itself may notice first; either way nothing is written.
    assert!(matches!(body["code"].as_str(), Some("25006" | "0A000")), "{status} {body}");
    let things = rig.http.get(rig.rest("/things?select=id&id=eq.99")).header("apikey", &rig.keys.secret_key);
    assert_eq!(sent(things).await.1, json!([]));
    assert_eq!(sent(rig.rpc("writes", &json!({}))).await.1, json!(100));
}

#[tokio::test]
async fn errors_pass_through_with_postgrests_status() {
    let rig = Rig::new().await;
    let cases = [
        ("23505", 409),
        ("PT409", 409),
        ("PT429", 429),
        ("P0001", 400),
        ("42501", 403),
        ("40001", 500),
        ("53300", 503),
        ("57P01", 503),
    ];
    for (code, expected) in cases {
        // A genuine PostgREST runs the transaction again, for ever.
        if code == "40001" && devstack::settings::postgrest().is_some() {
            continue;
        }
        let (status, body) = sent(rig.rpc("fails", &json!({"code": code}))).await;
        assert_eq!(status.as_u16(), expected, "{code}: {body}");
        let expected =
            json!({"code": code, "message": "the message", "details": "the detail", "hint": "the hint"});
        assert_eq!(body, expected);
    }
    let (status, body) = sent(rig.rpc("deferred", &json!({}))).await;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("23505")), "found at commit: {body}");
    let (status, body) = sent(rig.rpc("unheard_of", &json!({"a": 1}))).await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("PGRST202")));
    let (status, body) = sent(rig.rpc("echo", &json!({"number": 1}))).await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("PGRST202")), "missing arguments: {body}");
    let broken = rig.rpc("echo", &json!({})).body("{\"number\": ");
    assert_eq!(sent(broken).await.1["code"], "PGRST102");
}

#[tokio::test]
async fn a_functions_own_time_limit_holds() {
    let rig = Rig::new().await;
    let started = Instant::now();
    let (status, body) = sent(rig.rpc("slow_by_itself", &json!({}))).await;
    assert_eq!((status.as_u16(), &body["code"]), (500, &json!("57014")));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_want_of_permission_is_403_to_who_signed_in_and_401_to_who_did_not() {
    let rig = Rig::new().await;
    let claims =
        json!({"role": "authenticated", "sub": uuid::Uuid::new_v4(), "exp": devstack::keys::now() + 60});
    let token = rig.keys.sign(devstack::keys::Signer::Es256, &claims).expect("signed");
    for (bearer, expected) in [(None, 401), (Some(&token), 403)] {
        let with = |request: reqwest::RequestBuilder| {
            let request = request.header("apikey", &rig.keys.publishable_key);
            if let Some(token) = bearer { request.bearer_auth(token) } else { request }
        };
        let (status, body) = sent(with(rig.http.post(rig.rest("/rpc/no_one")).json(&json!({})))).await;
        assert_eq!((status.as_u16(), &body["code"]), (expected, &json!("42501")), "{body}");
        // Nobody may touch this table, and it is there all the same.
        let (status, body) = sent(with(rig.http.get(rig.rest("/closed")))).await;
        assert_eq!((status.as_u16(), &body["code"]), (expected, &json!("42501")), "{body}");
        let (status, body) =
            sent(with(rig.http.post(rig.rest("/things")).json(&json!({"id": 5, "name": "x"})))).await;
        assert_eq!((status.as_u16(), &body["code"]), (expected, &json!("42501")), "{body}");
        let (status, body) = sent(with(rig.http.get(rig.rest("/not_there")))).await;
        assert_eq!((status.as_u16(), &body["code"]), (404, &json!("PGRST205")), "{body}");
    }
}

#[tokio::test]
async fn new_functions_are_seen_after_a_notify() {
    let rig = Rig::new().await;
    let owner = devstack::postgres::connect(&rig.postgres.socket_config("postgres")).await.expect("connects");
    owner
        .batch_execute("create function public.newborn() returns int language sql as 'select 1'")
        .await
        .expect("made");
    assert_eq!(sent(rig.rpc("newborn", &json!({}))).await.1["code"], "PGRST202");
    owner.batch_execute("notify pgrst, 'reload schema'").await.expect("said");
    let deadline = Instant::now() + Duration::from_secs(10);
    while sent(rig.rpc("newborn", &json!({}))).await.1 != json!(1) {
        assert!(Instant::now() < deadline, "the new function is not seen");
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_503_and_comes_back() {
    let rig = Rig::new().await;
    let admin = rig.postgres.admin().await.expect("connects");
    assert_eq!(sent(rig.rpc("numbers", &json!({"up_to": 1}))).await.0, 200);
    // Every connection of PostgREST's ends, and no new one is let in.
    admin.batch_execute("alter role authenticator nologin").await.expect("altered");
    admin
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'",
            &[],
        )
        .await
        .expect("terminated");
    // A connection that was open may say that it was terminated; from then on there is none.
    let (status, body) = sent(rig.rpc("numbers", &json!({"up_to": 1}))).await;
    assert_eq!(status, 503, "{body}");
    // What PostgREST says without a database, or without a schema cache since it lost it.
    let named = |body: &Value| matches!(body["code"].as_str(), Some("PGRST000" | "PGRST001" | "PGRST002"));
    assert!(body["code"] == "57P01" || named(&body), "{body}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !named(&sent(rig.rpc("numbers", &json!({"up_to": 1}))).await.1) {
        assert!(Instant::now() < deadline, "the outage has no name");
    }
    let things = rig.http.get(rig.rest("/things")).header("apikey", &rig.keys.secret_key);
    let (status, body) = sent(things).await;
    assert_eq!(status, 503, "{body}");
    admin.batch_execute("alter role authenticator login").await.expect("altered");
    let deadline = Instant::now() + Duration::from_secs(10) + rig.gateway.recovery();
    while sent(rig.rpc("numbers", &json!({"up_to": 1}))).await.0 != 200 {
        assert!(Instant::now() < deadline, "the gateway does not come back");
    }
}

#[tokio::test]
async fn faults_come_on_request_and_requests_are_counted() {
    let rig = Rig::new().await;
    let control = rig.gateway.control();
    let call = || rig.rpc("numbers", &json!({"up_to": 1})).timeout(Duration::from_millis(1500));
    let outage = |outage| Faults { outage: Some(outage), ..Faults::default() };

    control.set_faults(outage(Outage::Unavailable));
    assert_eq!(sent(call()).await.0, 503);
    control.set_faults(outage(Outage::Drop));
    let dropped = call().send().await;
    assert!(dropped.is_err() || dropped.expect("a head").bytes().await.is_err(), "the answer is cut");
    control.set_faults(outage(Outage::Stall));
    assert!(call().send().await.expect_err("no answer").is_timeout());
    control.set_faults(Faults { latency_ms: 200, ..Faults::default() });
    let started = Instant::now();
    assert_eq!(sent(call()).await.0, 200);
    assert!(started.elapsed() >= Duration::from_millis(200));
    // One passes, two fail, and then it is over; other paths never notice.
    control.set_faults(Faults {
        after: 1,
        times: Some(2),
        path: Some("numbers".to_owned()),
        ..outage(Outage::Unavailable)
    });
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert_eq!(sent(rig.rpc("nothing", &json!({}))).await.0, 204);
        seen.push(sent(call()).await.0.as_u16());
    }
    assert_eq!(seen, [200, 503, 503, 200]);
    // The work is done and the answer is lost.
    control.set_faults(Faults { after_the_work: true, ..outage(Outage::Unavailable) });
    assert_eq!(sent(rig.rpc("writes", &json!({}))).await.0, 503);
    control.reset();
    let things = rig.http.get(rig.rest("/things?select=id&id=eq.100")).header("apikey", &rig.keys.secret_key);
    assert_eq!(sent(things).await.1, json!([{"id": 100}]));
    let url = format!("{}/_control/requests", rig.gateway.url());
    let (_, counted) = sent(rig.http.get(url)).await;
    assert_eq!(counted, json!({"total": 1, "requests": {"GET /rest/v1/things": 1}}));
}

#[tokio::test]
async fn a_dashboard_of_another_origin_may_ask() {
    let rig = Rig::new().await;
    let preflight = rig
        .http
        .request(reqwest::Method::OPTIONS, rig.auth("/token"))
        .header("origin", "http://127.0.0.1:3000")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "apikey,authorization,content-type,x-client-info");
    let answer = preflight.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(
        answer.headers()["access-control-allow-headers"],
        "apikey,authorization,content-type,x-client-info"
    );
    // Refusals must be readable, too.
    let refused = rig.http.post(rig.auth("/token")).header("origin", "http://127.0.0.1:3000").send().await;
    let refused = refused.expect("an answer");
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
}
