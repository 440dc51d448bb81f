//! The listener: a thread of its own, so that it works beside any runtime and costs at most one core.

use crate::change::{Action, EventInput, InvoiceEventInput, Script, SessionChange, SubscriptionChange};
use crate::control;
use crate::delivery_faults::DeliveryFaults;
use crate::faults::{Fault, RateLimit};
use crate::generator::Generator;
use crate::sender;
use crate::serve::{Cut, serve};
use crate::state::{Config, State};
use crate::stats::Stats;
use crate::webhook::{Delivery, RegisteredEndpoint, WebhookEndpoint};
use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tower_service::Service as _;

/// The name of the thread that does all the work.
pub const THREAD: &str = "stripe-simulator";

/// A running simulator. It ends, with all its connections, when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Listens, and answers from now on. An error is the port's: it is taken, or not allowed.
    pub fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port.unwrap_or(0)))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(&config));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name(THREAD.into()).spawn(move || {
            // Dropping the runtime drops every connection.
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, Arc::clone(&shared)) => {}
                    () = sender::run(shared) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`, what a client takes for `https://api.stripe.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it, as dropping does.
    pub fn stop(self) {}

    /// Blocks until the thread has ended; only a failure ends it before [`stop`](Self::stop).
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }

    /// The generated objects, for a database that is to agree with them.
    pub fn generator(&self) -> Generator {
        self.state.generator()
    }

    /// The simulator's time, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.state.now()
    }

    /// It is `now`, in Unix seconds, and goes on from there: what is done next was done then. What was generated stays as it is.
    ///
    /// Webhooks that are due by then are sent at once. If the clock is set back, they come after as long as they would have.
    pub fn set_now(&self, now: i64) {
        self.state.set_now(now);
    }

    /// Does something to the account and gives back the object as it is then. An error says what was wrong with the
    /// action.
    pub fn apply(&self, action: Action) -> Result<Value, String> {
        self.state.apply(action)
    }

    /// A new subscription, or a fresh one in the place of the one with that id.
    pub fn put_subscription(&self, change: SubscriptionChange) -> Result<Value, String> {
        self.apply(Action::PutSubscription(change))
    }

    /// A change to the subscription `id`, generated or put.
    pub fn patch_subscription(&self, id: &str, change: SubscriptionChange) -> Result<Value, String> {
        self.apply(Action::PatchSubscription(SubscriptionChange { id: Some(id.to_owned()), ..change }))
    }

    /// Subscription `id` disappears: 404 from now on.
    pub fn delete_subscription(&self, id: &str) -> Result<(), String> {
        self.apply(Action::DeleteSubscription(id.to_owned())).map(|_| ())
    }

    /// A new checkout session, or a fresh one in the place of the one with that id.
    pub fn put_session(&self, change: SessionChange) -> Result<Value, String> {
        self.apply(Action::PutSession(change))
    }

    /// Checkout session `id` disappears.
    pub fn delete_session(&self, id: &str) -> Result<(), String> {
        self.apply(Action::DeleteSession(id.to_owned())).map(|_| ())
    }

    /// An event that nothing else explains. The same id again replaces the event.
    pub fn put_event(&self, event: EventInput) -> Result<Value, String> {
        self.apply(Action::PutEvent(event))
    }

    /// An event about the invoice of a subscription's current period.
    pub fn put_invoice_event(&self, event: InvoiceEventInput) -> Result<Value, String> {
        self.apply(Action::PutInvoiceEvent(event))
    }

    /// The subscription as a retrieve would show it now; not counted and not disturbed.
    pub fn subscription(&self, id: &str) -> Option<Value> {
        self.state.subscription(id)
    }

    /// An endpoint is told of what happens from now on. Gives back its id; an error says what is wrong with it.
    pub fn webhook_endpoint(&self, endpoint: WebhookEndpoint) -> Result<String, String> {
        self.state.add_webhook_endpoint(endpoint)
    }

    /// Other settings for an endpoint, such as a secret that is being rolled. What is on its way to it stays so.
    pub fn change_webhook_endpoint(&self, id: &str, endpoint: WebhookEndpoint) -> Result<(), String> {
        self.state.change_webhook_endpoint(id, endpoint)
    }

    /// The endpoint is gone, with all that was on its way to it: no event is pending for its sake.
    pub fn remove_webhook_endpoint(&self, id: &str) -> Result<(), String> {
        self.state.remove_webhook_endpoint(id)
    }

    /// All endpoints, in the order in which they came.
    pub fn webhook_endpoints(&self) -> Vec<RegisteredEndpoint> {
        self.state.webhook_endpoints()
    }

    /// No event leaves Stripe until [`resume_deliveries`](Self::resume_deliveries): they queue up and are pending.
    pub fn pause_deliveries(&self) {
        self.state.pause_deliveries(true);
    }

    /// What has queued up sets off now, in the order of creation.
    pub fn resume_deliveries(&self) {
        self.state.pause_deliveries(false);
    }

    /// What befalls deliveries from now on, by chance. An error says what is wrong with the faults.
    pub fn delivery_faults(&self, faults: DeliveryFaults) -> Result<(), String> {
        self.state.set_delivery_faults(faults)
    }

    /// The webhooks that have arrived until `until` (Unix seconds) at endpoints without a URL, in the order of arrival.
    ///
    /// They count as taken, unless [`refuse`](Self::refuse) says otherwise. Nothing but the simulator's clock decides when
    /// they arrive: with times that were set, the same events arrive in the same order.
    pub fn take_deliveries(&self, until: i64) -> Vec<Delivery> {
        self.state.take_deliveries(until)
    }

    /// A webhook that was handed out was not taken: it is pending, and comes again.
    pub fn refuse(&self, delivery: &Delivery) {
        self.state.refuse(delivery);
    }

    /// Lets something go wrong. Faults are tried in the order in which they came.
    pub fn fault(&self, fault: Fault) {
        self.state.add_fault(fault);
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }

    /// Nothing happens in the middle of requests any more.
    pub fn clear_scripts(&self) {
        self.state.clear_scripts();
    }

    /// Limits requests a second, or no longer does.
    pub fn rate_limit(&self, limit: Option<RateLimit>) {
        self.state.set_rate_limit(limit);
    }

    /// Waits for a request, and then does something to the account.
    pub fn script(&self, script: Script) {
        self.state.add_script(script);
    }

    /// What restricted keys lack from now on, such as `rak_subscription_read`.
    pub fn missing_permissions(&self, permissions: &[&str]) {
        self.state.set_missing_permissions(permissions.iter().map(|&name| name.to_owned()).collect());
    }

    /// What was asked so far.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// Counts begin anew.
    pub fn reset_stats(&self) {
        self.state.reset_stats();
    }

    /// Only the generated objects are left, nobody listens to events, nothing disturbs anyone, and counts begin anew.
    pub fn reset(&self) {
        self.state.reset(self.generator());
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It fails only if the thread has already ended.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("stripe-simulator: cannot listen: {error}"),
    };
    let control = control::router(Arc::clone(&state));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: they come back as connections end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without this a client waits 40 ms for every answer that takes more than one packet.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let (state, control) = (Arc::clone(&state), control.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| dispatch(Arc::clone(&state), control.clone(), request));
            // A connection that breaks off is the client's wish or a fault's; both know.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn dispatch(
    state: Arc<State>,
    mut control: Router,
    request: Request<Incoming>,
) -> Result<axum::response::Response, Cut> {
    if request.uri().path().starts_with("/_control") {
        return control.call(request).await.map_err(|never| match never {});
    }
    serve(state, request).await
}
