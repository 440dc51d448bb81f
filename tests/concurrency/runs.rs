//! Hundreds of callers want a run at the same time: one gets it, all others get its id.

use std::collections::BTreeSet;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use support::disturb::{count, expire_lease, text, within_patience};
use support::{Answer, Stack};

/// What a caller was told who asked for a run under `asked`.
#[derive(Debug)]
struct Told {
    asked: String,
    outcome: String,
    run: String,
    key: String,
}

impl Told {
    /// By the SQL function.
    fn by_database(asked: &str, answer: &Value) -> Self {
        let run = &answer["run"];
        Self {
            asked: asked.to_owned(),
            outcome: text(answer, "outcome").to_owned(),
            run: text(run, "id").to_owned(),
            key: text(run, "run_key").to_owned(),
        }
    }

    /// By the endpoint.
    fn by_endpoint(key: Uuid, answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let outcome = text(&answer.body, "outcome").to_owned();
        assert_eq!(answer.body["duplicate"], outcome != "created" && outcome != "reclaimed", "{answer:?}");
        Self {
            asked: format!("request_{key}"),
            outcome,
            run: text(&answer.body, "reconciliation_log_id").to_owned(),
            key: text(&answer.body, "run_key").to_owned(),
        }
    }
}

/// All but the one whose run it is were told of that one run, and how it stands to the key that they asked for.
fn all_got_one_run(told: &[Told]) -> &str {
    let runs: BTreeSet<&str> = told.iter().map(|told| told.run.as_str()).collect();
    assert_eq!(runs.len(), 1, "more than one run was handed out: {runs:?}");
    for told in told.iter().filter(|told| told.outcome != "created" && told.outcome != "reclaimed") {
        let expected = if told.asked == told.key { "existing_running" } else { "busy" };
        assert_eq!(told.outcome, expected, "{told:?}");
    }
    &told[0].run
}

fn with_outcome<'a>(told: &'a [Told], outcome: &str) -> Vec<&'a Told> {
    told.iter().filter(|told| told.outcome == outcome).collect()
}

async fn running(database: &Client) -> i64 {
    count(database, "select count(*) from public.reconciliation_logs where status = 'running'").await
}

fn start_of(key: &str) -> Value {
    json!({"p_run_key": key, "p_run_type": "request", "p_lookback_hours": 24, "p_lease_seconds": 600})
}

/// `callers` calls at once through PostgREST, over `keys` keys.
async fn through_rest(stack: &Stack, callers: usize, keys: usize) -> Vec<Told> {
    let name = Uuid::new_v4();
    join_all((0..callers).map(|caller| async move {
        let key = format!("request_{name}_{}", caller % keys);
        let answer = stack.rpc("start_reconciliation_run", &start_of(&key)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Told::by_database(&key, &answer.body)
    }))
    .await
}

/// `callers` calls at once on connections of their own, over `keys` keys; as many as Postgres has connections for.
async fn directly(stack: &Stack, callers: usize, keys: usize) -> Vec<Told> {
    let name = Uuid::new_v4();
    let clients = join_all((0..40).map(|_| stack.database())).await;
    let clients = &clients;
    join_all((0..callers).map(|caller| async move {
        let key = format!("request_{name}_{}", caller % keys);
        let row = clients[caller % clients.len()]
            .query_one("select public.start_reconciliation_run($1, 'request', 24, 600)", &[&key])
            .await
            .expect("an outcome");
        Told::by_database(&key, &row.get(0))
    }))
    .await
}

/// Ends whatever runs, so that the next round begins with none.
async fn end(database: &Client) {
    database
        .execute(
            "update public.reconciliation_logs
             set status = 'success', finished_at = clock_timestamp(), lease_expires_at = null where status = 'running'",
            &[],
        )
        .await
        .expect("an update");
}

/// Promise 1: for one `run_key` at most one run is running; at most one run of any key is; every duplicate caller gets that
/// run's id. Asked of the database by hundreds of callers, directly and through PostgREST, over one key and over many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_one_running_run_per_key_and_one_in_all() {
    let stack = Stack::start();
    let database = stack.database().await;
    for (keys, rest) in [(1, false), (1, true), (30, false), (30, true)] {
        let told =
            if rest { through_rest(&stack, 300, keys).await } else { directly(&stack, 400, keys).await };
        all_got_one_run(&told);
        assert_eq!(with_outcome(&told, "created").len(), 1, "exactly one caller starts a run");
        assert_eq!(running(&database).await, 1);
        end(&database).await;
    }
    assert_eq!(count(&database, "select count(*) from public.reconciliation_logs").await, 4);
}

