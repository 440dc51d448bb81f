//! `/api/admin/policies`: what may follow from a difference, by class.

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::auth;
use crate::context::Context;
use crate::decisions::db::{Policies, policies, set_policy};
use crate::drift::class::Class;
use crate::drift::policy::Mode;
use crate::http::operation::{Body, Caller, Operation, Schema};
use crate::http::parameters::whole;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::runs::perform::repair_mode;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/policies", methods: &[Method::GET, Method::HEAD, Method::PUT] };

/// The body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    /// The drift class.
    #[serde(rename = "type")]
    pub class: Class,
    /// What may follow from then on. One above `REPAIR_MODE` is kept and has no effect.
    pub mode: Mode,
    /// The version that was shown.
    #[schema(maximum = 2147483647)]
    #[serde(deserialize_with = "whole")]
    pub if_version: u32,
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "listPolicies",
            "What may follow from a difference, by class, and what a run would do.",
            Caller::Admin,
            Schema::of::<Policies>(),
        ),
        Operation {
            method: "put",
            body: Some(Body {
                schema: Schema::of::<PolicyBody>(),
                required: true,
                example: json!({ "type": "tier_mismatch", "mode": "approve", "if_version": 0 }),
            }),
            codes: &[(409, "conflict")],
            ..Operation::get(
                "setPolicy",
                "Sets the mode of a class, never above REPAIR_MODE in its effect.",
                Caller::Admin,
                Schema::of::<Policies>(),
            )
        },
    ]
}

/// Answers all policies, whether or not one was changed.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let ceiling = repair_mode(&context.config)?;
    let admin = auth::admin(&context, &call)?;
    if call.method == Method::PUT {
        let PolicyBody { class, mode, if_version } = call.json_body().await?;
        call.parameters(&[])?;
        let user = admin.authorize("set_policy").await?;
        return Reply::ok(&set_policy(admin.database(), class, mode, if_version, user, ceiling).await?);
    }
    call.no_body().await?;
    call.parameters(&[])?;
    Reply::ok(&policies(&admin, ceiling).await?)
}
