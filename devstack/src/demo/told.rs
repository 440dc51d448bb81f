//! Who was told of all that: receivers on this machine, as strict as the real ones, unless the settings name real ones.

use std::io;

use anyhow::Result;
use receivers::Receivers;
use tokio_postgres::Client;

use super::screen::Screen;
use crate::settings::Settings;

/// How many messages are shown.
const SHOWN: usize = 12;

/// Receivers on this machine, which `settings` then name, if they name none of their own.
pub(super) fn receivers(settings: &mut Settings) -> io::Result<Option<Receivers>> {
    // Whether there is a digest says nothing of who gets it.
    let names_one = |name: &String| {
        name != "NOTIFY_DIGEST" && (name.starts_with("NOTIFY_") || name.starts_with("RESEND_"))
    };
    if settings.keys().any(names_one) {
        return Ok(None);
    }
    let receivers = Receivers::start()?;
    settings.extend(receivers.settings().into_iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(Some(receivers))
}

/// Shows what would have been sent, or what became of what was.
pub(super) async fn show(
    receivers: Option<&Receivers>,
    database: &Client,
    screen: &mut Screen,
) -> Result<()> {
    match receivers {
        Some(receivers) => {
            let received = receivers.received();
            for one in received.iter().take(SHOWN) {
                screen.note(&receivers::line(one));
            }
            if received.len() > SHOWN {
                screen.note(&format!("and {} more: {}", received.len() - SHOWN, receivers.base_url()));
            }
            let refused = received.iter().filter(|one| !one.accepted).count();
            let channels: std::collections::BTreeSet<&str> =
                received.iter().map(|one| one.receiver).collect();
            screen.check(
                refused == 0 && channels.len() == 5,
                &format!(
                    "{} messages to {} receivers on this machine, {refused} refused",
                    received.len(),
                    channels.len()
                ),
            );
        }
        None => {
            let sql = "select channel, status, count(*) from public.notification_deliveries group by 1, 2 order by 1, 2";
            for row in database.query(sql, &[]).await? {
                let (channel, status, count): (String, String, i64) =
                    (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                screen.note(&format!("{channel}: {count} {status}"));
            }
        }
    }
    let sql = "select count(*) filter (where status = 'due'), count(*) filter (where reason = 'summarised') from public.notification_deliveries";
    let row = database.query_one(sql, &[]).await?;
    let (due, summarised): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    screen.note(&format!(
        "{summarised} were told by number in a summary; {due} wait: a channel gets at most 6 a minute"
    ));
    Ok(())
}