/// The same through the endpoint: the run is really under way while the others ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_holds_for_hundreds_of_http_callers() {
    let stack = Stack::start();
    let database = stack.database().await;
    for keys in [1, 25] {
        stack.hold_stripe("/v1/").await;
        let keys: Vec<Uuid> = (0..keys).map(|_| Uuid::new_v4()).collect();
        let callers = 200;
        let mut calls: FuturesUnordered<_> = (0..callers)
            .map(|caller| {
                let key = keys[caller % keys.len()];
                let call = stack.ask_for_run(key);
                async move { Told::by_endpoint(key, &call.send().await) }
            })
            .collect();
        // The one whose run it is gets no answer before Stripe does.
        let mut told: Vec<Told> =
            within_patience("all callers but one are answered", calls.by_ref().take(callers - 1).collect())
                .await;
        all_got_one_run(&told);
        assert!(with_outcome(&told, "created").is_empty(), "the run is still under way");
        assert_eq!(running(&database).await, 1);

        stack.heal_stripe().await;
        told.push(within_patience("the run ends", calls.next()).await.expect("one is left"));
        all_got_one_run(&told);
        assert_eq!(with_outcome(&told, "created").len(), 1);
        assert_eq!(running(&database).await, 0);
    }
    assert_eq!(
        count(&database, "select count(*) from public.reconciliation_logs").await,
        2,
        "one run a round"
    );
}

/// A run whose lease is over is reclaimed by exactly one of many who find it so, and its row ends as `stale_run`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_dead_run_is_reclaimed_exactly_once() {
    let stack = Stack::start();
    let database = stack.database().await;
    let dead = |id: String| {
        let database = &database;
        async move {
            let id = Uuid::parse_str(&id).expect("an id");
            let row = database
                .query_one("select status, error_code from public.reconciliation_logs where id = $1", &[&id])
                .await
                .expect("its row stays");
            assert_eq!((row.get::<_, &str>(0), row.get::<_, Option<&str>>(1)), ("error", Some("stale_run")));
        }
    };

    // By callers of the same key: the first attempt died, a second one begins.
    let first = through_rest(&stack, 1, 1).await.remove(0);
    for attempt in 2..5 {
        expire_lease(&database).await;
        let told: Vec<Told> = join_all((0..200).map(|_| async {
            let answer = stack.rpc("start_reconciliation_run", &start_of(&first.key)).await;
            if answer.body["outcome"] == "reclaimed" {
                assert_eq!(answer.body["run"]["attempt"], attempt);
            }
            Told::by_database(&first.key, &answer.body)
        }))
        .await;
        all_got_one_run(&told);
        assert_eq!(with_outcome(&told, "reclaimed").len(), 1, "exactly one caller takes it over");
        assert!(with_outcome(&told, "created").is_empty());
        assert_eq!(running(&database).await, 1);
    }
    dead(first.run).await;

    // By callers of other keys: one of these starts its own.
    let last: String = database
        .query_one("select id::text from public.reconciliation_logs where status = 'running'", &[])
        .await
        .expect("one runs")
        .get(0);
    expire_lease(&database).await;
    let told = directly(&stack, 300, 30).await;
    all_got_one_run(&told);
    assert_eq!(with_outcome(&told, "created").len(), 1);
    assert!(with_outcome(&told, "reclaimed").is_empty(), "it was another key's run");
    assert_eq!(running(&database).await, 1);
    dead(last).await;
}

/// The same through the endpoint: of a hundred callers that find a dead run of their key, one goes on with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_dead_run_is_reclaimed_exactly_once_over_http() {
    let stack = Stack::start();
    let database = stack.database().await;
    let key = Uuid::new_v4();
    let started = stack.rpc("start_reconciliation_run", &start_of(&format!("request_{key}"))).await;
    assert_eq!(started.body["outcome"], "created", "{started:?}");
    expire_lease(&database).await;

    stack.hold_stripe("/v1/").await;
    let callers = 100;
    let mut calls: FuturesUnordered<_> = (0..callers)
        .map(|_| {
            let call = stack.ask_for_run(key);
            async move { call.send().await }
        })
        .collect();
    let mut answers: Vec<Answer> =
        within_patience("all callers but one are answered", calls.by_ref().take(callers - 1).collect()).await;
    stack.heal_stripe().await;
    answers.push(within_patience("the run ends", calls.next()).await.expect("one is left"));
    let told: Vec<Told> = answers.iter().map(|answer| Told::by_endpoint(key, answer)).collect();
    let run = all_got_one_run(&told);
    assert_ne!(run, text(&started.body["run"], "id"), "the dead attempt is not handed out again");
    assert_eq!(with_outcome(&told, "reclaimed").len(), 1);
    assert!(answers.iter().all(|answer| answer.body["attempt"] == 2));
    assert_eq!(running(&database).await, 0);
}
