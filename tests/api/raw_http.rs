//! Requests that no HTTP client would send, written byte by byte.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer, and its head as text.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    #[expect(dead_code, reason = "shown where a test fails")]
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// Sends a head (without its end) and a body to `host:port`, and reads the answer to its end.
pub(crate) async fn send(address: &str, head: &[u8], body: &[u8]) -> RawAnswer {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let mut request = head.to_vec();
    request.extend_from_slice(format!("\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes());
    request.extend_from_slice(body);
    // A server that refuses may stop reading, and close with bytes unread: what it said before counts.
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let (_, _) = tokio::join!(writer.write_all(&request), reader.read_to_end(&mut answer));
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    // A body in chunks has its sizes on lines of their own; ours are one chunk.
    let body = body.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    RawAnswer { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

/// `host:port` of a URL.
pub(crate) fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}
