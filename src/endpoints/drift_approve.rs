//! `POST /api/admin/drift/{id}/approve` and `POST /api/admin/drift/approve`: makes the repairs that a person was shown.

use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth;
use crate::context::Context;
use crate::decisions::approve::{Approval, approve};
use crate::decisions::db::{Allowed, Decided, allow};
use crate::drift::class::Class;
use crate::drift::entry::Entry;
use crate::http::operation::{Body, Caller, Operation, Schema};
use crate::http::parameters::{describe_id, whole};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::runs::perform::repair_mode;

/// The route and methods of approving one.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/admin/drift/{id}/approve", methods: &[Method::POST] };

/// The route and methods of approving many.
pub const MANY: Endpoint = Endpoint { route: "/api/admin/drift/approve", methods: &[Method::POST] };

/// The most entries of one call.
const MOST: usize = 50;

/// Ids; or a class, the action `held`, and how many of it are held.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    #[serde(default)]
    ids: Option<Vec<Uuid>>,
    #[serde(default, rename = "type")]
    class: Option<Class>,
    #[serde(default)]
    action: Option<HeldOnly>,
    #[serde(default)]
    count: Option<Whole>,
}

/// A whole number of a body.
#[derive(Debug, Deserialize)]
struct Whole(#[serde(deserialize_with = "whole")] u32);

/// Which entries: each of some, or all of a class that the circuit breaker holds.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only described: what is wrong with a body is said better by hand")]
enum Approve {
    /// Each by itself.
    Each(ApproveEach),
    /// By their number.
    Held(AllowHeld),
}

/// Some entries, each decided by itself.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only described")]
struct ApproveEach {
    /// Their ids.
    #[schema(min_items = 1, max_items = 50)]
    ids: Vec<Uuid>,
}

/// What the circuit breaker holds of a class, to be written by the next run.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only described")]
struct AllowHeld {
    /// The class.
    #[serde(rename = "type")]
    class: Class,
    /// `held`.
    action: HeldOnly,
    /// How many are held now.
    #[schema(maximum = 2147483647)]
    count: u32,
}

/// What can be allowed by number.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldOnly {
    /// What the circuit breaker holds.
    Held,
}

/// What became of one of many.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalResult {
    /// The entry's id.
    pub id: Uuid,
    /// What was done; null where nothing was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why nothing was decided, for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The entry, as it is now.
    pub drift: Option<Entry>,
}

/// What became of each, or until when what is held may be written.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ManyApproved {
    /// In the order of `ids`.
    Each {
        /// One for each id.
        results: Vec<ApprovalResult>,
    },
    /// The next run may.
    Allowed(Allowed),
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        method: "post",
        parameters: vec![describe_id()],
        codes: &[(404, "not_found"), (409, "conflict"), (502, "stripe_error"), (503, "stripe_unavailable")],
        ..Operation::get(
            "approveDrift",
            "Approves one repair: Stripe is read afresh, and what is not what was shown is not written.",
            Caller::Admin,
            Schema::of::<Decided>(),
        )
    }]
}

/// The same for many.
pub fn operations_of_many() -> Vec<Operation> {
    vec![Operation {
        method: "post",
        body: Some(Body {
            schema: Schema::of::<Approve>(),
            required: true,
            example: json!({ "ids": ["0b0e3b0e-8c3e-4d53-9d35-0c5a4c7c4f5e"] }),
        }),
        codes: &[(409, "conflict"), (502, "stripe_error"), (503, "stripe_unavailable")],
        ..Operation::get(
            "approveManyDrift",
            "Approves up to 50 repairs, each by itself; or lets the next run write what the circuit breaker holds.",
            Caller::Admin,
            Schema::of::<ManyApproved>(),
        )
    }]
}

/// Answers what became of it, or 409 with what would be done now.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    context.ready_to_reconcile()?;
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    call.parameters(&["id"])?;
    let id = call.path_id(1)?;
    let mut approvals = approve(&context, &admin, &[id], call.received_at.timestamp()).await?;
    Reply::ok(&approvals.pop().ok_or_else(|| ApiError::not_found("drift"))??)
}

/// Answers what became of each.
pub async fn handle_many(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    context.ready_to_reconcile()?;
    let admin = auth::admin(&context, &call)?;
    let body: ApproveBody = call.json_body().await?;
    call.parameters(&[])?;
    match body {
        ApproveBody { ids: Some(ids), class: None, action: None, count: None } => {
            let ids = some(ids)?;
            let approvals = approve(&context, &admin, &ids, call.received_at.timestamp()).await?;
            let results = ids.iter().zip(approvals).map(|(id, approval)| result(*id, approval)).collect();
            Reply::ok(&ManyApproved::Each { results })
        }
        ApproveBody {
            ids: None,
            class: Some(class),
            action: Some(HeldOnly::Held),
            count: Some(Whole(count)),
        } => {
            let actor = admin.authorize("approve").await?;
            let ceiling = repair_mode(&context.config)?;
            let allowed = allow(admin.database(), class, count, actor, ceiling).await?;
            Reply::ok(&ManyApproved::Allowed(allowed))
        }
        _ => Err(ApiError::invalid(
            "The body must be {\"ids\": […]} or {\"type\": …, \"action\": \"held\", \"count\": …}.",
        )),
    }
}

fn some(ids: Vec<Uuid>) -> Result<Vec<Uuid>, ApiError> {
    if ids.is_empty() || ids.len() > MOST {
        return Err(ApiError::invalid(format!("ids must be 1 to {MOST} ids.")));
    }
    Ok(ids)
}

fn result(id: Uuid, approval: Approval) -> ApprovalResult {
    match approval {
        Ok(Decided { outcome, drift, .. }) => {
            ApprovalResult { id, outcome: Some(outcome), code: None, error: None, drift: Some(drift) }
        }
        Err(error) => {
            let drift = error.drift().cloned();
            let error = ApiError::from(error);
            ApprovalResult { id, outcome: None, code: Some(error.code), error: Some(error.message), drift }
        }
    }
}
