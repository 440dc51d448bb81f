//! The main job, from end to end, for somebody to look at: drift of every class is put between the simulator and the
//! database; the crons find it, repair what may be repaired and raise alerts; a person settles the rest; the next run
//! finds nothing and the alerts clear.
//!
//! Everything goes through the deployment's own endpoints, as a scheduler and an admin would call them.

mod drift;
mod screen;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::stack::{Options, Stack, Stripe};
use drift::World;
use screen::Screen;

/// How many subscriptions the demonstration's simulator has, before some are added.
pub const SUBSCRIPTIONS: u32 = 1_200;

const RECONCILE: &str = "/api/subscriptions/reconcile";
const MONITOR: &str = "/api/admin/billing-alerts/monitor";
const RECONCILE_NOW: &str = "/api/admin/billing-alerts/reconcile";
const ALERTS: &str = "/api/admin/billing-alerts";

/// Plays the demonstration; the stack stays up in what is returned, with whether every step succeeded.
///
/// # Errors
/// When the stack does not start, or a step could not be played at all.
pub async fn play(mut options: Options) -> Result<(Stack, bool)> {
    let started = Instant::now();
    let mut screen = Screen::default();
    if matches!(options.stripe, Stripe::Simulator(_)) {
        options.settings.entry("PRICE_TIERS".to_owned()).or_insert_with(drift::price_tiers);
    }
    let stack = Stack::start(options).await?;
    let database = stack.database().await?;
    let world = match stack.simulator() {
        Some(simulator) => {
            let world = World::seed(simulator)?;
            world.fill(&database).await?;
            Some(world)
        }
        None => None,
    };
    let functions = stack.functions().iter().count();
    let stripe = match &world {
        Some(world) => {
            format!("a Stripe simulator with {} subscriptions", screen::number(world.subscriptions()))
        }
        None => stack.description().stripe_url.clone(),
    };
    screen.title(&format!(
        "billing-ops: {functions} functions, Postgres, PostgREST, {stripe} ({} ms)",
        started.elapsed().as_millis()
    ));
    let scene = Scene { http: crate::http_client()?, stack: &stack, database };
    scene.play(world.as_ref(), &mut screen).await?;
    let succeeded = screen.finish();
    screen.address(stack.description());
    Ok((stack, succeeded))
}

struct Scene<'a> {
    http: reqwest::Client,
    stack: &'a Stack,
    database: Client,
}

/// What was found of one class in one run.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    all: i64,
    repaired: i64,
}

