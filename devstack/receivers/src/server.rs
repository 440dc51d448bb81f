//! The listener: a thread of its own, so that it works beside any runtime, also one that a test blocks.

use crate::asked::{Asked, Reply};
use crate::fault::Fault;
use crate::pagerduty::Incident;
use crate::received::{Received, line};
use crate::state::{State, Step};
use crate::{
    DISCORD_PATH, EMAIL_FROM, EMAIL_TO, PAGERDUTY_KEY, RESEND_KEY, SLACK_PATH, WEBHOOK_PATH, webhook, word,
};
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// The longest body that is read; more than any of the services takes.
const LONGEST: usize = 4 << 20;
/// How long a test waits for what should come: long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// All five receivers, running. They end, with all their connections, when this is dropped.
#[derive(Debug)]
pub struct Receivers {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receivers {
    /// Listens on a free port, and answers from now on.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("receivers".into()).spawn(move || {
            // Dropping the runtime drops every connection.
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`. A browser sees there what has arrived.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The settings by which billing-ops sends everything here.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.settings_of(&crate::RECEIVERS)
    }

    /// The settings for some of the receivers; the others are not configured.
    ///
    /// # Panics
    ///
    /// If one of them is no receiver.
    pub fn settings_of(&self, receivers: &[&str]) -> Vec<(&'static str, String)> {
        let base = self.base_url();
        let of = |receiver: &&str| match word(receiver) {
            "pagerduty" => vec![
                ("NOTIFY_PAGERDUTY_KEY", PAGERDUTY_KEY.to_owned()),
                ("NOTIFY_PAGERDUTY_BASE", format!("{base}/pagerduty")),
            ],
            "slack" => vec![("NOTIFY_SLACK_URL", format!("{base}{SLACK_PATH}"))],
            "discord" => vec![("NOTIFY_DISCORD_URL", format!("{base}{DISCORD_PATH}"))],
            "email" => vec![
                ("RESEND_API_KEY", RESEND_KEY.to_owned()),
                ("RESEND_API_BASE", format!("{base}/resend")),
                ("NOTIFY_EMAIL_FROM", EMAIL_FROM.to_owned()),
                ("NOTIFY_EMAIL_TO", EMAIL_TO.to_owned()),
            ],
            _ => vec![
                ("NOTIFY_WEBHOOK_URL", format!("{base}{WEBHOOK_PATH}")),
                ("NOTIFY_WEBHOOK_SECRET", webhook::secret()),
            ],
        };
        receivers.iter().flat_map(of).collect()
    }

    /// Every request so far, in the order in which they came.
    pub fn received(&self) -> Vec<Received> {
        self.state.received()
    }

    /// The messages that have reached somebody by this receiver.
    ///
    /// # Panics
    ///
    /// If there is no such receiver.
    pub fn accepted(&self, receiver: &str) -> Vec<Received> {
        let word = word(receiver);
        self.received().into_iter().filter(|one| one.receiver == word && one.accepted).collect()
    }

    /// PagerDuty's incidents, in the order in which they were opened. A trigger after a resolve opens a new one under
    /// the same key.
    pub fn incidents(&self) -> Vec<Incident> {
        self.state.incidents()
    }

    /// Waits until so many messages have reached somebody by this receiver, and gives them back.
    ///
    /// # Panics
    ///
    /// If there is no such receiver; and with what was received, if they do not come within a minute.
    pub async fn wait_for(&self, receiver: &str, accepted: usize) -> Vec<Received> {
        let word = word(receiver);
        let what = format!("{accepted} accepted by {word}");
        let of_it = |all: &[Received]| all.iter().filter(|one| one.receiver == word && one.accepted).count();
        self.wait_until(&what, |all| of_it(all) >= accepted).await;
        self.accepted(word)
    }

    /// Waits until `condition` holds of everything received so far, and gives that back. `what` is for the panic.
    /// A request that stalls is among them from when it has come.
    ///
    /// # Panics
    ///
    /// With what was received, if the condition does not hold within a minute.
    pub async fn wait_until(&self, what: &str, condition: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut changes = self.state.changes();
        let wait = async {
            loop {
                let all = self.received();
                if condition(&all) {
                    return all;
                }
                // The sender lives as long as `self`.
                let _ = changes.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| {
            let lines: Vec<String> = self.received().iter().map(line).collect();
            panic!("waited in vain for {what}; received:\n{}", lines.join("\n"))
        })
    }

    /// Lets something go wrong with every request to this receiver from now on, until [`heal`](Self::heal). It takes
    /// the place of what went wrong before.
    ///
    /// # Panics
    ///
    /// If there is no such receiver.
    pub fn answer(&self, receiver: &str, fault: Fault) {
        self.state.set_fault(receiver, Some(fault));
    }

    /// Nothing goes wrong with this receiver any more. What waits for it is answered now.
    ///
    /// # Panics
    ///
    /// If there is no such receiver.
    pub fn heal(&self, receiver: &str) {
        self.state.set_fault(receiver, None);
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It fails only if the thread has already ended.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut on request")
    }
}

impl std::error::Error for Cut {}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("receivers: cannot listen: {error}"),
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: they come back as connections end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| serve(Arc::clone(&state), request));
            // A connection that breaks off is the client's wish or a fault's; both know.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Response, Cut> {
    let (parts, body) = request.into_parts();
    let receiver = match parts.uri.path().split('/').nth(1) {
        Some("") => return Ok(page(&state)),
        Some("resend") => "email",
        Some("pagerduty") => "pagerduty",
        Some("slack") => "slack",
        Some("discord") => "discord",
        Some("webhook") => "webhook",
        _ => return Ok(response(Reply::text(404, "nobody is here", None), None)),
    };
    // What is longer, or breaks off, is an empty body to the service, which refuses it.
    let body: Bytes = to_bytes(Body::new(body), LONGEST).await.unwrap_or_default();
    let asked = Asked {
        receiver,
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or("").to_owned(),
        headers: parts.headers,
        body,
        at: SystemTime::now(),
    };
    let mut changes = state.changes();
    let mut waiting = Waiting { state: Arc::clone(&state), place: None };
    let judged = loop {
        match state.judge(&asked, &mut waiting.place) {
            Step::Answer(reply, extra) => break Ok(response(reply, extra)),
            Step::Cut => break Err(Cut),
            // The sender lives as long as `state`.
            Step::Wait => drop(changes.changed().await),
        }
    };
    waiting.place = None;
    judged
}

/// Notes that a client has gone: what it asked for is dropped where it waits.
struct Waiting {
    state: Arc<State>,
    /// Where the request is kept, while it waits.
    place: Option<usize>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.state.hung_up(place);
        }
    }
}

fn response(reply: Reply, extra: Option<(&'static str, String)>) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status.try_into().unwrap_or_default();
    let headers = response.headers_mut();
    // 204 has no body, and so nothing to say of it.
    if reply.status != 204 {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    if let Some((name, value)) = extra
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        headers.insert(name, value);
    }
    response
}

/// What a person sees who opens the base address: it shows itself anew every two seconds.
fn page(state: &State) -> Response {
    let lines: Vec<String> = state.received().iter().map(line).collect();
    let text = if lines.is_empty() { "Nothing has been received yet.".to_owned() } else { lines.join("\n") };
    response(Reply::text(200, &format!("{text}\n"), None), Some(("refresh", "2".to_owned())))
}
