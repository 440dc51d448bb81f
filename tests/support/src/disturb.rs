//! Ways to disturb a stack, to wait for a state of it, and to look at what its database holds.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::paths::{MONITOR, RECONCILE};
use crate::{Answer, Request, Stack};

/// How long a condition may take to come true on a machine that is busy with other things. No test is about time: whoever
/// waits this long waits for something that does not happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until there is an answer.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, look).await
}

async fn eventually_within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "it never came true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for something that ends by itself.
pub async fn within_patience<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("it never ended: {what}"))
}

/// An address that no call came from before: callers are limited by theirs.
pub fn new_address() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let [_, a, b, c] = LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("10.{a}.{b}.{c}")
}

/// Sends a signal to a process, such as `KILL`.
pub fn signal(name: &str, process_id: u64) {
    let status = std::process::Command::new("kill").args(["-s", name, &process_id.to_string()]).status();
    assert!(status.expect("kill is there").success(), "process {process_id} is gone");
}

/// The number at `field`.
pub fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} is no number: {value}"))
}

/// The text at `field`.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no text: {value}"))
}

impl Stack {
    /// The call that asks for a run under this key, from an address of its own.
    pub fn ask_for_run(&self, key: Uuid) -> Request {
        self.post(&format!("{RECONCILE}?type=request"))
            .bearer(&self.at.reconcile_secret)
            .header("idempotency-key", &key.to_string())
            .client(&new_address())
    }

    /// A run under a key of its own.
    pub async fn run(&self) -> Answer {
        self.ask_for_run(Uuid::new_v4()).send().await
    }

