//! `/api/admin/notifications`: who is told, what became of each message; a test of a channel, and another try.

use std::str::FromStr as _;
use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use strum::VariantNames as _;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth;
use crate::context::Context;
use crate::http::operation::{Body, Caller, Operation, Schema};
use crate::http::parameters::{LIMIT, describe_choice, describe_cursor, describe_uuid};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::notify::channel::Channel;
use crate::notify::db::{DeliveryEntry, DeliveryFilter, Fate, Wish, list};
use crate::notify::deliver::{Told, deliver_one};
use crate::notify::health::{ChannelHealth, health};
use crate::notify::receivers::configured;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/notifications", methods: &[Method::GET, Method::HEAD, Method::POST] };

/// The words of `?status=`.
const STATUSES: &[&str] = &["due", "sent", "suppressed", "dead"];

/// What a cursor is: the id of the last delivery shown.
const CURSOR: &str = "^[1-9][0-9]{0,17}$";

/// The channels and a page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotificationPage {
    /// All that there are, set up or not.
    pub channels: Vec<ChannelHealth>,
    /// Newest first.
    pub deliveries: Vec<DeliveryEntry>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Either a test or another try.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WishBody {
    #[serde(default)]
    test: Option<Channel>,
    #[serde(default)]
    retry: Option<DeliveryId>,
}

/// A delivery's id, as text or as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum DeliveryId {
    Number(i64),
    Text(String),
}

/// What is to be sent.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only described: what is wrong with a body is said better by hand")]
enum SendBody {
    /// A test.
    Test(TestBody),
    /// Another try.
    Retry(RetryBody),
}

/// Sends a test to a channel, and answers what its receiver says.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only described")]
struct TestBody {
    /// Which.
    test: Channel,
}

/// Sends again what was given up.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only described")]
struct RetryBody {
    /// The delivery's id; a number is taken, too.
    #[schema(pattern = "^[1-9][0-9]{0,17}$")]
    retry: String,
}

/// What the receiver said.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToldAnswer {
    /// `sent`; `refused`, for good; or `failed`.
    pub outcome: &'static str,
    /// Its HTTP status; null where nothing came back.
    pub status: Option<u16>,
    /// Its words, at most 200 characters; or what went wrong on the way.
    pub answer: String,
}

impl From<Told> for ToldAnswer {
    fn from(told: Told) -> Self {
        let outcome = match told.fate {
            Fate::Sent => "sent",
            Fate::Refused | Fate::Gone => "refused",
            Fate::Failed | Fate::Released => "failed",
        };
        Self { outcome, status: told.status, answer: told.answer }
    }
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation {
            parameters: vec![
                describe_choice("channel", "Only one channel.", Channel::VARIANTS, None),
                describe_choice("status", "Only one status.", STATUSES, None),
                describe_uuid("alert_id", "Only one alert."),
                LIMIT.describe(),
                describe_cursor(CURSOR),
            ],
            ..Operation::get(
                "listNotifications",
                "The channels and how they do, and what became of each message, newest first.",
                Caller::Admin,
                Schema::of::<NotificationPage>(),
            )
        },
        Operation {
            method: "post",
            body: Some(Body {
                schema: Schema::of::<SendBody>(),
                required: true,
                example: json!({ "test": "slack" }),
            }),
            codes: &[(404, "not_found"), (409, "conflict")],
            ..Operation::get(
                "sendNotification",
                "Sends a test to a channel, or again what was given up, and tells what the receiver said.",
                Caller::Admin,
                Schema::of::<ToldAnswer>(),
            )
        },
    ]
}

/// Answers the channels and a page of deliveries, or what a receiver said.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    if call.method == Method::POST {
        let wish = wish(call.json_body().await?)?;
        call.parameters(&[])?;
        admin.authorize("notify").await?;
        return Reply::ok(&ToldAnswer::from(deliver_one(&context, wish).await?));
    }
    call.no_body().await?;
    let parameters = call.parameters(&["channel", "status", "alert_id", "limit", "cursor"])?;
    let filter = DeliveryFilter {
        channel: parameters.one_of("channel", Channel::VARIANTS)?,
        status: parameters.one_of("status", STATUSES)?,
        alert_id: parameters.get("alert_id").map(id).transpose()?,
        limit: parameters.whole_number(&LIMIT)?,
        before: parameters.get("cursor").map(cursor).transpose()?,
    };
    let (known, mut deliveries) = list(&admin, &filter).await?;
    let shown = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let more = deliveries.len() > shown;
    deliveries.truncate(shown);
    Reply::ok(&NotificationPage {
        channels: health(&configured(&context.config), &known),
        next_cursor: deliveries.last().filter(|_| more).map(|last| last.id.clone()),
        deliveries,
    })
}

fn wish(body: WishBody) -> Result<Wish, ApiError> {
    match body {
        WishBody { test: Some(channel), retry: None } => Ok(Wish::Test(channel)),
        WishBody { test: None, retry: Some(DeliveryId::Number(id)) } if id > 0 => Ok(Wish::Again(id)),
        WishBody { test: None, retry: Some(DeliveryId::Text(text)) } => match cursor(&text) {
            Ok(id) => Ok(Wish::Again(id)),
            Err(_) => Err(ApiError::invalid("retry must be the id of a delivery.")),
        },
        WishBody { test: None, retry: Some(_) } => {
            Err(ApiError::invalid("retry must be the id of a delivery."))
        }
        _ => Err(ApiError::invalid("The body must be {\"test\": …} or {\"retry\": …}.")),
    }
}

fn cursor(text: &str) -> Result<i64, ApiError> {
    // Eighteen digits are always a bigint.
    let digits = !text.starts_with('0') && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    i64::from_str(text)
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| ApiError::invalid("cursor is not one this list returned."))
}

fn id(text: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(text).map_err(|_| ApiError::invalid("alert_id must be a UUID."))
}
