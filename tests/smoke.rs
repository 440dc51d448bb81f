//! `scripts/smoke.sh` against a local stack: it passes where all is well, and fails, visibly, where something is not.

use std::process::{Command, Output};

use support::Stack;

/// Runs the script, with every secret of the stack in its environment unless `without` names it.
async fn smoke(stack: &Stack, changed: &[(&str, Option<&str>)]) -> Output {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/smoke.sh"));
    command.arg(&stack.at.base_url);
    for (name, value) in [
        ("RECONCILE_SECRET", &stack.at.reconcile_secret),
        ("MONITOR_SECRET", &stack.at.monitor_secret),
        ("CRON_SECRET", &stack.at.cron_secret),
        ("ADMIN_TOKEN", &stack.at.admin_token),
    ] {
        command.env(name, value);
    }
    for (name, value) in changed {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = tokio::task::spawn_blocking(move || command.output().expect("the script runs")).await;
    output.expect("no panic")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn a_sound_deployment_passes_every_step_and_no_secret_is_shown() {
    let stack = Stack::start();
    let output = smoke(&stack, &[]).await;
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(" 0 failed, 0 skipped"), "{text}");
    for secret in
        [&stack.at.reconcile_secret, &stack.at.monitor_secret, &stack.at.cron_secret, &stack.at.admin_token]
    {
        assert!(!text.contains(secret.as_str()), "a secret is shown");
    }
}

#[tokio::test]
async fn wrong_secrets_fail_and_missing_ones_are_skipped_visibly() {
    let stack = Stack::start();
    let wrong = [("CRON_SECRET", Some("not-the-cron-secret-0000")), ("ADMIN_TOKEN", None)];
    let output = smoke(&stack, &wrong).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAIL  cron, by GET with CRON_SECRET, opens the monitor: status 401"), "{text}");
    assert!(text.contains("skip  what admins read"), "{text}");
    assert!(text.contains("2 failed, 1 skipped"), "{text}");
}

#[tokio::test]
async fn where_nothing_listens_it_says_so_and_stops() {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/smoke.sh"))
        .arg("http://127.0.0.1:9")
        .env("RECONCILE_SECRET", "a-secret-that-opens-nothing")
        .output()
        .expect("the script runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("FAIL  health answers: status 000 (no answer)"), "{}", text(&output));
}
