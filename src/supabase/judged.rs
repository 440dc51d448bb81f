//! Functions that judge their caller or count the call: admitted, or refused and why.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Asker, Retry, Supabase};
use super::error::DatabaseError;
use crate::secret::Secret;

/// What such a function answers with.
#[derive(Debug, Deserialize)]
pub struct Verdict<T> {
    /// `ok`, `unauthorized`, `forbidden`, `rate_limited`, `not_found`, or a word of the function's own.
    outcome: String,
    /// Seconds, where `rate_limited`.
    #[serde(default)]
    retry_after: Option<u64>,
    /// The rest, where the caller is admitted.
    #[serde(flatten)]
    rest: Option<T>,
}

/// Why the caller gets nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The token names no person, or one who is anonymous.
    #[error("unauthorized")]
    Unauthorized,
    /// The person is not an admin.
    #[error("forbidden")]
    Forbidden,
    /// Too many calls; another is worth trying after this many seconds.
    #[error("rate limited for {0} s")]
    RateLimited(u64),
    /// What was asked for is not there.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The call itself failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl<T> Verdict<T> {
    /// The outcome and the rest, or the refusal. `what`: the name of what is not there, if that is the answer.
    pub fn admitted(self, what: &'static str) -> Result<(String, T), Refusal> {
        match self.outcome.as_str() {
            "unauthorized" => Err(Refusal::Unauthorized),
            "forbidden" => Err(Refusal::Forbidden),
            "rate_limited" => Err(Refusal::RateLimited(self.retry_after.unwrap_or(60))),
            "not_found" => Err(Refusal::NotFound(what)),
            _ => match self.rest {
                Some(rest) => Ok((self.outcome, rest)),
                None => {
                    Err(DatabaseError::nonsense(format!("an answer about a {what} of another shape")).into())
                }
            },
        }
    }
}

/// Somebody who says that they are an admin. Each call is made in their own name: SQL judges them, counts the call and answers.
#[derive(Debug)]
pub struct Admin<'a> {
    database: &'a Supabase,
    token: Secret,
    client: String,
}

impl<'a> Admin<'a> {
    /// With the person's access token, and the address to count their calls by.
    pub fn new(database: &'a Supabase, token: Secret, client: String) -> Self {
        Self { database, token, client }
    }

    /// The database, for what is done in the service's name once the person was found to be an admin.
    pub fn database(&self) -> &'a Supabase {
        self.database
    }

    /// Asks a function in the person's name. `what`: the name of what is not there, if that is the answer.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        function: &str,
        mut parameters: Value,
        what: &'static str,
    ) -> Result<T, Refusal> {
        parameters["p_client"] = self.client.as_str().into();
        let verdict: Verdict<T> =
            self.database.call(Asker::Person(&self.token), Retry::Safe, function, &parameters).await?;
        Ok(verdict.admitted(what)?.1)
    }

    /// Asks whether the person may do something, and counts the call by its route. Answers their id.
    pub async fn authorize(&self, route: &str) -> Result<Uuid, Refusal> {
        #[derive(Deserialize)]
        struct Answer {
            user_id: Uuid,
        }
        let answer: Answer = self.ask("admin_authorize", json!({ "p_route": route }), "person").await?;
        Ok(answer.user_id)
    }
}

/// Sets a parameter that is there. One that is not is left to the function's default: stand-ins for PostgREST differ in what
/// they make of an explicit null.
pub fn set(parameters: &mut Value, name: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        parameters[name] = json!(value);
    }
}
