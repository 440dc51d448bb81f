//! The watcher's watcher: told of each pass that was written, of nothing else, and never in the way.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::json;

use crate::function::Function;
use support::Stack;
use support::paths::MONITOR;

/// A server that answers every request alike, and keeps the request lines and headers that came.
pub(crate) struct Watcher {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Watcher {
    pub(crate) fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let url = format!("http://{}/ping/of-this-project", listener.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        // Ends with the test's process: it waits for calls that no longer come.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let lines =
                    BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                kept.lock().expect("no test panicked in here").push(head.join("\n").to_lowercase());
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, heard }
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no test panicked in here").clone()
    }
}

#[tokio::test]
async fn the_heartbeat_is_sent_after_a_pass_that_was_written_and_harms_nothing() {
    let stack = Stack::start();
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let elsewhere =
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let broken = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let at = &stack.at;
    let call = async |function: &Function, secret: &str| {
        function.request(Method::POST, MONITOR).bearer(secret).send().await.status
    };

    let watcher = Watcher::start(ok);
    let function = Function::start(&stack, "monitor", &[("HEARTBEAT_URL", Some(&watcher.url))]);
    assert_eq!(call(&function, &at.monitor_secret).await, 200);
    let heard = watcher.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("get /ping/of-this-project http/1.1"), "{heard:?}");
    assert!(heard[0].contains("user-agent: billing-ops/"), "{heard:?}");
    assert!(!heard[0].contains("authorization") && !heard[0].contains("apikey"), "{heard:?}");

    assert_eq!(call(&function, "a-wrong-secret-of-length").await, 401);
    let typo = function.request(Method::POST, &format!("{MONITOR}?typo=1")).bearer(&at.monitor_secret);
    assert_eq!(typo.send().await.status, 400);
    // The facts are read, but what follows from them is not written.
    stack
        .gateway(Method::PUT, "faults", &json!({"outage": "unavailable", "path": "apply_monitor_outcomes"}))
        .await;
    assert_eq!(call(&function, &at.monitor_secret).await, 503);
    stack.gateway(Method::PUT, "faults", &json!({})).await;
    assert_eq!(watcher.heard().len(), 1, "{:?}", watcher.heard());
    assert_eq!(call(&function, &at.monitor_secret).await, 200);
    assert_eq!(watcher.heard().len(), 2, "{:?}", watcher.heard());

    for answer in [elsewhere, broken, "nonsense", ""] {
        let watcher = Watcher::start(answer);
        let function = Function::start(&stack, "monitor", &[("HEARTBEAT_URL", Some(&watcher.url))]);
        assert_eq!(call(&function, &at.monitor_secret).await, 200, "{answer:?}");
        let heard = watcher.heard();
        assert!(heard.iter().all(|head| head.starts_with("get /ping/of-this-project")), "{heard:?}");
        assert!(!heard.is_empty(), "{answer:?}");
    }
    // Nobody listens there.
    let gone = TcpListener::bind(("127.0.0.1", 0)).expect("a free port").local_addr().expect("an address");
    let function = Function::start(&stack, "monitor", &[("HEARTBEAT_URL", Some(&format!("http://{gone}/")))]);
    assert_eq!(call(&function, &at.monitor_secret).await, 200);
}
