//! Who is told: the channels that the settings name, and on request a test of each.

use billing_ops::config::Config;
use billing_ops::context::Context;
use billing_ops::notify::db::Fate;
use billing_ops::notify::deliver::send_test;
use billing_ops::notify::receivers::configured;

use crate::line::Line;

const REMEDY: &str = "docs/OPERATIONS.md, Who is told";

/// What the settings say of the channels. Sends nothing.
pub(crate) fn examine(config: &Config) -> Vec<Line> {
    let channels = configured(config);
    if channels.is_empty() {
        return vec![Line::note(
            "No channel is set up: an alarm is seen only by who opens the dashboard. docs/OPERATIONS.md, Who is told.",
        )];
    }
    let line = |channel: &billing_ops::notify::receivers::Configured| {
        let name = channel.channel.as_str();
        match &channel.receiver {
            Ok(_) => Line::fine(format!("notifications by {name}: from {} up", channel.least.as_str())),
            Err(error) => Line::wrong(format!("notifications by {name}: {error}"), REMEDY),
        }
    };
    channels.iter().map(line).collect()
}

/// Sends a test to each channel that is set up, and tells what its receiver says. Nothing is written to the database.
pub(crate) async fn test(context: &Context) -> Vec<Line> {
    let mut lines = Vec::new();
    for channel in configured(&context.config) {
        let Ok(receiver) = &channel.receiver else { continue };
        let name = channel.channel.as_str();
        let told = send_test(context, channel.channel, receiver.as_ref()).await;
        let status = told.status.map_or_else(String::new, |status| format!("{status} "));
        lines.push(if told.fate == Fate::Sent {
            Line::fine(format!("a test by {name} was taken: {status}{}", told.answer))
        } else {
            Line::wrong(format!("a test by {name} was not taken: {status}{}", told.answer), REMEDY)
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pairs: &[(&str, &str)]) -> Vec<Line> {
        examine(&Config::from_pairs(
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        ))
    }

    #[test]
    fn each_channel_is_one_line_that_holds_no_secret_and_none_at_all_is_said() {
        assert!(matches!(lines(&[])[..], [Line::Note(_)]));
        let both = lines(&[
            ("NOTIFY_SLACK_URL", "https://hooks.slack.com/services/T0/B0/canary"),
            ("NOTIFY_PAGERDUTY_KEY", "canary"),
        ]);
        assert!(matches!(both[..], [Line::Wrong { .. }, Line::Fine(_)]), "{both:?}");
        assert!(both.iter().all(|line| !line.to_string().contains("canary")), "{both:?}");
    }

    #[tokio::test]
    async fn a_test_tells_what_the_receiver_said() {
        let receivers = receivers::Receivers::start().expect("receivers");
        let settings = || {
            receivers
                .settings_of(&["slack", "webhook"])
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
        };
        receivers.answer("webhook", receivers::Fault::Status(410, "gone".to_owned(), None));
        let lines = crate::test_notifications(Config::from_pairs(settings())).await;
        assert!(matches!(lines[..], [Line::Fine(_), Line::Wrong { .. }]), "{lines:?}");
        assert!(lines[1].to_string().contains("410 gone"), "{lines:?}");
        assert_eq!(receivers.accepted("slack").len(), 1);
    }
}
