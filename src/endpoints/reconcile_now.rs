//! `POST /api/admin/billing-alerts/reconcile`: Reconcile Now. The secret stays on the server; the admin's session is enough.

use std::sync::Arc;

use http::Method;

use super::reconcile::answer;
use crate::auth;
use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::HOURS;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::reconcile::RunScope;
use crate::runs::answer::RunAnswer;
use crate::runs::db::RunRequest;
use crate::runs::key::{RunKey, RunType};
use crate::runs::perform::perform;
use crate::runs::run::TriggeredBy;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts/reconcile", methods: &[Method::POST] };

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        method: "post",
        parameters: vec![HOURS.describe()],
        codes: &[(502, "stripe_error"), (503, "stripe_unavailable")],
        ..Operation::get(
            "reconcileNow",
            "Reconcile Now: one manual run in the caller's name.",
            Caller::Admin,
            Schema::of::<RunAnswer>(),
        )
    }]
}

/// Does one manual run in an admin's name, or answers with the one that stands in its way.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    context.ready_to_reconcile()?;
    let admin = auth::admin(&context, &call)?;
    call.no_body().await?;
    let lookback_hours = call.parameters(&["hours"])?.whole_number(&HOURS)?;
    // Counted here, so not once more where the run starts.
    let user = admin.authorize("reconcile_now").await?;
    let request = RunRequest {
        scope: RunScope::All,
        run_type: RunType::Manual,
        lookback_hours,
        run_key: RunKey::new(RunType::Manual, call.received_at, None),
        triggered_by: TriggeredBy::Admin,
        user: Some(user),
        client: None,
    };
    answer(perform(&context, &request).await?)
}
