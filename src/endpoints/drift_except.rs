//! `POST /api/admin/drift/{id}/except` and `…/unexcept`: lets a difference stand, until a date.

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::auth;
use crate::context::Context;
use crate::decisions::db::{Decided, except, unexcept};
use crate::http::operation::{Body, Caller, Operation, Schema};
use crate::http::parameters::{describe_id, note, whole};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::runs::perform::repair_mode;

/// The route and methods of letting one stand.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/admin/drift/{id}/except", methods: &[Method::POST] };

/// The route and methods of ending that.
pub const END: Endpoint = Endpoint { route: "/api/admin/drift/{id}/unexcept", methods: &[Method::POST] };

/// The longest time that a difference may stand, in days.
const LONGEST: u32 = 365;

/// The body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptBody {
    /// For how many days, 1 to 365.
    #[schema(minimum = 1, maximum = 365)]
    #[serde(deserialize_with = "whole")]
    pub days: u32,
    /// Why: 1 to 2,000 characters.
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub reason: String,
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        method: "post",
        parameters: vec![describe_id()],
        body: Some(Body {
            schema: Schema::of::<ExceptBody>(),
            required: true,
            example: json!({ "days": 30, "reason": "A gift until the end of the quarter." }),
        }),
        codes: &[(404, "not_found"), (409, "conflict")],
        ..Operation::get(
            "exceptDrift",
            "Lets a difference stand for so many days: it is listed, and neither repaired nor alerted.",
            Caller::Admin,
            Schema::of::<Decided>(),
        )
    }]
}

/// The same for ending an exception.
pub fn operations_of_end() -> Vec<Operation> {
    vec![Operation {
        method: "post",
        parameters: vec![describe_id()],
        codes: &[(404, "not_found"), (409, "conflict")],
        ..Operation::get(
            "unexceptDrift",
            "Ends an exception: from now on, what the mode says counts again.",
            Caller::Admin,
            Schema::of::<Decided>(),
        )
    }]
}

/// Answers the entry as it stands.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    let ExceptBody { days, reason } = call.json_body().await?;
    call.parameters(&["id"])?;
    let id = call.path_id(1)?;
    if !(1..=LONGEST).contains(&days) {
        return Err(ApiError::invalid(format!("days must be a whole number from 1 to {LONGEST}.")));
    }
    let Some(reason) = note("reason", Some(&reason))? else {
        return Err(ApiError::invalid("reason must say why."));
    };
    let user = admin.authorize("except").await?;
    Reply::ok(&except(admin.database(), id, user, days, reason).await?)
}

/// Answers the entry as it stands.
pub async fn handle_end(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let ceiling = repair_mode(&context.config)?;
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    call.parameters(&["id"])?;
    let id = call.path_id(1)?;
    let user = admin.authorize("unexcept").await?;
    Reply::ok(&unexcept(admin.database(), id, user, ceiling).await?)
}
