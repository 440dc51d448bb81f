//! Sends what is due: claims it, sends it, says what became of it. Whoever has time does it: a call once it is answered, and the
//! five-minute cron for the rest.
//!
//! A process that dies between sending and finishing leaves a claim that runs out after a minute; the message is then sent again
//! with the same id.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join_all;
use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::time::Instant;
use uuid::Uuid;

use super::channel::Channel;
use super::db::{self, DigestRules, Fate, Finish, NoWish, Wish};
use super::message::{Delivery, Message};
use super::receivers::{Answer, Configured, Outgoing, Receiver, Verdict, configured, words};
use crate::config::SettingError;
use crate::context::Context;
use crate::supabase::judged::Refusal;
use crate::supabase::{DatabaseError, Supabase};

/// How long one message may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// With less time left than this, nothing more is sent.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);

/// How long one call may be busy with sending.
pub const BUDGET: Duration = Duration::from_secs(20);

/// The same for a call that has taken long already: the platform ends a function after its time, whether or not it is done.
const SHORT_BUDGET: Duration = Duration::from_secs(8);

/// From this on, a call has taken long.
const LONG: Duration = Duration::from_secs(30);

/// The most that is read of a receiver's answer, in bytes.
const LONGEST_ANSWER: usize = 4 * 1024;

/// What one call has sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Sent {
    /// Taken by their receivers.
    pub sent: u32,
    /// Refused for good.
    pub refused: u32,
    /// Failed, to be tried again.
    pub failed: u32,
}

/// Why nothing could be sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotSent {
    /// The database's settings are missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database did not answer, or counts too many calls.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<DatabaseError> for NotSent {
    fn from(error: DatabaseError) -> Self {
        Self::Refused(error.into())
    }
}

/// What became of a single message.
#[derive(Debug, Clone)]
pub struct Told {
    /// Sent, failed, refused or gone.
    pub fate: Fate,
    /// The receiver's HTTP status; none where nothing came back.
    pub status: Option<u16>,
    /// What the receiver said, at most 200 characters; or what went wrong on the way.
    pub answer: String,
    retry_after: Option<Duration>,
}

/// Sends what is due until there is nothing left or the time is up. `client`: the address to count the call by, if it is to be counted.
///
/// One round trip where there is nothing to do.
pub async fn deliver(context: &Context, client: Option<&str>, budget: Duration) -> Result<Sent, NotSent> {
    let database = context.supabase()?;
    let configured = configured(&context.config);
    let public_url = context.config.public_url().ok().flatten();
    // A word that is not known counts as off: health and an alert say so.
    let digest = (context.config.notify_digest() == Ok(true))
        .then(|| DigestRules { access: context.config.access_statuses().ok() });
    let deadline = Instant::now() + budget;
    let (mut total, mut failing, mut client) = (Sent::default(), BTreeSet::new(), client);
    loop {
        let claimed =
            db::claim(database, &configured, public_url.as_ref(), digest.as_ref(), client.take()).await?;
        let by_channel = configured.iter().map(|channel| {
            let own: Vec<&Delivery> =
                claimed.iter().filter(|delivery| delivery.channel == channel.channel).collect();
            send_all(context, database, channel, own, failing.contains(&channel.channel), deadline)
        });
        // Each channel by itself, also in what is written of it: one that stalls holds up no other.
        let fates: Vec<(Channel, Vec<Fate>)> = try_join_all(by_channel).await?;
        let mut busy = false;
        for (channel, fate) in
            fates.iter().flat_map(|(channel, fates)| fates.iter().map(|fate| (*channel, *fate)))
        {
            match fate {
                Fate::Sent => total.sent += 1,
                Fate::Refused | Fate::Gone => total.refused += 1,
                Fate::Failed => total.failed += 1,
                Fate::Released => {}
            }
            busy |= fate != Fate::Released;
            if matches!(fate, Fate::Failed | Fate::Gone) {
                failing.insert(channel);
            }
        }
        if !busy || Instant::now() >= deadline {
            return Ok(total);
        }
    }
}

/// Sends what is due after a call is answered. What goes wrong is logged and left to the next call. Without a channel it costs nothing.
pub async fn deliver_news(context: &Context, taken: Duration) {
    if configured(&context.config).is_empty() {
        return;
    }
    let budget = if taken < LONG { BUDGET } else { SHORT_BUDGET };
    match deliver(context, None, budget).await {
        Ok(Sent { sent: 0, refused: 0, failed: 0 }) => {}
        Ok(sent) => tracing::info!(sent.sent, sent.refused, sent.failed, "notifications"),
        Err(error) => tracing::warn!(%error, "notifications could not be sent"),
    }
}

/// Sends one message at the request of a person who was found to be an admin, and says what the receiver said.
pub async fn deliver_one(context: &Context, wish: Wish) -> Result<Told, NoWish> {
    let database = context.supabase().map_err(|_| NoWish::NotConfigured)?;
    let configured = configured(&context.config);
    let public_url = context.config.public_url().ok().flatten();
    let delivery = db::claim_one(database, &configured, public_url.as_ref(), wish).await?;
    let receiver = configured
        .iter()
        .find(|channel| channel.channel == delivery.channel)
        .and_then(|channel| channel.receiver.as_deref().ok())
        .ok_or(NoWish::NotConfigured)?;
    let told = tell(context.http(), receiver, &delivery, SEND_TIMEOUT).await;
    db::finish(database, &[told.finish(&delivery)]).await?;
    Ok(told)
}

