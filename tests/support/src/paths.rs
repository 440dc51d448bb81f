//! The functions' paths, as callers write them.

/// Whether the functions are alive; with `deep=1`, whether the database is, too.
pub const HEALTH: &str = "/api/health";
/// What a browser may know.
pub const CONFIG: &str = "/api/config";
/// A run, for machines.
pub const RECONCILE: &str = "/api/subscriptions/reconcile";
/// A run, for admins.
pub const RECONCILE_NOW: &str = "/api/admin/billing-alerts/reconcile";
/// A monitor pass.
pub const MONITOR: &str = "/api/admin/billing-alerts/monitor";
/// The alerts; each is below, by its id.
pub const ALERTS: &str = "/api/admin/billing-alerts";
/// The runs; each is below, by its id.
pub const RUNS: &str = "/api/admin/reconciliation-logs";
/// What differs between Stripe and the database.
pub const DRIFT: &str = "/api/admin/drift";
/// Approves many differences.
pub const APPROVE_MANY: &str = "/api/admin/drift/approve";
/// What may follow from a difference, by class.
pub const POLICIES: &str = "/api/admin/policies";
/// Who is told, and what became of each message.
pub const NOTIFICATIONS: &str = "/api/admin/notifications";
/// Numbers for a Prometheus.
pub const METRICS: &str = "/api/metrics";
/// All of what was found or done in a span of time.
pub const EXPORT: &str = "/api/admin/export";
/// Where Stripe sends its events.
pub const EVENTS: &str = "/api/stripe/events";
