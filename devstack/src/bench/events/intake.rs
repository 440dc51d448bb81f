//! How many signed events one instance takes: over connections that are kept, straight to its port. Then a burst of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;
use stripe_simulator::{SubscriptionFacts, sign};

use super::company::Company;
use super::{Mode, burst, heading};
use crate::bench::{at, milliseconds};

/// How many events are under way at once.
const CONNECTIONS: [usize; 2] = [1, 16];
/// How many subscriptions the events are of.
const SUBSCRIPTIONS: u32 = 2_000;
/// What Stripe's other subscriptions are for: not all that are there are active.
const ALL: u32 = 4_000;

/// Who sends events to one instance, as Stripe does.
pub(super) struct Sender {
    http: reqwest::Client,
    url: String,
    secret: String,
    bodies: Vec<String>,
    next: AtomicUsize,
}

impl Sender {
    /// Sends events of these subscriptions, of one after the other.
    pub(super) async fn new(company: &Company, subscriptions: &[SubscriptionFacts]) -> Result<Arc<Self>> {
        let function = company.stack.functions().find("/api/stripe/events").context("there is an intake")?;
        let bodies = subscriptions.iter().map(|facts| body(company, facts)).collect::<Result<_>>()?;
        Ok(Arc::new(Self {
            http: crate::http_client()?,
            url: format!("http://{}/api/stripe/events", function.address().await?),
            secret: company.stack.description().stripe_webhook_secret.clone(),
            bodies,
            next: AtomicUsize::new(0),
        }))
    }

    /// Sends the next event. Answers whether it was taken.
    pub(super) async fn send(&self) -> Result<bool> {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.bodies.len();
        let body = &self.bodies[place];
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let request = self.http.post(&self.url).header("content-type", "application/json; charset=utf-8");
        let request = request.header("stripe-signature", sign(&self.secret, now, body.as_bytes()));
        let answer = request.body(body.clone()).send().await?;
        let status = answer.status();
        answer.bytes().await?;
        Ok(status.is_success())
    }
}

/// An event as Stripe sends it: with the whole subscription, and broken into lines.
fn body(company: &Company, facts: &SubscriptionFacts) -> Result<String> {
    let object = company.simulator()?.subscription(&facts.id).context("Stripe has it")?;
    let event = json!({
        "id": "evt_bench", "object": "event", "api_version": stripe_simulator::API_VERSION, "created": facts.created,
        "data": { "object": object }, "livemode": facts.livemode, "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null }, "type": "customer.subscription.updated",
    });
    Ok(serde_json::to_string_pretty(&event)?)
}

/// Measures, and prints two tables.
pub(super) async fn run(count: u32, seconds: u32, events: u32, build: bool) -> Result<()> {
    heading(&format!("--only intake --subscriptions {count} --seconds {seconds} --burst {events}"));
    let company = Company::start(count.max(ALL), Mode::Verify, build).await?;
    let subscriptions = company.take(SUBSCRIPTIONS)?;
    println!("| at once | events/s | p50 | p99 | most |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    let sender = Sender::new(&company, &subscriptions).await?;
    for connections in CONNECTIONS {
        let mut times = at_once(&sender, connections, Duration::from_secs(seconds.into())).await?;
        times.sort_unstable();
        println!(
            "| {connections} | {:.0} | {:.2} ms | {:.2} ms | {:.1} ms |",
            times.len() as f64 / f64::from(seconds),
            milliseconds(at(&times, 0.5)),
            milliseconds(at(&times, 0.99)),
            milliseconds(at(&times, 1.0))
        );
    }
    burst::run(&company, &subscriptions, seconds, events).await?;
    company.stack.stop().await;
    Ok(())
}

/// How long each event took that was sent within `time`, so many at once.
async fn at_once(sender: &Arc<Sender>, connections: usize, time: Duration) -> Result<Vec<Duration>> {
    let until = Instant::now() + time;
    let callers = (0..connections).map(|_| {
        let sender = sender.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let started = Instant::now();
                if !sender.send().await? {
                    bail!("an event is refused");
                }
                times.push(started.elapsed());
            }
            anyhow::Ok(times)
        })
    });
    let mut all = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        all.append(&mut caller.await??);
    }
    Ok(all)
}
