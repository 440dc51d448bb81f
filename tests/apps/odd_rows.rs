//! One odd row is one entry, and everybody else is served in the same run: rows that cannot be compared, and rows that the app's own
//! constraints, types, triggers and time limits do not let be written.

use reqwest::Method;
use serde_json::json;
use tokio_postgres::Client;

use support::Stack;
use support::disturb::{change_rows, number, rows, steady};
use support::shape::Shape;

use crate::{agreeing, entries, reason};

/// The status of a row is put wrong, so that a run has something to repair.
async fn put_wrong(database: &Client, id: &str) {
    let change = "update public.app_rows set status = 'past_due' where stripe_subscription_id";
    change_rows(database, &format!("{change} = '{id}'")).await;
}

async fn run(stack: &Stack, status: &str, updated: u64) {
    let answer = stack.run().await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!(status)), "{answer:?}");
    assert_eq!(number(&answer.body, "updated_count"), updated, "{answer:?}");
    assert_eq!(number(&answer.body, "error_count"), 0, "{answer:?}");
}

#[tokio::test]
async fn a_row_that_cannot_be_compared_is_an_entry_until_it_can() {
    let (stack, database) = agreeing(Shape::Vercel).await;
    let mut active = steady(&database, "active", 4).await;
    active.sort();
    let odd = "update public.app_rows set period_end = 'infinity' where stripe_subscription_id";
    change_rows(&database, &format!("{odd} = '{}'", active[0])).await;
    let odd = "update public.app_rows set status = null where stripe_subscription_id";
    change_rows(&database, &format!("{odd} = '{}'", active[1])).await;
    put_wrong(&database, &active[2]).await;
    run(&stack, "success", 1).await;
    assert_eq!(
        entries(&database).await,
        [
            ("malformed_row: none".to_owned(), active[0].clone()),
            ("malformed_row: none".to_owned(), active[1].clone()),
            ("status_mismatch: repaired".to_owned(), active[2].clone()),
        ]
    );
    assert_eq!(reason(&database, &active[0]).await, "The row cannot be compared: period_end is infinite.");
    assert_eq!(reason(&database, &active[1]).await, "The row cannot be compared: status is null.");

    let mended = "update public.app_rows set status = 'past_due', period_end = now() where status is null or period_end = 'infinity'";
    change_rows(&database, mended).await;
    run(&stack, "success", 2).await;
    assert!(entries(&database).await.iter().all(|(entry, _)| !entry.ends_with(": none")));
}

#[tokio::test]
async fn an_empty_stripe_id_and_a_word_of_the_apps_own_are_entries() {
    let (stack, database) = agreeing(Shape::BetterAuth).await;
    let active = steady(&database, "active", 3).await;
    database
        .batch_execute(
            "insert into public.subscription (id, plan, \"referenceId\", \"stripeSubscriptionId\") values ('row_odd', 'pro', 'usr_Ada', '')",
        )
        .await
        .expect("a row");
    let own = "update public.app_rows set status = 'lifetime' where stripe_subscription_id";
    change_rows(&database, &format!("{own} = '{}'", active[0])).await;
    put_wrong(&database, &active[1]).await;
    run(&stack, "success", 1).await;
    assert_eq!(
        entries(&database).await,
        [
            ("malformed_row: none".to_owned(), "malformed_row:row_odd".to_owned()),
            ("unknown_status: none".to_owned(), active[0].clone()),
            ("status_mismatch: repaired".to_owned(), active[1].clone()),
        ]
    );
    assert_eq!(rows(&database).await[&active[0]]["status"], "lifetime", "never overwritten");
}

