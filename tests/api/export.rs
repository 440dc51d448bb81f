//! The export: everything of a span, by pages that meet, in a form that spreadsheets and programs can take.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tokio_postgres::Client;

use support::disturb::new_address;
use support::paths::EXPORT;
use support::{Answer, Stack};

/// A page, asked for from an address that nobody was before: rate limits have their own tests.
async fn page(stack: &Stack, query: &str) -> Answer {
    let call = stack.get(&format!("{EXPORT}?{query}")).bearer(&stack.at.admin_token);
    let answer = call.client(&new_address()).send().await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    answer
}

/// All pages of an export, each the one that the page before names. `between` is done after each.
async fn walk(stack: &Stack, query: &str, mut between: impl AsyncFnMut(usize)) -> Vec<Answer> {
    let mut pages = vec![page(stack, query).await];
    while let Some(link) = pages.last().and_then(|last| last.header("link")) {
        let (address, relation) =
            link.strip_prefix('<').and_then(|rest| rest.split_once(">; ")).expect("a link");
        assert_eq!(relation, r#"rel="next""#);
        let next = address.strip_prefix(&format!("{EXPORT}?")).expect("a link to the same").to_owned();
        let cursor = pages.last().and_then(|last| last.header("x-next-cursor")).expect("a cursor beside it");
        assert!(next.ends_with(&format!("&cursor={cursor}")), "{next}");
        between(pages.len()).await;
        pages.push(page(stack, &next).await);
        assert!(pages.len() < 100, "no end");
    }
    assert_eq!(pages.last().and_then(|last| last.header("x-next-cursor")), None);
    pages
}

/// The rows of pages of NDJSON.
fn rows(pages: &[Answer]) -> Vec<Value> {
    let lines = pages.iter().flat_map(|page| page.text.lines());
    lines.map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn texts<'a>(rows: &'a [Value], field: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[field].as_str().unwrap_or_default()).collect()
}

/// Entries from `first` to `last`, three a second from the first of January on, each with an event and a run of its own.
async fn write(database: &Client, first: i32, last: i32) {
    for statement in [
        "insert into public.reconciliation_logs (run_key, run_type, status, started_at, finished_at)
         select 'export_' || n, 'request', 'success', timestamptz '2026-01-01Z' + make_interval(secs => n / 3), now()
         from generate_series($1::integer, $2) n",
        "insert into public.drift (drift_key, type, severity, owner, stripe_subscription_id, issue, action, first_seen_at, last_seen_at,
           first_run_id, last_run_id)
         select 'key_' || n, 'status_mismatch', 'info', case when n = 7 then '=HYPERLINK(\"http://evil.example\")' end, 'sub_' || n,
           'A difference, \"' || n || '\".', 'observed', timestamptz '2026-01-01Z' + make_interval(secs => n / 3), now(),
           gen_random_uuid(), gen_random_uuid()
         from generate_series($1::integer, $2) n",
        "insert into public.drift_events (drift_id, event, note, created_at)
         select d.id, 'observed', '@' || n, d.first_seen_at
         from generate_series($1::integer, $2) n join public.drift d on d.drift_key = 'key_' || n",
    ] {
        database.execute(statement, &[&first, &last]).await.expect("it is written");
    }
}

#[tokio::test]
async fn pages_meet_without_gap_or_double_while_rows_are_added() {
    let stack = Stack::start();
    let database = stack.database().await;
    write(&database, 1, 50).await;
    for (what, key) in [("drift", "drift_key"), ("history", "drift_key"), ("runs", "run_key")] {
        let query =
            format!("what={what}&format=ndjson&limit=7&from=2025-12-01T00:00:00Z&to=2026-02-01T00:00:00Z");
        let before = rows(&walk(&stack, &query, async |_| {}).await);
        // After each page, one more row at the end of the span, and one at the beginning, which the walk has behind it.
        let number = match what {
            "drift" => 1000,
            "history" => 2000,
            _ => 3000,
        };
        let pages = walk(&stack, &query, async |page| {
            let page = i32::try_from(page).expect("few");
            write(&database, number + page, number + page).await;
            write(&database, -number - page, -number - page).await;
        })
        .await;
        let found = rows(&pages);
        let keys = texts(&found, key);
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{what}: none comes twice");
        for known in texts(&before, key) {
            assert!(keys.contains(&known), "{what}: {known} is missing");
        }
        assert_eq!(keys[..before.len()], texts(&before, key)[..], "{what}: in the same order");
        assert!(keys.len() > before.len(), "{what}: what was added at the end comes, too");
        assert_eq!(pages[0].header("x-total-count"), Some(before.len().to_string().as_str()));
        assert!(pages[1..].iter().all(|page| page.header("x-total-count").is_none()));
        let times = match what {
            "drift" => texts(&found, "first_seen_at"),
            "history" => texts(&found, "created_at"),
            _ => texts(&found, "started_at"),
        };
        assert!(times.is_sorted(), "{what}: oldest first");
    }
}

