//! How a deployment is called, against one that answers as each test wants.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use doctor::outside::checks::{Door, MONITOR, knock};
use doctor::outside::deployment::{Deployment, Key};
use reqwest::Method;

/// Gives one answer to each connection, in order, and what was asked with it; then listens no more.
fn deployment(answers: &'static [&'static str]) -> Deployment {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).expect("a request");
            let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
            let authorization = asked.lines().find(|line| line.starts_with("authorization"));
            let answer = answer.replace("{authorization}", authorization.unwrap_or_default());
            stream.write_all(answer.as_bytes()).expect("the caller listens");
        }
    });
    Deployment::new(&address).expect("an address of this machine")
}

fn door(key: Option<&Key>) -> Door<'_> {
    Door { method: Method::POST, path: MONITOR, key, status: 200, code: None }
}

#[tokio::test]
async fn an_answer_that_gives_back_a_secret_is_a_failure_that_does_not_show_it() {
    let key = Key::new("MONITOR_SECRET", "the-canary-of-the-monitor").expect("sendable");
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"debug\": \"{authorization}\"}",
        "HTTP/1.1 200 OK\r\nconnection: close\r\nx-echo: {authorization}\r\n\r\n{}",
    ] {
        let deployment = deployment(Box::leak(Box::new([answer]))).keeping_secret(&key);
        let failure = knock(&deployment, &door(Some(&key))).await.expect_err("the secret is noticed");
        assert_eq!(failure, "status 200: the answer holds a secret");
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_once() {
    const LIMITED: &str =
        "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    const FINE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    assert!(knock(&deployment(&[LIMITED, FINE]), &door(None)).await.is_ok());
    let failure = knock(&deployment(&[LIMITED, LIMITED, FINE]), &door(None)).await.expect_err("once only");
    assert_eq!(failure, "status 429, expected 200");
}

#[tokio::test]
async fn another_status_and_another_code_are_failures_that_say_what_was_answered() {
    const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n{\"code\": \"unauthorized\", \"error\": \"No.\"}";
    let failure = knock(&deployment(&[REFUSED]), &door(None)).await.expect_err("another status");
    assert_eq!(failure, "status 401, unauthorized: No., expected 200");
    let other = Door { status: 401, code: Some("forbidden"), ..door(None) };
    let failure = knock(&deployment(&[REFUSED]), &other).await.expect_err("another code");
    assert_eq!(failure, "code unauthorized, expected forbidden");
    let refused = Door { status: 401, code: Some("unauthorized"), ..door(None) };
    assert!(knock(&deployment(&[REFUSED]), &refused).await.is_ok());
}
