//! `GET /api/health`: alive, which version, which settings are there. With `?deep=1` it asks the database too.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::parameters::describe_choice;
use crate::http::{ApiError, Call, Endpoint, Reply};
use crate::supabase::judged::Verdict;
use crate::supabase::{Asker, Retry};

/// Its route and methods.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/health", methods: &[Method::GET, Method::HEAD] };

/// The version of the schema that these functions were built for: what `billing_ops_schema()` answers, at least.
const SCHEMA_VERSION: u32 = 1;

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
    /// The functions' version.
    pub version: &'static str,
    /// The commit that was deployed, where the platform says so.
    pub commit: Option<String>,
    /// Which settings are present, by name.
    pub settings: BTreeMap<&'static str, bool>,
    /// What is wrong with the settings that are present, a sentence each.
    pub complaints: Vec<String>,
    /// The version of the database's schema; only with `?deep=1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        parameters: vec![describe_choice("deep", "Ask the database too.", &["0", "1"], Some("0"))],
        codes: &[(429, "rate_limited"), (503, "database_unavailable"), (503, "not_configured")],
        ..Operation::get(
            "health",
            "Liveness, version, and which settings are present; with deep=1 the database too.",
            Caller::Anyone,
            Schema::of::<Health>(),
        )
    }]
}

/// Answers 200 while the process lives; with `?deep=1`, 503 where the database or its migrations are missing.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    call.no_body().await?;
    let deep = call.parameters(&["deep"])?.one_of("deep", &["0", "1"])? == Some("1");
    let schema_version = if deep { Some(schema_version(&context, &call).await?) } else { None };
    Reply::ok(&Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        commit: context.config.commit().map(str::to_owned),
        settings: context.config.presence(),
        complaints: context.config.complaints(),
        schema_version,
    })
}

async fn schema_version(context: &Context, call: &Call) -> Result<u32, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        version: u32,
    }
    let verdict: Verdict<Answer> = context
        .supabase()?
        .call(Asker::Service, Retry::Safe, "billing_ops_schema", &json!({ "p_client": call.client() }))
        .await?;
    let (_, answer) = verdict.admitted("schema")?;
    if answer.version < SCHEMA_VERSION {
        return Err(ApiError::database_unavailable(
            "The database lacks the newest migrations of billing-ops.",
        ));
    }
    Ok(answer.version)
}
