//! Sends webhooks as they become due, in the simulator's own thread.

use crate::state::State;
use crate::webhook::{Delivery, Outcome, local};
use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// How many are under way at once.
const AT_ONCE: usize = 32;
/// Of the real clock: what a receiver does takes real time.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any answer to a webhook has a reason to say.
const LONGEST_ANSWER: usize = 1 << 20;

/// Sends whatever becomes due, for ever.
pub(crate) async fn run(state: Arc<State>) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // First the permit, so that what is sent next is what is due first then.
        let permit = Arc::clone(&permits).acquire_owned().await.expect("nobody closes the semaphore");
        let delivery = next(&state).await;
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let outcome = match tokio::time::timeout(PATIENCE, send(&delivery)).await {
                Ok(Some(status)) if status.is_success() => Outcome::Taken,
                Ok(Some(_)) => Outcome::Refused,
                Ok(None) | Err(_) => Outcome::Unreachable,
            };
            state.settle(&delivery, outcome);
            drop(permit);
        });
    }
}

async fn next(state: &State) -> Delivery {
    loop {
        // What is planned from here on wakes the sender, also before it sleeps.
        let woken = state.planned.notified();
        match state.next_delivery() {
            Ok(delivery) => return delivery,
            Err(None) => woken.await,
            Err(Some(wait)) => {
                tokio::select! {
                    () = woken => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
}

/// Sends one over a connection of its own. `None`: there was no answer.
async fn send(delivery: &Delivery) -> Option<StatusCode> {
    let uri = local(delivery.url.as_deref()?).ok()?;
    let stream = connect(&uri).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let connection = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request(&uri, delivery)?).await.ok()?;
        let status = response.status();
        // A receiver that is cut off while it speaks would take that for a failure of its own.
        let _ = axum::body::to_bytes(Body::new(response.into_body()), LONGEST_ANSWER).await;
        Some(status)
    };
    let status = answer.await;
    connection.abort();
    status
}

/// `localhost` is either of this machine's addresses: some listen on the one, some on the other.
async fn connect(uri: &Uri) -> Option<TcpStream> {
    let port = uri.port_u16().unwrap_or(80);
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if uri.host() == Some("localhost") {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    let stream = TcpStream::connect(&addresses[..]).await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

fn request(uri: &Uri, delivery: &Delivery) -> Option<Request<Body>> {
    Request::post(uri.path_and_query().map_or("/", |target| target.as_str()))
        .header(header::HOST, uri.authority()?.as_str())
        .header(header::USER_AGENT, "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header(header::ACCEPT, "*/*; q=0.5, application/xml")
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header("stripe-signature", &delivery.signature)
        .body(Body::from(delivery.body.clone()))
        .ok()
}
