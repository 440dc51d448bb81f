//! Metrics as Prometheus reads them: its text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
//!
//! Names and labels are a promise: dashboards and alert rules hold them. No label is an id, so that there are never more than a few
//! hundred series.

use std::fmt::Write as _;

use serde::Deserialize;

/// What the text is, for `content-type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is measured, as the database tells it: `billing_ops.gather_metrics()`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Facts {
    /// Scope, status, and when (Unix time in milliseconds) the last run of that scope ended with that status.
    pub last_runs: Vec<(String, String, u64)>,
    /// The last run over everything, or over what had changed, that finished. `None` before there is one.
    pub last_run: Option<LastRun>,
    /// Class of drift, what was done about it, and how many such entries stand.
    pub drift_open: Vec<(String, String, u64)>,
    /// Class of drift, how it ended, and how many such entries ever have.
    pub drift_closed: Vec<(String, String, u64)>,
    /// Alerts that are open.
    pub alerts_open: AlertsOpen,
    /// Channel, status, and how many messages are on record with it.
    pub deliveries: Vec<(String, String, u64)>,
    /// Subscriptions that an event spoke of and nobody has read since.
    pub due: u64,
}

/// A run that finished.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct LastRun {
    /// From its start to its end, in milliseconds.
    pub duration_ms: u64,
    /// Subscriptions that it read from Stripe.
    pub scanned: u64,
}

/// How many alerts are open, by severity.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[expect(missing_docs, reason = "the words of Severity")]
pub struct AlertsOpen {
    pub critical: u64,
    pub high: u64,
    pub warning: u64,
    pub info: u64,
}

/// One metric: its name, its kind, its labels, and what it says.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// Its labels, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// In a sentence, for whoever meets it in Prometheus.
    pub help: &'static str,
}

const LAST_RUN: Family = Family {
    name: "billing_ops_last_run_timestamp_seconds",
    kind: "gauge",
    labels: &["scope", "status"],
    help: "When the last run of this scope that ended with this status ended, as Unix time.",
};
const RUN_DURATION: Family = Family {
    name: "billing_ops_run_duration_seconds",
    kind: "gauge",
    labels: &[],
    help: "How long the last run that finished (success or partial) took, passes over what was due aside.",
};
const SCANNED: Family = Family {
    name: "billing_ops_subscriptions_scanned",
    kind: "gauge",
    labels: &[],
    help: "How many subscriptions the same run read from Stripe.",
};
const DRIFT_OPEN: Family = Family {
    name: "billing_ops_drift_open",
    kind: "gauge",
    labels: &["type", "action"],
    help: "Differences between Stripe and the database that stand, by class and by what was done about them.",
};
const DRIFT_CLOSED: Family = Family {
    name: "billing_ops_drift_closed_total",
    kind: "counter",
    labels: &["type", "action"],
    help: "Differences that have ended, by class and by how. One that was repaired and taken back counts under both.",
};
const ALERTS_OPEN: Family = Family {
    name: "billing_ops_alerts_open",
    kind: "gauge",
    labels: &["severity"],
    help: "Alerts that are open.",
};
const DELIVERIES: Family = Family {
    name: "billing_ops_deliveries",
    kind: "gauge",
    labels: &["channel", "status"],
    help: "Messages on record (about 90 days of them), by channel and by what became of them.",
};
const DUE: Family = Family {
    name: "billing_ops_due",
    kind: "gauge",
    labels: &[],
    help: "Subscriptions that an event of Stripe's spoke of and that have not been read since.",
};
const BUILD_INFO: Family = Family {
    name: "billing_ops_build_info",
    kind: "gauge",
    labels: &["version"],
    help: "1, with the version of the functions that answered.",
};

/// Every metric, in the order of the text.
pub const FAMILIES: [Family; 9] =
    [LAST_RUN, RUN_DURATION, SCANNED, DRIFT_OPEN, DRIFT_CLOSED, ALERTS_OPEN, DELIVERIES, DUE, BUILD_INFO];

/// The text. `version`: of the functions.
///
/// A metric that has no value yet, such as the duration of the last run before there is one, has its description and no sample: zero
/// would be a claim.
pub fn render(facts: &Facts, version: &str) -> String {
    let mut text = String::new();
    let pairs = |rows: &[(String, String, u64)]| -> Vec<Sample> {
        rows.iter().map(|(one, other, count)| Sample::new(&[one, other], count)).collect()
    };
    write_family(
        &mut text,
        &LAST_RUN,
        facts.last_runs.iter().map(|(scope, status, at)| Sample::new(&[scope, status], seconds(*at))),
    );
    let last = facts.last_run.iter();
    write_family(
        &mut text,
        &RUN_DURATION,
        last.clone().map(|run| Sample::new(&[], seconds(run.duration_ms))),
    );
    write_family(&mut text, &SCANNED, last.map(|run| Sample::new(&[], run.scanned)));
    write_family(&mut text, &DRIFT_OPEN, pairs(&facts.drift_open));
    write_family(&mut text, &DRIFT_CLOSED, pairs(&facts.drift_closed));
    let open = facts.alerts_open;
    let by_severity =
        [("critical", open.critical), ("high", open.high), ("warning", open.warning), ("info", open.info)];
    write_family(
        &mut text,
        &ALERTS_OPEN,
        by_severity.map(|(severity, count)| Sample::new(&[severity], count)),
    );
    write_family(&mut text, &DELIVERIES, pairs(&facts.deliveries));
    write_family(&mut text, &DUE, [Sample::new(&[], facts.due)]);
    write_family(&mut text, &BUILD_INFO, [Sample::new(&[version], 1)]);
    text
}

