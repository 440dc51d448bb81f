//! A year of one company, hour by hour: what happens, what the app hears of it, a run, and how everybody stands before and after.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use billing_ops::reconcile::Status;
use stripe_simulator::{Config as SimulatorConfig, Simulator};
use support::disturb::expire_lease;
use tokio_postgres::Client;

use crate::app::{App, Row};
use crate::company::{Company, Deed, HOUR, Happening, MINUTE, START, moment};
use crate::ledger::{Cause, Fault, GRACE, Ledger, Look};
use crate::oracle::{Wrong, judge, truth};
use crate::runs::{LIVE_KEY, Ran, Runs, TEST_KEY, Weather, Weathers};
use crate::table::Shape;

/// When in the hour the run comes, as the cron of vercel.json has it.
const RUN_AT: i64 = 17 * MINUTE;
/// While nothing happens, a run comes only every so many hours: it would find what the one before has found.
const QUIET_HOURS: i64 = 6;
/// So many of billing-ops' doings are told in full; the rest would be the same again.
const TOLD: usize = 4;

/// What came of a year.
pub struct Year {
    pub shape: Shape,
    pub seed: u64,
    pub believes_events: bool,
    pub ledger: Ledger,
    pub owners: usize,
    pub subscriptions: usize,
    pub by_status: BTreeMap<String, u64>,
    pub written: u64,
    /// Passes over what was due.
    pub passes: u32,
    pub runs: u32,
    pub in_runs: Duration,
    pub took: Duration,
    /// What billing-ops did, in full.
    pub told: Vec<String>,
}

/// Plays so many hours from the beginning of the year. `follows`: billing-ops is told of events, too.
pub async fn play(shape: Shape, seed: u64, hours: i64, follows: bool) -> Year {
    let began = Instant::now();
    let stack = shape.setup().start();
    let simulator = Simulator::start(SimulatorConfig {
        seed,
        api_keys: vec![LIVE_KEY.to_owned(), TEST_KEY.to_owned()],
        livemode: true,
        now: Some(START),
        ..SimulatorConfig::default()
    })
    .expect("a free port");
    // Every third company has an app that believes what events carry.
    let believes_events = seed.is_multiple_of(3);
    let app = App::new(shape, believes_events, stack.database().await, stack.database().await).await;
    let mut game = Game {
        company: Company::new(seed, &simulator, shape.named(), follows),
        runs: Runs::new(&stack, &simulator, seed.is_multiple_of(2), stack.database().await),
        app,
        sweep: None,
        untainted: None,
        quiet_since: None,
        rows: Vec::new(),
        shadow: Vec::new(),
        latest: Vec::new(),
        year: Year {
            shape,
            seed,
            believes_events,
            ledger: Ledger::default(),
            owners: 0,
            subscriptions: 0,
            by_status: BTreeMap::new(),
            written: 0,
            passes: 0,
            runs: 0,
            in_runs: Duration::ZERO,
            took: Duration::ZERO,
            told: Vec::new(),
        },
    };
    let mut weather = Weathers::new(seed);
    for hour in 0..hours {
        game.hour(START + hour * HOUR + RUN_AT, weather.next()).await;
    }
    let mut year = game.year;
    (year.owners, year.subscriptions) = (game.company.owners.len(), game.company.subscriptions.len());
    year.took = began.elapsed();
    year
}

struct Game<'a> {
    company: Company<'a>,
    app: App,
    runs: Runs<'a>,
    /// When the last sweep began that looked at everything with the right key.
    sweep: Option<i64>,
    /// When the sweep that is under way began, if each of its runs had the right key.
    untainted: Option<i64>,
    /// When the latest run looked at everything, left nothing to do, and nothing has happened since.
    quiet_since: Option<i64>,
    /// The rows of the app's table and of the shadow, as they were last read.
    rows: Vec<Row>,
    shadow: Vec<Row>,
    /// The latest runs, in a line each.
    latest: Vec<String>,
    year: Year,
}

