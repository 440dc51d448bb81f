//! An adoption, from end to end, for somebody to look at: a Stripe account with a past, and an app's table that does not agree with it.
//! At first billing-ops only looks; a person looks at what it found and approves some of it; then it repairs by itself. What no program
//! may decide a person settles, and the next run finds nothing and the alerts clear.
//!
//! Everything goes through the deployment's own endpoints, as a scheduler and an admin would call them. The verifications
//! are the checks that `doctor` makes of any deployment.

mod drift;
mod screen;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Error, Result, bail};
use doctor::outside::checks::{self, ALERTS, DRIFT, Door, MONITOR, RECONCILE, RECONCILE_NOW};
use doctor::outside::deployment::{Answer, Deployment, Key};
use receivers::Receivers;
use reqwest::Method;
use tokio_postgres::Client;

use crate::stack::{Description, Options, Stack, Stripe};
use drift::World;
use screen::Screen;

/// The app that billing-ops is installed beside.
pub const APP: &str = "supabase/migrations/20250127000000_billing_base.sql";

/// How many subscriptions the demonstration's simulator has, before some are added.
pub const SUBSCRIPTIONS: u32 = 1_200;

/// The setting that says how much may happen.
const MODE: &str = "REPAIR_MODE";

/// What a person approves before anything is repaired by itself, and how many of each.
const APPROVED: [(&str, usize); 3] =
    [("status_mismatch", 2), ("quantity_mismatch", 1), ("missing_in_database", 1)];

/// The condition that holds until there was a run.
const STALE: &str = "reconcile_stale";

/// A demonstration that has been played. Stack and receivers stay up for as long as it is kept.
pub struct Played {
    /// The stack.
    pub stack: Stack,
    /// Whether every step succeeded.
    pub succeeded: bool,
    _receivers: Option<Receivers>,
}

/// Plays the demonstration.
///
/// # Errors
/// When the stack does not start, or a step could not be played at all.
pub async fn play(mut options: Options) -> Result<Played> {
    let started = Instant::now();
    let mut screen = Screen::default();
    if matches!(options.stripe, Stripe::Simulator(_)) {
        options.settings.entry("PRICE_TIERS".to_owned()).or_insert_with(drift::price_tiers);
    }
    // On the first day nothing is written, whatever is set.
    options.settings.insert(MODE.to_owned(), "observe".to_owned());
    let receivers = told::receivers(&mut options.settings)?;
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
    let deployment = Deployment::new(stack.url())?;
    let keys = Keys::of(stack.description())?;
    let scene = Scene { stack: &stack, deployment, keys, database, receivers: receivers.as_ref() };
    scene.play(world.as_ref(), &mut screen).await?;
    let succeeded = screen.finish();
    screen.address(stack.description());
    Ok(Played { stack, succeeded, _receivers: receivers })
}

struct Scene<'a> {
    stack: &'a Stack,
    deployment: Deployment,
    keys: Keys,
    database: Client,
    receivers: Option<&'a Receivers>,
}

/// Who calls.
struct Keys {
    reconcile: Key,
    monitor: Key,
    cron: Key,
    admin: Key,
    member: Key,
}

impl Keys {
    fn of(description: &Description) -> Result<Keys> {
        Ok(Keys {
            reconcile: Key::new("RECONCILE_SECRET", &description.reconcile_secret)?,
            monitor: Key::new("MONITOR_SECRET", &description.monitor_secret)?,
            cron: Key::new("CRON_SECRET", &description.cron_secret)?,
            admin: Key::new("the admin's token", &description.admin_token)?,
            member: Key::new("the member's token", &description.member_token)?,
        })
    }
}

/// What was found of one class in one run.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    all: i64,
    repaired: i64,
}

