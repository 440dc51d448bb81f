//! What an endpoint says of itself in the OpenAPI document.

use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

/// Who an operation is for. The credentials and several of the refusals follow from it.
#[derive(Debug, Clone, Copy)]
pub enum Caller {
    /// No credentials are asked for.
    Anyone,
    /// A person's session.
    Admin,
    /// A machine's secret.
    Machine,
    /// Either of the two.
    MachineOrAdmin,
    /// Stripe, by the signature of what it sends.
    Stripe,
}

/// A type that is sent or received: its name, and the schemas that describe it.
#[derive(Debug)]
pub struct Schema {
    /// The name under which the document refers to it.
    pub name: String,
    /// Its own schema and those that it needs, by name.
    pub all: Vec<(String, Value)>,
}

impl Schema {
    /// The schema of a type.
    pub fn of<T: PartialSchema + ToSchema>() -> Self {
        let mut found = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        let all =
            found.into_iter().filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)));
        Self { name: T::name().into_owned(), all: all.collect() }
    }
}

/// What the 200 answers with.
#[derive(Debug)]
pub enum Answer {
    /// A JSON object.
    Json(Schema),
    /// Text of another kind.
    Text(Text),
}

impl From<Schema> for Answer {
    fn from(schema: Schema) -> Self {
        Self::Json(schema)
    }
}

/// An answer that is not JSON.
#[derive(Debug)]
pub struct Text {
    /// The media types, each with what a body of it looks like.
    pub media: &'static [(&'static str, &'static str)],
    /// The headers that say what the body has no place for.
    pub headers: &'static [(&'static str, &'static str)],
    /// What a line holds, where it is an object.
    pub line: Option<Schema>,
}

/// What is sent.
#[derive(Debug)]
pub struct Body {
    /// Its type.
    pub schema: Schema,
    /// Whether it may be left out.
    pub required: bool,
    /// An example that is understood.
    pub example: Value,
}

/// One method of one path.
#[derive(Debug)]
pub struct Operation {
    /// `get`, `post`.
    pub method: &'static str,
    /// Its name in the document.
    pub id: &'static str,
    /// In a sentence.
    pub summary: &'static str,
    /// Who may call it.
    pub caller: Caller,
    /// What the 200 answers with.
    pub answer: Answer,
    /// Query parameters, headers, and `id` in the path.
    pub parameters: Vec<Value>,
    /// What is sent, where a body is taken.
    pub body: Option<Body>,
    /// Error codes beyond those that follow from who may call, by status.
    pub codes: &'static [(u16, &'static str)],
}

impl Operation {
    /// A GET without parameters.
    pub fn get(id: &'static str, summary: &'static str, caller: Caller, answer: impl Into<Answer>) -> Self {
        let answer = answer.into();
        Self { method: "get", id, summary, caller, answer, parameters: Vec::new(), body: None, codes: &[] }
    }
}
