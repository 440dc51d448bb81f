//! Somebody who takes webhooks, one after the other, and answers as the test wants it.

use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Generous, so that only what never comes runs into it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it came. Names of headers are in small letters.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn signature(&self) -> &str {
        &self.headers["stripe-signature"]
    }
}

#[derive(Default)]
struct Heard {
    received: Vec<Received>,
    /// Status lines and further headers of the answers to come; 200 when there are none left.
    answers: VecDeque<String>,
    ended: bool,
}

pub(crate) struct Receiver {
    address: SocketAddr,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let heard: Arc<(Mutex<Heard>, Condvar)> = Arc::default();
        let shared = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (lock, changed) = &*shared;
                if lock.lock().expect("no panic").ended {
                    return;
                }
                let Some((received, stream)) = stream.ok().and_then(read) else { continue };
                let mut heard = lock.lock().expect("no panic");
                heard.received.push(received);
                let answer = heard.answers.pop_front().unwrap_or_else(|| "200 OK".to_owned());
                drop(heard);
                changed.notify_all();
                let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 2\r\n\r\nok");
                // Whoever has gone does not want to know.
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        Self { address, heard, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks/stripe?from=test", self.address)
    }

    /// What it answers next: a status line, and perhaps headers.
    pub(crate) fn answers(&self, answers: &[&str]) {
        self.heard
            .0
            .lock()
            .expect("no panic")
            .answers
            .extend(answers.iter().map(|&answer| answer.to_owned()));
    }

    /// Everything that came, once so many have.
    pub(crate) fn received(&self, at_least: usize) -> Vec<Received> {
        let (lock, changed) = &*self.heard;
        let heard = lock.lock().expect("no panic");
        let (heard, waited) = changed
            .wait_timeout_while(heard, PATIENCE, |heard| heard.received.len() < at_least)
            .expect("no panic");
        assert!(!waited.timed_out(), "{} came, not {at_least}", heard.received.len());
        heard.received.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Ok(mut heard) = self.heard.0.lock() {
            heard.ended = true;
        }
        // It waits for one more connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: TcpStream) -> Option<(Received, TcpStream)> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((Received { line: line.trim_end().to_owned(), headers, body }, reader.into_inner()))
}

/// Waits until it is so.
pub(crate) fn eventually(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
