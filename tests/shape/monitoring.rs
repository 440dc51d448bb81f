//! The dashboard and the rules of docs/monitoring, held against the metrics that are served. A name that is not served is a panel without
//! data, or a rule that never fires: nobody would notice.

use std::collections::BTreeSet;

use billing_ops::report::metrics::{FAMILIES, Family};
use serde_json::Value;

use crate::read;

/// The labels that Prometheus itself puts on whatever it scrapes.
const SCRAPED: [&str; 2] = ["job", "instance"];

/// Every metric of ours that a text names, with the selector that follows it, if one does.
fn named(text: &str) -> Vec<(&str, &str)> {
    let starts = text.match_indices("billing_ops_").map(|(at, _)| &text[at..]);
    starts
        .map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let selector = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
            (name, selector.unwrap_or_default())
        })
        .collect()
}

fn family(name: &str) -> &'static Family {
    FAMILIES.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("{name} is not served"))
}

/// The words before `=`, `!=` and `=~` of a selector.
fn labels_of(selector: &str) -> impl Iterator<Item = &str> {
    let matchers = selector.split(", ").filter(|matcher| !matcher.is_empty());
    matchers.map(|matcher| matcher.split(['=', '!']).next().unwrap_or_default())
}

fn assert_served(expression: &str) {
    let metrics = named(expression);
    assert!(!metrics.is_empty(), "no metric of ours: {expression}");
    for (name, selector) in &metrics {
        let own = family(name).labels;
        for label in labels_of(selector) {
            assert!(
                own.contains(&label) || SCRAPED.contains(&label),
                "{name} has no label {label}: {expression}"
            );
        }
    }
    // What is summed by, joined on or shown in a legend, is a label of one of them.
    let known: BTreeSet<&str> =
        metrics.iter().flat_map(|(name, _)| family(name).labels.iter().copied()).chain(SCRAPED).collect();
    let grouped = ["by (", "on ("].into_iter().flat_map(|word| expression.split(word).skip(1));
    for label in grouped.flat_map(|rest| rest.split(')').next().unwrap_or_default().split(", ")) {
        assert!(known.contains(label), "nothing has a label {label}: {expression}");
    }
    assert_eq!(expression.matches('(').count(), expression.matches(')').count(), "{expression}");
}

fn dashboard() -> Value {
    serde_json::from_str(&read("docs/monitoring/grafana.json")).expect("JSON")
}

#[test]
fn the_dashboard_shows_what_is_served_and_leaves_nothing_out() {
    let dashboard = dashboard();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let expression = target["expr"].as_str().expect("an expression");
            assert_served(expression);
            let names: Vec<&str> = named(expression).into_iter().map(|(name, _)| name).collect();
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                let has = names.iter().any(|name| family(name).labels.contains(&label));
                assert!(has, "{legend}: no label of {expression}");
            }
            shown.extend(names.into_iter().map(str::to_owned));
        }
    }
    for family in FAMILIES {
        assert!(shown.contains(family.name), "no panel shows {}", family.name);
    }
}

/// Whoever imports it is asked which Prometheus, and every panel takes that one.
#[test]
fn the_dashboard_takes_the_prometheus_that_it_is_given() {
    let dashboard = dashboard();
    assert_eq!(dashboard["__inputs"][0]["name"], "DS_PROMETHEUS");
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert_eq!(
        (&variables[0]["name"], &variables[0]["current"]["value"]),
        (&Value::from("datasource"), &Value::from("${DS_PROMETHEUS}"))
    );
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    for asks in panels.iter().chain(targets).chain(&variables[1..]) {
        assert_eq!(asks["datasource"]["uid"], "${datasource}", "{asks}");
    }
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
}

/// The expressions of the rules: one line, or the lines of a folded block.
fn expressions(rules: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = rules.lines().collect();
    let begin = |at: &usize| lines[*at].trim_start().starts_with("expr:");
    (0..lines.len())
        .filter(begin)
        .map(|at| {
            let (first, depth) =
                (lines[at].trim_start().trim_start_matches("expr:").trim(), indent(lines[at]));
            if first != ">-" {
                return first.to_owned();
            }
            let block = lines[at + 1..].iter().take_while(|line| indent(line) > depth);
            block.map(|line| line.trim()).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[test]
fn the_rules_ask_for_what_is_served() {
    let rules = read("docs/monitoring/alerts.yml");
    let expressions = expressions(&rules);
    let count = |word: &str| rules.lines().filter(|line| line.trim_start().starts_with(word)).count();
    assert!(expressions.len() >= 5, "{expressions:?}");
    for word in ["- alert: BillingOps", "severity: ", "summary: ", "description: "] {
        assert_eq!(count(word), expressions.len(), "each rule has its {word}");
    }
    expressions.iter().for_each(|expression| assert_served(expression));
    for (name, _) in expressions.iter().flat_map(|expression| named(expression)) {
        family(name);
    }
}

#[test]
fn the_page_explains_each_metric_with_its_labels() {
    let page = read("docs/monitoring/README.md");
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let cell = if labels.is_empty() { " ".to_owned() } else { format!(" {} ", labels.join(", ")) };
        let row = format!("| `{}` | {} |{cell}| ", family.name, family.kind);
        assert!(page.contains(&row), "docs/monitoring/README.md has no row {row}");
    }
    for (name, _) in named(&page) {
        family(name);
    }
}
