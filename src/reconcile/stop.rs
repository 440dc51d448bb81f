//! When a run stops: its time is up, or the process must end.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::stripe::StripeError;

/// When a run stops reading: at a moment, or at a signal before it.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) at: Instant,
    pub(super) signal: watch::Receiver<bool>,
}

impl Stop {
    /// Whether it is time to stop.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.at || *self.signal.borrow()
    }

    /// Awaits a Stripe read, or gives up with `Deadline` once the run must stop, so that shutdown never waits for a slow
    /// Stripe. Reads only: the future is dropped.
    pub(super) async fn or_due<T>(
        &self,
        work: impl Future<Output = Result<T, StripeError>>,
    ) -> Result<T, StripeError> {
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = self.due() => Err(StripeError::Deadline),
        }
    }

    /// Waits until it is time to stop.
    pub(super) async fn due(&self) {
        let mut signal = self.signal.clone();
        let signal = async {
            if signal.wait_for(|stop| *stop).await.is_err() {
                // Nobody is left who could give the signal.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = sleep_until(self.at) => {}
            () = signal => {}
        }
    }
}

/// Whether a step had time for all of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    All,
    /// Time was up.
    Stopped,
}

/// Whether a step that ended early did so because time was up. Errors: whatever else ended it.
pub(super) fn stopped(end: Option<StripeError>) -> Result<bool, StripeError> {
    match end {
        None => Ok(false),
        Some(StripeError::Deadline) => Ok(true),
        Some(error) => Err(error),
    }
}
