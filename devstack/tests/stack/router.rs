//! The router's rules, and functions that die, with a function on the real runtime that echoes what it got.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devstack::functions::Functions;
use devstack::router::Router;
use devstack::settings::Settings;
use devstack::vercel::{Configuration, Source};
use serde_json::{Value, json};

struct Edge {
    router: Router,
    functions: Arc<Functions>,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Edge {
    async fn new() -> Edge {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            ("public/index.html", "<h1>home</h1>"),
            ("public/assets/app.js", "1"),
            ("public/docs/index.html", "docs"),
            ("public/api/shadow", "static wins"),
            ("secret.txt", "secret"),
            (
                "vercel.json",
                r#"{"headers": [{"source": "/assets/(.*)", "headers": [{"key": "X-Assets", "value": "yes"}]},
                    {"source": "/((?!api/).*)", "headers": [{"key": "X-Page", "value": "yes"}]}],
                    "rewrites": [{"source": "/api/kept/:rest*", "destination": "/api/catch"},
                    {"source": "/elsewhere/:what", "destination": "/api/things"},
                    {"source": "/app/:page", "destination": "/index.html"}]}"#,
            ),
        ];
        for (path, content) in files {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, content).expect("written");
        }
        let sources = [
            "api/things/[id]/act.rs",
            "api/things/[id].rs",
            "api/things/index.rs",
            "api/things/special.rs",
            "api/shadow.rs",
            "api/kept/[id].rs",
            "api/kept/fast.rs",
            "api/catch.rs",
        ];
        let sources =
            sources.map(|path| Source { path: path.to_owned(), binary: "echo-function".to_owned() }).to_vec();
        let settings = Settings::from([("RECONCILE_SECRET".to_owned(), "told".to_owned())]);
        let functions = Functions::new(sources, &examples(), &folder.path().join("logs"), settings, false)
            .expect("functions");
        functions.start_all().await.expect("they start");
        let functions = Arc::new(functions);
        let configuration = Configuration::read(folder.path()).expect("vercel.json");
        let router = Router::start(0, functions.clone(), configuration).await.expect("the router starts");
        Edge { router, functions, http: devstack::http_client().expect("a client"), folder }
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.router.url()))
    }

    async fn echo(&self, path: &str) -> Value {
        let answer = self.get(path).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
    }
}

fn examples() -> PathBuf {
    devstack::stack::binaries().expect("a folder").join("examples")
}

#[tokio::test]
async fn paths_lead_to_files_then_functions_then_nowhere() {
    let edge = Edge::new().await;
    let cases = [
        ("/", 200, "text/html; charset=utf-8"),
        ("/index.html", 200, "text/html; charset=utf-8"),
        ("/app/anything", 200, "text/html; charset=utf-8"),
        ("/docs", 200, "text/html; charset=utf-8"),
        ("/assets/app.js", 200, "text/javascript; charset=utf-8"),
        ("/api/shadow", 200, "application/octet-stream"),
        ("/assets/none.js", 404, "application/json"),
        ("/../secret.txt", 404, "application/json"),
        ("/%2e%2e/secret.txt", 404, "application/json"),
        ("/..%2fsecret.txt", 404, "application/json"),
        ("/api", 404, "application/json"),
        ("/api/nothing", 404, "application/json"),
        ("/api/things/1/other", 404, "application/json"),
    ];
    for (path, status, kind) in cases {
        let answer = edge.get(path).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], kind, "{path}");
    }
    let refused =
        edge.http.post(format!("{}/index.html", edge.router.url())).send().await.expect("an answer");
    assert_eq!(refused.status(), 405);
    let head =
        edge.http.head(format!("{}/assets/app.js", edge.router.url())).send().await.expect("an answer");
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-length"]),
        (200, &"1".parse().expect("a value"))
    );
}

#[tokio::test]
async fn path_parameters_arrive_in_the_query_and_the_path_stays() {
    let edge = Edge::new().await;
    let cases = [
        ("/api/things", "/api/things"),
        ("/api/things/", "/api/things/"),
        ("/api/things?a=1", "/api/things?a=1"),
        ("/api/things/special", "/api/things/special"),
        ("/api/things/7", "/api/things/7?id=7"),
        ("/api/things/a%2Fb/act?x=y", "/api/things/a%2Fb/act?x=y&id=a%2Fb"),
        ("/elsewhere/x", "/elsewhere/x?what=x"),
        ("/api/kept/fast", "/api/kept/fast"),
        // A rewrite comes before parameters: this never reaches [id].rs, on the platform neither.
        ("/api/kept/7", "/api/kept/7?rest=7"),
        // As on the platform: what the caller sent under that name stays.
        ("/api/things/7/act?id=evil", "/api/things/7/act?id=evil"),
    ];
    for (asked, arrived) in cases {
        assert_eq!(edge.echo(asked).await["target"], arrived, "{asked}");
    }
}

