//! A condition that an alert stands for: it holds, is clear, or could not be judged. "Could not look" is neither an alarm nor
//! an all-clear; each condition reports each time, so that resolving an alert cannot be forgotten.

use serde::Serialize;
use serde_json::Value;

use super::severity::Severity;

/// What a condition came out as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Raise or refresh its alert.
    Holds {
        /// How bad it is.
        severity: Severity,
        /// For a person.
        message: String,
        /// For a machine: numbers and examples.
        metadata: Value,
    },
    /// Resolve its alert.
    Clear {
        /// Why.
        message: String,
    },
    /// Leave its alert as it is.
    Unknown,
}

impl State {
    /// The condition does not hold, and this says why.
    pub fn clear(message: impl Into<String>) -> Self {
        Self::Clear { message: message.into() }
    }
}

/// A condition with what it came out as, as `apply_condition_outcomes` in SQL takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// The dedup key: names the condition and nothing else. A severity in it would break the deduplication.
    pub alert_key: String,
    /// The kind of condition, for filters.
    pub alert_type: String,
    /// What it came out as.
    #[serde(flatten)]
    pub state: State,
}

impl Condition {
    /// A condition of a kind of its own.
    pub fn new(alert_key: impl Into<String>, state: State) -> Self {
        let alert_key = alert_key.into();
        Self { alert_type: alert_key.clone(), alert_key, state }
    }

    /// True, false, or `None` where the condition could not be judged.
    pub fn holds(&self) -> Option<bool> {
        match self.state {
            State::Holds { .. } => Some(true),
            State::Clear { .. } => Some(false),
            State::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outcomes_are_what_sql_takes() {
        let condition = Condition::new("reconcile_stale", State::clear("m"));
        assert_eq!(
            serde_json::to_value(condition).expect("serializes"),
            json!({"alert_key": "reconcile_stale", "alert_type": "reconcile_stale", "state": "clear", "message": "m"})
        );
    }
}