impl Scene<'_> {
    async fn play(&self, world: Option<&World>, screen: &mut Screen) -> Result<()> {
        screen.step("The monitor's cron, before any run", &format!("GET {MONITOR}"));
        match checks::monitor(&self.deployment, Method::GET, &self.keys.cron).await {
            Ok(pass) => screen.check(is_among(&pass.raised), &format!("raised {}", listed(&pass.raised))),
            Err(why) => screen.check(false, &why),
        }

        screen.step("Verification 1: the monitor three times in a row", "MONITOR_SECRET");
        self.one_alarm(screen).await;

        screen.step("Installed beside the app: which table decides who gets in?", "billing_ops.detect()");
        self.which_table(screen).await?;

        screen.step("The reconcile cron, in observe", &format!("GET {RECONCILE}"));
        let before = self.rows().await?;
        let run = self.call(Method::GET, RECONCILE, &self.keys.cron).await?;
        screen.check(is_success(&run) && run.text("outcome") == "created", &summary(&run));
        if let Some(world) = world {
            self.compare(world, &run, &BTreeMap::new(), screen).await?;
        }
        screen.check(before == self.rows().await?, "not one row of the app's table was written");

        let mut approved = BTreeMap::new();
        if world.is_some() {
            screen.step("A person looks, and approves some of it", &format!("POST {DRIFT}/{{id}}/approve"));
            self.stack.functions().configure(&[(MODE, Some("approve"))]).await;
            approved = self.approve(screen).await?;
        }

        screen.step("The rest, by itself", &format!("{MODE}=auto, POST {RECONCILE}?type=webhook_failure"));
        self.stack.functions().configure(&[(MODE, Some("auto"))]).await;
        let path = format!("{RECONCILE}?type=webhook_failure");
        let run = self.call(Method::POST, &path, &self.keys.reconcile).await?;
        screen.check(is_success(&run) && run.text("outcome") == "created", &summary(&run));
        if let Some(world) = world {
            self.compare(world, &run, &approved, screen).await?;
        }

        screen.step("The monitor's cron, after it", &format!("GET {MONITOR}"));
        match checks::monitor(&self.deployment, Method::GET, &self.keys.cron).await {
            Ok(pass) => {
                screen.check(is_among(&pass.resolved), &format!("resolved {}", listed(&pass.resolved)));
            }
            Err(why) => screen.check(false, &why),
        }

        screen.step(
            "Verification 2: \u{201c}Reconcile Now\u{201d}, clicked twice at once",
            &format!("POST {RECONCILE_NOW}"),
        );
        match checks::one_run(&self.deployment, RECONCILE_NOW, &self.keys.admin).await {
            Ok(run) => screen.check(
                run.duplicates == 1,
                &format!("both clicks got run {}, {} of them as a duplicate", short(&run.id), run.duplicates),
            ),
            Err(why) => screen.check(false, &why),
        }

        screen.step("Verification 3: who gets in", &format!("POST {MONITOR}"));
        self.who_gets_in(screen).await;

        if let Some(world) = world {
            screen.step("A person settles what no program may decide", "");
            for line in world.settle(self.stack, &self.database).await? {
                screen.note(&line);
            }
            screen.step("A second run", &format!("POST {RECONCILE}?type=request"));
            let path = format!("{RECONCILE}?type=request");
            let run = self.call(Method::POST, &path, &self.keys.reconcile).await?;
            let clean = run.body["total_issues"] == 0;
            screen.check(is_success(&run) && clean, &summary(&run));
            if !clean {
                for (kind, found) in self.found(&run).await? {
                    screen.note(&format!("{kind}: {}", found.all));
                }
            }
        }

        screen.step("Somebody was told", &format!("GET {MONITOR}?only=deliver"));
        let sent = self.call(Method::GET, &format!("{MONITOR}?only=deliver"), &self.keys.cron).await?;
        screen.check(sent.status == 200, &format!("the five-minute cron: {}", sent.body["deliveries"]));
        told::show(self.receivers, &self.database, screen).await?;

        screen.step("What is open now", &format!("GET {ALERTS}"));
        let open = checks::open_alerts(&self.deployment, &self.keys.admin).await.map_err(Error::msg)?.len();
        let resolved = self
            .database
            .query_one("select count(*) from public.billing_alerts where resolved", &[])
            .await?
            .try_get::<_, i64>(0)?;
        screen.check(world.is_none() || open == 0, &format!("{open} open alerts, {resolved} resolved"));
        Ok(())
    }

    /// Four looks at one condition, the cron's and three more, are one alert.
    async fn one_alarm(&self, screen: &mut Screen) {
        for pass in checks::one_alarm(&self.deployment, &self.keys.monitor).await {
            if let Err(why) = pass {
                screen.check(false, &format!("the monitor: {why}"));
            }
        }
        match checks::open_alerts(&self.deployment, &self.keys.admin).await {
            Ok(open) => {
                let conditions: BTreeSet<&str> = open.iter().map(|alert| alert.key.as_str()).collect();
                let seen = open.first().map_or(0, |alert| alert.occurrences);
                screen.check(
                    open.len() == 1 && seen == 4,
                    &format!(
                        "{} open alert for {} condition, seen {seen} times",
                        open.len(),
                        conditions.len()
                    ),
                );
            }
            Err(why) => screen.check(false, &why),
        }
    }

    /// What the database proposes, what is adopted of it, and what may be written.
    async fn which_table(&self, screen: &mut Screen) -> Result<()> {
        let found = self
            .database
            .query("select d ->> 'table', d ->> 'why' from jsonb_array_elements(billing_ops.detect()) d", &[])
            .await?;
        for candidate in &found {
            let (table, why): (String, String) = (candidate.try_get(0)?, candidate.try_get(1)?);
            screen.note(&format!("{table}: {why}"));
        }
        let row = self
            .database
            .query_one(
                "select s ->> 'table', jsonb_array_length(s -> 'has'), s ->> 'writes', (s ->> 'fingerprint_ok')::boolean
                 from billing_ops.adapter_state() s",
                &[],
            )
            .await?;
        let (table, columns, writes): (String, i32, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        screen.check(
            row.try_get(3)?,
            &format!("{table} is adopted, {columns} columns of it; the most that may be done is {writes}"),
        );
        Ok(())
    }

    /// The app's rows with their versions: whoever writes one makes its xmin another.
    async fn rows(&self) -> Result<String> {
        let sql = "select coalesce(md5(string_agg(s::text || s.xmin::text, ',' order by s.id)), '') from public.subscriptions s";
        Ok(self.database.query_one(sql, &[]).await?.try_get(0)?)
    }

    /// What a person does with the page of drift: they look at what would be done, and approve some. Answers how many of each class.
    async fn approve(&self, screen: &mut Screen) -> Result<BTreeMap<String, i64>> {
        let mut approved = BTreeMap::new();
        for (class, number) in APPROVED {
            let page =
                self.call(Method::GET, &format!("{DRIFT}?type={class}&limit=200"), &self.keys.admin).await?;
            let entries = page.body["drift"].as_array().cloned().unwrap_or_default();
            let lowering = entries.iter().filter(|entry| entry["lowers_access"] == true).count();
            screen.note(&format!(
                "{class}: {} stand, {lowering} of them would take something away",
                entries.len()
            ));
            for entry in entries.iter().take(number) {
                let path = format!("{DRIFT}/{}/approve", entry["id"].as_str().unwrap_or_default());
                let answer = self.call(Method::POST, &path, &self.keys.admin).await?;
                let outcome = answer.text("outcome").to_owned();
                let done = matches!(outcome.as_str(), "repaired" | "created" | "moved");
                let said = if done { outcome } else { answer.why() };
                let issue = entry["issue"].as_str().unwrap_or_default();
                screen.check(answer.status == 200 && done, &format!("{said}: {issue}"));
                *approved.entry(class.to_owned()).or_default() += i64::from(done);
            }
        }
        Ok(approved)
    }

    /// What was seeded, but for what is `gone` by now, beside what the run found and did.
    async fn compare(
        &self,
        world: &World,
        run: &Answer,
        gone: &BTreeMap<String, i64>,
        screen: &mut Screen,
    ) -> Result<()> {
        let repairs = run.text("repair_mode") == "auto";
        let mut found = self.found(run).await?;
        screen.table_head();
        let mut total = (0, Found::default());
        for class in world.classes() {
            let of_class = found.remove(class.kind).unwrap_or_default();
            let expected = if class.repaired && repairs { of_class.all } else { 0 };
            let seeded = class.seeded - gone.get(class.kind).copied().unwrap_or_default();
            let right = of_class.all == seeded && of_class.repaired == expected;
            screen.table_row(class.words, seeded, of_class.all, of_class.repaired, right);
            total.0 += seeded;
            total.1.all += of_class.all;
            total.1.repaired += of_class.repaired;
        }
        for (kind, unexpected) in found {
            screen.table_row(&kind, 0, unexpected.all, unexpected.repaired, false);
        }
        screen.table_total(total.0, total.1.all, total.1.repaired);
        Ok(())
    }

    /// The drift that a run saw by class, from the database.
    async fn found(&self, run: &Answer) -> Result<BTreeMap<String, Found>> {
        let id = run.text("reconciliation_log_id");
        let id: uuid::Uuid = id.parse().with_context(|| format!("the answer names no run: {}", run.why()))?;
        let rows = self
            .database
            .query(
                "select type, count(*), count(*) filter (where action in ('repaired', 'created', 'moved'))
                 from public.drift where $1 in (last_run_id, closed_run_id) group by type",
                &[&id],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, Found { all: row.try_get(1)?, repaired: row.try_get(2)? })))
            .collect()
    }

    async fn who_gets_in(&self, screen: &mut Screen) {
        let Keys { reconcile, monitor, cron, admin, member } = &self.keys;
        let callers = [
            ("MONITOR_SECRET", Some(monitor), 200),
            ("CRON_SECRET", Some(cron), 200),
            ("an admin", Some(admin), 200),
            ("a member", Some(member), 403),
            ("RECONCILE_SECRET", Some(reconcile), 401),
            ("nobody", None, 401),
        ];
        let mut right = Vec::new();
        for (who, key, status) in callers {
            let door = Door { method: Method::POST, path: MONITOR, key, status, code: None };
            match checks::knock(&self.deployment, &door).await {
                Ok(_) => right.push(format!("{who} {status}")),
                Err(why) => screen.check(false, &format!("{who}: {why}")),
            }
        }
        if !right.is_empty() {
            screen.check(true, &right.join(" · "));
        }
    }

    async fn call(&self, method: Method, path: &str, key: &Key) -> Result<Answer> {
        let answer = self.deployment.call(method, path, Some(key)).await;
        let answer = answer.map_err(Error::msg).with_context(|| path.to_owned())?;
        if answer.status == 404 {
            bail!("{path} is not there");
        }
        Ok(answer)
    }
}

fn is_among(keys: &[String]) -> bool {
    keys.iter().any(|key| key == STALE)
}

fn is_success(run: &Answer) -> bool {
    run.status == 200 && run.text("status") == "success"
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn summary(run: &Answer) -> String {
    if run.text("message").is_empty() {
        return run.why();
    }
    format!(
        "{}: {} subscriptions in {} ms. {}",
        run.text("status"),
        screen::number(run.body["scanned_count"].as_u64().unwrap_or_default()),
        run.body["duration_ms"],
        run.text("message"),
    )
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
