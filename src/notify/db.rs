//! The outbox in the database: what must be sent, what became of it, and the pages that admins read.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::channel::Channel;
use super::digest::Digest;
use super::message::{Delivery, Kind, Message, Summary};
use super::receivers::Configured;
use crate::alerts::alert::Alert;
use crate::alerts::severity::Severity;
use crate::supabase::judged::{Admin, Refusal, Verdict, set};
use crate::supabase::{Asker, DatabaseError, Retry, Supabase};

/// What became of a message, as `finish_deliveries` in SQL takes it.
#[derive(Debug, Clone, Serialize)]
pub struct Finish {
    /// The delivery.
    pub id: i64,
    /// The claim under which it was sent.
    pub claim: Uuid,
    /// What became of it.
    pub outcome: Fate,
    /// Why it was not taken, in a line for a person.
    pub answer: Option<String>,
    /// For how many seconds the receiver wants no other.
    pub retry_after: Option<f64>,
    /// Nothing came back, so it may have arrived.
    pub unanswered: bool,
}

/// What can become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The receiver has it.
    Sent,
    /// It will be tried again.
    Failed,
    /// The receiver will never take it.
    Refused,
    /// The receiver will never take any.
    Gone,
    /// It was not sent after all.
    Released,
}

#[derive(Deserialize)]
struct Claimed {
    id: i64,
    claim: Uuid,
    channel: Channel,
    kind: Kind,
    severity: Severity,
    message_id: Uuid,
    created_at: DateTime<Utc>,
    summary: Option<Summary>,
    digest: Option<Digest>,
    alert: Option<Alert>,
    #[serde(default)]
    reopens: bool,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    deliveries: Vec<Claimed>,
}

impl Claimed {
    fn into_delivery(self, public_url: Option<&Url>) -> Delivery {
        let link = public_url.map(|url| match self.kind {
            Kind::Digest => url.clone(),
            _ => link(url, self.alert.as_ref().map(|alert| alert.id)),
        });
        let message = Message {
            id: self.message_id,
            kind: self.kind,
            severity: self.severity,
            at: self.created_at,
            alert: self.alert,
            summary: self.summary,
            digest: self.digest,
            link,
            reopens: self.reopens,
        };
        Delivery { id: self.id, claim: self.claim, channel: self.channel, message }
    }
}

/// Where the dashboard shows an alert, or all of them.
fn link(public_url: &Url, alert: Option<Uuid>) -> Url {
    let mut url = public_url.clone();
    url.query_pairs_mut().clear().append_pair("view", "alerts");
    if let Some(id) = alert {
        url.query_pairs_mut().append_pair("status", "all").append_pair("alert", &id.to_string());
    }
    url
}

/// The channels that are set up and in order. One with wrong settings counts as not there until they are mended.
fn channels(configured: &[Configured]) -> Value {
    let fit = configured.iter().filter(|channel| channel.receiver.is_ok());
    let channels = fit.map(|channel| {
        json!({ "channel": channel.channel, "fingerprint": channel.fingerprint, "min_severity": channel.least })
    });
    channels.collect()
}

/// What the database needs to count a week, but cannot know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DigestRules {
    /// The statuses that grant access; none where that setting is wrong.
    pub access: Option<Vec<String>>,
}

/// Claims what must be sent now: for a minute nobody else can claim it. `digest`: what is needed to make the week's digest, if one is
/// wanted; `client`: the address to count the call by, if it is to be counted.
/// The call is sent again if its answer is lost, because what was claimed in vain is handed out again after that minute.
pub async fn claim(
    database: &Supabase,
    configured: &[Configured],
    public_url: Option<&Url>,
    digest: Option<&DigestRules>,
    client: Option<&str>,
) -> Result<Vec<Delivery>, Refusal> {
    let mut parameters = json!({ "p_channels": channels(configured) });
    set(&mut parameters, "p_client", client);
    set(&mut parameters, "p_digest", digest);
    let verdict: Verdict<Claims> =
        database.call(Asker::Service, Retry::Unsafe, "claim_deliveries", &parameters).await?;
    let (_, claims) = verdict.admitted("delivery")?;
    Ok(claims.deliveries.into_iter().map(|claimed| claimed.into_delivery(public_url)).collect())
}

/// What a person wants to be sent.
#[derive(Debug, Clone, Copy)]
pub enum Wish {
    /// A test.
    Test(Channel),
    /// Once more a delivery that was given up.
    Again(i64),
}

