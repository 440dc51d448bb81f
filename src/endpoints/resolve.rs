//! `POST /api/admin/billing-alerts/{id}/resolve`: resolves one alert in an admin's name.

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::alerts::db;
use crate::auth;
use crate::context::Context;
use crate::http::operation::{Body, Caller, Operation, Schema};
use crate::http::parameters::{describe_id, note};
use crate::http::{ApiError, Call, Endpoint, Reply};

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts/{id}/resolve", methods: &[Method::POST] };

/// The body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// Why it is resolved: at most 2,000 characters.
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
            schema: Schema::of::<ResolveBody>(),
            required: false,
            example: json!({ "note": "Refunded by hand; see ticket 4711." }),
        }),
        codes: &[(404, "not_found")],
        ..Operation::get(
            "resolveAlert",
            "Resolves one alert in the caller's name. Idempotent.",
            Caller::Admin,
            Schema::of::<db::Resolved>(),
        )
    }]
}

/// Answers the alert. Resolving twice changes nothing and is not an error.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let admin = auth::admin(&context, &call)?;
    let body: ResolveBody = call.json_body().await?;
    call.parameters(&["id"])?;
    let id = call.path_id(1)?;
    let note = note("note", body.note.as_deref())?;
    let user = admin.authorize("resolve").await?;
    let resolved = db::resolve(admin.database(), id, note, user).await?;
    context.has_news();
    Reply::ok(&resolved)
}
