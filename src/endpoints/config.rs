//! `GET /api/config`: what a browser may know, so that the dashboard needs no build of its own for each project.

use std::sync::Arc;

use http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::Context;
use crate::http::operation::{Caller, Operation, Schema};
use crate::http::{ApiError, Call, Endpoint, Reply};

/// Its route and methods.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/config", methods: &[Method::GET, Method::HEAD] };

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicConfig {
    /// Where Supabase Auth is.
    pub supabase_url: String,
    /// The key that browsers may have.
    pub supabase_publishable_key: String,
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        codes: &[(503, "not_configured")],
        ..Operation::get(
            "config",
            "What a browser may know: Supabase's URL and publishable key.",
            Caller::Anyone,
            Schema::of::<PublicConfig>(),
        )
    }]
}

/// Answers the URL and the publishable key.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let answer = PublicConfig {
        supabase_url: context.config.supabase_url()?.as_str().trim_end_matches('/').to_owned(),
        supabase_publishable_key: context.config.supabase_publishable_key()?.expose().to_owned(),
    };
    call.no_body().await?;
    call.parameters(&[])?;
    Reply::ok(&answer)
}
