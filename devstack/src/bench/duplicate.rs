//! A call with one round trip to the database and nothing else to do: a run that has been done already. Cron fires twice,
//! and the second call is this one.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::stack::Stack;

/// The same question, to the function and to the database.
pub(super) struct Duplicate {
    http: reqwest::Client,
    key: String,
    rest_url: String,
    database_key: String,
    reconcile_secret: String,
    callers: AtomicU32,
}

impl Duplicate {
    /// Does the run that all later calls find done.
    pub(super) async fn of_a_run(stack: &Stack) -> Result<Self> {
        let description = stack.description();
        let duplicate = Self {
            http: crate::http_client()?,
            key: uuid::Uuid::new_v4().to_string(),
            rest_url: description.rest_url.clone(),
            database_key: description.secret_key.clone(),
            reconcile_secret: description.reconcile_secret.clone(),
            callers: AtomicU32::new(0),
        };
        let answer = duplicate.of_function(stack.url()).send().await?;
        if !answer.status().is_success() {
            bail!("the first run answers {}", answer.status());
        }
        Ok(duplicate)
    }

    /// A caller's address that has not called yet: calls are counted for each.
    fn caller(&self) -> String {
        let [_, a, b, c] = self.callers.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        format!("10.{a}.{b}.{c}")
    }

    /// Asks the function that listens at `url`.
    pub(super) fn of_function(&self, url: &str) -> RequestBuilder {
        self.http
            .post(format!("{url}/api/subscriptions/reconcile?type=request"))
            .bearer_auth(&self.reconcile_secret)
            .header("idempotency-key", &self.key)
            .header("x-vercel-forwarded-for", self.caller())
    }

    /// Asks the database what the function asks it.
    pub(super) fn of_database(&self) -> RequestBuilder {
        self.http
            .post(format!("{}/rpc/start_reconciliation_run", self.rest_url))
            .header("apikey", &self.database_key)
            .json(&json!({
                "p_run_key": format!("request_{}", self.key), "p_run_type": "request", "p_lookback_hours": 24,
                "p_lease_seconds": 300, "p_triggered_by": "secret", "p_client": self.caller(),
                "p_run_id": uuid::Uuid::new_v4(),
            }))
    }
}

/// Sends, and reads the whole answer, which must be that of a run that has been done.
pub(super) async fn ask(request: RequestBuilder) -> Result<()> {
    let answer = request.send().await?.error_for_status()?;
    let body: serde_json::Value = answer.json().await?;
    let outcome = body.get("outcome").and_then(|outcome| outcome.as_str());
    if outcome != Some("existing_finished") {
        return Err(anyhow::anyhow!("{body}")).context("no answer about a run that has been done");
    }
    Ok(())
}
