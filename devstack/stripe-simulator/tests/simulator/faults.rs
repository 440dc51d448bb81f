//! What goes wrong on request, and that it goes wrong for whom and as often as was asked.

use crate::common::{Stripe, text};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use stripe_simulator::{
    Action, Fault, FaultKind, RateLimit, SECRET_KEY, Script, SessionChange, SubscriptionChange,
};

const LIST: &str = "/v1/subscriptions";

fn status(status: u16) -> FaultKind {
    FaultKind::Status { status, should_retry: None, retry_after: None, reason: "global-rate".into() }
}

fn malformed(position: usize, object: Option<Value>) -> FaultKind {
    FaultKind::Malformed { position, object }
}

/// What comes over the wire for a GET until the other side ends, or falls silent for so long.
fn raw(stripe: &Stripe, target: &str, silence: Duration) -> String {
    let address = stripe.simulator.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.set_read_timeout(Some(silence)).expect("a timeout");
    let request =
        format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {SECRET_KEY}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is written");
    let mut received = Vec::new();
    // An end by reset or by silence is as good as one by FIN: what counts is what came before.
    let _ = stream.read_to_end(&mut received);
    String::from_utf8(received).expect("text")
}

#[test]
fn a_status_comes_as_often_as_was_asked_and_only_there() {
    let stripe = Stripe::with(3);
    stripe.simulator.fault(Fault::new(status(503)).exact(LIST).after(1).count(Some(2)));
    let id = stripe.simulator.generator().facts(0).id;
    let lists: Vec<u16> = (0..4).map(|_| stripe.get(LIST).status).collect();
    assert_eq!(lists, [200, 503, 503, 200]);
    stripe.simulator.fault(Fault::new(status(500)).path("/v1/subscriptions/").count(None));
    assert_eq!(stripe.get(LIST).status, 200);
    for _ in 0..3 {
        assert_eq!(stripe.get(&format!("{LIST}/{id}")).status, 500);
    }
    stripe.simulator.clear_faults();
    assert_eq!(stripe.get(&format!("{LIST}/{id}")).status, 200);
    let stats = stripe.simulator.stats();
    assert_eq!((stats.by_status[&503], stats.by_status[&500], stats.by_status[&200]), (2, 3, 4));
}

#[test]
fn headers_say_whether_and_when_to_try_again() {
    let stripe = Stripe::with(3);
    let retry = |should_retry, retry_after| FaultKind::Status {
        status: 429,
        should_retry,
        retry_after,
        reason: "global-concurrency".into(),
    };
    stripe.simulator.fault(Fault::new(retry(Some(true), Some(2))));
    stripe.simulator.fault(Fault::new(retry(Some(false), None)));
    let first = stripe.get(LIST);
    assert_eq!((first.status, first.refusal().1), (429, Some("rate_limit")));
    assert_eq!(first.header("stripe-rate-limited-reason"), Some("global-concurrency"));
    assert_eq!((first.header("stripe-should-retry"), first.header("retry-after")), (Some("true"), Some("2")));
    let second = stripe.get(LIST);
    assert_eq!((second.header("stripe-should-retry"), second.header("retry-after")), (Some("false"), None));
    assert_eq!(stripe.simulator.stats().rate_limited, 2);
}

#[test]
fn a_rate_limit_lets_through_what_it_says() {
    let stripe = Stripe::with(3);
    // So slow that no token comes back while the test runs.
    let limit = RateLimit { burst: Some(3.0), ..RateLimit::per_second(0.001) };
    stripe.simulator.rate_limit(Some(RateLimit { path: "/v1/subscriptions".into(), ..limit }));
    let answers: Vec<_> = (0..5).map(|_| stripe.get(LIST)).collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 200, 429, 429]);
    assert_eq!(answers[4].header("stripe-rate-limited-reason"), Some("endpoint-rate"));
    assert_eq!(answers[4].refusal().1, Some("rate_limit"));
    assert_eq!(stripe.get("/v1/events").status, 200, "another path has a limit of its own");
    assert_eq!(stripe.simulator.stats().rate_limited, 2);

    stripe.simulator.rate_limit(Some(RateLimit::per_second(200.0)));
    stripe.simulator.reset_stats();
    let start = Instant::now();
    while stripe.simulator.stats().by_status.get(&200).is_none_or(|answered| *answered < 260) {
        stripe.get("/v1/events");
    }
    // 200 at once, then 60 more at 200 a second.
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(290), "{elapsed:?}");
    stripe.simulator.rate_limit(None);
    assert!((0..300).all(|_| stripe.get("/v1/events").status == 200));
}

#[test]
fn a_cut_connection_ends_without_an_answer() {
    let stripe = Stripe::with(3);
    stripe.simulator.fault(Fault::new(FaultKind::Cut));
    assert_eq!(raw(&stripe, LIST, Duration::from_secs(20)), "");
    assert_eq!(stripe.get(LIST).status, 200);
    assert_eq!(stripe.simulator.stats().by_status[&0], 1);
}