/// Prometheus counts in seconds.
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1_000.0
}

/// One value, with the values of its family's labels.
struct Sample {
    labels: Vec<String>,
    value: String,
}

impl Sample {
    /// Numbers are written without an exponent, times with all their digits.
    fn new(labels: &[&str], value: impl ToString) -> Self {
        Self { labels: labels.iter().map(|label| escape(label)).collect(), value: value.to_string() }
    }
}

/// A label's value, escaped as the format wants it. Today's words need no escaping, but it costs little to be safe from tomorrow's.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A family's description and its samples.
fn write_family(text: &mut String, family: &Family, samples: impl IntoIterator<Item = Sample>) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "# HELP {} {}", family.name, family.help);
    let _ = writeln!(text, "# TYPE {} {}", family.name, family.kind);
    for sample in samples {
        let labels: Vec<String> = family
            .labels
            .iter()
            .zip(&sample.labels)
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(text, "{}{labels} {}", family.name, sample.value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use prometheus_parse::{Sample as Read, Scrape, Value};
    use serde_json::json;

    use super::*;

    fn facts() -> Facts {
        serde_json::from_value(json!({
            "last_runs": [["all", "success", 1_795_168_800_250_u64], ["due", "error", 1_795_165_200_000_u64]],
            "last_run": {"duration_ms": 12500, "scanned": 1203},
            "drift_open": [["status_mismatch", "waiting", 8]],
            "drift_closed": [["status_mismatch", "cleared", 2], ["status_mismatch", "repaired", 40_000_000_000_u64]],
            "alerts_open": {"critical": 1, "high": 0, "warning": 2, "info": 0},
            "deliveries": [["slack", "dead", 0], ["slack", "sent", 17]],
            "due": 3
        }))
        .expect("facts as the database tells them")
    }

    /// As others read it.
    fn read(text: &str) -> Scrape {
        Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("the text format")
    }

    fn told(scrape: &Scrape) -> BTreeMap<String, f64> {
        let number = |value: &Value| match value {
            Value::Gauge(number) | Value::Counter(number) => *number,
            other => panic!("{other:?}"),
        };
        let name = |sample: &Read| {
            let mut labels: Vec<String> =
                sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            labels.sort();
            format!("{} {}", sample.metric, labels.join(" ")).trim().to_owned()
        };
        scrape.samples.iter().map(|sample| (name(sample), number(&sample.value))).collect()
    }

    #[test]
    fn what_is_written_is_what_others_read() {
        let expected = [
            ("billing_ops_last_run_timestamp_seconds scope=all status=success", 1_795_168_800.25),
            ("billing_ops_last_run_timestamp_seconds scope=due status=error", 1_795_165_200.0),
            ("billing_ops_run_duration_seconds", 12.5),
            ("billing_ops_subscriptions_scanned", 1203.0),
            ("billing_ops_drift_open action=waiting type=status_mismatch", 8.0),
            ("billing_ops_drift_closed_total action=cleared type=status_mismatch", 2.0),
            ("billing_ops_drift_closed_total action=repaired type=status_mismatch", 4e10),
            ("billing_ops_alerts_open severity=critical", 1.0),
            ("billing_ops_alerts_open severity=high", 0.0),
            ("billing_ops_alerts_open severity=warning", 2.0),
            ("billing_ops_alerts_open severity=info", 0.0),
            ("billing_ops_deliveries channel=slack status=dead", 0.0),
            ("billing_ops_deliveries channel=slack status=sent", 17.0),
            ("billing_ops_due", 3.0),
            ("billing_ops_build_info version=1.2.3", 1.0),
        ];
        let scrape = read(&render(&facts(), "1.2.3"));
        assert_eq!(scrape.samples.len(), expected.len(), "none is told twice");
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(told(&scrape), BTreeMap::from(expected));
        for sample in &scrape.samples {
            let counter = matches!(sample.value, Value::Counter(_));
            assert_eq!(counter, sample.metric.ends_with("_total"), "{}", sample.metric);
        }
    }

    #[test]
    fn every_metric_is_described_once_even_where_it_has_no_value_yet() {
        let text = render(&Facts::default(), "1.2.3");
        let described: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let expected: Vec<String> =
            FAMILIES.iter().map(|family| format!("{} {}", family.name, family.kind)).collect();
        assert_eq!(described, expected);
        assert_eq!(text.matches("# HELP ").count(), FAMILIES.len());
        assert!(text.ends_with('\n'), "the last line ends, too");
        let samples = read(&text).samples;
        let names: BTreeSet<&str> = samples.iter().map(|sample| sample.metric.as_str()).collect();
        let always = ["billing_ops_alerts_open", "billing_ops_build_info", "billing_ops_due"];
        assert_eq!(names, BTreeSet::from(always), "no run is not a run of zero seconds");
    }

    #[test]
    fn an_odd_word_breaks_no_scrape() {
        let odd = "a\"b\\c\nd";
        let facts = Facts { drift_open: vec![(odd.to_owned(), "none".to_owned(), 1)], ..Facts::default() };
        let text = render(&facts, "1.2.3");
        assert!(text.contains(r#"billing_ops_drift_open{type="a\"b\\c\nd",action="none"} 1"#), "{text}");
        let plain = render(&Facts::default(), "1.2.3");
        assert_eq!(text.lines().count(), plain.lines().count() + 1, "it stays one line");
    }
}
