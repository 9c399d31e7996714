//! How fast: pauses between attempts, and the rate at which a backlog is sent. Pure but for the dice.

use std::time::Duration;

use tokio::time::Instant;

/// Shortest pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses that double up to a limit, each with jitter, so that a fleet does not come back in step.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(max: Duration) -> Self {
        Self { next: FIRST_PAUSE.min(max), max }
    }

    /// The next pause: between half and all of it.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(self.max);
        pause
    }

    pub(super) fn reset(&mut self) {
        self.next = FIRST_PAUSE.min(self.max);
    }
}

/// The pause after the `attempt`-th refusal in a row (1, 2, …), without jitter.
pub(super) fn rest(attempt: u32, max: Duration) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(max)
}

/// Events a second that may go out, saved up for at most one second.
#[derive(Debug)]
pub(super) struct Rate {
    /// 0: no limit.
    per_second: u32,
    saved: f64,
    at: Instant,
}

impl Rate {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, saved: f64::from(per_second), at: now }
    }

    /// Is there a limit at all?
    pub(super) fn is_limited(&self) -> bool {
        self.per_second > 0
    }

    /// How many may go out now.
    pub(super) fn allowed(&mut self, now: Instant) -> usize {
        if self.per_second == 0 {
            return usize::MAX;
        }
        let limit = f64::from(self.per_second);
        self.saved = (self.saved + now.duration_since(self.at).as_secs_f64() * limit).min(limit);
        self.at = now;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a u32")]
        let whole = self.saved as usize;
        whole
    }

    pub(super) fn spend(&mut self, count: usize) {
        if self.per_second > 0 {
            self.saved -= f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// How long until one more may go out.
    pub(super) fn wait(&self) -> Duration {
        if self.per_second == 0 || self.saved >= 1.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1.0 - self.saved) / f64::from(self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_limit_and_begin_again_after_success() {
        let mut backoff = Backoff::new(Duration::from_secs(4));
        for expected in [1.0, 2.0, 4.0, 4.0] {
            let pause = backoff.pause().as_secs_f64();
            assert!((expected / 2.0..=expected).contains(&pause), "{pause} for {expected}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_secs(1));
        assert_eq!([1, 2, 3, 40].map(|n| rest(n, Duration::from_secs(60)).as_secs()), [1, 2, 4, 60]);
    }

    #[test]
    fn a_backlog_leaves_at_its_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(50, start);
        assert_eq!(rate.allowed(start), 50);
        rate.spend(50);
        assert_eq!(rate.allowed(start), 0);
        assert_eq!(rate.wait(), Duration::from_millis(20));
        assert_eq!(rate.allowed(start + Duration::from_millis(101)), 5);
        assert_eq!(rate.allowed(start + Duration::from_secs(60)), 50, "no more than a second is saved up");
        assert_eq!(Rate::new(0, start).allowed(start), usize::MAX);
    }
}