#[test]
fn a_cut_body_stops_in_the_middle() {
    let stripe = Stripe::with(3);
    stripe.simulator.fault(Fault::new(FaultKind::CutBody));
    let received = raw(&stripe, LIST, Duration::from_secs(20));
    let (head, body) = received.split_once("\r\n\r\n").expect("headers");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body.len(), length / 2);

    stripe.simulator.fault(Fault::new(FaultKind::CutBody));
    let answer = stripe.send(reqwest::Method::GET, LIST, Some(SECRET_KEY)).expect("headers");
    assert!(answer.text().is_err());
    assert_eq!(stripe.get(LIST).status, 200);
}

#[test]
fn stalls_last_until_the_client_gives_up() {
    let stripe = Stripe::with(3);
    let patience = Duration::from_millis(300);
    stripe.simulator.fault(Fault::new(FaultKind::Stall));
    assert_eq!(raw(&stripe, LIST, patience), "");
    stripe.simulator.fault(Fault::new(FaultKind::StallBody));
    let received = raw(&stripe, LIST, patience);
    assert!(received.starts_with("HTTP/1.1 200") && received.contains("\"object\": \"list\""));
    assert_eq!(stripe.get(LIST).status, 200);
    // The simulator notices that the clients have gone, so that nothing counts as in flight for ever.
    let start = Instant::now();
    while stripe.simulator.stats().in_flight > 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "still in flight");
        std::thread::yield_now();
    }
}

#[test]
fn garbage_is_no_json() {
    let stripe = Stripe::with(3);
    stripe.simulator.fault(Fault::new(FaultKind::Garbage));
    let garbage = stripe.get(LIST);
    assert_eq!(garbage.status, 200);
    assert!(garbage.body.is_string(), "{}", garbage.body);
}

#[test]
fn one_object_of_a_list_is_malformed_and_the_others_are_not() {
    let stripe = Stripe::with(20);
    let whole = stripe.get(LIST);
    stripe.simulator.fault(Fault::new(malformed(4, None)).exact(LIST));
    stripe.simulator.fault(Fault::new(malformed(99, Some(json!("what?")))).exact(LIST));
    let page = stripe.get(LIST);
    for (place, (object, before)) in page.data().iter().zip(whole.data()).enumerate() {
        if place == 4 {
            assert_eq!((object.get("id"), &object["status"]), (None, &json!(7)));
        } else {
            assert_eq!(object, before);
        }
    }
    assert_eq!(stripe.get(LIST).data()[9], "what?");
    assert_eq!(stripe.get(LIST).data(), whole.data());
}

#[test]
fn latency_delays_and_lets_requests_overlap() {
    let stripe = Stripe::with(3);
    // Long enough for four threads to start on a busy machine.
    let late = FaultKind::Latency { milliseconds: 1_000 };
    stripe.simulator.fault(Fault::new(late).count(None));
    stripe.simulator.fault(Fault::new(status(503)));
    let start = Instant::now();
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| stripe.get(LIST).status)).collect();
        calls.into_iter().map(|call| call.join().expect("no panic")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 503]);
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(stripe.simulator.stats().max_in_flight, 4);
    assert_eq!(stripe.simulator.stats().in_flight, 0);
}

#[test]
fn a_script_changes_the_account_in_the_middle_of_a_scan() {
    let stripe = Stripe::with(50);
    let generator = stripe.simulator.generator();
    let (early, late) = (generator.facts(49).id, generator.facts(0).id);
    let canceled = |id: &str| {
        Action::PatchSubscription(SubscriptionChange {
            id: Some(id.to_owned()),
            status: Some("canceled".into()),
            ..Default::default()
        })
    };
    let actions = vec![
        canceled(&early),
        canceled(&late),
        Action::PutSubscription(SubscriptionChange { id: Some("sub_new".into()), ..Default::default() }),
        Action::PutSession(SessionChange { subscription: Some("sub_new".into()), ..Default::default() }),
    ];
    stripe.simulator.script(Script { path: LIST.into(), at: 3, actions });
    let objects = stripe.scan("/v1/subscriptions?status=all&limit=10");
    let status = |id: &str| {
        let object = objects.iter().find(|object| object["id"] == id)?;
        Some(text(&object["status"]))
    };
    assert_eq!(objects.len(), 50, "what was created during the scan is newer than where it began");
    assert_eq!(status(&early).as_deref(), Some(generator.facts(49).status), "read before the change");
    assert_eq!(status(&late).as_deref(), Some("canceled"), "read after the change");
    assert_eq!(status("sub_new"), None);
    assert_eq!(stripe.get("/v1/subscriptions?limit=1").ids(), ["sub_new"]);
    assert_eq!(stripe.get("/v1/checkout/sessions?subscription=sub_new").ids().len(), 1);
}

#[test]
fn a_script_that_cannot_be_done_is_seen() {
    let stripe = Stripe::with(1);
    let actions = vec![Action::DeleteSubscription("sub_none".into())];
    stripe.simulator.script(Script { path: LIST.into(), at: 1, actions });
    let refused = stripe.get(LIST);
    assert_eq!((refused.status, refused.refusal().2), (400, Some("script")), "{}", refused.body);
}
