//! `/api/admin/billing-alerts/monitor`: checks the monitoring conditions, for cron, for other schedulers and for admins.

use std::sync::Arc;

use http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth;
use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::describe_choice;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::monitor::db::{AlertChanges, apply, read_facts};
use crate::monitor::deliveries;
use crate::monitor::heartbeat::send_heartbeat;
use crate::monitor::judge::{Deliveries, Facts, Thresholds, judge};
use crate::notify::deliver::{BUDGET, Sent, deliver};
use crate::notify::receivers::configured;
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
    /// How many alerts were resolved because their condition cleared.
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
    /// Messages to people do not arrive.
    pub notifications_failing: Option<bool>,
    /// Stripe's events are not taken; null where Stripe does not say.
    pub stripe_deliveries_failing: Option<bool>,
    /// What an event spoke of has waited for too long.
    pub events_backlog: Option<bool>,
    /// An optional setting is wrong.
    pub settings_invalid: Option<bool>,
}

/// How many alerts were resolved.
#[derive(Debug, Serialize, ToSchema)]
pub struct AutoResolve {
    /// The number.
    pub resolved_count: usize,
}

/// What a pass answers, or a call that only sends.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum PassAnswer {
    /// The conditions were judged.
    Pass(MonitorAnswer),
    /// What was due was sent (`?only=deliver`).
    Deliveries {
        /// It was tried.
        success: bool,
        /// What became of it.
        deliveries: Sent,
    },
}

/// The words of `?only=`.
const ONLY: &[&str] = &["deliver"];

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    let operation = |method, id, summary| Operation {
        method,
        id,
        summary,
        caller: Caller::MachineOrAdmin,
        answer: Schema::of::<PassAnswer>().into(),
        parameters: vec![describe_choice("only", "Sends what is due and judges nothing.", ONLY, None)],
        body: None,
        codes: &[],
    };
    vec![
        operation("post", "monitor", "Checks the monitoring conditions."),
        operation("get", "monitorByCron", "Checks the monitoring conditions, as Vercel's cron asks for it."),
    ]
}

/// Reads the facts, judges them, applies the outcomes: two round trips. What was raised is sent after the answer.
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
    let only = call.parameters(&["only"])?.one_of("only", ONLY)?.is_some();
    if only {
        return deliver_only(&context, &call, &caller).await;
    }

    let name = match &caller {
        auth::Caller::Person(token) => Asker::Person(token),
        auth::Caller::Cron | auth::Caller::Machine => Asker::Service,
    };
    let mut facts = read_facts(database, name, &call.client()).await?;
    let asked = ask_about_deliveries(&context, &mut facts).await;
    let outcomes = judge(&facts, &thresholds, &context.config.wrong_options());
    let alerts = apply(database, &outcomes, asked.as_ref()).await?;
    context.has_news();
    let [stale, high_severity, failing, incomplete, notifications, deliveries, backlog, settings] = &outcomes;
    let (channels, known) = (configured(&context.config), facts.notifications.unwrap_or_default());
    // Where alarms no longer arrive, silence is the alarm: whoever watches the watcher notices it.
    let all_wrong = !channels.is_empty() && channels.iter().all(|channel| channel.receiver.is_err());
    let mute = all_wrong || (notifications.holds() == Some(true) && known.none_works);
    if channels.is_empty() && known.configured > 0 {
        // The last channel is gone from the settings, and the database has yet to hear of it.
        deliver(&context, None, BUDGET).await?;
    }
    // A wrong URL is reported by settings_invalid; the watch goes on without it.
    if let (Ok(Some(url)), false) = (context.config.heartbeat_url(), mute) {
        send_heartbeat(context.http(), url).await;
    }
    Reply::ok(&PassAnswer::Pass(MonitorAnswer {
        success: true,
        monitoring: Conditions {
            reconcile_stale: stale.holds(),
            high_severity_stale: high_severity.holds(),
            reconcile_failing: failing.holds(),
            sweep_incomplete: incomplete.holds(),
            notifications_failing: notifications.holds(),
            stripe_deliveries_failing: deliveries.holds(),
            events_backlog: backlog.holds(),
            settings_invalid: settings.holds(),
        },
        auto_resolve: AutoResolve { resolved_count: alerts.resolved.len() },
        alerts,
    }))
}

/// Asks Stripe whether its events are taken, if that is wanted and due, and puts the answer among the facts. If it is not wanted, nothing
/// counts as known.
async fn ask_about_deliveries(context: &Context, facts: &mut Facts) -> Option<Option<Deliveries>> {
    let wanted = context.config.stripe_delivery_health() == Ok(true);
    let stripe = context.stripe().ok().filter(|_| wanted);
    let Some(stripe) = stripe else {
        facts.deliveries = None;
        return None;
    };
    let asked = deliveries::ask(stripe, facts).await;
    if let Some(said) = &asked {
        facts.deliveries = said.clone();
    }
    asked
}

/// Sends what is due: one round trip where there is nothing.
async fn deliver_only(context: &Context, call: &Call, caller: &auth::Caller) -> Result<Reply, ApiError> {
    let client = call.client();
    let counted = match caller {
        auth::Caller::Person(_) => {
            auth::admin(context, call)?.authorize("monitor").await?;
            None
        }
        auth::Caller::Cron | auth::Caller::Machine => Some(client.as_str()),
    };
    let deliveries = deliver(context, counted, BUDGET).await?;
    Reply::ok(&PassAnswer::Deliveries { success: true, deliveries })
}
