//! Query strings as Stripe reads them: every parameter is known and valid, or the request is refused.

use crate::error::Refusal;

/// The parameters of one request, all of them known to the endpoint.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

/// A range of times, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Range {
    /// Everything; far enough from the limits of i64 that one may be added to either end.
    pub(crate) const ALL: Self = Self { low: i64::MIN / 2, high: i64::MAX / 2 };

    pub(crate) fn contains(self, value: i64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

impl Params {
    /// Decodes `query` and refuses what is not in `known`. `expand[0]` counts as `expand[]`; a name that ends in
    /// `[*]` stands for the four ends of a range and the bare name.
    pub(crate) fn parse(query: &str, known: &[&str]) -> Result<Self, Refusal> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (numbered(&name), value.into_owned()))
            .collect();
        let unknown: Vec<&str> =
            pairs.iter().map(|(name, _)| name.as_str()).filter(|name| !is_known(name, known)).collect();
        if unknown.is_empty() { Ok(Self(pairs)) } else { Err(Refusal::unknown_parameters(&unknown)) }
    }

    /// The value of a parameter; the last one if it was given twice.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let parse = |value: &str| {
            value.parse().map_err(|_| Refusal::invalid_integer(name, format!("Invalid integer: {value}")))
        };
        self.get(name).map(parse).transpose()
    }

    /// `limit`: 1 to 100, 10 if it is not given.
    pub(crate) fn limit(&self) -> Result<usize, Refusal> {
        match self.integer("limit")? {
            None => Ok(10),
            Some(..1) => {
                Err(Refusal::invalid_integer("limit", "This value must be greater than or equal to 1."))
            }
            Some(101..) => {
                Err(Refusal::invalid_integer("limit", "This value must be less than or equal to 100."))
            }
            Some(limit) => Ok(limit as usize),
        }
    }

    /// A time, or a range by `[gt]`, `[gte]`, `[lt]`, `[lte]`.
    pub(crate) fn range(&self, name: &str) -> Result<Range, Refusal> {
        if let Some(time) = self.integer(name)? {
            return Ok(Range { low: time, high: time });
        }
        let end = |suffix: &str| self.integer(&format!("{name}[{suffix}]"));
        let clamp = |time: i64| time.clamp(Range::ALL.low, Range::ALL.high);
        let mut range = Range::ALL;
        if let Some(time) = end("gte")? {
            range.low = range.low.max(clamp(time));
        }
        if let Some(time) = end("gt")? {
            range.low = range.low.max(clamp(time) + 1);
        }
        if let Some(time) = end("lte")? {
            range.high = range.high.min(clamp(time));
        }
        if let Some(time) = end("lt")? {
            range.high = range.high.min(clamp(time) - 1);
        }
        Ok(range)
    }

    /// One of several words.
    pub(crate) fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            Some(word) if !words.contains(&word) => {
                let (last, rest) = words.split_last().expect("there is a word to choose");
                let list = rest.join(", ");
                Err(Refusal::invalid(name, format!("Invalid {name}: must be one of {list}, or {last}")))
            }
            word => Ok(word),
        }
    }

    /// `expand[]`: each path must begin with a field that can be expanded; in lists below `data.`. Nothing is
    /// expanded: objects come with ids in those fields.
    pub(crate) fn check_expand(&self, list: bool, fields: &[&str]) -> Result<(), Refusal> {
        for path in self.all("expand[]") {
            let below = if list { path.strip_prefix("data.") } else { Some(path) };
            let field = below.and_then(|path| path.split('.').next()).unwrap_or("");
            if !fields.contains(&field) {
                return Err(Refusal::invalid(
                    "expand",
                    format!(
                        "This property cannot be expanded ({path}). You may want to try expanding something else."
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// `expand[0]` as `expand[]`.
fn numbered(name: &str) -> String {
    match name.split_once('[') {
        Some((list @ ("expand" | "types"), index))
            if index
                .strip_suffix(']')
                .is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            format!("{list}[]")
        }
        _ => name.to_owned(),
    }
}

fn is_known(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| match known.strip_suffix("[*]") {
        None => name == *known,
        Some(range) => name
            .strip_prefix(range)
            .is_some_and(|end| matches!(end, "" | "[gt]" | "[gte]" | "[lt]" | "[lte]")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_and_exclude_their_ends() {
        let range =
            |query: &str| Params::parse(query, &["created[*]"]).and_then(|params| params.range("created"));
        let ends = |query: &str| range(query).map(|range| (range.low, range.high)).map_err(|e| e.status);
        assert_eq!(ends("created[gte]=5&created[lt]=9"), Ok((5, 8)));
        assert_eq!(ends("created%5Bgt%5D=5&created%5Blte%5D=9"), Ok((6, 9)));
        assert_eq!(ends("created=7"), Ok((7, 7)));
        assert_eq!(ends("created[gte]=x"), Err(400));
        assert_eq!(ends("created[after]=5"), Err(400));
    }
}
