//! `POST /api/admin/billing-alerts/reconcile`: Reconcile Now. The secret stays on the server; the admin's session is enough.

use std::sync::Arc;

use chrono::Utc;
use http::Method;

use crate::context::Context;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::reconcile::perform::perform;
use crate::runs::{RunKey, RunRequest, RunType, TriggeredBy};
use crate::{alerts, auth};

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts/reconcile", methods: &[Method::POST] };

/// Does one manual run in an admin's name, or answers with the one that stands in its way.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let database = context.supabase_for_people()?;
    context.ready_to_reconcile()?;
    let person = auth::person(&call.headers)?;
    call.no_body().await?;
    let lookback_hours = call.parameters(&["hours"])?.whole_number("hours", 24, 1, 168)?;
    // Counted here, so not once more where the run starts.
    let user = alerts::authorize(database, &person, "reconcile_now", &call.client()).await?;
    let request = RunRequest {
        run_type: RunType::Manual,
        lookback_hours,
        run_key: RunKey::new(RunType::Manual, Utc::now(), None),
        triggered_by: TriggeredBy::Admin,
        user: Some(user),
        client: None,
    };
    perform(&context, &request).await
}