impl Scene<'_> {
    async fn play(&self, world: Option<&World>, screen: &mut Screen) -> Result<()> {
        let description = self.stack.description();
        let (cron, admin) = (description.cron_secret.as_str(), description.admin_token.as_str());

        screen.step("The monitor's cron, before any run", &format!("GET {MONITOR}"));
        let (status, body) = self.call(Method::GET, MONITOR, Some(cron)).await?;
        screen.check(
            status == 200 && names(&body, "raised").contains(&"reconcile_stale".to_owned()),
            &format!("raised {}", listed(&names(&body, "raised"))),
        );

        screen.step("Verification 1: the monitor three times in a row", "MONITOR_SECRET");
        for _ in 0..3 {
            let (status, _) = self.call(Method::POST, MONITOR, Some(&description.monitor_secret)).await?;
            if status != 200 {
                screen.check(false, &format!("the monitor answered {status}"));
            }
        }
        let (_, alerts) = self.call(Method::GET, ALERTS, Some(admin)).await?;
        let open = alerts["alerts"].as_array().cloned().unwrap_or_default();
        let mut keys: Vec<&str> = open.iter().filter_map(|alert| alert["alert_key"].as_str()).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        let seen = open.first().map(|alert| alert["occurrences"].clone()).unwrap_or_default();
        screen.check(
            count == 1 && keys.len() == 1 && seen == 4,
            &format!("{count} open alert for {} condition, seen {seen} times", keys.len()),
        );

        screen.step("The reconcile cron", &format!("GET {RECONCILE}"));
        let (status, run) = self.call(Method::GET, RECONCILE, Some(cron)).await?;
        screen.check(
            status == 200 && run["status"] == "success" && run["outcome"] == "created",
            &summary(status, &run),
        );
        if let Some(world) = world {
            self.compare(world, &run, screen).await?;
        }

        screen.step("The monitor's cron, after it", &format!("GET {MONITOR}"));
        let (status, body) = self.call(Method::GET, MONITOR, Some(cron)).await?;
        screen.check(
            status == 200 && names(&body, "resolved").contains(&"reconcile_stale".to_owned()),
            &format!("resolved {}", listed(&names(&body, "resolved"))),
        );
        screen.step(
            "Verification 2: \u{201c}Reconcile Now\u{201d}, clicked twice at once",
            &format!("POST {RECONCILE_NOW}"),
        );
        let (first, second) = tokio::join!(
            self.call(Method::POST, RECONCILE_NOW, Some(admin)),
            self.call(Method::POST, RECONCILE_NOW, Some(admin)),
        );
        let answers = [first?.1, second?.1];
        let ids = answers
            .each_ref()
            .map(|answer| answer["reconciliation_log_id"].as_str().unwrap_or("none").to_owned());
        let duplicates = answers.iter().filter(|answer| answer["duplicate"] == true).count();
        screen.check(
            ids[0] == ids[1] && ids[0] != "none" && duplicates == 1,
            &format!("both clicks got run {}, {duplicates} of them as a duplicate", short(&ids[0])),
        );

        screen.step("Verification 3: who gets in", &format!("POST {MONITOR}"));
        self.who_gets_in(screen).await?;

        if let Some(world) = world {
            screen.step("A person settles what no program may decide", "");
            for line in world.settle(self.stack, &self.database).await? {
                screen.note(&line);
            }
            screen.step("A second run", &format!("POST {RECONCILE}?type=request"));
            let path = format!("{RECONCILE}?type=request");
            let (status, run) = self.call(Method::POST, &path, Some(&description.reconcile_secret)).await?;
            screen.check(
                status == 200 && run["status"] == "success" && run["total_issues"] == 0,
                &summary(status, &run),
            );
            if run["total_issues"] != 0 {
                for (kind, found) in self.found(&run).await? {
                    screen.note(&format!("{kind}: {}", found.all));
                }
            }
        }

        screen.step("What is open now", &format!("GET {ALERTS}"));
        let (_, alerts) = self.call(Method::GET, ALERTS, Some(admin)).await?;
        let resolved = self
            .database
            .query_one("select count(*) from public.billing_alerts where resolved", &[])
            .await?
            .try_get::<_, i64>(0)?;
        let open = alerts["count"].as_i64().unwrap_or(-1);
        screen.check(world.is_none() || open == 0, &format!("{open} open alerts, {resolved} resolved"));
        Ok(())
    }

    /// What was seeded beside what the run found and did.
    async fn compare(&self, world: &World, run: &Value, screen: &mut Screen) -> Result<()> {
        let mut found = self.found(run).await?;
        screen.table_head();
        let mut total = (0, Found::default());
        for class in world.classes() {
            let of_class = found.remove(class.kind).unwrap_or_default();
            let expected = if class.repaired { of_class.all } else { 0 };
            let right = of_class.all == class.seeded && of_class.repaired == expected;
            screen.table_row(class.words, class.seeded, of_class.all, of_class.repaired, right);
            total.0 += class.seeded;
            total.1.all += of_class.all;
            total.1.repaired += of_class.repaired;
        }
        for (kind, unexpected) in found {
            screen.table_row(&kind, 0, unexpected.all, unexpected.repaired, false);
        }
        screen.table_total(total.0, total.1.all, total.1.repaired);
        Ok(())
    }

    /// The findings of a run by class, from the database.
    async fn found(&self, run: &Value) -> Result<BTreeMap<String, Found>> {
        let id: uuid::Uuid =
            run["reconciliation_log_id"].as_str().context("the answer names no run")?.parse()?;
        let rows = self
            .database
            .query(
                "select type, count(*), count(*) filter (where action in ('repaired', 'created'))
                 from public.reconciliation_findings where reconciliation_log_id = $1 group by type",
                &[&id],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, Found { all: row.try_get(1)?, repaired: row.try_get(2)? })))
            .collect()
    }

    async fn who_gets_in(&self, screen: &mut Screen) -> Result<()> {
        let description = self.stack.description();
        let callers = [
            ("MONITOR_SECRET", Some(description.monitor_secret.as_str()), 200),
            ("CRON_SECRET", Some(description.cron_secret.as_str()), 200),
            ("an admin", Some(description.admin_token.as_str()), 200),
            ("a member", Some(description.member_token.as_str()), 403),
            ("RECONCILE_SECRET", Some(description.reconcile_secret.as_str()), 401),
            ("nobody", None, 401),
        ];
        let mut said = Vec::new();
        let mut right = true;
        for (who, token, expected) in callers {
            let (status, _) = self.call(Method::POST, MONITOR, token).await?;
            right &= status == expected;
            said.push(format!("{who} {}", status.as_u16()));
        }
        screen.check(right, &said.join(" · "));
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, token: Option<&str>) -> Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.stack.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.with_context(|| format!("{path} gave no answer"))?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            bail!("{path} is not there");
        }
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or_else(|_| json!({"error": text}))))
    }
}

/// The names in the monitor's `alerts.<what>`.
fn names(body: &Value, what: &str) -> Vec<String> {
    let list = body["alerts"][what].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn summary(status: StatusCode, run: &Value) -> String {
    match run["message"].as_str() {
        Some(message) => format!(
            "{}: {} subscriptions in {} ms. {message}",
            run["status"].as_str().unwrap_or("?"),
            screen::number(run["scanned_count"].as_u64().unwrap_or_default()),
            run["duration_ms"],
        ),
        None => format!("{}: {}", status.as_u16(), run["error"].as_str().unwrap_or("no reason was given")),
    }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
