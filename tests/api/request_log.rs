//! What functions write, line by line.

use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

/// How long a line may take from a function's pipe to where it is read.
const PATIENCE: Duration = Duration::from_secs(20);

/// The lines as JSON. Panics where one is none: whoever collects logs reads them by machine.
pub(crate) fn lines(output: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    output.lines().map(parse).collect()
}

/// The lines that were written for one request.
pub(crate) fn lines_of(output: &str, request_id: Uuid) -> Vec<Value> {
    let id = request_id.to_string();
    lines(output).into_iter().filter(|line| line["span"]["request_id"] == id.as_str()).collect()
}

/// The one line that tells of a request as a whole. It is written before the answer is sent, but read through a pipe.
pub(crate) async fn request_line(output: impl Fn() -> String, request_id: Uuid) -> Value {
    let started = Instant::now();
    loop {
        let mut found = lines_of(&output(), request_id);
        found.retain(|line| line["message"] == "request");
        match found.len() {
            1 => return found.remove(0),
            0 if started.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(5)).await,
            number => panic!("{number} lines tell of request {request_id}: {found:?}"),
        }
    }
}