/// Why it cannot be sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoWish {
    /// The channel's settings are missing or wrong.
    #[error("the channel is not set up")]
    NotConfigured,
    /// Only what was given up can be sent again; this is something else.
    #[error("the delivery is {0}")]
    NotDead(String),
    /// The person may not do this, there is no such delivery, or the database did not answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<DatabaseError> for NoWish {
    fn from(error: DatabaseError) -> Self {
        Self::Refused(error.into())
    }
}

/// Claims one delivery at the request of a person who was found to be an admin.
pub async fn claim_one(
    database: &Supabase,
    configured: &[Configured],
    public_url: Option<&Url>,
    wish: Wish,
) -> Result<Delivery, NoWish> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        deliveries: Vec<Claimed>,
        #[serde(default)]
        status: String,
    }
    let mut parameters = json!({ "p_channels": channels(configured) });
    match wish {
        Wish::Test(channel) => parameters["p_test"] = channel.as_str().into(),
        Wish::Again(id) => parameters["p_retry"] = id.into(),
    }
    let verdict: Verdict<Answer> =
        database.call(Asker::Service, Retry::Unsafe, "claim_delivery", &parameters).await?;
    let (outcome, mut answer) = verdict.admitted("delivery")?;
    match (outcome.as_str(), answer.deliveries.pop()) {
        ("ok", Some(claimed)) => Ok(claimed.into_delivery(public_url)),
        ("conflict", _) => Err(NoWish::NotDead(answer.status)),
        _ => Err(NoWish::NotConfigured),
    }
}

/// Says what became of claimed deliveries. Safe to send again: a claim is finished once.
pub async fn finish(database: &Supabase, results: &[Finish]) -> Result<(), DatabaseError> {
    let _: Value = database
        .call(Asker::Service, Retry::Safe, "finish_deliveries", &json!({ "p_results": results }))
        .await?;
    Ok(())
}

/// Which deliveries an admin asks for.
#[derive(Debug)]
pub struct DeliveryFilter<'a> {
    /// To one channel.
    pub channel: Option<&'a str>,
    /// Of one status.
    pub status: Option<&'a str>,
    /// Of one alert.
    pub alert_id: Option<Uuid>,
    /// At most this many.
    pub limit: u32,
    /// Before this one.
    pub before: Option<i64>,
}

/// A channel as the database knows it.
#[derive(Debug, Clone, Deserialize)]
pub struct KnownChannel {
    /// Which.
    pub channel: Channel,
    /// The fingerprint of the settings of which this is known.
    pub fingerprint: String,
    /// Whether its destination turned out to be gone.
    pub off_at: Option<DateTime<Utc>>,
    /// What the destination said.
    pub off_reason: Option<String>,
    /// When a message last arrived.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When one last did not.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// Why not.
    pub last_failure: Option<String>,
}

/// A message to a channel, and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeliveryEntry {
    /// Its id: digits.
    #[schema(pattern = "^[0-9]{1,19}$")]
    pub id: String,
    /// To whom.
    pub channel: Channel,
    /// `raised`, `escalated`, `grown`, `repeated`, `acknowledged`, `resolved`, `summary`, `digest` or `test`.
    pub kind: String,
    /// How severe it was.
    pub severity: String,
    /// `due`, `sent`, `suppressed` or `dead`.
    pub status: String,
    /// Why it was suppressed or given up, or what went wrong at the last attempt.
    pub reason: Option<String>,
    /// Of which alert; null for summaries, digests and tests.
    pub alert_id: Option<Uuid>,
    /// That alert's key.
    pub alert_key: Option<String>,
    /// How often it was sent.
    pub attempts: u32,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// It is sent again no earlier than this; null where it is finished.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the receiver took it.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Reads channels and a page of deliveries in a person's name. Answers one delivery more than asked for, where there are more.
pub async fn list(
    admin: &Admin<'_>,
    filter: &DeliveryFilter<'_>,
) -> Result<(Vec<KnownChannel>, Vec<DeliveryEntry>), Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        channels: Vec<KnownChannel>,
        items: Vec<DeliveryEntry>,
    }
    let mut parameters = json!({ "p_limit": filter.limit });
    set(&mut parameters, "p_channel", filter.channel);
    set(&mut parameters, "p_status", filter.status);
    set(&mut parameters, "p_alert_id", filter.alert_id);
    set(&mut parameters, "p_before", filter.before);
    let answer: Answer = admin.ask("admin_notifications", parameters, "delivery").await?;
    Ok((answer.channels, answer.items))
}
