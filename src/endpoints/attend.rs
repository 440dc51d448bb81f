//! `POST /api/admin/billing-alerts/{id}/acknowledge`, `unacknowledge`, `snooze`, `unsnooze` and `note`: what an admin does about an open
//! alert, besides resolving it.

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::alerts::db::{Attended, Attention, attend};
use crate::auth;
use crate::context::Context;
use crate::http::operation::{Body, Caller, Operation, Schema};
use crate::http::parameters::{describe_id, note, whole, whole_if_any};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::supabase::judged::Admin;

const METHODS: &[Method] = &[Method::POST];

/// The route and methods of attending to one.
pub const ACKNOWLEDGE: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts/{id}/acknowledge", methods: METHODS };

/// The route and methods of no longer attending to it.
pub const UNACKNOWLEDGE: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts/{id}/unacknowledge", methods: METHODS };

/// The route and methods of hearing nothing of one.
pub const SNOOZE: Endpoint = Endpoint { route: "/api/admin/billing-alerts/{id}/snooze", methods: METHODS };

/// The route and methods of hearing of it again.
pub const UNSNOOZE: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts/{id}/unsnooze", methods: METHODS };

/// The route and methods of leaving a note.
pub const NOTE: Endpoint = Endpoint { route: "/api/admin/billing-alerts/{id}/note", methods: METHODS };

/// The longest acknowledgement, in hours.
const LONGEST_HOURS: u32 = 72;

/// The shortest and the longest snooze, in minutes.
const SNOOZE_MINUTES: std::ops::RangeInclusive<u32> = 5..=10_080;

/// The body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeBody {
    /// For how many hours, 1 to 72: 4 for a critical alert and 24 for any other, where nothing is said.
    #[serde(default, deserialize_with = "whole_if_any")]
    #[schema(minimum = 1, maximum = 72)]
    pub hours: Option<u32>,
}

/// The body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnoozeBody {
    /// For how many minutes, 5 to 10080 (a week).
    #[schema(minimum = 5, maximum = 10080)]
    #[serde(deserialize_with = "whole")]
    pub minutes: u32,
    /// Why: at most 2,000 characters.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: Option<String>,
}

/// The body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    /// What whoever comes next should know: 1 to 2,000 characters.
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub note: String,
}

fn operation(id: &'static str, summary: &'static str, body: Option<(Schema, bool, Value)>) -> Vec<Operation> {
    vec![Operation {
        method: "post",
        parameters: vec![describe_id()],
        body: body.map(|(schema, required, example)| Body { schema, required, example }),
        codes: &[(404, "not_found")],
        ..Operation::get(id, summary, Caller::Admin, Schema::of::<Attended>())
    }]
}

/// What the OpenAPI document says of it.
pub fn acknowledge_operations() -> Vec<Operation> {
    let body = (Schema::of::<AcknowledgeBody>(), false, json!({ "hours": 4 }));
    operation(
        "acknowledgeAlert",
        "Says that somebody attends to it: no repeats are sent meanwhile.",
        Some(body),
    )
}

/// What the OpenAPI document says of it.
pub fn unacknowledge_operations() -> Vec<Operation> {
    operation("unacknowledgeAlert", "Ends an acknowledgement.", None)
}

/// What the OpenAPI document says of it.
pub fn snooze_operations() -> Vec<Operation> {
    let body =
        (Schema::of::<SnoozeBody>(), true, json!({ "minutes": 60, "note": "The import runs until ten." }));
    operation(
        "snoozeAlert",
        "Sends nothing of it for a while; then one reminder, if it still stands.",
        Some(body),
    )
}

/// What the OpenAPI document says of it.
pub fn unsnooze_operations() -> Vec<Operation> {
    operation("unsnoozeAlert", "Ends a snooze.", None)
}

/// What the OpenAPI document says of it.
pub fn note_operations() -> Vec<Operation> {
    let body = (Schema::of::<NoteBody>(), true, json!({ "note": "Asked support; see ticket 4711." }));
    operation("noteAlert", "Leaves word in the alert's history.", Some(body))
}

/// Answers the alert, and whether it was so before.
pub async fn acknowledge(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    let AcknowledgeBody { hours } = call.json_body().await?;
    if hours.is_some_and(|hours| !(1..=LONGEST_HOURS).contains(&hours)) {
        return Err(ApiError::invalid(format!("hours must be a whole number from 1 to {LONGEST_HOURS}.")));
    }
    answer(&context, &call, &admin, Attention::Acknowledge(hours)).await
}

/// Answers the alert, and whether it was so before.
pub async fn unacknowledge(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    answer(&context, &call, &admin, Attention::Unacknowledge).await
}

/// Answers the alert, and whether it was so before.
pub async fn snooze(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    let SnoozeBody { minutes, note: why } = call.json_body().await?;
    if !SNOOZE_MINUTES.contains(&minutes) {
        let (least, most) = (SNOOZE_MINUTES.start(), SNOOZE_MINUTES.end());
        return Err(ApiError::invalid(format!("minutes must be a whole number from {least} to {most}.")));
    }
    let why = note("note", why.as_deref())?;
    answer(&context, &call, &admin, Attention::Snooze(minutes, why)).await
}

/// Answers the alert, and whether it was so before.
pub async fn unsnooze(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    answer(&context, &call, &admin, Attention::Unsnooze).await
}

/// Answers the alert with its history.
pub async fn leave_note(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    let NoteBody { note: text } = call.json_body().await?;
    let Some(text) = note("note", Some(&text))? else {
        return Err(ApiError::invalid("note must say something."));
    };
    answer(&context, &call, &admin, Attention::Note(text)).await
}

async fn answer(
    context: &Context,
    call: &Call,
    admin: &Admin<'_>,
    attention: Attention<'_>,
) -> Result<Reply, ApiError> {
    call.parameters(&["id"])?;
    let id = call.path_id(1)?;
    let actor = admin.authorize(attention.word()).await?;
    let attended = attend(admin.database(), id, attention, actor).await?;
    context.has_news();
    Reply::ok(&attended)
}
