//! The watcher's watcher.

use std::time::Duration;

use url::Url;

/// How long a heartbeat may take: the watcher's watcher must not hold up the watcher.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells the watcher's watcher that a pass was written. Its failure is logged and harms nothing; the URL is not logged, because
/// such services put their secret in it.
pub async fn send_heartbeat(http: &reqwest::Client, url: Url) {
    match http.get(url).timeout(HEARTBEAT_TIMEOUT).send().await {
        Ok(response) if response.status().is_success() => tracing::debug!("heartbeat sent"),
        Ok(response) => tracing::warn!(status = response.status().as_u16(), "heartbeat refused"),
        Err(error) => tracing::warn!(timeout = error.is_timeout(), "heartbeat not delivered"),
    }
}
