//! `POST /api/admin/drift/{id}/revert`: takes a repair back.

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::auth;
use crate::context::Context;
use crate::decisions::db::{Decided, revert};
use crate::http::operation::{Body, Caller, Operation, Schema};
use crate::http::parameters::{describe_id, note};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::runs::perform::repair_mode;

/// Its route and methods.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/admin/drift/{id}/revert", methods: &[Method::POST] };

/// The body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevertBody {
    /// Why: at most 2,000 characters.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: Option<String>,
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        method: "post",
        parameters: vec![describe_id()],
        body: Some(Body {
            schema: Schema::of::<RevertBody>(),
            required: false,
            example: json!({ "note": "They have a contract of their own." }),
        }),
        codes: &[(404, "not_found"), (409, "conflict")],
        ..Operation::get(
            "revertDrift",
            "Takes the newest repair of a row back, if nobody has written the row since, and lets the difference stand for seven days.",
            Caller::Admin,
            Schema::of::<Decided>(),
        )
    }]
}

/// Answers the entry that was closed, and the one that lets the difference stand.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let ceiling = repair_mode(&context.config)?;
    let admin = auth::admin(&context, &call)?;
    let body: RevertBody = call.json_body().await?;
    call.parameters(&["id"])?;
    let id = call.path_id(1)?;
    let note = note("note", body.note.as_deref())?;
    let user = admin.authorize("revert").await?;
    Reply::ok(&revert(admin.database(), id, user, note, ceiling).await?)
}
