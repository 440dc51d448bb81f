//! Parameters of a query: what there is, how each is read, and how the OpenAPI document describes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::supabase::page::PageCursor;

/// A parameter that is a whole number.
#[derive(Debug)]
pub struct WholeNumber {
    name: &'static str,
    description: &'static str,
    default: u32,
    least: u32,
    most: u32,
}

/// How far back completed checkout sessions are searched.
pub const HOURS: WholeNumber = WholeNumber {
    name: "hours",
    description: "How many hours back completed checkout sessions are searched.",
    default: 24,
    least: 1,
    most: 168,
};

/// How long a page is.
pub const LIMIT: WholeNumber =
    WholeNumber { name: "limit", description: "Maximum number of items.", default: 50, least: 1, most: 200 };

/// How long a page of an export is: nobody looks at it, so it may be longer.
pub const EXPORT_LIMIT: WholeNumber = WholeNumber {
    name: "limit",
    description: "Maximum number of rows. A page that would be too large has fewer.",
    default: 1000,
    least: 1,
    most: 1000,
};

/// The first second of the year 1, and the last one of the year 9999: what RFC 3339 can write.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

/// What [`Parameters::cursor`] takes.
pub const CURSOR: &str = PageCursor::PATTERN;

impl WholeNumber {
    /// As OpenAPI describes it.
    pub fn describe(&self) -> Value {
        let Self { name, description, default, least, most } = self;
        query(
            name,
            description,
            json!({ "type": "integer", "minimum": least, "maximum": most, "default": default }),
        )
    }
}

/// A cursor of a pattern, as OpenAPI describes it.
pub fn describe_cursor(pattern: &str) -> Value {
    query("cursor", "The previous page's next_cursor.", json!({ "type": "string", "pattern": pattern }))
}

/// One of a few words, as OpenAPI describes it.
pub fn describe_choice(name: &str, description: &str, words: &[&str], default: Option<&str>) -> Value {
    let mut schema = json!({ "type": "string", "enum": words });
    if let Some(default) = default {
        schema["default"] = default.into();
    }
    query(name, description, schema)
}

/// The name of a type, as OpenAPI describes it.
pub fn describe_type(description: &str) -> Value {
    query("type", description, json!({ "type": "string", "pattern": "^[a-z0-9_]{1,64}$" }))
}

/// A short text, as OpenAPI describes it.
pub fn describe_text(name: &str, description: &str) -> Value {
    // No control characters (Unicode's Cc).
    let pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$";
    query(
        name,
        description,
        json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": pattern }),
    )
}

/// An id in a query, as OpenAPI describes it.
pub fn describe_uuid(name: &str, description: &str) -> Value {
    query(name, description, json!({ "type": "string", "format": "uuid" }))
}

/// A time in a query, as OpenAPI describes it.
pub fn describe_time(name: &str, description: &str) -> Value {
    query(name, description, json!({ "type": "string", "format": "date-time" }))
}

/// A parameter that must be there.
pub fn required(mut parameter: Value) -> Value {
    parameter["required"] = true.into();
    parameter
}

/// The id in a path, as OpenAPI describes it.
pub fn describe_id() -> Value {
    json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } })
}

/// A number in a body that must be whole: `3`, and `3.0`, which JSON does not tell from it
/// (<https://json-schema.org/draft/2020-12/json-schema-core#section-4.2.3>). Errors: anything else, and what an integer of the
/// database cannot hold.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let rounded =
        number.as_f64().filter(|value| value.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(value));
    rounded
        .map(|value| value as u32)
        .ok_or_else(|| D::Error::custom("a number must be whole, from 0 to 2147483647"))
}

/// The same, or nothing, as `null` says it.
pub fn whole_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    struct Whole(#[serde(deserialize_with = "whole")] u32);
    Ok(Option::<Whole>::deserialize(deserializer)?.map(|Whole(number)| number))
}

/// The longest note, in characters.
const LONGEST_NOTE: usize = 2_000;

/// What a person wrote, without the space around it; `None` where that is nothing. Errors: 400.
pub fn note<'n>(name: &str, text: Option<&'n str>) -> Result<Option<&'n str>, ApiError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > LONGEST_NOTE || text.contains('\0')) {
        return Err(ApiError::invalid(format!(
            "{name} must be at most {LONGEST_NOTE} characters, without NUL."
        )));
    }
    Ok(text)
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

