//! What is refused before anything is done, in which order, and in which words.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::function::Function;
use crate::people::People;
use crate::raw_http;
use support::matrix::Principal;
use support::paths::{ALERTS, CONFIG, DRIFT, HEALTH, METRICS, MONITOR, RECONCILE, RECONCILE_NOW, RUNS};
use support::{Request, Stack};

const BODY_LIMIT: usize = 64 * 1024;

/// A client that nobody was before: rate limits have their own tests.
fn fresh(request: Request) -> Request {
    static CLIENTS: AtomicU32 = AtomicU32::new(0);
    let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
    request.client(&format!("10.{}.{}.{}", number / 65536, number / 256 % 256, number % 256))
}

/// A call by who may make it: a machine where one is meant, else the admin.
fn allowed(stack: &Stack, method: Method, path: &str) -> Request {
    let route = path.split('?').next().unwrap_or_default();
    let token = match route {
        RECONCILE => &stack.at.reconcile_secret,
        MONITOR => &stack.at.monitor_secret,
        METRICS => &stack.at.metrics_secret,
        _ => &stack.at.admin_token,
    };
    fresh(stack.request(method, path)).bearer(token)
}

/// An alert that is open, and a run.
async fn an_alert_and_a_run(stack: &Stack) -> (Uuid, Uuid) {
    assert_eq!(stack.monitor().await.status, 200);
    let run = stack.reconcile("").await;
    let alerts = stack.admin(ALERTS).await;
    let id = |value: &serde_json::Value| value.as_str().and_then(|id| id.parse().ok()).expect("an id");
    (id(&alerts.body["alerts"][0]["id"]), id(&run.body["reconciliation_log_id"]))
}

#[tokio::test]
async fn refusals_come_in_the_order_that_is_promised() {
    let stack = Stack::start();
    let people = People::settle(&stack).await;
    let large = "x".repeat(BODY_LIMIT + 1);
    let resolve = format!("{ALERTS}/no-uuid/resolve?typo=1");
    for path in [&format!("{RECONCILE}?typo=1"), &format!("{MONITOR}?typo=1"), &resolve] {
        // Everything is wrong; then one thing less, and less.
        let method =
            fresh(stack.request(Method::DELETE, path)).bearer("wrong").body(large.clone()).send().await;
        assert_eq!(method.status, 405, "{path}: {method:?}");
        let caller =
            fresh(stack.post(path)).bearer("wrong-secret-of-length").body(large.clone()).send().await;
        assert_eq!(caller.status, 401, "{path}: {caller:?}");
        let bare = path.trim_end_matches("?typo=1");
        let size = allowed(&stack, Method::POST, bare).body(large.clone()).send().await;
        assert_eq!(size.status, 413, "{path}: {size:?}");
        let parameters = allowed(&stack, Method::POST, path).send().await;
        assert_eq!(parameters.status, 400, "{path}: {parameters:?}");
    }
    // What the database judges comes last: a person who may nothing hears of a typo first.
    for who in [Principal::Member, Principal::ForgedAdmin] {
        for (method, path) in [(Method::GET, ALERTS), (Method::GET, RUNS), (Method::POST, RECONCILE_NOW)] {
            let typo = people.call(&stack, who, method.clone(), &format!("{path}?typo=1"));
            assert_eq!(fresh(typo).send().await.status, 400, "{path} {who:?}");
            let judged = fresh(people.call(&stack, who, method, path)).send().await;
            assert_eq!(judged.status, if who == Principal::Member { 403 } else { 401 }, "{path} {who:?}");
        }
    }
}

