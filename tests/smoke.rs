//! `doctor --deployment` against a local stack: it passes where all is well, and fails, visibly, where something is not.
//! And `doctor` with the settings of that stack.

use std::path::PathBuf;
use std::process::{Command, Output};

use support::Stack;

/// The program, built beside the tests, with nothing in its environment.
fn doctor() -> Command {
    let mut path: PathBuf = std::env::current_exe().expect("a test has a path");
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("doctor"));
    command.env_clear();
    command
}

/// Runs it to its end, off the thread that serves the test.
async fn run(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("no panic").expect("doctor is built: cargo build -p doctor")
}

/// Checks the stack from outside, with every secret of it in the environment but for what is `changed`.
async fn smoke(stack: &Stack, changed: &[(&str, Option<&str>)]) -> Output {
    let mut command = doctor();
    command.args(["--deployment", &stack.at.base_url]);
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
    run(command).await
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
    let mut command = doctor();
    command.args(["--deployment", "http://127.0.0.1:9"]);
    command.env("RECONCILE_SECRET", "a-secret-that-opens-nothing");
    let output = run(command).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAIL  health answers: no answer ("), "{text}");
    assert!(text.contains("Nothing else can be checked."), "{text}");
    assert!(!text.contains("opens-nothing"), "a secret is shown");
}

#[tokio::test]
async fn without_an_address_or_a_secret_it_does_not_begin() {
    for (address, secret, complaint) in [
        ("https://billing.example.com", None, "doctor: RECONCILE_SECRET is not set"),
        ("https://billing.example.com", Some(""), "doctor: RECONCILE_SECRET is not set"),
        ("http://billing.example.com", Some("the-canary-secret"), "doctor: the address must be https://"),
        ("", Some("the-canary-secret"), "doctor: the address must be https://"),
        (
            "https://billing.example.com",
            Some("the-canary\u{7f}"),
            "doctor: RECONCILE_SECRET holds characters",
        ),
    ] {
        let mut command = doctor();
        command.args(["--deployment", address]);
        command.envs(secret.map(|secret| ("RECONCILE_SECRET", secret)));
        let output = run(command).await;
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(complaint) && !text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn settings_of_a_file_are_examined_from_inside_and_used_from_outside() {
    let stack = Stack::start();
    let at = &stack.at;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let lines = [
        ("SUPABASE_URL", &at.supabase_url),
        ("SUPABASE_SECRET_KEY", &at.secret_key),
        ("SUPABASE_PUBLISHABLE_KEY", &at.publishable_key),
        ("STRIPE_SECRET_KEY", &stripe_simulator::RESTRICTED_KEY.to_owned()),
        ("STRIPE_API_BASE", &at.stripe_url),
        ("RECONCILE_SECRET", &at.reconcile_secret),
        ("MONITOR_SECRET", &at.monitor_secret),
        ("CRON_SECRET", &at.cron_secret),
    ]
    .map(|(name, value)| format!("{name}=\"{value}\"\n"));
    std::fs::write(file.path(), lines.concat()).expect("the file is written");
    let secrets =
        [&at.secret_key, &at.publishable_key, &at.reconcile_secret, &at.monitor_secret, &at.cron_secret];

    let mut inside = doctor();
    inside.arg("--env").arg(file.path());
    let output = run(inside).await;
    let told = text(&output);
    assert!(output.status.success() && told.ends_with("Nothing is wrong.\n"), "{told}");
    assert!(told.contains("ok    database: answers, accepts the secret key, has the migrations"), "{told}");
    assert!(told.contains("ok    Stripe: Subscriptions can be read"), "{told}");
    assert!(!secrets.iter().any(|secret| told.contains(secret.as_str())), "a secret is shown");

    let mut outside = doctor();
    outside.arg("--env").arg(file.path()).args(["--deployment", &at.base_url]);
    // What is no setting of the deployment is taken from the environment; another deployment's secret is not.
    outside.env("ADMIN_TOKEN", &at.admin_token).env("CRON_SECRET", "another-deployment's-secret");
    let output = run(outside).await;
    let told = text(&output);
    assert!(output.status.success() && told.contains(" 0 failed, 0 skipped"), "{told}");
    assert!(!secrets.iter().any(|secret| told.contains(secret.as_str())), "a secret is shown");
}
