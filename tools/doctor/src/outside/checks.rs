//! The checks themselves: who gets in, that a repeated alarm stays one alarm, that a repeated run stays one run.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::deployment::{Answer, Deployment, Key};

/// The monitor.
pub const MONITOR: &str = "/api/admin/billing-alerts/monitor";
/// The reconciler.
pub const RECONCILE: &str = "/api/subscriptions/reconcile";
/// The reconciler for admins.
pub const RECONCILE_NOW: &str = "/api/admin/billing-alerts/reconcile";
/// What differs between Stripe and the database.
pub const DRIFT: &str = "/api/admin/drift";
/// The list of alerts.
pub const ALERTS: &str = "/api/admin/billing-alerts";
/// The list of runs.
pub const RUNS: &str = "/api/admin/reconciliation-logs";

/// A call, and what must be answered.
#[derive(Debug)]
pub struct Door<'a> {
    /// How it is called.
    pub method: Method,
    /// What is called.
    pub path: &'a str,
    /// With which key.
    pub key: Option<&'a Key>,
    /// The status of the answer.
    pub status: u16,
    /// The code in the answer, where it must be a certain one.
    pub code: Option<&'a str>,
}

/// Makes the call.
///
/// # Errors
/// What was answered instead.
pub async fn knock(deployment: &Deployment, door: &Door<'_>) -> Result<Answer, String> {
    let answer = deployment.call(door.method.clone(), door.path, door.key).await?;
    if answer.status != door.status {
        return Err(format!("{}, expected {}", answer.why(), door.status));
    }
    match door.code {
        Some(code) if answer.text("code") != code => {
            Err(format!("code {}, expected {code}", answer.text("code")))
        }
        _ => Ok(answer),
    }
}

/// What one pass of the monitor did, by the keys of the conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    /// Alerts that it opened.
    pub raised: Vec<String>,
    /// Alerts that it found open, and whose condition still holds.
    pub refreshed: Vec<String>,
    /// Alerts that it closed.
    pub resolved: Vec<String>,
}

impl Pass {
    fn read(answer: &Answer) -> Self {
        let keys = |what: &str| texts(&answer.body["alerts"][what]);
        Self { raised: keys("raised"), refreshed: keys("refreshed"), resolved: keys("resolved") }
    }
}

/// Has the monitor look once.
///
/// # Errors
/// When it did not answer 200 and `success`.
pub async fn monitor(deployment: &Deployment, method: Method, key: &Key) -> Result<Pass, String> {
    let answer = deployment.call(method, MONITOR, Some(key)).await?;
    if answer.status == 200 && answer.body["success"] == true {
        Ok(Pass::read(&answer))
    } else {
        Err(answer.why())
    }
}

/// Has the monitor look three times in a row. What one pass found to hold, the next one must refresh: raising it again
/// would be a second alert for it.
pub async fn one_alarm(deployment: &Deployment, key: &Key) -> [Result<Pass, String>; 3] {
    let mut open = BTreeSet::new();
    let mut passes = [const { Err(String::new()) }; 3];
    for pass in &mut passes {
        *pass = monitor(deployment, Method::POST, key).await.and_then(|pass| follow(&mut open, pass));
    }
    passes
}

/// Keeps the set of open alerts up to date. Errors: what was raised although it was open.
fn follow(open: &mut BTreeSet<String>, pass: Pass) -> Result<Pass, String> {
    let again: Vec<&str> = pass.raised.iter().filter(|key| open.contains(*key)).map(String::as_str).collect();
    let outcome =
        if again.is_empty() { Ok(()) } else { Err(format!("raised although open: {}", again.join(", "))) };
    for key in &pass.resolved {
        open.remove(key);
    }
    open.extend(pass.raised.iter().chain(&pass.refreshed).cloned());
    outcome.map(|()| pass)
}

/// An alert that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAlert {
    /// Its condition.
    pub key: String,
    /// How often the condition was found to hold.
    pub occurrences: u64,
}

/// The open alerts, as an admin reads them; the newest 200.
///
/// # Errors
/// When the admin does not get them.
pub async fn open_alerts(deployment: &Deployment, admin: &Key) -> Result<Vec<OpenAlert>, String> {
    let path = format!("{ALERTS}?status=open&limit=200");
    let door = Door { method: Method::GET, path: &path, key: Some(admin), status: 200, code: None };
    let answer = knock(deployment, &door).await?;
    let alerts = answer.body["alerts"].as_array().ok_or("the answer has no list of alerts")?;
    Ok(alerts
        .iter()
        .map(|alert| OpenAlert {
            key: alert["alert_key"].as_str().unwrap_or_default().to_owned(),
            occurrences: alert["occurrences"].as_u64().unwrap_or_default(),
        })
        .collect())
}

