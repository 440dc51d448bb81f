//! The crons of `vercel.json`. The platform's own check takes any text for a schedule and any path.

use std::collections::BTreeSet;

use crate::{cron, function_sources, route_of, vercel};

fn crons() -> Vec<(String, String)> {
    let vercel = vercel();
    let text = |cron: &serde_json::Value, name: &str| cron[name].as_str().unwrap_or_default().to_owned();
    let crons = vercel["crons"].as_array().expect("crons");
    crons.iter().map(|cron| (text(cron, "path"), text(cron, "schedule"))).collect()
}

#[test]
fn each_job_is_scheduled_once() {
    let paths: Vec<String> = crons().into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "/api/subscriptions/reconcile",
            "/api/admin/billing-alerts/monitor",
            "/api/subscriptions/reconcile?scope=due",
            "/api/admin/billing-alerts/monitor?only=deliver",
        ]
    );
}

#[test]
fn every_schedule_is_a_cron_expression() {
    for (path, schedule) in crons() {
        assert_eq!(cron::check(&schedule), Ok(()), "{path}: {schedule}");
    }
}

#[test]
fn every_cron_calls_a_function_that_is_there() {
    let routes: BTreeSet<String> = function_sources().iter().map(|source| route_of(source)).collect();
    for (path, _) in crons() {
        let path = path.split('?').next().unwrap_or_default();
        assert!(routes.contains(path), "{path} is none of {routes:?}");
    }
}

#[test]
fn crons_have_a_path_and_a_schedule_and_nothing_else() {
    // The platform refuses a deployment whose crons carry headers: it sends CRON_SECRET by itself.
    for cron in vercel()["crons"].as_array().expect("crons") {
        let names: Vec<&String> = cron.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["path", "schedule"]);
    }
}

#[test]
fn jitter_moves_no_call_into_the_next_hour_and_the_monitor_sees_a_finished_run() {
    let minutes: Vec<u32> =
        crons().iter().take(2).map(|(_, schedule)| cron::minute(schedule).expect("a minute")).collect();
    let (reconcile, monitor) = (minutes[0], minutes[1]);
    for minute in [reconcile, monitor] {
        assert!((5..55).contains(&minute), "minute {minute} is too near to the hour's edge");
    }
    assert!(monitor >= reconcile + 10, "a run may take five minutes, and cron is not on the dot");
}