#[tokio::test]
async fn nobody_claims_another_address() {
    let edge = Edge::new().await;
    let forged = edge
        .get("/api/things")
        .header("x-forwarded-for", "203.0.113.1")
        .header("x-vercel-forwarded-for", "203.0.113.2")
        .header("x-vercel-cron-schedule", "* * * * *")
        .header("x-real-ip", "203.0.113.3")
        .header("connection", "close");
    let echo: Value = forged.send().await.expect("an answer").json().await.expect("JSON");
    let headers = echo["headers"].as_object().expect("headers");
    assert_eq!(headers["x-vercel-forwarded-for"], "127.0.0.1");
    for name in ["x-forwarded-for", "x-vercel-cron-schedule", "x-real-ip", "connection"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    let told = edge.get("/api/things").header("x-devstack-client-ip", "203.0.113.9");
    let echo: Value = told.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(echo["headers"]["x-vercel-forwarded-for"], "203.0.113.9");
    assert!(echo["headers"].get("x-devstack-client-ip").is_none());
}

#[tokio::test]
async fn the_headers_of_vercel_json_are_set_where_they_belong() {
    let edge = Edge::new().await;
    let has = async |path: &str, name: &str| {
        edge.get(path).send().await.expect("an answer").headers().contains_key(name)
    };
    assert!(has("/assets/app.js", "x-assets").await && has("/assets/app.js", "x-page").await);
    assert!(!has("/", "x-assets").await && has("/", "x-page").await);
    assert!(!has("/api/things", "x-page").await);
}

#[tokio::test]
async fn a_function_gets_its_settings_and_nothing_else_of_the_environment() {
    let edge = Edge::new().await;
    let environment = edge.echo("/api/things").await["environment"].clone();
    let names: Vec<&String> = environment.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["RECONCILE_SECRET", "VERCEL_DEV_PORT"]);
    assert_eq!(environment["RECONCILE_SECRET"], "told");
    edge.functions.configure(&[("RECONCILE_SECRET", None), ("LOG_LEVEL", Some("debug"))]).await;
    let environment = edge.echo("/api/things").await["environment"].clone();
    assert_eq!((&environment["LOG_LEVEL"], environment.get("RECONCILE_SECRET")), (&json!("debug"), None));
}

#[tokio::test]
async fn a_function_that_died_is_started_again_at_its_next_request() {
    let edge = Edge::new().await;
    let before = edge.echo("/api/things").await["pid"].clone();
    let crashed = edge.get("/api/things").header("x-exit", "1").send().await.expect("an answer");
    assert_eq!(crashed.status(), 500);
    assert_eq!(crashed.headers()["x-vercel-error"], "FUNCTION_INVOCATION_FAILED");
    let after = edge.echo("/api/things").await["pid"].clone();
    assert_ne!(before, after);

    // The same when it is killed between requests.
    let pid = i32::try_from(after.as_u64().expect("a number")).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    let function = edge.functions.find("/api/things").expect("a function").clone();
    let deadline = Instant::now() + Duration::from_secs(5);
    while function.process_id().await.is_some() {
        assert!(Instant::now() < deadline, "it still runs");
    }
    assert_ne!(edge.echo("/api/things").await["pid"], after);
    assert_eq!(function.starts(), 3);
    // Its neighbours never noticed.
    assert_eq!(edge.functions.find("/api/things/special").expect("a function").starts(), 1);
}

#[tokio::test]
async fn one_process_serves_many_requests_at_once() {
    let edge = Edge::new().await;
    let started = Instant::now();
    let calls = (0..20).map(|_| edge.get("/api/things").header("x-slow", "1").send());
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.expect("an answer").status(), 200);
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn output_goes_to_a_log_of_json_lines() {
    let edge = Edge::new().await;
    edge.echo("/api/things").await;
    let log = edge.folder.path().join("logs/echo-function.log");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let text = std::fs::read_to_string(&log).expect("a log");
        for line in text.lines() {
            serde_json::from_str::<Value>(line).expect("JSON");
        }
        if text.contains("\"path\":\"/api/things\"") {
            break;
        }
        assert!(Instant::now() < deadline, "{text}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_platforms_limit_does_not_arrive() {
    let edge = Edge::new().await;
    let url = format!("{}/api/things", edge.router.url());
    let answer = edge.http.post(&url).body(vec![b' '; 4_500_001]).send().await.expect("an answer");
    assert_eq!(answer.status(), 413);
    let answer: Value =
        edge.http.post(&url).body("hello").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&answer["method"], &answer["body"]), (&json!("POST"), &json!("hello")));
}

/// A function may refuse a body without reading it. Its answer must reach the caller although the rest of the body cannot
/// be delivered any more, neither from here to the router nor from the router to the function.
#[tokio::test]
async fn a_refusal_arrives_although_the_body_was_never_read() {
    let edge = Edge::new().await;
    let url = format!("{}/api/things", edge.router.url());
    for round in 0..25 {
        let calls = [1_000_000, 70_000, 4_500_000, 4_500_000]
            .map(|length| edge.http.post(&url).header("x-refuse", "1").body(vec![b' '; length]).send());
        for answer in futures::future::join_all(calls).await {
            let answer = answer.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
            assert_eq!(answer.status(), 413, "round {round}");
            assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({"refused": true}));
        }
    }
    assert_eq!(edge.functions.find("/api/things").expect("a function").starts(), 1);
}
