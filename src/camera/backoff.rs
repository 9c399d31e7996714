//! How long to wait before a camera is opened again: doubling, with jitter, up to a cap.
//!
//! The jitter keeps the boxes of a site from asking a restarted recorder all at once.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(500);

/// Pauses between attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    /// Never longer than `most`.
    pub fn new(most: Duration) -> Self {
        Self { next: FIRST.min(most), most }
    }

    /// The next pause; `chance` in 0..1 picks a place between half of it and all of it.
    pub fn pause(&mut self, chance: f32) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.most);
        whole.mul_f32(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }

    /// The camera delivered: begin anew.
    pub fn reset(&mut self) {
        self.next = FIRST.min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(3));
        let pauses: Vec<u128> = (0..5).map(|_| backoff.pause(1.0).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 3000, 3000]);
        assert_eq!(backoff.pause(0.0), Duration::from_millis(1500));
        backoff.reset();
        assert_eq!(backoff.pause(1.0), Duration::from_millis(500));
    }
}
