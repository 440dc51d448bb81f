//! What `vercel.json` and the `[[bin]]` entries of `Cargo.toml` say about routes and headers.
//!
//! What the stack does not act out (redirects, …) is refused at start, so that nothing works here and
//! differs there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fancy_regex::Regex;
use serde::Deserialize;

/// One function: its source below `api/`, and the binary that Cargo makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As in `Cargo.toml`, for example `api/admin/billing-alerts/[id]/resolve.rs`.
    pub path: String,
    /// The binary's name.
    pub binary: String,
}

/// The functions of the package at `root`.
///
/// # Errors
/// When `Cargo.toml` cannot be read.
pub fn functions(root: &Path) -> Result<Vec<Source>> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(default)]
        bin: Vec<Bin>,
    }
    #[derive(Deserialize)]
    struct Bin {
        name: String,
        path: Option<String>,
    }
    let file = root.join("Cargo.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let manifest: Manifest =
        toml::from_str(&text).with_context(|| format!("cannot read {}", file.display()))?;
    let api = manifest.bin.into_iter().filter_map(|bin| Some(Source { path: bin.path?, binary: bin.name }));
    // Vercel's builder skips paths with an underscore, too.
    Ok(api.filter(|source| source.path.starts_with("api/") && !source.path.contains("/_")).collect())
}

/// The route of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    // Literal segments come first in order: they win over parameters.
    Literal(String),
    Parameter(String),
}

impl Route {
    /// The route of a source file: its path without `.rs`, without a last `index`, `[name]` standing for any segment.
    pub fn of(path: &str) -> Route {
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let mut segments: Vec<&str> = path.split('/').collect();
        if segments.last() == Some(&"index") {
            segments.pop();
        }
        let segment = |text: &str| match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            Some(name) => Segment::Parameter(name.to_owned()),
            None => Segment::Literal(text.to_owned()),
        };
        Route(segments.into_iter().map(segment).collect())
    }

    /// Whether it has no parameters: then it is found before rewrites apply, and otherwise after them.
    pub fn is_literal(&self) -> bool {
        self.0.iter().all(|segment| matches!(segment, Segment::Literal(_)))
    }

    /// The parameters by name, still percent-encoded, if the request's path is of this route. A slash at the end is
    /// allowed unless it ends with a parameter, as on the platform.
    pub fn matches<'a>(&self, path: &'a str) -> Option<Vec<(&str, &'a str)>> {
        let path = path.strip_prefix('/')?;
        let path = match self.0.last() {
            Some(Segment::Literal(_)) => path.strip_suffix('/').unwrap_or(path),
            _ => path,
        };
        let mut parts = path.split('/');
        let mut parameters = Vec::new();
        for segment in &self.0 {
            let part = parts.next()?;
            match segment {
                Segment::Literal(text) if text == part => {}
                Segment::Parameter(name) if !part.is_empty() => parameters.push((name.as_str(), part)),
                _ => return None,
            }
        }
        parts.next().is_none().then_some(parameters)
    }

    /// The order in which routes are tried: literal segments before parameters.
    pub fn order(&self, other: &Route) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// What `vercel.json` says, as far as the stack acts it out.
#[derive(Debug, Default)]
pub struct Configuration {
    /// The folder of static files.
    pub output: PathBuf,
    headers: Vec<HeaderRule>,
    rewrites: Vec<Rewrite>,
    /// The scheduled calls.
    pub crons: Vec<Cron>,
}

/// One scheduled call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// What is called, by GET.
    pub path: String,
    /// When: five fields, UTC.
    pub schedule: String,
}

#[derive(Debug)]
struct HeaderRule {
    source: Regex,
    headers: Vec<(String, String)>,
}

/// A path that is answered by another's function. The function sees the path as it came.
#[derive(Debug)]
struct Rewrite {
    source: Regex,
    destination: String,
}

