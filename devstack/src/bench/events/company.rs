//! A stack whose rows agree with Stripe and have been reconciled once, and what changes at Stripe then.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use stripe_simulator::{Simulator, SubscriptionChange, SubscriptionFacts};
use tokio_postgres::Client;

use crate::settings::Settings;
use crate::stack::{self, Stack, Stripe};

/// A rate that nothing here reaches.
const NO_LIMIT: &str = "10000";
/// Longer than any run may take.
const PATIENCE: Duration = Duration::from_secs(800);
/// Longer than the app's own webhook gets for a period that begins, in seconds.
const SETTLED_AFTER: i64 = 86_400;
/// Subscriptions are taken in steps of so many, so that old ones and young ones change alike: a prime that divides no round number.
const STEP: u64 = 7_919;

/// A running stack, with a run over everything behind it.
pub(super) struct Company {
    pub(super) stack: Stack,
    pub(super) database: Client,
    http: reqwest::Client,
    /// How many subscriptions were looked at to find some that may change.
    taken: Cell<u32>,
    callers: Cell<u32>,
}

/// A subscription that has changed at Stripe: its id, and its seats now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) id: String,
    pub(super) seats: i32,
}

impl Company {
    /// Starts it with so many subscriptions.
    pub(super) async fn start(count: u32, mode: super::Mode, build: bool) -> Result<Self> {
        let settings: Settings = [
            ("RECONCILE_BUDGET_SECONDS", "780"),
            ("STRIPE_MAX_REQUESTS_PER_SECOND", NO_LIMIT),
            ("LOG_LEVEL", "warn"),
            // What is measured is the whole way, writing included.
            ("REPAIR_MODE", "auto"),
            ("EVENTS_MODE", mode.word()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let config = stripe_simulator::Config { subscriptions: count, ..stripe_simulator::Config::default() };
        let stack = Stack::start(stack::Options {
            stripe: Stripe::Simulator(config),
            fill: true,
            settings,
            build,
            ..stack::Options::for_tests()?
        })
        .await?;
        let database = stack.database().await?;
        let http = crate::http_client()?;
        let company = Self { stack, database, http, taken: Cell::new(0), callers: Cell::new(0) };
        company.run("all").await?;
        Ok(company)
    }

    pub(super) fn simulator(&self) -> Result<&Simulator> {
        self.stack.simulator().context("the bench has a simulator")
    }

    /// Calls as the platform's cron does, each time from another address: calls are counted for each.
    pub(super) async fn call(&self, path: &str) -> Result<Value> {
        let [_, a, b, c] = self.callers.replace(self.callers.get() + 1).to_be_bytes();
        let request = self.http.get(format!("{}{path}", self.stack.url())).timeout(PATIENCE);
        let request = request.bearer_auth(&self.stack.description().cron_secret);
        let answer = request.header("x-devstack-client-ip", format!("10.{a}.{b}.{c}")).send().await?;
        let (status, body): (_, Value) = (answer.status(), answer.json().await?);
        if !status.is_success() {
            bail!("{path} answers {status}: {body}");
        }
        Ok(body)
    }

    /// The scheduled run, which must be over what is expected and go well.
    pub(super) async fn run(&self, scope: &str) -> Result<()> {
        let run = self.call("/api/subscriptions/reconcile").await?;
        // Where much has changed, everything is read, as that costs less.
        let as_expected = run["scope"] == scope || (scope == "changed" && run["scope"] == "all");
        if !as_expected || run["status"] != "success" || run["outcome"] != "created" {
            bail!("the run over {scope} ended otherwise: {run}");
        }
        Ok(())
    }

    /// So many active subscriptions that have not been taken before.
    pub(super) fn take(&self, many: u32) -> Result<Vec<SubscriptionFacts>> {
        let generator = self.simulator()?.generator();
        let settled = self.simulator()?.now() - SETTLED_AFTER;
        let mut found = Vec::new();
        while found.len() < many as usize {
            let (count, taken) = (u64::from(generator.len()), self.taken.get());
            if u64::from(taken) >= count {
                bail!("{count} subscriptions are too few: {many} active ones are to change");
            }
            self.taken.set(taken + 1);
            let facts = generator.facts(u32::try_from(u64::from(taken) * STEP % count)?);
            // One whose period has just begun is left to the app's own webhook, whatever else has changed.
            if facts.status == "active" && facts.current_period_start < settled {
                found.push(facts);
            }
        }
        Ok(found)
    }

    /// A customer takes one seat more. `silent`: Stripe makes no event of it.
    pub(super) fn one_seat_more(&self, facts: &SubscriptionFacts, silent: bool) -> Result<Change> {
        let seats = facts.quantity + 1;
        let change = SubscriptionChange { quantity: Some(seats), silent, ..SubscriptionChange::default() };
        self.simulator()?.patch_subscription(&facts.id, change).map_err(|error| anyhow!(error))?;
        Ok(Change { id: facts.id.clone(), seats: i32::try_from(seats)? })
    }

    /// Those of the changes that the rows have followed, by id.
    pub(super) async fn followed(&self, changes: &[Change]) -> Result<Vec<String>> {
        let (ids, seats): (Vec<&str>, Vec<i32>) =
            changes.iter().map(|change| (change.id.as_str(), change.seats)).unzip();
        let sql = "select s.stripe_subscription_id from public.subscriptions s
                   join unnest($1::text[], $2::integer[]) changed (id, seats)
                     on changed.id = s.stripe_subscription_id and changed.seats = s.quantity";
        let rows = self.database.query(sql, &[&ids, &seats]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// How many subscriptions are to be read, now or later.
    pub(super) async fn noted(&self) -> Result<i64> {
        Ok(self.database.query_one("select count(*) from public.stripe_due", &[]).await?.get(0))
    }

    /// Other settings from now on. What the functions had still to do is left undone.
    pub(super) async fn configure(&self, changes: &[(&str, &str)]) -> Result<()> {
        let changes: Vec<_> = changes.iter().map(|(name, value)| (*name, Some(*value))).collect();
        self.stack.functions().configure(&changes).await;
        self.stack.functions().start_all().await
    }
}
