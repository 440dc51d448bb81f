//! `/api/admin/billing-alerts/monitor`: checks the monitoring conditions, for cron, for other schedulers and for admins.

use std::sync::Arc;

use http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth;
use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::monitor::db::{AlertChanges, apply, read_facts};
use crate::monitor::heartbeat::send_heartbeat;
use crate::monitor::judge::{Thresholds, judge};
use crate::supabase::Asker;

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts/monitor", methods: &[Method::GET, Method::POST] };

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonitorAnswer {
    /// The pass was made and written.
    pub success: bool,
    /// Which conditions hold; null for one that could not be judged.
    pub monitoring: Conditions,
    /// Which alerts the pass changed.
    pub alerts: AlertChanges,
    /// How many alerts were resolved as their condition cleared.
    pub auto_resolve: AutoResolve,
}

/// Which conditions hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conditions {
    /// No run has finished for too long.
    pub reconcile_stale: Option<bool>,
    /// A critical or high alert has waited for too long.
    pub high_severity_stale: Option<bool>,
    /// The last three runs failed.
    pub reconcile_failing: Option<bool>,
    /// No sweep has looked at everything for too long.
    pub sweep_incomplete: Option<bool>,
    /// An optional setting is wrong.
    pub settings_invalid: Option<bool>,
}

/// How many alerts were resolved.
#[derive(Debug, Serialize, ToSchema)]
pub struct AutoResolve {
    /// The number.
    pub resolved_count: usize,
}

/// As the OpenAPI document has it.
pub fn operations() -> Vec<Operation> {
    let operation = |method, id, summary| Operation {
        method,
        id,
        summary,
        caller: Caller::MachineOrAdmin,
        answer: Schema::of::<MonitorAnswer>(),
        parameters: vec![],
        body: None,
        codes: &[],
    };
    vec![
        operation("post", "monitor", "Checks the monitoring conditions."),
        operation("get", "monitorByCron", "Checks the monitoring conditions, as Vercel's cron asks for it."),
    ]
}

/// Reads the facts, judges them, applies the outcomes: two round trips.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let own = auth::monitor_secrets(&context.config)?;
    let cron = context.config.machine_secrets("CRON_SECRET")?;
    let thresholds = Thresholds {
        reconcile_stale_after: context.config.reconcile_stale_after()?,
        high_severity_stale_after: context.config.high_severity_stale_after()?,
        sweep_incomplete_after: context.config.sweep_incomplete_after()?,
    };
    let database = context.supabase()?;
    let caller = auth::machine_or_person(auth::bearer(&call.headers)?, &own, &cron)?;
    call.no_body().await?;
    call.parameters(&[])?;

    let name = match &caller {
        auth::Caller::Person(token) => Asker::Person(token),
        auth::Caller::Cron | auth::Caller::Machine => Asker::Service,
    };
    let facts = read_facts(database, name, &call.client()).await?;
    let outcomes = judge(&facts, &thresholds, &context.config.wrong_options());
    let alerts = apply(database, &outcomes).await?;
    // One that is wrong is told by settings_invalid; the watch goes on without it.
    if let Ok(Some(url)) = context.config.heartbeat_url() {
        send_heartbeat(context.http(), url).await;
    }
    let [stale, high_severity, failing, incomplete, settings] = &outcomes;
    Reply::ok(&MonitorAnswer {
        success: true,
        monitoring: Conditions {
            reconcile_stale: stale.holds(),
            high_severity_stale: high_severity.holds(),
            reconcile_failing: failing.holds(),
            sweep_incomplete: incomplete.holds(),
            settings_invalid: settings.holds(),
        },
        auto_resolve: AutoResolve { resolved_count: alerts.resolved.len() },
        alerts,
    })
}