impl Game<'_> {
    async fn hour(&mut self, at: i64, weather: Weather) {
        while let Some(deed) = self.company.next(at) {
            self.quiet_since = None;
            match deed {
                Deed::Joins(owner) => self.app.joins(&self.company.owners[owner]).await,
                Deed::Leaves(owner) => self.app.leaves(&self.company.owners[owner]).await,
                Deed::Hears(delivery) => {
                    let company = &mut self.company;
                    if company.app_is_down || !self.app.hears(company, delivery.at, &delivery).await {
                        company.simulator.refuse(&delivery);
                    }
                }
                Deed::Notes(delivery) => {
                    if let Some(wait) = self.runs.note(delivery.at, &delivery.body).await {
                        self.company.plan(delivery.at + wait + 1, Happening::Pass);
                    }
                }
                Deed::Passes(at) => self.pass(at).await,
            }
        }
        self.company.set_clock(at);
        let quiet = self.quiet_since.filter(|since| self.company.changed_at < since - GRACE);
        if quiet.is_none() {
            (self.rows, self.shadow) = (self.app.rows().await, self.app.shadow_rows().await);
        }
        // Whoever waits for a person has waited for an hour.
        let waiting = self.year.ledger.waiting();
        self.look_before(at).await;
        for owner in waiting {
            self.app.put_right(&self.company, owner).await;
            self.rows = self.app.rows().await;
        }
        let idle = quiet.is_some_and(|since| weather == Weather::Fine && at < since + QUIET_HOURS * HOUR);
        if idle || weather == Weather::NoRun {
            return;
        }
        if let Weather::Busy(request) = weather {
            self.company.changes_in_a_run(at, request);
        }
        let ran = self.runs.run(at, weather).await;
        self.company.run_is_over();
        if ran.died {
            // Its lease is over long before the next run comes, by a clock that nobody here can set.
            expire_lease(self.app.database()).await;
        }
        self.note(at, weather, &ran);
        let before = std::mem::replace(&mut self.rows, self.app.rows().await);
        let sweep = self.sweep.filter(|_| ran.complete() && self.untainted.is_some());
        for owner in 0..self.company.owners.len() {
            if !self.company.owners[owner].gone {
                self.look_after(owner, at, &before, sweep).await;
            }
        }
        let nothing_left = ran.ending.status == Status::Success && ran.ending.counts.skipped_count == 0;
        let settled = nothing_left && before == self.rows && self.sweep == Some(at);
        self.quiet_since = (settled && self.year.ledger.nobody_is_wronged()).then_some(at);
    }

    /// A pass over what is due. Whoever was right is right after it.
    async fn pass(&mut self, at: i64) {
        let before = self.app.rows().await;
        let Some(ran) = self.runs.pass(at).await else { return };
        let ending = &ran.ending;
        self.latest.push(format!("{}  a pass: {}, {}", moment(at), ending.status, ending.message));
        self.year.passes += 1;
        self.year.written += ending.counts.created_count + ending.counts.updated_count;
        self.rows = self.app.rows().await;
        for owner in 0..self.company.owners.len() {
            if !self.company.owners[owner].gone && self.look(owner, at, &before).wrong.is_none() {
                self.look_after(owner, at, &before, None).await;
            }
        }
    }

    async fn look_before(&mut self, at: i64) {
        for owner in 0..self.company.owners.len() {
            if self.company.owners[owner].gone {
                continue;
            }
            let (look, alone) = (self.look(owner, at, &self.rows), self.look(owner, at, &self.shadow).wrong);
            let of = &self.company.owners[owner];
            let seen = self.sweep.map_or(i64::MIN, |began| began - GRACE);
            let untold = !of.is_told_since(seen);
            if let Some(fault) = self.year.ledger.before(&look, alone, untold) {
                let shadow = self.shadow.clone();
                self.tell(&look, fault, "the shadow's", &shadow).await;
            }
        }
    }

    /// `before`: the rows before the run; `sweep`: when the sweep began that it has ended.
    async fn look_after(&mut self, owner: usize, at: i64, before: &[Row], sweep: Option<i64>) {
        let look = self.look(owner, at, &self.rows);
        let entry = match look.wrong {
            Some(wrong) => self.entry(owner, wrong).await,
            None => None,
        };
        let changed_at = self.company.owners[owner].changed_at;
        if let Some(fault) = self.year.ledger.after(&look, changed_at, sweep, entry) {
            self.tell(&look, fault, "before the run, the app's", before).await;
        }
    }

    /// Remembers a run, and how far the sweep is.
    fn note(&mut self, at: i64, weather: Weather, ran: &Ran) {
        let (ending, year) = (&ran.ending, &mut self.year);
        let status = if ran.died { "died".to_owned() } else { ending.status.to_string() };
        self.latest.push(format!("{}  {weather:?}: {status}, {}", moment(at), ending.message));
        *year.by_status.entry(status).or_default() += 1;
        year.written += ending.counts.created_count + ending.counts.updated_count;
        year.runs += 1;
        year.in_runs += ran.took;
        self.latest.drain(..self.latest.len().saturating_sub(4));
        let right_key = !matches!(weather, Weather::TestKey | Weather::OtherAccount { .. });
        self.untainted = match (ran.resumed, self.untainted) {
            _ if !right_key => None,
            (true, began) => began,
            (false, _) => Some(at),
        };
        if ran.complete()
            && let Some(began) = self.untainted
        {
            self.sweep = Some(began);
        }
    }

    fn look(&self, owner: usize, at: i64, rows: &[Row]) -> Look {
        let id = &self.company.owners[owner].id;
        let wrong = judge(truth(&self.company, owner), rows.iter().filter(|row| row.owner == *id));
        Look { owner, at, wrong }
    }

    /// Whether an open entry leaves it to a person. What the table refuses does not: nobody can approve that.
    async fn entry(&self, owner: usize, wrong: Wrong) -> Option<Cause> {
        let entries = entries(self.app.database(), &self.company, owner, true).await;
        let of = |(class, action, _): &(String, String, String)| match (class.as_str(), action.as_str()) {
            (_, "held") => Some(Cause::Held),
            ("ambiguous_items", _) if matches!(wrong, Wrong::LockedOut | Wrong::LetIn) => None,
            (
                "ambiguous_items"
                | "organization_unknown"
                | "organization_mismatch"
                | "replaced_subscription",
                _,
            )
            | (_, "waiting") => Some(Cause::Told(class.clone())),
            _ => None,
        };
        entries.iter().filter_map(of).min()
    }

    /// Tells what billing-ops did, so that a person can understand it.
    async fn tell(&mut self, look: &Look, fault: Fault, other: &str, others: &[Row]) {
        if self.year.told.len() >= TOLD {
            return;
        }
        let owner = &self.company.owners[look.owner];
        let wrong = look.wrong.map_or("", |wrong| wrong.words());
        let mut told = format!(
            "{} seed {} at {} (hour {}): {fault:?}, owner {} {wrong}: {:?}\n  history:",
            self.year.shape.name(),
            self.year.seed,
            moment(look.at),
            (look.at - START) / HOUR,
            owner.id,
            truth(&self.company, look.owner),
        );
        for line in owner.history.iter().rev().take(24).rev() {
            let _ = write!(told, "\n    {line}");
        }
        for (place, about, at) in &owner.untold {
            let id = &self.company.subscriptions[*place].id;
            let _ = write!(told, "\n    never told of {id} {about:?} of {}", moment(*at));
        }
        for (place, has) in self.company.of(look.owner).filter(|(_, has)| !has.ended()) {
            let _ =
                write!(told, "\n    now {} {} {} x{} ({place})", has.id, has.status, has.tier(), has.seats);
        }
        for (of, rows) in [("the app's", self.rows.as_slice()), (other, others)] {
            for row in rows.iter().filter(|row| row.owner == owner.id) {
                let _ = write!(told, "\n  {of} row: {row:?}");
            }
        }
        let entries = entries(self.app.database(), &self.company, look.owner, false).await;
        for (class, action, line) in entries {
            let _ = write!(told, "\n  drift {class} {action}: {line}");
        }
        let _ = write!(told, "\n  the latest runs:\n    {}", self.latest.join("\n    "));
        self.year.told.push(told);
    }
}

/// Class, action and the rest of an owner's entries, the newest first.
async fn entries(
    database: &Client,
    company: &Company<'_>,
    owner: usize,
    open: bool,
) -> Vec<(String, String, String)> {
    let ids: Vec<&str> = company.of(owner).map(|(_, subscription)| subscription.id.as_str()).collect();
    let rows = database
        .query(
            "select type, action, concat_ws(' ', stripe_subscription_id, issue, reason, case when closed_at is null then '(open)' end)
             from public.drift where (owner = $1 or stripe_subscription_id = any($2)) and (closed_at is null or not $3)
             order by last_seen_at desc limit 8",
            &[&company.owners[owner].id, &ids, &open],
        )
        .await
        .expect("entries");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}