/// Sends a test to a receiver without the database: this shows whether the settings alone are good.
#[allow(clippy::disallowed_methods, reason = "a test is of now, and has an id of its own")]
pub async fn send_test(context: &Context, channel: Channel, receiver: &dyn Receiver) -> Told {
    let public_url = context.config.public_url().ok().flatten();
    let message = Message::test(Uuid::new_v4(), chrono::Utc::now(), public_url);
    let delivery = Delivery { id: 0, claim: Uuid::nil(), channel, message };
    tell(context.http(), receiver, &delivery, SEND_TIMEOUT).await
}

/// Sends a channel's messages one after the other, and says what became of them. After a failure the rest is given back: it would fail,
/// too. So is what there is no time for, because a message that is cut off counts as perhaps arrived.
async fn send_all(
    context: &Context,
    database: &Supabase,
    channel: &Configured,
    deliveries: Vec<&Delivery>,
    failing: bool,
    deadline: Instant,
) -> Result<(Channel, Vec<Fate>), DatabaseError> {
    let Ok(receiver) = &channel.receiver else { return Ok((channel.channel, Vec::new())) };
    let mut finishes = Vec::with_capacity(deliveries.len());
    let mut stop = failing;
    for delivery in deliveries {
        let left = deadline.saturating_duration_since(Instant::now());
        let finish = if stop || left < LEAST_PATIENCE {
            Finish::released(delivery)
        } else {
            let told = tell(context.http(), receiver.as_ref(), delivery, SEND_TIMEOUT.min(left)).await;
            stop = matches!(told.fate, Fate::Failed | Fate::Gone);
            told.finish(delivery)
        };
        finishes.push(finish);
    }
    if !finishes.is_empty() {
        db::finish(database, &finishes).await?;
    }
    Ok((channel.channel, finishes.iter().map(|finish| finish.outcome).collect()))
}

/// Sends one message and judges the answer.
#[allow(clippy::disallowed_methods, reason = "a signature holds the time at which it was made")]
async fn tell(
    http: &reqwest::Client,
    receiver: &dyn Receiver,
    delivery: &Delivery,
    patience: Duration,
) -> Told {
    let request = receiver.request(&delivery.message, chrono::Utc::now().timestamp());
    let told = match receiver.before(&delivery.message) {
        None => send(http, receiver, request, patience).await,
        Some(first) => match send(http, receiver, first, patience).await {
            Told { fate: Fate::Sent, .. } => send(http, receiver, request, patience).await,
            told => told,
        },
    };
    let (channel, kind) = (delivery.channel.as_str(), delivery.message.kind.as_str());
    tracing::info!(channel, kind, delivery = delivery.id, fate = ?told.fate, status = told.status, "told");
    told
}

async fn send(
    http: &reqwest::Client,
    receiver: &dyn Receiver,
    outgoing: Outgoing,
    patience: Duration,
) -> Told {
    let request = http
        .post(outgoing.url)
        .headers(outgoing.headers)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(outgoing.body)
        .timeout(patience);
    match answer(request).await {
        Ok(answer) => Told::of(receiver, &answer),
        // Not the error itself: it holds the address, which is a secret for most receivers.
        Err(error) => Told::unanswered(&error),
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let mut response = request.send().await?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    // The status is the answer; of the words, as much as has come is enough.
    while body.len() < LONGEST_ANSWER
        && let Ok(Some(piece)) = response.chunk().await
    {
        body.extend_from_slice(&piece);
    }
    body.truncate(LONGEST_ANSWER);
    Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

impl Told {
    fn of(receiver: &dyn Receiver, answer: &Answer) -> Self {
        let (fate, retry_after) = match receiver.verdict(answer) {
            Verdict::Sent => (Fate::Sent, None),
            Verdict::Refused => (Fate::Refused, None),
            Verdict::Gone => (Fate::Gone, None),
            Verdict::Failed(retry_after) => (Fate::Failed, retry_after),
        };
        Self {
            fate,
            status: Some(answer.status.as_u16()),
            answer: words(receiver, &answer.body),
            retry_after,
        }
    }

    fn unanswered(error: &reqwest::Error) -> Self {
        let what = if error.is_timeout() {
            "no answer in time"
        } else if error.is_connect() {
            "no connection"
        } else {
            "the connection broke"
        };
        Self { fate: Fate::Failed, status: None, answer: what.to_owned(), retry_after: None }
    }

    fn finish(&self, delivery: &Delivery) -> Finish {
        let reason = match self.status {
            Some(status) if self.answer.is_empty() => status.to_string(),
            Some(status) => format!("{status}: {}", self.answer),
            None => self.answer.clone(),
        };
        Finish {
            id: delivery.id,
            claim: delivery.claim,
            outcome: self.fate,
            answer: (self.fate != Fate::Sent).then_some(reason),
            retry_after: self.retry_after.map(|pause| pause.as_secs_f64()),
            // Without a connection nothing can have arrived.
            unanswered: self.status.is_none() && self.answer != "no connection",
        }
    }
}

impl Finish {
    fn released(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            claim: delivery.claim,
            outcome: Fate::Released,
            answer: None,
            retry_after: None,
            unanswered: false,
        }
    }
}
