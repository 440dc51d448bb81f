//! What goes wrong on request, what is kept, and what a person sees.

use crate::common::{Here, answer};
use receivers::{Fault, RECEIVERS, Received, Receivers, line};
use serde_json::json;
use std::time::Duration;

impl Here {
    async fn hello(&self, text: &str) -> reqwest::Result<reqwest::Response> {
        self.to(&self.setting("NOTIFY_SLACK_URL")).json(&json!({ "text": text })).send().await
    }

    /// Status, whether it was accepted, and title of each request.
    fn kept(&self) -> Vec<(Option<u16>, bool, String)> {
        let of = |one: &Received| (one.status, one.accepted, one.title());
        self.receivers.received().iter().map(of).collect()
    }
}

#[tokio::test]
async fn a_status_is_answered_until_it_is_healed() {
    let here = Here::start();
    here.receivers.answer("slack", Fault::Status(503, "upstream connect error".to_owned(), Some(7)));
    for _ in 0..2 {
        let answer = here.hello("one").await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &"7".parse().unwrap())
        );
        assert_eq!(answer.text().await.expect("a body"), "upstream connect error");
    }
    here.receivers.answer("slack", Fault::Status(500, String::new(), None));
    let answer = here.hello("two").await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (500, None));
    here.receivers.heal("slack");
    assert_eq!(here.hello("three").await.expect("an answer").status(), 200);
    assert_eq!(
        here.kept(),
        [
            (Some(503), false, "one".to_owned()),
            (Some(503), false, "one".to_owned()),
            (Some(500), false, "two".to_owned()),
            (Some(200), true, "three".to_owned()),
        ]
    );
}