    /// Runs until one has looked at everything, as cron would; answers that one. Each goes on where the one before stopped.
    pub async fn run_to_the_end(&self) -> Answer {
        for _ in 0..20 {
            let answer = self.run().await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.body["outcome"], "created", "{answer:?}");
            if answer.body["status"] == "success" {
                return answer;
            }
        }
        panic!("twenty runs did not look at everything");
    }

    /// A monitor pass from an address of its own.
    pub async fn check(&self) -> Answer {
        self.post(MONITOR).bearer(&self.at.monitor_secret).client(&new_address()).send().await
    }

    /// Calls a SQL function through PostgREST as the service role.
    pub async fn rpc(&self, function: &str, parameters: &Value) -> Answer {
        self.rest(Method::POST, &format!("rpc/{function}"), parameters).await
    }

    /// Calls PostgREST as the service role.
    pub async fn rest(&self, method: Method, path: &str, body: &Value) -> Answer {
        let mut request = self
            .http
            .request(method, format!("{}/{path}", self.at.rest_url))
            .header("apikey", &self.at.secret_key)
            .header("user-agent", "billing-ops-tests")
            .json(body);
        if path.contains("on_conflict") {
            request = request.header("prefer", "resolution=merge-duplicates");
        }
        let response = request.send().await.expect("PostgREST answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("a body");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status, headers, body, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// Adds a fault of the Stripe simulator.
    pub async fn disturb_stripe(&self, fault: &Value) {
        self.stripe(Method::POST, "faults", fault).await;
    }

    /// Holds every run at its next request to Stripe whose path begins so, until [`Stack::heal_stripe`]: a refusal for rate
    /// is waited out. It names one object, so that the rate for others stays as it was.
    pub async fn hold_stripe(&self, path: &str) {
        let kind = json!({"status": {"status": 429, "reason": "resource-specific"}});
        self.disturb_stripe(&json!({"kind": kind, "path": path, "count": null})).await;
    }

    /// Waits until a run has met what [`Stack::hold_stripe`] put in its way.
    pub async fn held(&self) {
        let before = number(&self.stripe_stats().await, "rate_limited");
        eventually("a run is held at Stripe", async || {
            (number(&self.stripe_stats().await, "rate_limited") > before).then_some(())
        })
        .await;
    }

    /// Stripe works again.
    pub async fn heal_stripe(&self) {
        self.stripe(Method::DELETE, "faults", &Value::Null).await;
        self.stripe(Method::PUT, "missing_permissions", &json!([])).await;
    }

    /// What was asked of Stripe.
    pub async fn stripe_stats(&self) -> Value {
        self.stripe(Method::GET, "stats", &Value::Null).await
    }

    /// Sets the fault of PostgREST; `{}` for none.
    pub async fn disturb_rest(&self, fault: &Value) {
        self.gateway(Method::PUT, "faults", fault).await;
    }

    /// Waits until PostgREST answers again, now that Postgres is back: a genuine one tries anew after half a minute at worst,
    /// its stand-in at once.
    pub async fn rest_is_back(&self) {
        let recovery = Duration::from_secs(self.at.recovery_seconds);
        eventually_within(PATIENCE + recovery, "PostgREST answers again", async || {
            let answer = self.rpc("billing_ops_schema", &json!({"p_client": "a test that waits"})).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// How often a SQL function was called through PostgREST.
    pub async fn calls_of(&self, function: &str) -> u64 {
        let all = self.gateway(Method::GET, "requests", &Value::Null).await;
        all["requests"][format!("POST /rest/v1/rpc/{function}")].as_u64().unwrap_or(0)
    }

    /// The process id of a function, if it runs.
    pub async fn process_of(&self, binary: &str) -> Option<u64> {
        let list = self.get("/_devstack/functions").send().await.body;
        let functions = list["functions"].as_array().expect("a list");
        let function = functions.iter().find(|function| function["binary"] == binary).expect("it is there");
        function["pid"].as_u64()
    }

    /// Sends a signal to the process of a function, and waits until it has ended.
    pub async fn end(&self, binary: &str, name: &str) {
        let process_id = self.process_of(binary).await.expect("it runs");
        signal(name, process_id);
        eventually("the process has ended", async || {
            (self.process_of(binary).await != Some(process_id)).then_some(())
        })
        .await;
    }

    /// The open alerts by key: severity and occurrences.
    pub async fn open_alert(&self, database: &Client, key: &str) -> Option<(String, i32)> {
        let row = database
            .query_opt(
                "select severity, occurrences from public.billing_alerts where alert_key = $1 and not resolved",
                &[&key],
            )
            .await
            .expect("one row at most");
        row.map(|row| (row.get(0), row.get(1)))
    }
}

/// What a query answers as one JSON value.
pub async fn json_of(database: &Client, query: &str) -> Value {
    database.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

/// What a query counts.
pub async fn count(database: &Client, query: &str) -> i64 {
    database.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

/// The leases of all running runs are over, as if the time had gone by.
pub async fn expire_lease(database: &Client) {
    database
        .execute(
            "update public.reconciliation_logs set lease_expires_at = clock_timestamp() - interval '1 second'
             where status = 'running'",
            &[],
        )
        .await
        .expect("an update");
}

/// Makes the view `app_rows` where it is missing: the adopted table under the words of its mapping, so that a test can change rows
/// whatever the app calls its columns.
pub async fn app_rows(database: &Client) {
    database
        .batch_execute(
            "do $do$
             begin
               perform pg_advisory_xact_lock(1);
               if to_regclass('public.app_rows') is null then
                 execute (
                   select format('create view public.app_rows as select %s from %s',
                     string_agg(format('%I as %I', m.attribute, m.word), ', ' order by m.word), a.mapping ->> 'table')
                   from billing_ops.adoption a
                   cross join lateral billing_ops.mapped_columns(a.mapping) m
                   where m.word = any (array['key', 'owner', 'stripe_subscription_id'] || billing_ops.mapping_fields())
                   group by a.mapping ->> 'table');
               end if;
             end $do$",
        )
        .await
        .expect("a view");
}

/// Deletes the rows that a fixture brings along, and of which Stripe has never heard.
pub async fn forget_strangers(database: &Client) {
    let strangers = "delete from public.app_rows where coalesce(length(stripe_subscription_id), 0) < 10";
    change_rows(database, strangers).await;
}

/// What the rows say about subscriptions, by Stripe's id; without what tells when they were written.
pub async fn rows(database: &Client) -> Value {
    app_rows(database).await;
    json_of(
        database,
        "select coalesce(jsonb_object_agg(s.stripe_subscription_id, to_jsonb(s) - 'key'), '{}')
         from public.app_rows s where s.stripe_subscription_id is not null",
    )
    .await
}

/// Everything that a run or a monitor pass could write.
pub async fn everything(database: &Client) -> Value {
    app_rows(database).await;
    json_of(
        database,
        "select jsonb_build_object(
           'runs', (select jsonb_agg(to_jsonb(r) order by r.id) from public.reconciliation_logs r),
           'findings', (select jsonb_agg(to_jsonb(f) order by f.id) from public.drift f),
           'alerts', (select jsonb_agg(to_jsonb(a) order by a.id) from public.billing_alerts a),
           'events', (select jsonb_agg(to_jsonb(e) order by e.id) from public.billing_alert_events e),
           'marks', (select jsonb_agg(to_jsonb(m) order by m.stripe_subscription_id) from billing_ops.subscription_marks m),
           'subscriptions', (select jsonb_agg(to_jsonb(s) order by s.key) from public.app_rows s))",
    )
    .await
}

/// Stripe ids of so many rows with this status, the last in order first, which Stripe cannot be said to have changed within the last
/// hour: a run leaves what it has changed just now to webhooks.
pub async fn steady(database: &Client, status: &str, many: usize) -> Vec<String> {
    app_rows(database).await;
    let rows = database
        .query(
            "select stripe_subscription_id from public.app_rows s
             where status::text = $1 and not exists (
               select 1 from unnest(array[s.period_start, s.period_end, s.trial_end]) moment
               where moment between now() - interval '1 hour' and now() + interval '1 hour')
             order by stripe_subscription_id desc",
            &[&status],
        )
        .await
        .expect("rows");
    assert!(rows.len() >= many, "there are {} that are {status}", rows.len());
    rows.iter().take(many).map(|row| row.get(0)).collect()
}

/// How many rows [`drift`] changes.
pub const DRIFTED: u64 = 12;
/// How many rows it deletes, where a run can make them again.
pub const DELETED: u64 = 3;
/// How many of the changed ones grant more than Stripe says: their repair lowers access.
pub const LOWERING: u64 = 4;

/// Changes rows in one transaction, before a run begins.
pub async fn change_rows(database: &Client, change: &str) {
    app_rows(database).await;
    let sql = format!("begin; {change}; commit");
    database.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{change}: {error:?}"));
}

/// From now on notes each write of a row of the adopted table; [`writes_seen`] counts them.
pub async fn watch_writes(database: &Client) {
    database
        .batch_execute(
            "create table public.writes_seen (key text);
             create function public.see_write() returns trigger language plpgsql security definer set search_path = '' as $$
             begin
               insert into public.writes_seen values (new.id::text);
               return null;
             end $$;
             do $do$
             begin
               execute (
                 select format('create trigger see_write after insert or update on %s for each row execute function public.see_write()',
                   a.mapping ->> 'table')
                 from billing_ops.adoption a);
             end $do$",
        )
        .await
        .expect("a trigger");
}

/// How often rows were written since [`watch_writes`].
pub async fn writes_seen(database: &Client) -> i64 {
    count(database, "select count(*) from public.writes_seen").await
}

/// Puts the database apart from Stripe: four rows that lack access, four with an earlier end of the period, four that have
/// access although Stripe has ended them, three that are gone. Leaves alone what Stripe may be said to have changed within
/// the last hour, since a run leaves that to webhooks.
pub async fn drift(database: &Client) {
    let change = "create temporary table steady on commit drop as
         select s.key, s.status, row_number() over (partition by s.status order by s.stripe_subscription_id) as place
         from public.app_rows s
         where s.stripe_subscription_id is not null and not exists (
           select 1 from unnest(array[s.period_start, s.period_end, s.trial_end]) moment
           where moment between now() - interval '1 hour' and now() + interval '1 hour');
         update public.app_rows s set status = 'canceled'
         from steady where steady.key = s.key and steady.status = 'active' and steady.place between 1 and 4;
         update public.app_rows s set period_end = s.period_end - interval '1 day'
         from steady where steady.key = s.key and steady.status = 'active' and steady.place between 5 and 8;
         update public.app_rows s set status = 'active'
         from steady where steady.key = s.key and steady.status = 'canceled' and steady.place between 1 and 4;
         delete from public.app_rows s
         using steady where steady.key = s.key and steady.status = 'active' and steady.place between 9 and 11
           and (select mapping ->> 'writes' from billing_ops.adoption) = 'update_and_insert'";
    change_rows(database, change).await;
}

/// How many rows [`drift`] deletes: those that a run could not make again it leaves.
pub async fn deleted(database: &Client) -> u64 {
    let inserts =
        "select count(*) from billing_ops.adoption where mapping ->> 'writes' = 'update_and_insert'";
    DELETED * u64::try_from(count(database, inserts).await).expect("one or none")
}