#[tokio::test]
async fn parameters_that_are_unknown_doubled_or_out_of_range_are_refused_by_name() {
    let stack = Stack::start();
    let (_, run) = an_alert_and_a_run(&stack).await;
    let run = format!("{RUNS}/{run}");
    let resolve = format!("{ALERTS}/{}/resolve", Uuid::from_u128(1));
    let past = format!("cursor=0000-01-01T00:00:00Z_{}", Uuid::from_u128(1));
    let future = format!("cursor=9999-12-31T23:59:59-23:59_{}", Uuid::from_u128(1));
    let (past, future) = (past.as_str(), future.as_str());
    let long = format!("type={}", "a".repeat(65));
    let hours: &[&str] = &[
        "hours=0",
        "hours=169",
        "hours=-1",
        "hours=%2B5",
        "hours=1.5",
        "hours=1e2",
        "hours=",
        "hours=24h",
        "hours=99999999999999999999",
        "hours=24&hours=24",
        "hours=%FF",
        "hours=%00",
    ];
    let limits: &[&str] = &["limit=0", "limit=201", "limit=x", "limit=", "limit=5&limit=5"];
    let cursors: &[&str] = &["cursor=", "cursor=x", "cursor=2026-11-23T10:00:00Z_x", past, future];
    let types: &[&str] = &["type=Drift", "type=a-b", "type=", "type=%00", "type=a'--", &long];
    let cases: Vec<(Method, &str, Vec<&str>)> = vec![
        (
            Method::POST,
            RECONCILE,
            [hours, &["type=nightly", "type=Scheduled", "type=", "type=manual&type=manual"]].concat(),
        ),
        (Method::GET, RECONCILE, vec!["hours=0", "type=nightly", "id=1"]),
        (Method::POST, RECONCILE_NOW, [hours, &["type=manual"]].concat()),
        (Method::POST, MONITOR, vec!["hours=24", "id=1"]),
        (
            Method::GET,
            ALERTS,
            [limits, cursors, types, &["status=closed", "severity=urgent", "severity="]].concat(),
        ),
        (Method::GET, RUNS, [limits, cursors, &["status=failed", "type=nightly"]].concat()),
        (
            Method::GET,
            &run,
            [limits, types, cursors, &["show=all", "cursor=-1", "cursor=99999999999999999999"]].concat(),
        ),
        (
            Method::GET,
            DRIFT,
            [limits, cursors, types, &["state=resolved", "severity=urgent", "action=fixed", "owner="]]
                .concat(),
        ),
        (Method::POST, &resolve, vec!["hours=24", "id=1&id=2"]),
        (Method::GET, HEALTH, vec!["deep=2", "deep=", "deep=true", "deep=1&deep=1"]),
        (Method::GET, CONFIG, vec!["deep=1"]),
        (Method::GET, METRICS, vec!["format=json", "page=2"]),
    ];
    for (method, path, queries) in cases {
        for query in queries.into_iter().chain(["typo=1", "%ff=1", "Hours=1"]) {
            let name = query.split('=').next().unwrap_or_default();
            let answer = allowed(&stack, method.clone(), &format!("{path}?{query}")).send().await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "invalid_request"),
                "{path}?{query}: {answer:?}"
            );
            let sentence = answer.body["error"].as_str().unwrap_or_default();
            assert!(name.contains('%') || sentence.contains(name), "{path}?{query}: {sentence}");
        }
    }
    for (method, path) in [
        (Method::POST, format!("{RECONCILE}?hours=1")),
        (Method::POST, format!("{RECONCILE}?type=manual&hours=168")),
        (Method::POST, format!("{RECONCILE}?type=webhook_failure")),
        (Method::POST, format!("{RECONCILE}?type=request&hours=24")),
        (Method::POST, format!("{RECONCILE_NOW}?hours=168")),
        (Method::GET, format!("{ALERTS}?status=all&severity=critical&type=drift_status_mismatch&limit=200")),
        (Method::GET, format!("{RUNS}?status=partial&type=manual&limit=1")),
        (
            Method::GET,
            format!(
                "{run}?show=standing&type=missing_subscription&limit=1&cursor=0_5a5f46f3-e143-43eb-b7df-7de6bbfd99ff"
            ),
        ),
        (
            Method::GET,
            format!("{DRIFT}?state=all&type=status_mismatch&severity=high&owner=x&action=held&limit=200"),
        ),
        (Method::GET, "/api/health?deep=0".into()),
    ] {
        let answer = allowed(&stack, method, &path).send().await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    for keys in [
        &["no-uuid"][..],
        &[""],
        &["0b0e3b0e-8c3e-4d53-9d35-0c5a4c7c4f5e", "0b0e3b0e-8c3e-4d53-9d35-0c5a4c7c4f5e"],
    ] {
        for run_type in ["request", "webhook_failure", "scheduled", "manual"] {
            let call = allowed(&stack, Method::POST, &format!("{RECONCILE}?type={run_type}"));
            let call = keys.iter().fold(call, |call, key| call.header("idempotency-key", key));
            let answer = call.send().await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "invalid_request"),
                "{run_type} {keys:?}: {answer:?}"
            );
        }
    }
    let key = "0b0e3b0e-8c3e-4d53-9d35-0c5a4c7c4f5e";
    for (run_type, in_the_key) in
        [("request", true), ("webhook_failure", true), ("scheduled", false), ("manual", false)]
    {
        let call = allowed(&stack, Method::POST, &format!("{RECONCILE}?type={run_type}"));
        let answer = call.header("idempotency-key", key).send().await;
        // The second of the first two is refused: the key was used with another type.
        let run_key = answer.body["run_key"].as_str().unwrap_or_default();
        let expected = if run_type == "webhook_failure" { 409 } else { 200 };
        assert_eq!(answer.status, expected, "{run_type}: {answer:?}");
        assert!(expected == 409 || run_key.ends_with(key) == in_the_key, "{run_type}: {run_key}");
    }
}

