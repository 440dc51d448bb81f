//! A deployment, checked from outside: who gets in, that a repeated alarm stays one alarm, that a repeated reconcile stays
//! one run.
//!
//! | module | is |
//! | --- | --- |
//! | [`deployment`] | calls of a deployment, as anyone on the internet can make them |
//! | [`checks`] | single checks, which the local stack's demonstration makes too |
//!
//! Safe on production: it does what a cron call does, several times, and nothing else.

pub mod checks;
pub mod deployment;

use reqwest::Method;
use serde_json::json;

use crate::line::Line;
use checks::{ALERTS, Door, MONITOR, RECONCILE, RUNS, knock};
use deployment::{Answer, Deployment, Key, Unfit};

/// The variable with the access token of an admin.
pub const ADMIN_TOKEN: &str = "ADMIN_TOKEN";
/// The variable with the secret that lets callers into a preview behind Deployment Protection.
pub const BYPASS_SECRET: &str = "VERCEL_AUTOMATION_BYPASS_SECRET";

/// The keys to check a deployment with. What lacks its key is skipped, visibly.
#[derive(Debug)]
pub struct Keys {
    reconcile: Key,
    monitor: Option<Key>,
    cron: Option<Key>,
    admin: Option<Key>,
}

/// A deployment and the keys to it, by what `find` knows of: `RECONCILE_SECRET` (required), `MONITOR_SECRET` (if the
/// deployment has one), `CRON_SECRET`, `ADMIN_TOKEN` (an admin's Supabase access token: then what admins read is checked
/// too), and `VERCEL_AUTOMATION_BYPASS_SECRET` (for a preview behind Deployment Protection).
///
/// # Errors
/// When it cannot be called with them.
pub fn with_keys(address: &str, find: impl Fn(&str) -> Option<String>) -> Result<(Deployment, Keys), Unfit> {
    let found = |name| find(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let key = |name| found(name).map(|token| Key::new(name, &token)).transpose();
    let mut deployment = Deployment::new(address)?;
    let keys = Keys {
        reconcile: key("RECONCILE_SECRET")?.ok_or(Unfit::NotSet("RECONCILE_SECRET"))?,
        monitor: key("MONITOR_SECRET")?,
        cron: key("CRON_SECRET")?,
        admin: key(ADMIN_TOKEN)?,
    };
    for key in [Some(&keys.reconcile), keys.monitor.as_ref(), keys.cron.as_ref(), keys.admin.as_ref()] {
        deployment = key.into_iter().fold(deployment, Deployment::keeping_secret);
    }
    if let Some(secret) = found(BYPASS_SECRET) {
        deployment = deployment.with_bypass(BYPASS_SECRET, &secret)?;
    }
    Ok((deployment, keys))
}

/// Makes every check, and tells each as soon as it is made.
pub async fn examine(deployment: &Deployment, keys: &Keys, tell: impl FnMut(Line)) {
    let mut visit = Visit { deployment, keys, tell };
    if visit.is_there().await {
        visit.publishes_no_source().await;
        visit.lets_nobody_else_in().await;
        visit.keeps_an_alarm_one().await;
        visit.keeps_a_run_one().await;
        visit.lets_cron_in().await;
        visit.lets_admins_read().await;
    } else {
        (visit.tell)(Line::note("Nothing else can be checked."));
    }
}

struct Visit<'a, Tell> {
    deployment: &'a Deployment,
    keys: &'a Keys,
    tell: Tell,
}