#[tokio::test]
async fn one_receiver_s_fault_is_no_other_s() {
    let here = Here::start();
    here.receivers.answer("discord", Fault::Drop);
    assert_eq!(here.hello("one").await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_rate_limit_is_told_in_the_service_s_words() {
    let here = Here::start();
    here.receivers.answer("discord", Fault::rate_limited("discord", 0.5));
    let limited = here.post(&here.setting("NOTIFY_DISCORD_URL"), &json!({ "content": "a" })).await;
    let words = json!({ "message": "You are being rate limited.", "retry_after": 0.5, "global": false });
    assert_eq!((limited.status, &limited.body), (429, &words));
    assert_eq!(
        (&limited.headers["retry-after"], limited.content_type()),
        (&"1".parse().unwrap(), "application/json")
    );
    for receiver in RECEIVERS {
        let Fault::Status(429, body, Some(30)) = Fault::rate_limited(receiver, 30.0) else {
            panic!("{receiver}")
        };
        assert!(!body.is_empty());
    }
}

#[tokio::test]
async fn a_stall_lasts_until_it_is_healed() {
    let here = Here::start();
    here.receivers.answer("slack", Fault::Stall);
    let (answer, ()) = tokio::join!(here.hello("one"), async {
        let waiting = here.receivers.wait_until("the request", |all| !all.is_empty()).await;
        assert_eq!((waiting[0].status, waiting[0].accepted), (None, false));
        here.receivers.heal("slack");
    });
    assert_eq!(answer.expect("an answer").status(), 200);
    assert_eq!(here.kept(), [(Some(200), true, "one".to_owned())]);
}

#[tokio::test]
async fn who_does_not_wait_for_a_stall_reaches_nobody() {
    let here = Here::start();
    here.receivers.answer("slack", Fault::Stall);
    tokio::select! {
        _ = here.hello("one") => panic!("an answer"),
        _ = here.receivers.wait_until("the request", |all| !all.is_empty()) => {}
    }
    let gone = |all: &[Received]| all[0].reason.as_deref() == Some("hung up before an answer");
    here.receivers.wait_until("the end of the connection", gone).await;
    here.receivers.heal("slack");
    here.hello("two").await.expect("an answer");
    assert_eq!(here.kept(), [(None, false, "one".to_owned()), (Some(200), true, "two".to_owned())]);
}

#[tokio::test]
async fn dropped_before_and_after_it_was_accepted() {
    let here = Here::start();
    here.receivers.answer("slack", Fault::Drop);
    assert!(here.hello("one").await.is_err());
    here.receivers.answer("slack", Fault::AcceptThenDrop);
    assert!(here.hello("two").await.is_err());
    assert!(here.hello("").await.is_err());
    assert_eq!(
        here.kept(),
        [(None, false, "one".to_owned()), (None, true, "two".to_owned()), (None, false, String::new()),]
    );
    assert_eq!(here.last().reason.as_deref(), Some("no_text"));
}

#[tokio::test]
async fn an_email_whose_answer_was_lost_is_delivered_once() {
    let here = Here::start();
    let send = || {
        let url = format!("{}/emails", here.setting("RESEND_API_BASE"));
        let request = here.to(&url).header("user-agent", "billing-ops").header("idempotency-key", "one");
        let email = json!({ "from": "a@example.com", "to": "b@example.com", "subject": "a", "text": "b" });
        request.bearer_auth(here.setting("RESEND_API_KEY")).json(&email)
    };
    here.receivers.answer("email", Fault::AcceptThenDrop);
    assert!(send().send().await.is_err());
    here.receivers.heal("email");
    assert_eq!(answer(send()).await.status, 200);
    assert_eq!(here.receivers.accepted("email").len(), 1);
}

#[tokio::test]
async fn a_redirect_says_where_to() {
    let here = Here::start();
    let elsewhere = format!("{}/webhook/elsewhere", here.receivers.base_url());
    here.receivers.answer("slack", Fault::Redirect(elsewhere.clone()));
    let answer = here.hello("one").await.expect("an answer");
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (307, &elsewhere.parse().unwrap()));
    assert_eq!(here.kept(), [(Some(307), false, "one".to_owned())]);
}

#[tokio::test]
async fn waiting_ends_when_it_has_come() {
    let here = Here::start();
    let (all, ()) = tokio::join!(here.receivers.wait_for("slack", 2), async {
        for text in ["one", "two"] {
            here.hello(text).await.expect("an answer");
        }
    });
    assert_eq!(all.iter().map(Received::title).collect::<Vec<_>>(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "waited in vain for 1 accepted by slack; received:\n")]
async fn waiting_in_vain_says_what_was_received() {
    Here::start().receivers.wait_for("slack", 1).await;
}

#[test]
#[should_panic(expected = "\"slak\" is no receiver")]
fn a_misspelt_receiver_is_found_out() {
    Here::start().receivers.heal("slak");
}

#[test]
fn the_settings_are_those_of_the_receivers_that_are_asked_for() {
    let here = Here::start();
    let names = |receivers: &[&str]| -> Vec<&str> {
        here.receivers.settings_of(receivers).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&["slack"]), ["NOTIFY_SLACK_URL"]);
    assert_eq!(names(&["webhook"]), ["NOTIFY_WEBHOOK_URL", "NOTIFY_WEBHOOK_SECRET"]);
    let all = names(&RECEIVERS);
    assert_eq!(all.len(), 10);
    assert_eq!(here.receivers.settings().len(), 10);
    let key = here.setting("NOTIFY_PAGERDUTY_KEY");
    assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{key}");
    let base = here.receivers.base_url();
    assert!(base.starts_with("http://127.0.0.1:"), "{base}");
    assert!(here.setting("NOTIFY_DISCORD_URL").starts_with(&format!("{base}/discord/api/webhooks/")));
}

#[tokio::test]
async fn the_page_shows_what_has_arrived() {
    let here = Here::start();
    let page = async || here.http.get(here.receivers.base_url()).send().await.expect("a page").text().await;
    assert_eq!(page().await.expect("text"), "Nothing has been received yet.\n");
    here.hello("[HIGH] drift").await.expect("an answer");
    here.hello("").await.expect("an answer");
    let text = page().await.expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("  slack      accepted    [HIGH] drift"), "{text}");
    assert!(lines[1].ends_with("  slack      refused      (400: no_text)"), "{text}");
    assert_eq!(here.receivers.received().len(), 2, "looking at the page is not kept");
    assert!(!text.contains(here.setting("NOTIFY_SLACK_URL").rsplit('/').next().expect("a secret")));
    let nobody = here.http.get(format!("{}/favicon.ico", here.receivers.base_url())).send().await;
    assert_eq!(nobody.expect("an answer").status(), 404);
}

#[tokio::test]
async fn a_line_is_one_line() {
    let here = Here::start();
    here.hello("one\u{1b}[2J\ntwo").await.expect("an answer");
    let text = line(&here.last());
    assert!(text.ends_with("one [2J"), "{text:?}");
    here.receivers.answer("slack", Fault::Drop);
    here.hello("three").await.expect_err("no answer");
    assert!(line(&here.last()).ends_with("unanswered  three (closed without an answer)"));
}

#[tokio::test]
async fn headers_are_kept_in_lower_case() {
    let here = Here::start();
    let url = here.setting("NOTIFY_SLACK_URL");
    let request = here.to(&url).header("X-One", "1").header("X-One", "2").json(&json!({ "text": "a" }));
    answer(request).await;
    assert_eq!(here.last().headers["x-one"], "1, 2");
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let here = Here::start();
    here.receivers.answer("slack", Fault::Stall);
    let Here { receivers, http } = here;
    let url = receivers.settings_of(&["slack"]).remove(0).1;
    let request = tokio::spawn(http.post(&url).json(&json!({ "text": "one" })).send());
    receivers.wait_until("the request", |all| !all.is_empty()).await;
    drop(receivers);
    assert!(request.await.expect("a task").is_err(), "its connections end");
    let again = http.post(&url).timeout(Duration::from_secs(30)).send().await;
    assert!(again.expect_err("nobody listens").is_connect());
    Receivers::start().expect("another one");
}
