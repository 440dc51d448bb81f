//! `POST /api/admin/billing-alerts/{id}/resolve`: resolves one alert in an admin's name.

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::context::Context;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::{alerts, auth};

/// Its route and methods.
pub const ENDPOINT: Endpoint =
    Endpoint { route: "/api/admin/billing-alerts/{id}/resolve", methods: &[Method::POST] };

/// The longest note, in characters.
const LONGEST_NOTE: usize = 2000;

/// The body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// Why it is resolved: at most 2,000 characters.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: Option<String>,
}

/// Answers the alert. Resolving twice changes nothing and is no error.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let database = context.supabase_for_people()?;
    let person = auth::person(&call.headers)?;
    let body: ResolveBody = call.json_body().await?;
    call.parameters(&["id"])?;
    let id = call.path_id(1)?;
    let note = body.note.as_deref().map(str::trim).filter(|note| !note.is_empty());
    if note.is_some_and(|note| note.chars().count() > LONGEST_NOTE || note.contains('\0')) {
        return Err(ApiError::invalid(format!(
            "note is longer than {LONGEST_NOTE} characters, or holds a NUL."
        )));
    }
    let user = alerts::authorize(database, &person, "resolve", &call.client()).await?;
    Reply::ok(&alerts::resolve(database, id, note, user).await?)
}