/// Parameters of a query, each known and there once.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Parses a query. Errors: 400 naming a parameter that is unknown, given twice or not UTF-8.
    pub fn parse(query: &str, known: &[&str]) -> Result<Self, ApiError> {
        Self::of(url::form_urlencoded::parse(query.as_bytes()), known)
    }

    /// The same for pairs that have been taken apart.
    pub fn of<'q>(
        pairs: impl Iterator<Item = (Cow<'q, str>, Cow<'q, str>)>,
        known: &[&str],
    ) -> Result<Self, ApiError> {
        let mut found = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_ref()) {
                return Err(ApiError::invalid(format!("Unknown parameter {}.", shown(&name))));
            }
            if found.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(ApiError::invalid(format!("Parameter {name} is given twice.")));
            }
        }
        Ok(Self(found))
    }

    /// A parameter's text, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// One of a few words. Errors: 400 with the words.
    pub fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<&str>, ApiError> {
        match self.get(name) {
            Some(value) if !words.contains(&value) => {
                Err(ApiError::invalid(format!("{name} must be one of {}.", words.join(", "))))
            }
            value => Ok(value),
        }
    }

    /// A name as types have them: lower case, digits and underscores. Errors: 400.
    pub fn name(&self, parameter: &str) -> Result<Option<&str>, ApiError> {
        let fit = |value: &&str| {
            (1..=64).contains(&value.len())
                && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        match self.get(parameter) {
            Some(value) if !fit(&value) => Err(ApiError::invalid(format!(
                "{parameter} must be the name of a type: lower case, digits and underscores."
            ))),
            value => Ok(value),
        }
    }

    /// The place where a list goes on. Errors: 400.
    pub fn cursor(&self) -> Result<Option<PageCursor>, ApiError> {
        let parse = |text| {
            PageCursor::parse(text).ok_or_else(|| ApiError::invalid("cursor is not one this list returned."))
        };
        self.get("cursor").map(parse).transpose()
    }

    /// A short text, of the kind that ids are. Errors: 400.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.get(name) {
            Some(value) if value.is_empty() || value.len() > 200 || value.contains(char::is_control) => {
                Err(ApiError::invalid(format!("{name} must be 1 to 200 characters.")))
            }
            value => Ok(value),
        }
    }

    /// A time as RFC 3339 writes it (<https://www.rfc-editor.org/rfc/rfc3339#section-5.6>), in UTC, between the years 1 and 9999.
    /// Errors: 400.
    pub fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        // chrono takes a space between date and time, too; here that is a plus sign that was not encoded.
        let at = DateTime::parse_from_rfc3339(text).ok().filter(|_| !text.contains(' '));
        let at = at.ok_or_else(|| {
            ApiError::invalid(format!(
                "{name} must be a time like 2026-01-31T00:00:00Z; in an offset, + is written %2B."
            ))
        })?;
        // An offset can lead out of the years that the database reads.
        let seconds = at.timestamp().clamp(FIRST_SECOND, LAST_SECOND);
        Ok(DateTime::from_timestamp(seconds, at.timestamp_subsec_nanos()))
    }

    /// A whole number in its range. Errors: 400 with the range.
    pub fn whole_number(&self, of: &WholeNumber) -> Result<u32, ApiError> {
        let WholeNumber { name, default, least, most, .. } = of;
        let Some(value) = self.get(name) else { return Ok(*default) };
        // Digits only: parse() would take a plus sign, and "+5" in a query is " 5".
        match value.parse() {
            Ok(number) if (least..=most).contains(&&number) && value.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(number)
            }
            _ => Err(ApiError::invalid(format!("{name} must be a whole number from {least} to {most}."))),
        }
    }
}

/// A caller's text as it may stand in a sentence: short, and without characters that could pass for more than it is.
fn shown(text: &str) -> String {
    let short: String =
        text.chars().take(40).map(|c| if c.is_ascii_graphic() && c != '"' { c } else { '?' }).collect();
    format!("\"{short}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_doubled_parameters_are_named() {
        let message = |query: &str| Parameters::parse(query, &["type"]).expect_err("refused").message;
        assert_eq!(message("typ=manual"), r#"Unknown parameter "typ"."#);
        assert_eq!(message("type=a&type=b"), "Parameter type is given twice.");
    }

    #[test]
    fn times_are_rfc_3339_and_become_utc() {
        let time = |value: &str| {
            let query: String =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("from", value).finish();
            let time = Parameters::parse(&query, &["from"]).expect("known").time("from");
            time.map(|at| at.expect("it is there").to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        };
        for (value, expected) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31t12:00:00.25z", "2026-01-31T12:00:00.250Z"),
            ("2026-01-31T01:00:00+02:00", "2026-01-30T23:00:00Z"),
            ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(time(value).expect(value), expected);
        }
        for odd in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00Z",
            "2026-13-01T00:00:00Z",
            "now",
            "1795000000",
            "2026-01-31T01:00:00 02:00",
        ] {
            assert!(time(odd).is_err(), "{odd:?}");
        }
        assert_eq!(Parameters::default().time("from").expect("none is fine"), None);
    }

    #[test]
    fn numbers_are_digits_in_range() {
        for value in ["0", "169", "-1", "+5", "1e2", "", "24h", "99999999999"] {
            let query = format!(
                "hours={}",
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            );
            let parameters = Parameters::parse(&query, &["hours"]).expect("known");
            assert!(parameters.whole_number(&HOURS).is_err(), "{value}");
        }
        let none = Parameters::default();
        assert_eq!(none.whole_number(&HOURS).expect("the default"), 24);
    }
}
