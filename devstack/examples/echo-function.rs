//! A function that answers with what it got, on the runtime that real functions run on: for the router's tests.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use vercel_runtime::{AppState, Error, Request, Response, ResponseBody, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    vercel_runtime::run(service_fn(|request: Request, _: AppState| echo(request))).await
}

async fn echo(request: Request) -> Result<Response<ResponseBody>, Error> {
    let (parts, body) = request.into_parts();
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    if headers.contains_key("x-refuse") {
        // Without a look at the body: the connection closes while it is still being sent.
        return Ok(Response::builder().status(413).body(json!({"refused": true}).into())?);
    }
    if headers.contains_key("x-exit") {
        std::process::exit(3);
    }
    if headers.contains_key("x-slow") {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let environment: serde_json::Map<String, Value> =
        std::env::vars().map(|(name, value)| (name, value.into())).collect();
    println!("{}", json!({"level": "INFO", "message": "echoed", "path": parts.uri.path()}));
    let seen = json!({
        "pid": std::process::id(),
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body.collect().await?.to_bytes()),
        "environment": environment,
    });
    Ok(Response::builder().header("content-type", "application/json").body(seen.into())?)
}