impl Configuration {
    /// Reads `vercel.json` at `root`; without one, Vercel's defaults hold.
    ///
    /// # Errors
    /// When it is malformed or asks for what the stack does not act out.
    pub fn read(root: &Path) -> Result<Configuration> {
        let file = root.join("vercel.json");
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text, root).with_context(|| format!("{}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::parse("{}", root),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    fn parse(text: &str, root: &Path) -> Result<Configuration> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct File {
            output_directory: Option<String>,
            #[serde(default)]
            headers: Vec<Rule>,
            #[serde(default)]
            crons: Vec<Cron>,
            #[serde(default)]
            rewrites: Vec<Rewriting>,
            #[serde(flatten)]
            rest: serde_json::Map<String, serde_json::Value>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Rule {
            source: String,
            headers: Vec<Header>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Header {
            key: String,
            value: String,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Rewriting {
            source: String,
            destination: String,
        }
        let file: File = serde_json::from_str(text)?;
        let changes_routes = ["redirects", "routes", "cleanUrls", "trailingSlash", "builds"];
        if let Some(name) = changes_routes.iter().find(|name| file.rest.contains_key(**name)) {
            bail!("the local stack does not act out \"{name}\"");
        }
        let rule = |rule: Rule| -> Result<HeaderRule> {
            let source = pattern(&rule.source)?;
            Ok(HeaderRule {
                source,
                headers: rule.headers.into_iter().map(|it| (it.key, it.value)).collect(),
            })
        };
        let rewrite = |rewriting: Rewriting| -> Result<Rewrite> {
            if rewriting.destination.contains([':', '$', '?']) {
                bail!("the local stack does not act out rewrites to {:?}", rewriting.destination);
            }
            Ok(Rewrite { source: pattern(&rewriting.source)?, destination: rewriting.destination })
        };
        Ok(Configuration {
            rewrites: file.rewrites.into_iter().map(rewrite).collect::<Result<_>>()?,
            output: root.join(file.output_directory.as_deref().unwrap_or("public")),
            headers: file.headers.into_iter().map(rule).collect::<Result<_>>()?,
            crons: file.crons,
        })
    }

    /// Where rewrites lead from `path`, in the order in which they are tried, each with what its source's parameters
    /// were: the platform appends those to the query.
    pub fn rewritten<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a str, Vec<(&'a str, &'a str)>)> {
        self.rewrites.iter().filter_map(move |rewrite| {
            let captures = rewrite.source.captures(path).ok()??;
            let names = rewrite.source.capture_names().flatten();
            let parameters = names.filter_map(|name| Some((name, captures.name(name)?.as_str()))).collect();
            Some((rewrite.destination.as_str(), parameters))
        })
    }

    /// The headers that go with every answer to `path`; a later rule wins.
    pub fn headers_for(&self, path: &str) -> impl Iterator<Item = (&str, &str)> {
        let rules = self.headers.iter().filter(move |rule| rule.source.is_match(path).unwrap_or(false));
        rules.flat_map(|rule| rule.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// A `source` of vercel.json as a regular expression, as `@vercel/routing-utils` makes one: `/:name` is a segment,
/// `/:name*` any number of them, groups are regular expressions already, and a dot outside of them is a dot.
fn pattern(source: &str) -> Result<Regex> {
    let mut expression = String::from("^");
    let mut depth = 0_u32;
    let mut characters = source.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 0 || character == ')' {
            expression.push(character);
        } else if character == ':' {
            let mut name = String::new();
            while let Some(next) = characters.next_if(|next| next.is_alphanumeric() || *next == '_') {
                name.push(next);
            }
            if characters.next_if_eq(&'*').is_some() {
                // The slash before it belongs to it: nothing at all matches, too.
                let slash = if expression.ends_with('/') { expression.pop().map_or("", |_| "/") } else { "" };
                expression.push_str(&format!("(?:{slash}(?P<{name}>[^/]+?(?:/[^/]+?)*))?"));
            } else {
                expression.push_str(&format!("(?P<{name}>[^/]+?)"));
            }
        } else if character == '.' {
            expression.push_str("\\.");
        } else {
            expression.push(character);
        }
    }
    expression.push('$');
    Regex::new(&expression).with_context(|| format!("cannot read the source {source:?}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Configuration, Route};

    #[test]
    fn a_route_follows_the_file() {
        let route = Route::of("api/admin/billing-alerts/[id]/resolve.rs");
        assert_eq!(route.matches("/api/admin/billing-alerts/a%2Fb/resolve"), Some(vec![("id", "a%2Fb")]));
        assert_eq!(route.matches("/api/admin/billing-alerts/a/b/resolve"), None);
        assert_eq!(route.matches("/api/admin/billing-alerts//resolve"), None);
        assert_eq!(
            Route::of("api/admin/billing-alerts/index.rs").matches("/api/admin/billing-alerts/"),
            Some(vec![])
        );
        assert_eq!(Route::of("api/runs/[id].rs").matches("/api/runs/1/"), None);
        assert_eq!(Route::of("api/health.rs").matches("/api/healthy"), None);
    }

    #[test]
    fn literal_segments_come_before_parameters() {
        let mut routes = [
            Route::of("api/alerts/[id]/resolve.rs"),
            Route::of("api/alerts/monitor.rs"),
            Route::of("api/alerts/[id].rs"),
        ];
        routes.sort_by(Route::order);
        assert_eq!(routes[0], Route::of("api/alerts/monitor.rs"));
    }

    #[test]
    fn header_sources_are_patterns() {
        let text = r#"{"headers": [
            {"source": "/(.*)", "headers": [{"key": "x-everywhere", "value": "1"}]},
            {"source": "/assets/:path*", "headers": [{"key": "x-assets", "value": "1"}]},
            {"source": "/((?!api/).*)", "headers": [{"key": "x-page", "value": "1"}]},
            {"source": "/openapi.json", "headers": [{"key": "x-openapi", "value": "1"}]}]}"#;
        let configuration = Configuration::parse(text, Path::new("/")).expect("valid");
        let names = |path| configuration.headers_for(path).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("/assets/a/b.js"), ["x-everywhere", "x-assets", "x-page"]);
        assert_eq!(names("/openapi.json"), ["x-everywhere", "x-page", "x-openapi"]);
        assert_eq!(names("/openapi-json"), ["x-everywhere", "x-page"]);
        assert_eq!(names("/api/health"), ["x-everywhere"]);
    }

    #[test]
    fn what_is_not_acted_out_is_refused() {
        let error = Configuration::parse(r#"{"redirects": []}"#, Path::new("/")).expect_err("refused");
        assert!(error.to_string().contains("redirects"), "{error}");
    }
}