/// The conditions that have more than one open alert.
#[must_use]
pub fn twice_open(alerts: &[OpenAlert]) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    alerts.iter().map(|alert| alert.key.as_str()).filter(|key| !seen.insert(*key)).collect()
}

/// What two calls at once got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneRun {
    /// The run that both got.
    pub id: String,
    /// Its key.
    pub key: String,
    /// What became of each call.
    pub outcomes: [String; 2],
    /// How many of the two say that they started nothing.
    pub duplicates: usize,
}

/// Asks for a run twice at the same moment, as two schedulers or two clicks would. At the turn of an hour the two have
/// different keys: the second then finds the first one running, which is the same answer. Only an hour that turns after the
/// first has ended makes two runs of them, rightly; the pair is sent again then, as it is when a rate limit was in the way.
///
/// # Errors
/// When they did not get one run, or both say that they made it.
pub async fn one_run(deployment: &Deployment, path: &str, key: &Key) -> Result<OneRun, String> {
    let (mut first, mut second) = ask_twice(deployment, path, key).await?;
    if first.status == 429 || second.status == 429 || first.body["run_key"] != second.body["run_key"] {
        let pause = [&first, &second].into_iter().filter_map(Answer::retry_after).max();
        tokio::time::sleep(pause.unwrap_or(Duration::ZERO)).await;
        (first, second) = ask_twice(deployment, path, key).await?;
    }
    if first.status != 200 || second.status != 200 {
        return Err(format!("{}; {}", first.why(), second.why()));
    }
    judge_pair(&first.body, &second.body)
}

async fn ask_twice(deployment: &Deployment, path: &str, key: &Key) -> Result<(Answer, Answer), String> {
    let ask = || deployment.send(Method::POST, path, Some(key));
    let (first, second) = tokio::join!(ask(), ask());
    Ok((first?, second?))
}

fn judge_pair(first: &Value, second: &Value) -> Result<OneRun, String> {
    let text = |answer: &Value, field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    let ids = [first, second].map(|answer| text(answer, "reconciliation_log_id"));
    let duplicates = [first, second].into_iter().filter(|answer| answer["duplicate"] == true).count();
    if ids[0].is_empty() || ids[0] != ids[1] {
        return Err(format!("two runs: {} and {}", ids[0], ids[1]));
    }
    if duplicates == 0 {
        return Err("both say that they did the work".to_owned());
    }
    let [id, _] = ids;
    let outcomes = [first, second].map(|answer| text(answer, "outcome"));
    Ok(OneRun { id, key: text(first, "run_key"), outcomes, duplicates })
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pass(raised: &[&str], refreshed: &[&str], resolved: &[&str]) -> Pass {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Pass { raised: owned(raised), refreshed: owned(refreshed), resolved: owned(resolved) }
    }

    #[test]
    fn an_alert_that_is_raised_while_it_is_open_is_a_second_one() {
        let mut open = BTreeSet::new();
        assert!(follow(&mut open, pass(&["a"], &["b"], &[])).is_ok());
        assert!(follow(&mut open, pass(&[], &["a", "b"], &[])).is_ok());
        let again = follow(&mut open, pass(&["a", "b"], &[], &[]));
        assert_eq!(again, Err("raised although open: a, b".to_owned()));
    }

    #[test]
    fn an_alert_may_be_raised_again_once_it_was_resolved() {
        let mut open = BTreeSet::new();
        assert!(follow(&mut open, pass(&["a"], &[], &[])).is_ok());
        assert!(follow(&mut open, pass(&[], &[], &["a"])).is_ok());
        assert!(follow(&mut open, pass(&["a"], &[], &[])).is_ok());
    }

    #[test]
    fn conditions_with_two_open_alerts_are_named_once() {
        let alert = |key: &str| OpenAlert { key: key.to_owned(), occurrences: 1 };
        assert!(twice_open(&[alert("a"), alert("b")]).is_empty());
        let twice = [alert("a"), alert("b"), alert("a"), alert("a")];
        assert_eq!(twice_open(&twice).into_iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn two_calls_at_once_must_get_one_run_that_one_of_them_made() {
        let answer = |id: &str, duplicate: bool| json!({"reconciliation_log_id": id, "run_key": "k", "outcome": "o", "duplicate": duplicate});
        let one = judge_pair(&answer("a", false), &answer("a", true)).expect("one run");
        assert_eq!((one.id.as_str(), one.key.as_str(), one.duplicates), ("a", "k", 1));
        assert_eq!(judge_pair(&answer("a", true), &answer("a", true)).expect("one run").duplicates, 2);
        assert_eq!(judge_pair(&answer("a", false), &answer("b", true)), Err("two runs: a and b".into()));
        assert!(judge_pair(&answer("a", false), &answer("a", false)).is_err());
        assert!(judge_pair(&json!({}), &json!({"duplicate": true})).is_err());
    }
}