/// Each way in which a table can refuse, at once, beside rows that are in order.
#[tokio::test]
async fn what_the_table_refuses_is_an_entry_that_names_what_refused() {
    let (stack, database) = agreeing(Shape::Vercel).await;
    let active = steady(&database, "active", 8).await;
    for id in &active {
        put_wrong(&database, id).await;
    }
    // A trigger of the app's raises for a row that is frozen.
    let frozen = "update public.subscriptions set metadata = '{\"frozen\": \"true\"}' where id";
    database.batch_execute(&format!("{frozen} = '{}'", active[0])).await.expect("frozen");
    // A price that the app has not heard of.
    stack
        .stripe(Method::PATCH, &format!("subscriptions/{}", active[1]), &json!({"price": "price_unheard_of"}))
        .await;
    // A constraint, a column that must not be null, an assertion, an error of the database's own, one that is no error class at all.
    let refuses = |id: &str, how: &str| format!("when '{id}' then {how}");
    let trigger = format!(
        "create function public.refuse() returns trigger language plpgsql as $$
         begin
           case new.id {} {} {} {} else null; end case;
           return new;
         end $$;
         create trigger refuse before update on public.subscriptions for each row execute function public.refuse();
         alter table public.subscriptions add constraint few_seats check (id <> '{}' or status <> 'active')",
        refuses(&active[2], "assert false, 'nobody may know';"),
        refuses(&active[3], "perform 1 / 0;"),
        refuses(&active[4], "raise sqlstate 'ZZ123' using message = 'a secret';"),
        refuses(&active[5], "new.user_id := null;"),
        active[6],
    );
    database.batch_execute(&trigger).await.expect("a trigger");

    run(&stack, "partial", 1).await;
    let expected = [
        "trigger subscriptions_guard refuses it (P0001)",
        "foreign key subscriptions_price_id_fkey refuses it (23503)",
        "trigger refuse refuses it (P0004)",
        "trigger refuse refuses it (22012)",
        "trigger refuse refuses it (ZZ123)",
        "column user_id must not be null (23502)",
        "check constraint few_seats refuses it (23514)",
    ];
    for (id, expected) in active.iter().zip(expected) {
        assert_eq!(reason(&database, id).await, expected);
        assert_eq!(rows(&database).await[id]["status"], "past_due");
    }
    assert_eq!(rows(&database).await[&active[7]]["status"], "active");
    let logs = stack.function_logs();
    assert!(!logs.contains("a secret") && !logs.contains("nobody may know"));
}

/// A row that takes longer than a statement may: the batch is halved until it is found.
#[tokio::test]
async fn a_row_that_hangs_holds_up_nobody_else() {
    let (stack, database) = agreeing(Shape::Seed).await;
    let active = steady(&database, "active", 4).await;
    for id in &active {
        put_wrong(&database, id).await;
    }
    let hang = format!(
        "create function public.hang() returns trigger language plpgsql as $$
         begin
           if new.stripe_subscription_id = '{}' then perform pg_sleep(60); end if;
           return new;
         end $$;
         create trigger hang before update on public.subscriptions for each row execute function public.hang();
         alter role service_role set statement_timeout = '1s'; notify pgrst, 'reload config'",
        active[1]
    );
    database.batch_execute(&hang).await.expect("a trigger");
    run(&stack, "partial", 3).await;
    assert_eq!(reason(&database, &active[1]).await, "the statement ran into its timeout (57014)");
    for id in [&active[0], &active[2], &active[3]] {
        assert_eq!(rows(&database).await[id]["status"], "active");
    }
}

/// The table changes its shape under a deployment: nothing is asked, nothing is written, and it says what is to be done.
#[tokio::test]
async fn a_table_that_changed_its_shape_is_not_written_until_it_is_adopted_again() {
    let (stack, database) = agreeing(Shape::Vercel).await;
    let active = steady(&database, "active", 1).await;
    put_wrong(&database, &active[0]).await;
    database
        .batch_execute("alter type public.subscription_status add value 'frozen'")
        .await
        .expect("a label");
    let before = rows(&database).await;
    let answer = stack.run().await;
    assert_eq!((answer.status, answer.code()), (503, "not_adopted"), "{answer:?}");
    assert_eq!(answer.body["status"], "error");
    let sentence = answer.body["error"].as_str().expect("a sentence");
    assert!(sentence.contains("status of public.subscriptions has other enum labels"), "{sentence}");
    assert!(sentence.ends_with("Run billing_ops.adopt."), "{sentence}");
    assert_eq!(rows(&database).await, before);
    database
        .batch_execute("select billing_ops.adopt(mapping) from billing_ops.adoption")
        .await
        .expect("adopted");
    run(&stack, "success", 1).await;
}
