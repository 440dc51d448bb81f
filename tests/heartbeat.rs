//! The heartbeat, against a server of our own: it is delivered, follows no redirect, gives up, and never does harm.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use billing_ops::config::Config;
use billing_ops::context::Context;
use billing_ops::monitor::heartbeat::send_heartbeat;

/// What a server saw: the first line of each request.
struct Server {
    url: String,
    requests: Receiver<String>,
}

impl Server {
    /// Answers every request with `answer`; one that is empty is never sent, and the connection stays open.
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/ping/canary", listener.local_addr().expect("an address"));
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            let mut open: Vec<TcpStream> = Vec::new();
            for connection in listener.incoming() {
                let mut connection = connection.expect("a connection");
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && connection.read_exact(&mut byte).is_ok() {
                    request.push(byte[0]);
                }
                let text = String::from_utf8_lossy(&request);
                if sender.send(text.lines().next().unwrap_or_default().to_owned()).is_err() {
                    return;
                }
                let _ = connection.write_all(answer.as_bytes());
                if answer.is_empty() {
                    open.push(connection);
                }
            }
        });
        Self { url, requests }
    }

    fn seen(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

async fn beat(url: &str) {
    let pairs = [("HEARTBEAT_URL".to_owned(), url.to_owned())];
    let context = Context::new(Config::from_pairs(pairs));
    let url = context.config.heartbeat_url().expect("a fit address").expect("an address");
    // Far more than it may take: what is waited for is that it comes back at all.
    tokio::time::timeout(Duration::from_secs(30), send_heartbeat(context.http(), url))
        .await
        .expect("it gives up");
}

#[tokio::test]
async fn it_is_one_get_of_the_address() {
    let server = Server::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    beat(&server.url).await;
    assert_eq!(server.seen(), ["GET /ping/canary HTTP/1.1"]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        elsewhere.url
    );
    let server = Server::start(answer.leak());
    beat(&server.url).await;
    assert_eq!((server.seen().len(), elsewhere.seen().len()), (1, 0));
}

#[tokio::test]
async fn its_failures_harm_nothing() {
    let refusing =
        Server::start("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    beat(&refusing.url).await;
    assert_eq!(refusing.seen().len(), 1, "it is not repeated");

    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", nobody.local_addr().expect("an address"));
    drop(nobody);
    beat(&url).await;
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up() {
    let silent = Server::start("");
    beat(&silent.url).await;
    assert_eq!(silent.seen().len(), 1);
}

#[test]
fn only_https_is_called_anywhere_but_on_this_machine() {
    for (url, fit) in [
        ("https://beats.example.com/x", true),
        ("http://beats.example.com/x", false),
        ("http://127.0.0.1:1/x", true),
        ("ftp://127.0.0.1/x", false),
        ("beats.example.com/x", false),
    ] {
        let config = Config::from_pairs([("HEARTBEAT_URL".to_owned(), url.to_owned())]);
        assert_eq!(config.heartbeat_url().is_ok(), fit, "{url}");
    }
}
