//! A stack beside an app: its SQL comes first, its table is adopted and filled, and the admin is known all the same.

use std::io::Read as _;
use std::process::{Command, Stdio};

use devstack::postgres::Migrations;
use devstack::stack::{Options, Stack, Stripe};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// How many subscriptions Stripe has.
const SUBSCRIPTIONS: u32 = 40;

fn fixture(name: &str) -> std::path::PathBuf {
    devstack::repository().join(format!("supabase/fixtures/{name}.sql"))
}

fn beside(name: &str) -> Options {
    let options = Options::for_tests().expect("options");
    let simulator =
        stripe_simulator::Config { subscriptions: SUBSCRIPTIONS, ..stripe_simulator::Config::default() };
    Options {
        migrations: Migrations::of(Some(&fixture(name))).expect("the fixture is there"),
        stripe: Stripe::Simulator(simulator),
        external: None,
        fill: true,
        ..options
    }
}

async fn state(stack: &Stack) -> Value {
    let database = stack.database().await.expect("Postgres answers");
    database.query_one("select billing_ops.adapter_state()", &[]).await.expect("a state").get(0)
}

#[tokio::test]
async fn an_apps_table_is_found_adopted_and_filled() {
    for (name, table, id) in [
        ("vercel", "public.subscriptions", "id"),
        ("basejump", "basejump.billing_subscriptions", "id"),
        ("better_auth", "public.subscription", "\"stripeSubscriptionId\""),
    ] {
        let stack = Stack::start(beside(name)).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_eq!(state(&stack).await["table"], table, "{name}");
        let database = stack.database().await.expect("Postgres answers");
        let ids: Vec<String> =
            stack.simulator().expect("one").generator().all().map(|facts| facts.id).collect();
        let query = format!("select count(*) from {table} where {id} = any ($1)");
        let rows: i64 = database.query_one(&query, &[&ids]).await.expect("a count").get(0);
        assert_eq!(rows, i64::from(SUBSCRIPTIONS), "{name}");
        let admins = database.query("select user_id from billing_ops.admins", &[]).await.expect("a list");
        let admins: Vec<uuid::Uuid> = admins.iter().map(|row| row.get(0)).collect();
        assert_eq!(admins, [stack.people().expect("people").admin.id], "{name}");
        stack.stop().await;
    }
}

#[tokio::test]
async fn a_mapping_is_adopted_as_it_was_given() {
    let mapping = json!({
        "table": "app.contracts", "key": "contract_id", "stripe_subscription_id": "stripe_sub",
        "owner": {"column": "tenant_id"}, "status": "state", "tier": "plan",
        "on_insert": {"note": "new"}, "writes": "update_and_insert",
    });
    let options = Options { adopt: Some(mapping.clone()), fill: false, ..beside("bigint_enum") };
    let stack = Stack::start(options).await.expect("it starts");
    let found = state(&stack).await;
    assert_eq!(
        (&found["table"], &found["writes"]),
        (&json!("app.contracts"), &json!("update_and_insert")),
        "{found}"
    );
    stack.stop().await;

    let misfit = Options { adopt: Some(mapping), fill: false, ..beside("saas_starter") };
    let refusal = format!("{:#}", Stack::start(misfit).await.expect_err("it is refused"));
    assert!(refusal.contains("the mapping cannot be adopted: There is no table app.contracts"), "{refusal}");

    // And without an app, on the tables that billing-ops brings.
    let mapping = json!({
        "table": "public.subscriptions", "key": "id", "stripe_subscription_id": "stripe_subscription_id",
        "owner": {"column": "organization_id"}, "status": "status", "writes": "none",
    });
    let options = Options { adopt: Some(mapping), migrations: Migrations::Repository, ..beside("vercel") };
    let stack = Stack::start(options).await.expect("it starts");
    let found = state(&stack).await;
    assert_eq!((&found["writes"], &found["has"]), (&json!("none"), &json!(["status"])), "{found}");
    let people = stack.people().expect("people");
    assert!(people.admin.organization.is_some(), "the admin belongs to an organization");
    stack.stop().await;
}

#[test]
fn where_no_table_is_known_the_stack_comes_up_and_says_what_is_to_be_done() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devstack"));
    for name in devstack::settings::names() {
        command.env_remove(name);
    }
    let mut process = command
        .env_remove("DATABASE_URL")
        .args(["up", "--port", "0", "--no-build", "--app-schema"])
        .arg(fixture("bigint_enum"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let output = process.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("a line");
    assert!(line.contains("\"base_url\""), "it came up: {line}");
    let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::TERM).expect("signalled");
    assert!(process.wait().expect("it ends").success());
    let mut said = String::new();
    process.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(
        said.trim_end(),
        "devstack: nothing is adopted: no table has a shape that is known here; write a mapping and pass it with --adopt FILE"
    );
}
