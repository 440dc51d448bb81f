//! The token bucket: spaces requests out to a sustained rate, and slows down when Stripe says so.
//!
//! It is kept as a schedule (when may the next request leave?) instead of a count of tokens, so late timers do not add
//! up: 1,000 requests at 25 a second take 40 s and not 40 s plus a thousand small delays.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many requests may leave at once after a pause. Small, because Stripe measures by the second.
const BURST: f64 = 2.0;
/// What a refusal leaves of the rate.
const CUT: f64 = 0.5;
/// Refusals of requests that were already under way say nothing new: at most one cut in this time.
const CUT_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// How long the rate stays as it is after a cut: the app itself, which calls Stripe with the same account, gets room.
const HOLD: Duration = Duration::from_secs(10);
/// How long the way back from nothing to the full rate takes after that.
const RECOVERY: Duration = Duration::from_secs(60);
/// The rate never falls below this, in requests a second.
const FLOOR: f64 = 1.0;

/// A schedule of requests that all tasks of a process share.
#[derive(Debug)]
pub struct Bucket {
    /// Requests a second, when nothing is wrong.
    limit: f64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// When the next request may leave.
    next: Instant,
    /// The rate after the last cut, and when that was. `None`: never cut.
    cut: Option<(f64, Instant)>,
}

impl Bucket {
    /// A bucket for `limit` requests a second, from `now` on. Rates below 0.01 are taken as 0.01.
    pub fn new(limit: f64, now: Instant) -> Self {
        Self { limit: limit.max(0.01), state: Mutex::new(State { next: now, cut: None }) }
    }

    /// Takes the next place in the schedule; the caller waits until then.
    pub fn reserve(&self, now: Instant) -> Instant {
        let mut state = self.lock();
        let interval = Duration::from_secs_f64(1.0 / self.rate_of(&state, now));
        let earliest = now.checked_sub(interval.mul_f64(BURST - 1.0)).unwrap_or(now);
        let slot = state.next.max(earliest);
        state.next = slot + interval;
        slot
    }

    /// Stripe refused a request for coming too fast: halves the rate, and lets nothing leave before `pause` is over.
    pub fn slow_down(&self, now: Instant, pause: Duration) {
        let mut state = self.lock();
        if state.cut.is_none_or(|(_, at)| now.duration_since(at) >= CUT_AT_MOST_EVERY) {
            let rate = (self.rate_of(&state, now) * CUT).max(FLOOR.min(self.limit));
            state.cut = Some((rate, now));
        }
        state.next = state.next.max(now + pause);
    }

    /// Requests a second at this moment.
    pub fn rate(&self, now: Instant) -> f64 {
        self.rate_of(&self.lock(), now)
    }

    fn rate_of(&self, state: &State, now: Instant) -> f64 {
        match state.cut {
            None => self.limit,
            Some((rate, at)) => {
                let since = now.duration_since(at).saturating_sub(HOLD);
                let recovered = since.as_secs_f64() / RECOVERY.as_secs_f64() * self.limit;
                (rate + recovered).min(self.limit)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing in here can leave the state half written, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` requests, each as soon as the bucket allows it, and returns how long that took.
    fn drain(bucket: &Bucket, from: Instant, count: usize) -> Duration {
        let mut now = from;
        for _ in 0..count {
            now = now.max(bucket.reserve(now));
        }
        now - from
    }

    #[test]
    fn a_thousand_requests_at_25_a_second_take_40_seconds() {
        let start = Instant::now();
        let took = drain(&Bucket::new(25.0, start), start, 1_000).as_secs_f64();
        assert!((39.8..40.2).contains(&took), "{took}");
    }

    #[test]
    fn late_wakers_do_not_lower_the_sustained_rate() {
        let start = Instant::now();
        let bucket = Bucket::new(25.0, start);
        let mut now = start;
        for _ in 0..1_000 {
            now = now.max(bucket.reserve(now)) + Duration::from_millis(3);
        }
        let took = (now - start).as_secs_f64();
        assert!(took < 40.0 * 1.01, "{took}");
    }

    #[test]
    fn a_pause_does_not_save_up_a_burst() {
        let start = Instant::now();
        let bucket = Bucket::new(10.0, start);
        let later = start + Duration::from_secs(60);
        let took = drain(&bucket, later, 12).as_secs_f64();
        assert!(took >= 0.99, "{took}");
    }

    #[test]
    fn a_refusal_halves_the_rate_once_for_a_while_and_it_comes_back_slowly() {
        let start = Instant::now();
        let bucket = Bucket::new(20.0, start);
        for _ in 0..8 {
            bucket.slow_down(start, Duration::ZERO);
        }
        for (seconds, rate) in [(0, 10.0), (10, 10.0), (25, 15.0), (40, 20.0), (400, 20.0)] {
            let then = bucket.rate(start + Duration::from_secs(seconds));
            assert!((then - rate).abs() < 1e-9, "{then} after {seconds} s");
        }
    }

    #[test]
    fn refusal_after_refusal_never_stops_it() {
        let start = Instant::now();
        let bucket = Bucket::new(20.0, start);
        let mut now = start;
        for _ in 0..100 {
            bucket.slow_down(now, Duration::ZERO);
            now += Duration::from_millis(1_001);
        }
        assert!(bucket.rate(now) >= FLOOR);
    }

    #[test]
    fn nothing_leaves_during_the_pause_that_stripe_asked_for() {
        let start = Instant::now();
        let bucket = Bucket::new(20.0, start);
        bucket.slow_down(start, Duration::from_secs(3));
        assert!(bucket.reserve(start) >= start + Duration::from_secs(3));
    }
}