#[tokio::test]
async fn endpoints_that_take_no_body_accept_none_an_empty_one_or_an_empty_object() {
    let stack = Stack::start();
    let (alert, _) = an_alert_and_a_run(&stack).await;
    let resolve = format!("{ALERTS}/{alert}/resolve");
    for path in [RECONCILE, MONITOR, RECONCILE_NOW, &resolve] {
        let filled = format!("{}{{}}", " ".repeat(BODY_LIMIT - 2));
        for body in ["", "{}", " { }\r\n", "\n", &filled] {
            let call = allowed(&stack, Method::POST, path).header("content-type", "application/json");
            let answer = call.body(body.to_owned()).send().await;
            assert_eq!(answer.status, 200, "{path} {:?}: {answer:?}", &body[..body.len().min(20)]);
        }
        for body in
            [r#"{"hours": 24}"#, "[]", "null", "0", r#""text""#, "{", "{}{}", "hours=24", "\u{feff}{}", "\0"]
        {
            let call = allowed(&stack, Method::POST, path).header("content-type", "application/json");
            let answer = call.body(body).send().await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "invalid_request"),
                "{path} {body:?}: {answer:?}"
            );
        }
        let over = allowed(&stack, Method::POST, path).body(" ".repeat(BODY_LIMIT + 1)).send().await;
        assert_eq!((over.status, over.code()), (413, "payload_too_large"), "{path}: {over:?}");

        // The same without a length told beforehand.
        let token = match path {
            RECONCILE => &stack.at.reconcile_secret,
            MONITOR => &stack.at.monitor_secret,
            METRICS => &stack.at.metrics_secret,
            _ => &stack.at.admin_token,
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\nx-devstack-client-ip: 10.9.9.9"
        );
        let chunk = " ".repeat(0x8000);
        let body = format!("8000\r\n{chunk}\r\n8000\r\n{chunk}\r\n1\r\n \r\n0\r\n\r\n");
        let over =
            raw_http::send(raw_http::authority(&stack.at.base_url), head.as_bytes(), body.as_bytes()).await;
        assert_eq!((over.status, &over.body["code"]), (413, &json!("payload_too_large")), "{path}: {over:?}");
    }
    for path in [ALERTS, RUNS] {
        let call = |body: String| allowed(&stack, Method::GET, path).body(body);
        assert_eq!(call("{}".into()).send().await.status, 200, "{path}");
        assert_eq!(call(r#"{"limit": 1}"#.into()).send().await.status, 400, "{path}");
        assert_eq!(call(" ".repeat(BODY_LIMIT + 1)).send().await.status, 413, "{path}");
    }
}

#[tokio::test]
async fn a_note_is_json_of_one_field_and_of_a_reasonable_length() {
    let stack = Stack::start();
    let (alert, _) = an_alert_and_a_run(&stack).await;
    let path = format!("{ALERTS}/{alert}/resolve");
    let post = |kind: &str, body: String| {
        allowed(&stack, Method::POST, &path).header("content-type", kind).body(body)
    };
    let json_type = "application/json";
    for body in [
        r#"{"notes": "typo"}"#.to_owned(),
        r#"{"note": 1}"#.into(),
        r#"{"note": ["a"]}"#.into(),
        r#"{"note": "a", "note": "b"}"#.into(),
        r#"{"note": "\ud800"}"#.into(),
        r#"{"note": "a\u0000b"}"#.into(),
        format!(r#"{{"note": "{}"}}"#, "é".repeat(2001)),
    ] {
        let answer = post(json_type, body.clone()).send().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{body}: {answer:?}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let answer = post(kind, r#"{"note": "a"}"#.into()).send().await;
        assert_eq!(answer.status, 400, "{kind}: {answer:?}");
    }
    let whole = "é".repeat(2000);
    let answer = post("Application/JSON; charset=utf-8", json!({ "note": whole }).to_string()).send().await;
    assert_eq!((answer.status, &answer.body["already_resolved"]), (200, &json!(false)), "{answer:?}");
    assert_eq!(answer.body["alert"]["resolution_note"], whole);
    let again = post(json_type, r#"{"note": null}"#.into()).send().await;
    assert_eq!((again.status, &again.body["already_resolved"]), (200, &json!(true)), "{again:?}");
    assert_eq!(again.body["alert"]["resolution_note"], whole, "resolving twice changes nothing");
}

#[tokio::test]
async fn ids_come_from_the_path_whatever_the_query_says() {
    let stack = Stack::start();
    let (_, run) = an_alert_and_a_run(&stack).await;
    let other_run = stack.reconcile("?type=request").await.body["reconciliation_log_id"].clone();
    let database = stack.database().await;
    let mut alerts = Vec::new();
    for key in ["first", "second"] {
        let sql = "insert into public.billing_alerts (alert_key, alert_type, severity, message)
                   values ($1, 'test', 'info', 'A test.') returning id";
        alerts.push(database.query_one(sql, &[&key]).await.expect("an alert").get::<_, Uuid>(0));
    }
    let (first, second) = (alerts[0], alerts[1]);
    let answer = allowed(&stack, Method::POST, &format!("{ALERTS}/{first}/resolve?id={second}")).send().await;
    assert_eq!((answer.status, &answer.body["alert"]["id"]), (200, &json!(first)), "{answer:?}");
    let sql = "select resolved from public.billing_alerts where id = $1";
    assert!(!database.query_one(sql, &[&second]).await.expect("it is there").get::<_, bool>(0));

    let other = other_run.as_str().expect("an id");
    let answer = allowed(&stack, Method::GET, &format!("{RUNS}/{run}?id={other}")).send().await;
    assert_eq!((answer.status, &answer.body["run"]["id"]), (200, &json!(run)), "{answer:?}");
    let encoded = format!("%{:02x}{}", run.to_string().as_bytes()[0], &run.to_string()[1..]);
    let answer = allowed(&stack, Method::GET, &format!("{RUNS}/{encoded}")).send().await;
    assert_eq!((answer.status, &answer.body["run"]["id"]), (200, &json!(run)), "{answer:?}");

    for id in ["1", "%00", "..%2f..%2fhealth", "%ff", "0b0e3b0e-8c3e-4d53-9d35-0c5a4c7c4f5", "'or'1'='1"] {
        let answer = allowed(&stack, Method::GET, &format!("{RUNS}/{id}?id={run}")).send().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{id}: {answer:?}");
        let answer =
            allowed(&stack, Method::POST, &format!("{ALERTS}/{id}/resolve?id={second}")).send().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{id}: {answer:?}");
    }
    let nobody = Uuid::new_v4();
    for (method, path) in [
        (Method::GET, format!("{RUNS}/{nobody}?id={run}")),
        (Method::POST, format!("{ALERTS}/{nobody}/resolve?id={second}")),
    ] {
        let answer = allowed(&stack, method, &path).send().await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn odd_headers_get_a_clean_refusal() {
    let stack = Stack::start();
    let people = People::settle(&stack).await;
    let function = Function::start(&stack, "billing_alerts", &[]);
    let admin = people.authorization(&stack, Principal::AdminByMembership).expect("a token");
    let long = "a".repeat(64 * 1024);
    let own = function.address.to_string();
    for address in [raw_http::authority(&stack.at.base_url), &own] {
        let refused: &[Vec<u8>] = &[
            b"authorization: Bearer \xff\xfe\xfd".to_vec(),
            "authorization: Bearer sécret-sécret-sécret".as_bytes().to_vec(),
            format!("authorization: {admin}\r\nauthorization: {admin}").into_bytes(),
            format!("authorization: {admin}, {admin}").into_bytes(),
            format!("authorization: {admin}\r\nauthorization: Bearer x").into_bytes(),
            format!("authorization: Bearer {long}").into_bytes(),
            format!("authorization: Bearer {long}.{long}.{long}").into_bytes(),
            format!("authorization: {}", admin.replacen(' ', "\t", 1)).into_bytes(),
        ];
        for header in refused {
            let head = [format!("GET {ALERTS} HTTP/1.1\r\n").as_bytes(), header].concat();
            let answer = raw_http::send(address, &head, b"").await;
            let shown = String::from_utf8_lossy(&header[..header.len().min(60)]).into_owned();
            // Three times 64 KiB is more than the server reads of headers at all.
            let code = if answer.status == 431 { "" } else { "unauthorized" };
            assert!(matches!(answer.status, 401 | 431), "{shown}: {answer:?}");
            assert_eq!(answer.body["code"].as_str().unwrap_or_default(), code, "{shown}: {answer:?}");
        }
        let many: String = (0..200).map(|number| format!("x-odd-{number}: 1\r\n")).collect();
        for (header, status) in [
            (format!("{many}authorization: {admin}").into_bytes(), &[400, 431][..]),
            (format!("x-odd: a\0b\r\nauthorization: {admin}").into_bytes(), &[400]),
            (format!("x odd: 1\r\nauthorization: {admin}").into_bytes(), &[400]),
            (format!("x-odd: {long}\r\nauthorization: {admin}").into_bytes(), &[200, 431]),
            ([b"origin: http://\xff\r\nauthorization: ", admin.as_bytes()].concat(), &[403]),
            ([b"x-request-id: \xff\xff\r\nauthorization: ", admin.as_bytes()].concat(), &[200]),
            (format!("x-vercel-forwarded-for: {long}\r\nauthorization: {admin}").into_bytes(), &[200, 431]),
            (
                format!("content-length: 2\r\ncontent-length: 3\r\nauthorization: {admin}").into_bytes(),
                &[400],
            ),
        ] {
            let head = [format!("GET {ALERTS} HTTP/1.1\r\n").as_bytes(), &header].concat();
            let answer = raw_http::send(address, &head, b"").await;
            let shown = String::from_utf8_lossy(&header[..header.len().min(60)]).into_owned();
            assert!(status.contains(&answer.status), "{shown}: {answer:?}");
        }
    }
    let answer = stack.get(HEALTH).send().await;
    assert_eq!(answer.status, 200, "it lives: {answer:?}");
}

#[tokio::test]
async fn a_request_id_that_is_a_uuid_comes_back_and_any_other_is_replaced() {
    let stack = Stack::start();
    let id = "6c58064d-12d5-42a3-86d5-d3affb929621";
    for path in [HEALTH, ALERTS, "/api/nowhere"] {
        let answer = stack.get(path).header("x-request-id", id).send().await;
        assert_eq!(
            (answer.header("x-request-id"), &answer.body["request_id"]),
            (Some(id), &json!(id)),
            "{path}"
        );
        for odd in ["", "1", "<script>", "6c58064d-12d5-42a3-86d5-d3affb92962"] {
            let answer = stack.get(path).header("x-request-id", odd).send().await;
            let given = answer.header("x-request-id").expect("an id");
            assert!(Uuid::try_parse(given).is_ok() && given != odd, "{path}: {given}");
            assert_eq!(answer.body["request_id"], given, "{path}");
        }
    }
    let answer = stack.request(Method::OPTIONS, ALERTS).header("x-request-id", id).send().await;
    assert_eq!((answer.status, answer.header("x-request-id")), (204, Some(id)));
}

#[tokio::test]
async fn a_path_that_is_not_there_is_not_there_for_anyone() {
    let stack = Stack::start();
    for path in [
        "/api/nowhere",
        "/api/admin",
        "/api/health/more",
        "/api/admin/billing-alerts/1/2/3",
        "/api/../etc",
        "/api/%2e",
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = stack.request(method.clone(), path).bearer(&stack.at.admin_token).send().await;
            if path == "/api/../etc" {
                // The client resolves it: a path that is none of ours.
                assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
                continue;
            }
            assert_eq!((answer.status, answer.code()), (404, "not_found"), "{method} {path}: {answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(
                answer.body["request_id"],
                answer.header("x-request-id").unwrap_or_default(),
                "{path}"
            );
        }
        let head = stack.request(Method::HEAD, path).send().await;
        assert_eq!((head.status, head.text.as_str()), (404, ""), "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_unless_one_is_named() {
    let ops = "https://ops.example.com";
    let closed = Stack::start();
    let open = Stack::setup().setting("DASHBOARD_ORIGIN", ops).start();
    for (stack, admitted) in [(&closed, false), (&open, true)] {
        let own = stack.at.base_url.clone();
        for (origin, welcome) in [
            (own.as_str(), true),
            (ops, admitted),
            ("https://ops.example.com.evil.example", false),
            ("http://ops.example.com", false),
            ("https://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            let opened = |header: Option<&str>| {
                let expected = (origin == ops && admitted).then_some(ops);
                assert_eq!(header, expected, "{origin}");
            };
            for (method, path, token) in [
                (Method::GET, ALERTS, Some(&stack.at.admin_token)),
                (Method::POST, RECONCILE_NOW, Some(&stack.at.admin_token)),
                (Method::GET, CONFIG, None),
                (Method::GET, ALERTS, None),
            ] {
                let call = fresh(stack.request(method.clone(), path)).header("origin", origin);
                let answer = match token {
                    Some(token) => call.bearer(token).send().await,
                    None => call.send().await,
                };
                let status = match (welcome, token.is_none() && path == ALERTS) {
                    (false, _) => 403,
                    (true, true) => 401,
                    (true, false) => 200,
                };
                assert_eq!(answer.status, status, "{method} {path} from {origin}: {answer:?}");
                opened(answer.header("access-control-allow-origin"));
            }
            let preflight = stack
                .request(Method::OPTIONS, ALERTS)
                .header("origin", origin)
                .header("access-control-request-method", "GET")
                .header("access-control-request-headers", "authorization")
                .send()
                .await;
            assert_eq!(preflight.status, 204, "{origin}");
            opened(preflight.header("access-control-allow-origin"));
            if origin == ops && admitted {
                let header = |name: &str| preflight.header(name).unwrap_or_default().to_owned();
                assert!(header("access-control-allow-headers").contains("authorization"), "{preflight:?}");
                assert!(header("access-control-allow-methods").contains("GET"), "{preflight:?}");
                assert_eq!(header("vary"), "origin");
                assert_eq!(header("access-control-allow-credentials"), "");
            }
        }
    }
}
