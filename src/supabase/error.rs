//! What went wrong with a call to the database, told apart by code.

use serde::Deserialize;

/// What kind of thing went wrong. By PostgREST's and Postgres's codes, not by HTTP status, which several share
/// (<https://docs.postgrest.org/en/stable/references/errors.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The token or key was not accepted (PGRST301, 302, 303, or 401 from the gateway).
    NotAuthenticated,
    /// The role may not do this (42501).
    NotPermitted,
    /// A function or table is not there (PGRST202, PGRST205, 42883, 42P01).
    MissingMigration,
    /// No answer, or one that says to come back (08xxx, 53xxx, 57xxx, 40001, 40P01, PGRST000 to 003, timeouts).
    Unavailable,
    /// The statement ran into its timeout (57014): the same call would do so again.
    TimedOut,
    /// The app's table is not adopted (BOADP).
    NotAdopted,
    /// A setting that the call needs is missing; the detail is a sentence for whoever deploys.
    NotConfigured,
    /// Anything else: a bug on one of the two sides.
    Unexpected,
}

/// A call that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {detail}", self.fault.words())]
pub struct DatabaseError {
    /// What kind of thing went wrong.
    pub fault: Fault,
    /// Whether the call was made in a person's name: a key that is not accepted is theirs to mend, or ours.
    pub in_a_persons_name: bool,
    /// For the log.
    pub detail: String,
}

impl DatabaseError {
    /// An answer that makes no sense: a bug on one of the two sides.
    pub(crate) fn nonsense(detail: impl Into<String>) -> Self {
        Self { fault: Fault::Unexpected, in_a_persons_name: false, detail: detail.into() }
    }
}

impl Fault {
    fn words(self) -> &'static str {
        match self {
            Self::NotAuthenticated => "not authenticated",
            Self::NotPermitted => "not permitted",
            Self::MissingMigration => "the migrations are not applied",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed out",
            Self::NotAdopted => "no table is adopted",
            Self::NotConfigured => "not configured",
            Self::Unexpected => "unexpected",
        }
    }
}

/// An error body of PostgREST, or of the gateway before it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    message: Option<String>,
}

/// The class of an error by its code, and what the log gets; by its status where there is no code, as from a gateway.
pub(super) fn classify(status: u16, body: &ErrorBody) -> (Fault, String) {
    let code = match &body.code {
        serde_json::Value::String(code) => code.as_str(),
        _ => "",
    };
    // Code and message of Postgres can hold values of a row: for the log, the code is what helps.
    let text = format!("HTTP {status}, code {}", if code.is_empty() { "none" } else { code });
    let fault = match code {
        "PGRST301" | "PGRST302" | "PGRST303" => Fault::NotAuthenticated,
        "42501" => Fault::NotPermitted,
        "PGRST202" | "PGRST205" | "PGRST106" | "42883" | "42P01" => Fault::MissingMigration,
        "57014" => Fault::TimedOut,
        "BOADP" => Fault::NotAdopted,
        "40001" | "40P01" | "55P03" | "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003" => Fault::Unavailable,
        _ if ["08", "53", "57"].iter().any(|class| code.len() == 5 && code.starts_with(class)) => {
            Fault::Unavailable
        }
        "" => match status {
            401 => Fault::NotAuthenticated,
            403 => Fault::NotPermitted,
            // Hosted projects put 52x in front of an origin that does not answer.
            429 | 502..=504 | 520..=530 => Fault::Unavailable,
            _ => Fault::Unexpected,
        },
        _ => {
            let message = body.message.as_deref().unwrap_or_default();
            return (Fault::Unexpected, format!("{text}: {message}"));
        }
    };
    (fault, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, code: &str) -> Fault {
        classify(status, &ErrorBody { code: code.into(), message: None }).0
    }

    #[test]
    fn errors_are_told_apart_by_code_and_only_then_by_status() {
        assert_eq!(fault(401, "PGRST301"), Fault::NotAuthenticated);
        assert_eq!(fault(401, "42501"), Fault::NotPermitted);
        assert_eq!(fault(404, "PGRST202"), Fault::MissingMigration);
        assert_eq!(fault(500, "40P01"), Fault::Unavailable);
        assert_eq!(fault(500, "57014"), Fault::TimedOut);
        assert_eq!(fault(500, "57P01"), Fault::Unavailable);
        assert_eq!(fault(400, "BOADP"), Fault::NotAdopted);
        assert_eq!(fault(503, "PGRST000"), Fault::Unavailable);
        assert_eq!(fault(409, "23505"), Fault::Unexpected);
        assert_eq!(fault(401, ""), Fault::NotAuthenticated);
        assert_eq!(fault(522, ""), Fault::Unavailable);
    }
}
