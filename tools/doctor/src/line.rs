//! What a person is told: one line for each thing that was looked at.

use std::fmt;

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Right.
    Fine(String),
    /// Works, and could be better.
    Note(String),
    /// Could not be looked at, and why.
    Skipped(String),
    /// Wrong.
    Wrong {
        /// What is wrong.
        what: String,
        /// What to do about it, where that is known.
        remedy: Option<String>,
    },
}

impl Line {
    pub(crate) fn fine(what: impl Into<String>) -> Self {
        Self::Fine(what.into())
    }

    pub(crate) fn note(what: impl Into<String>) -> Self {
        Self::Note(what.into())
    }

    pub(crate) fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Wrong { what: what.into(), remedy: Some(remedy.into()) }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine(what) => write!(formatter, "ok    {what}"),
            Self::Note(what) => write!(formatter, "note  {what}"),
            Self::Skipped(what) => write!(formatter, "skip  {what}"),
            Self::Wrong { what, remedy: None } => write!(formatter, "FAIL  {what}"),
            Self::Wrong { what, remedy: Some(remedy) } => {
                write!(formatter, "FAIL  {what}\n      → {remedy}")
            }
        }
    }
}
