//! The Stripe client by itself.

use std::time::Duration;

use billing_ops::stripe::StripeError;
use billing_ops::stripe::event::TYPES;
use billing_ops::stripe::pages::{EventsAsked, Window};
use stripe_simulator::{Config, Fault, FaultKind, RESTRICTED_KEY, SECRET_KEY, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::world::{QUICK, at, stripe};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn all() -> Window {
    Window { gte: 0, lt: 4_000_000_000, starting_after: None }
}

fn simulator() -> Simulator {
    Simulator::start(Config { subscriptions: 150, ..Config::default() }).unwrap()
}

#[tokio::test]
async fn every_request_is_a_get_of_the_pinned_version() {
    let simulator = simulator();
    let client = stripe(&simulator, RESTRICTED_KEY, 1_000.0);
    let page = client.subscriptions(&all(), soon()).await.unwrap();
    assert_eq!((page.data.len(), page.has_more), (100, true));
    client.completed_sessions(0, None, soon()).await.unwrap();
    let id = simulator.generator().facts(3).id;
    assert_eq!(client.subscription(&id, soon()).await.unwrap().id, id);
    assert!(client.session_of_subscription(&id, soon()).await.unwrap().is_some());
    assert_eq!(client.calls(), 4);
    assert!(simulator.stats().log.iter().all(|line| line.starts_with("GET /v1/")));
}

#[tokio::test]
async fn an_object_that_does_not_exist_is_not_found_at_once() {
    let simulator = simulator();
    let client = stripe(&simulator, SECRET_KEY, 1_000.0);
    for id in ["sub_nobody", "../account", "sub 1?x=/é"] {
        let error = client.subscription(id, soon()).await.unwrap_err();
        assert!(matches!(error, StripeError::NotFound { .. }), "{id}: {error:?}");
    }
    let window = Window { starting_after: Some("sub_nobody".into()), ..all() };
    let error = client.subscriptions(&window, soon()).await.unwrap_err();
    assert!(
        matches!(&error, StripeError::NotFound { parameter, .. } if parameter.as_deref() == Some("starting_after"))
    );
    assert_eq!(client.calls(), 4);
}

#[tokio::test]
async fn stripe_decides_whether_to_ask_again() {
    let fault = |status, should_retry| {
        Fault::new(FaultKind::Status {
            status,
            should_retry,
            retry_after: None,
            reason: "endpoint-rate".into(),
        })
        .count(None)
    };
    for (status, should_retry, calls) in
        [(400, None, 1), (400, Some(true), 6), (500, None, 6), (500, Some(false), 1), (409, None, 6)]
    {
        let simulator = simulator();
        simulator.fault(fault(status, should_retry));
        let client = stripe(&simulator, SECRET_KEY, 1_000.0);
        client.subscription("sub_1", soon()).await.unwrap_err();
        assert_eq!(client.calls(), calls, "{status} {should_retry:?}");
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let simulator = simulator();
    let status = FaultKind::Status {
        status: 429,
        should_retry: None,
        retry_after: Some(1),
        reason: "global-concurrency".into(),
    };
    simulator.fault(Fault::new(status));
    let client = stripe(&simulator, SECRET_KEY, 1_000.0);
    let began = Instant::now();
    client.subscriptions(&all(), soon()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(client.calls(), 2);
}

#[tokio::test]
async fn the_deadline_ends_everything() {
    let simulator = simulator();
    simulator.fault(Fault::new(FaultKind::Stall).count(None));
    let client = stripe(&simulator, SECRET_KEY, 1_000.0);
    let began = Instant::now();
    let error = client.subscriptions(&all(), began + Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error, StripeError::Deadline);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn errors_carry_stripes_id_of_the_request_and_not_the_key() {
    let simulator = simulator();
    let client = stripe(&simulator, "sk_test_Canary", 1_000.0);
    let error = client.subscriptions(&all(), soon()).await.unwrap_err();
    assert!(error.to_string().contains("req_"), "{error}");
    simulator.missing_permissions(&["rak_subscription_read"]);
    let restricted = stripe(&simulator, RESTRICTED_KEY, 1_000.0);
    let missing = restricted.subscriptions(&all(), soon()).await.unwrap_err();
    for text in [format!("{error} {error:?}"), format!("{missing} {missing:?}"), format!("{client:?}")] {
        assert!(!text.contains("Canary") && !text.contains("rk_test"), "{text}");
    }
}

/// A server that answers each request with a status and a body.
async fn answering(answer: impl Fn(&[u8]) -> (&'static str, String) + Send + 'static) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let (status, body) = answer(&request[..read]);
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    address
}

/// Answers whatever is asked with the same list of items, of which it says that there are more.
async fn endless_items(items: &'static str) -> String {
    answering(move |request| {
        let list = format!(r#"{{"object": "list", "data": [{items}], "has_more": true}}"#);
        let subscription = format!(
            r#"{{"id": "sub_1", "status": "active", "customer": "cus_1", "created": 1, "items": {list}}}"#
        );
        ("200 OK", if request.starts_with(b"GET /v1/subscriptions") { subscription } else { list })
    })
    .await
}

#[tokio::test]
async fn a_customer_who_was_deleted_has_nothing_else_and_ends_no_run() {
    let body = r#"{"error": {"code": "resource_missing", "param": "customer"}}"#;
    let address = answering(move |_| ("400 Bad Request", body.to_owned())).await;
    let client = at(&address, SECRET_KEY, 1_000_000.0, QUICK);
    assert_eq!(client.not_canceled_of("cus_1", soon()).await.unwrap(), []);
}

#[tokio::test]
async fn items_that_do_not_end_are_one_odd_subscription_and_not_a_run_for_ever() {
    for items in [r#"{"id": "si_1"}"#, r#"{"id": "si_1"}, {"id": "si_2"}"#, "{}", ""] {
        let client = at(&endless_items(items).await, SECRET_KEY, 1_000_000.0, QUICK);
        let error = client.subscription("sub_1", soon()).await.unwrap_err();
        assert!(matches!(error, StripeError::Malformed { .. }), "{items}: {error:?}");
    }
}

#[tokio::test]
async fn events_are_asked_for_by_type_time_and_delivery() {
    let body = r#"{"object": "list", "has_more": false, "data": [
        {"id": "evt_1", "type": "invoice.paid", "created": 7, "livemode": false,
         "data": {"object": {"object": "invoice", "parent": {"subscription_details": {"subscription": "sub_1"}}}}},
        {"id": "evt_2", "type": "customer.subscription.updated", "created": 7, "livemode": false,
         "data": {"object": {"object": "subscription", "id": "nobody"}}}
    ]}"#;
    let (told, asked_for) = std::sync::mpsc::channel();
    let address = answering(move |request| {
        told.send(String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned()).unwrap();
        ("200 OK", body.to_owned())
    })
    .await;
    let client = at(&address, SECRET_KEY, 1_000_000.0, QUICK);
    let asked = EventsAsked {
        types: &["invoice.paid", "customer.subscription.updated"],
        created_gte: 5,
        created_lte: None,
        undelivered: false,
        starting_after: None,
    };
    let page = client.events(&asked, soon()).await.unwrap();
    assert_eq!(page.data[0].as_ref().unwrap().subscription.as_deref(), Some("sub_1"));
    let odd = page.data[1].as_ref().unwrap_err();
    assert_eq!(odd.id.as_deref(), Some("evt_2"), "one odd event is not a lost page");
    let further =
        EventsAsked { created_lte: Some(9), undelivered: true, starting_after: Some("evt_2"), ..asked };
    client.events(&further, soon()).await.unwrap();
    let first =
        "/v1/events?limit=100&created[gte]=5&types[]=invoice.paid&types[]=customer.subscription.updated";
    let rest = "&created[lte]=9&delivery_success=false&starting_after=evt_2";
    for expected in [first.to_owned(), format!("{first}{rest}")] {
        let line = asked_for.recv().unwrap().replace("%5B", "[").replace("%5D", "]");
        assert_eq!(line, format!("GET {expected} HTTP/1.1"));
    }
}

#[tokio::test]
async fn a_key_that_may_not_read_events_is_told_what_it_lacks() {
    let simulator = simulator();
    let client = stripe(&simulator, RESTRICTED_KEY, 1_000.0);
    let asked = EventsAsked {
        types: TYPES,
        created_gte: 0,
        created_lte: None,
        undelivered: true,
        starting_after: None,
    };
    client.events(&asked, soon()).await.unwrap();
    simulator.missing_permissions(&["rak_event_read"]);
    let error = client.events(&asked, soon()).await.unwrap_err();
    assert!(error.to_string().contains("Events: Read, rak_event_read"), "{error}");
}

#[tokio::test]
async fn the_rate_is_kept_within_a_few_percent_of_the_limit() {
    let simulator = simulator();
    let client = stripe(&simulator, SECRET_KEY, 100.0);
    let began = Instant::now();
    let requests = (0..150).map(|_| client.session_of_subscription("sub_1", soon()));
    for result in futures::future::join_all(requests).await {
        result.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(1_450), "{:?}", began.elapsed());
}