impl<Tell: FnMut(Line)> Visit<'_, Tell> {
    fn report<T>(&mut self, what: &str, outcome: Result<T, String>) {
        (self.tell)(match outcome {
            Ok(_) => Line::fine(what),
            Err(why) => Line::Wrong { what: format!("{what}: {why}"), remedy: None },
        });
    }

    fn skip(&mut self, what: &str, why: &str) {
        (self.tell)(Line::Skipped(format!("{what}: {why}")));
    }

    async fn expect(&mut self, what: &str, door: Door<'_>) {
        let outcome = knock(self.deployment, &door).await;
        self.report(what, outcome);
    }

    /// Whether it answers at all, as it should. False where it does not: then nothing else can be checked.
    async fn is_there(&mut self) -> bool {
        let health = match knock(self.deployment, &get("/api/health")).await {
            Ok(health) => health,
            Err(why) => {
                self.report::<()>("health answers", Err(why));
                return false;
            }
        };
        self.report(&format!("health answers: version {}", health.text("version")), Ok(()));
        self.report("answers carry a request id and are never cached", judge_headers(&health));
        let complaints = &health.body["complaints"];
        self.report(
            "no setting is unfit",
            if *complaints == json!([]) { Ok(()) } else { Err(complaints.to_string()) },
        );
        self.expect("the database answers and has the migrations", get("/api/health?deep=1")).await;
        self.expect("the browser gets its configuration", get("/api/config")).await;
        self.expect("the page is there", get("/")).await;
        let nothing = Door { status: 404, code: Some("not_found"), ..get("/api/nothing") };
        self.expect("a path that is none says so", nothing).await;
        true
    }

    async fn publishes_no_source(&mut self) {
        for path in [
            "/Cargo.toml",
            "/vercel.json",
            "/src/lib.rs",
            "/supabase/migrations/20250127000000_billing_base.sql",
            "/.env",
        ] {
            let door = Door { status: 404, ..get(path) };
            self.expect(&format!("no source is published: {path}"), door).await;
        }
    }

    async fn lets_nobody_else_in(&mut self) {
        let Keys { reconcile, monitor, .. } = self.keys;
        let wrong = Key::new("a wrong secret", "this-is-not-the-secret-0000000000").expect("printable");
        for path in [MONITOR, RECONCILE] {
            self.expect(&format!("nobody gets in: POST {path}"), closed(Method::POST, path, None)).await;
            self.expect(&format!("nobody gets in: GET {path}"), closed(Method::GET, path, None)).await;
            let door = closed(Method::POST, path, Some(&wrong));
            self.expect(&format!("a wrong secret does not open {path}"), door).await;
            let door = Door { method: Method::HEAD, status: 405, ..get(path) };
            self.expect(&format!("HEAD starts nothing at {path}"), door).await;
        }
        for path in [ALERTS, RUNS] {
            self.expect(&format!("nobody reads {path}"), closed(Method::GET, path, None)).await;
            let door = closed(Method::GET, path, Some(reconcile));
            self.expect(&format!("a machine secret does not read {path}"), door).await;
        }
        let typo = format!("{RECONCILE}?typ=manual");
        let door = Door {
            method: Method::POST,
            path: &typo,
            key: Some(reconcile),
            status: 400,
            code: Some("invalid_request"),
        };
        self.expect("a typo is no default", door).await;
        match monitor {
            Some(monitor) if !monitor.is(reconcile) => {
                let door = closed(Method::POST, MONITOR, Some(reconcile));
                self.expect("the reconcile secret does not open the monitor", door).await;
                let door = closed(Method::POST, RECONCILE, Some(monitor));
                self.expect("the monitor secret does not open the reconciler", door).await;
            }
            _ => self.skip("each secret opens its own door", "set MONITOR_SECRET"),
        }
    }

    async fn keeps_an_alarm_one(&mut self) {
        let key = self.keys.monitor.as_ref().unwrap_or(&self.keys.reconcile);
        for (number, pass) in (1..).zip(checks::one_alarm(self.deployment, key).await) {
            let what = format!("monitor, call {number} of 3");
            match pass {
                Ok(pass) => self.report(
                    &format!(
                        "{what}: raised {}, refreshed {}, resolved {}",
                        json!(pass.raised),
                        json!(pass.refreshed),
                        json!(pass.resolved)
                    ),
                    Ok(()),
                ),
                Err(why) => self.report::<()>(&what, Err(why)),
            }
        }
    }

    async fn keeps_a_run_one(&mut self) {
        let (path, key) = (format!("{RECONCILE}?type=scheduled"), &self.keys.reconcile);
        let what = "reconcile, two calls at once";
        match checks::one_run(self.deployment, &path, key).await {
            Ok(run) => {
                let [first, second] = &run.outcomes;
                let what = format!("{what}: one run, {}, outcomes {first} and {second}", run.key);
                self.report(&what, Ok(()));
            }
            Err(why) => self.report::<()>(what, Err(why)),
        }
        let what = "reconcile, a third call after it";
        let door = Door { method: Method::POST, path: &path, key: Some(key), status: 200, code: None };
        match knock(self.deployment, &door).await {
            Ok(answer) => {
                let [outcome, status, message] =
                    ["outcome", "status", "message"].map(|field| answer.text(field));
                self.report(&format!("{what}: {outcome}, status {status}: {message}"), Ok(()));
            }
            Err(why) => self.report::<()>(what, Err(why)),
        }
    }

    async fn lets_cron_in(&mut self) {
        let Some(cron) = &self.keys.cron else { return self.skip("cron gets in", "set CRON_SECRET") };
        for (path, what) in [(MONITOR, "the monitor"), (RECONCILE, "the reconciler")] {
            let door = Door { key: Some(cron), ..get(path) };
            self.expect(&format!("cron, by GET with CRON_SECRET, opens {what}"), door).await;
        }
    }

    async fn lets_admins_read(&mut self) {
        let Some(admin) = &self.keys.admin else {
            return self.skip("what admins read", "set ADMIN_TOKEN to the access token of an admin");
        };
        self.expect("an admin reads runs", Door { key: Some(admin), ..get(RUNS) }).await;
        match checks::open_alerts(self.deployment, admin).await {
            Err(why) => self.report::<()>("an admin reads alerts", Err(why)),
            Ok(alerts) => {
                self.report("an admin reads alerts", Ok(()));
                let (what, twice) = ("no condition has two open alerts", checks::twice_open(&alerts));
                if twice.is_empty() {
                    self.report(&format!("{what} ({} open)", alerts.len()), Ok(()));
                } else {
                    self.report::<()>(what, Err(twice.into_iter().collect::<Vec<_>>().join(", ")));
                }
            }
        }
    }
}

/// A call by nobody, which must be answered with 200.
fn get(path: &str) -> Door<'_> {
    Door { method: Method::GET, path, key: None, status: 200, code: None }
}

/// A call that must be refused for its credentials.
fn closed<'a>(method: Method, path: &'a str, key: Option<&'a Key>) -> Door<'a> {
    Door { method, path, key, status: 401, code: Some("unauthorized") }
}

fn judge_headers(answer: &Answer) -> Result<(), String> {
    let id = answer.header("x-request-id");
    if !id.is_empty() && id == answer.text("request_id") && answer.header("cache-control") == "no-store" {
        Ok(())
    } else {
        Err("x-request-id or cache-control is missing".to_owned())
    }
}
