//! The one call of the intake.

use std::time::Duration;

use serde_json::{Value, json};

use crate::supabase::{Asker, DatabaseError, Retry, Supabase};

/// Notes that an event spoke of a subscription, which may be read once `wait` is over. Sent again, it is noted again, which does no harm.
///
/// Errors: those of the database.
pub async fn note(database: &Supabase, subscription: &str, wait: Duration) -> Result<(), DatabaseError> {
    let parameters = json!({ "p_events": [[subscription, wait.as_secs()]] });
    let _: Value = database.call(Asker::Service, Retry::Safe, "note_stripe_events", &parameters).await?;
    Ok(())
}
