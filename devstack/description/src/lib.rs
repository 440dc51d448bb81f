//! The one line that `devstack up` prints. A crate of its own, so that tests can read it without building the stack.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What `devstack up` prints: everything a script needs to use the stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// The deployment.
    pub base_url: String,
    /// Supabase.
    pub supabase_url: String,
    /// Its REST API.
    pub rest_url: String,
    /// What answers there: PostgREST's `Server` header, or the name and version of what stands in for it. Empty for another
    /// Supabase, whose edge does not say.
    pub postgrest: String,
    /// How many seconds it may go without an answer once Postgres is back.
    pub recovery_seconds: u64,
    /// Postgres, as the role that owns the tables.
    pub database_url: String,
    /// Stripe, or what stands in for it.
    pub stripe_url: String,
    /// Acts as `service_role`.
    pub secret_key: String,
    /// For browsers.
    pub publishable_key: String,
    /// Signs HS256 tokens; empty for another Supabase, which keeps its own.
    pub jwt_secret: String,
    /// For the reconcile endpoint.
    pub reconcile_secret: String,
    /// For the monitor endpoint.
    pub monitor_secret: String,
    /// For both, as the platform's cron.
    pub cron_secret: String,
    /// For metrics.
    pub metrics_secret: String,
    /// What Stripe signs its events with; several by commas.
    pub stripe_webhook_secret: String,
    /// An access token of the admin.
    pub admin_token: String,
    /// An access token of the member.
    pub member_token: String,
    /// The admin's address.
    pub admin_email: String,
    /// The admin's password.
    pub admin_password: String,
    /// The member's address.
    pub member_email: String,
    /// The member's password.
    pub member_password: String,
    /// Where the logs are.
    pub logs: PathBuf,
}