#[tokio::test]
async fn a_csv_is_one_table_and_harmless_in_a_spreadsheet() {
    let stack = Stack::start();
    write(&stack.database().await, 1, 20).await;
    for what in ["drift", "history", "runs"] {
        let pages = walk(&stack, &format!("what={what}&limit=8&to=2026-02-01T00:00:00Z"), async |_| {}).await;
        assert_eq!(pages.len(), 3, "{what}");
        assert_eq!(pages[0].header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        assert_eq!(pages[1].header("content-type"), Some("text/csv; charset=utf-8; header=absent"));
        let name = format!("attachment; filename=\"billing-ops_{what}_to_2026-02-01.csv\"");
        assert_eq!(pages[0].header("content-disposition"), Some(name.as_str()));
        assert_eq!(pages[1].header("content-disposition"), None);
        let text: String = pages.iter().map(|page| page.text.as_str()).collect();
        assert!(text.ends_with("\r\n"));
        let lines: Vec<&str> = text.trim_end().split("\r\n").collect();
        assert_eq!(lines.len(), 21, "{what}: a head line and a line for each row: {text}");
        assert!(lines[0].ends_with(",id"), "{}", lines[0]);
        assert!(lines[1..].iter().all(|line| *line != lines[0]), "{what}: the head line comes once");
    }
    let drift = page(&stack, "what=drift&to=2026-02-01T00:00:00Z").await.text;
    assert!(drift.contains(r#""'=HYPERLINK(""http://evil.example"")""#), "{drift}");
    assert!(drift.contains(r#""A difference, ""7"".""#), "{drift}");
    let history = page(&stack, "what=history&to=2026-02-01T00:00:00Z").await.text;
    assert!(history.contains(",'@7,"), "{history}");
}

#[tokio::test]
async fn a_span_is_from_a_time_to_before_another_and_may_be_empty() {
    let stack = Stack::start();
    write(&stack.database().await, 1, 9).await;
    let keys = async |query: &str| {
        let pages = walk(&stack, &format!("what=drift&format=ndjson&{query}"), async |_| {}).await;
        let mut keys: Vec<String> =
            texts(&rows(&pages), "drift_key").into_iter().map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("from=2026-01-01T00:00:01Z&to=2026-01-01T00:00:02Z").await, ["key_3", "key_4", "key_5"]);
    assert_eq!(
        keys("from=2026-01-01T02:00:01%2B02:00&to=2026-01-01T00:00:02Z&limit=1").await,
        ["key_3", "key_4", "key_5"]
    );
    assert_eq!(keys("from=2026-01-01T00:00:03Z&to=2026-01-02T00:00:00Z").await, ["key_9"]);

    for what in ["drift", "history", "runs"] {
        let span = "from=2020-01-01T00:00:00Z&to=2020-01-01T00:00:00Z";
        let csv = page(&stack, &format!("what={what}&{span}")).await;
        assert_eq!(csv.text.matches("\r\n").count(), 1, "the head line alone: {csv:?}");
        assert_eq!((csv.header("x-total-count"), csv.header("link")), (Some("0"), None));
        let lines = page(&stack, &format!("what={what}&format=ndjson&{span}")).await;
        assert_eq!(
            (lines.text.as_str(), lines.header("content-type")),
            ("", Some("application/x-ndjson; charset=utf-8"))
        );
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_and_who_may_not_gets_nothing() {
    let stack = Stack::start();
    let cursor = "1_00000000-0000-4000-8000-000000000000";
    for (query, said) in [
        ("", "what is missing"),
        ("what=alerts", "what must be one of"),
        ("what=drift&format=xlsx", "format must be one of"),
        ("what=drift&from=yesterday", "from must be a time"),
        ("what=drift&to=2026-01-31", "to must be a time"),
        ("what=drift&from=2026-01-31T00:00:00+01:00", "%2B"),
        ("what=drift&from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to must not be before from"),
        ("what=drift&limit=0", "limit must be"),
        ("what=drift&limit=1001", "limit must be"),
        ("what=drift&cursor=x", "cursor is not one"),
        (&format!("what=history&cursor={cursor}"), "cursor is not one"),
        ("what=drift&state=open", "Unknown parameter"),
        ("what=drift&what=runs", "given twice"),
    ] {
        let answer = stack.admin(&format!("{EXPORT}?{query}")).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{query}: {answer:?}");
        assert!(
            answer.body["error"].as_str().is_some_and(|error| error.contains(said)),
            "{query}: {answer:?}"
        );
    }
    let path = format!("{EXPORT}?what=runs");
    let member = stack.get(&path).bearer(&stack.at.member_token).send().await;
    assert_eq!((member.status, member.code()), (403, "forbidden"), "{member:?}");
    let machine = stack.get(&path).bearer(&stack.at.cron_secret).send().await;
    assert_eq!((machine.status, machine.code()), (401, "unauthorized"), "{machine:?}");
    let nobody = stack.get(&path).send().await;
    assert_eq!((nobody.status, nobody.code()), (401, "unauthorized"), "{nobody:?}");
    let head = stack.request(Method::HEAD, &path).bearer(&stack.at.admin_token).send().await;
    assert_eq!((head.status, head.text.as_str()), (200, ""), "{head:?}");
}

#[tokio::test]
async fn a_full_page_is_a_thousand_rows() {
    let stack = Stack::start();
    write(&stack.database().await, 1, 1001).await;
    let full = page(&stack, "what=history&format=ndjson&to=2026-02-01T00:00:00Z").await;
    assert_eq!((full.text.lines().count(), full.header("x-total-count")), (1000, Some("1001")));
    let pages = walk(&stack, "what=history&format=ndjson&to=2026-02-01T00:00:00Z", async |_| {}).await;
    assert_eq!(rows(&pages).len(), 1001);
}
