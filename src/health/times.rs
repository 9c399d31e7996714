//! Numbers that the inference thread writes and others read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::event::InferenceHealth;

/// Frames over which times are told.
const LAST: usize = 256;

/// How long frames took.
#[derive(Debug, Default)]
pub struct Times {
    frames: AtomicU64,
    last: Mutex<VecDeque<Duration>>,
}

impl Times {
    /// A frame was looked at.
    pub fn add(&self, took: Duration) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LAST {
            last.pop_front();
        }
        last.push_back(took);
    }

    /// What is told of them.
    pub fn health(&self) -> InferenceHealth {
        let mut last: Vec<Duration> =
            self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        last.sort_unstable();
        let at = |percent: usize| {
            let place = (last.len() * percent / 100).min(last.len().saturating_sub(1));
            last.get(place).map(|took| (took.as_secs_f32() * 10_000.0).round() / 10.0)
        };
        InferenceHealth { frames: self.frames.load(Ordering::Relaxed), p50_ms: at(50), p95_ms: at(95) }
    }
}

/// Which share of the frames is looked at; set by the governor, asked by the inference thread.
#[derive(Debug)]
pub struct Share {
    percent: AtomicU8,
    frames: AtomicU64,
    given_up: AtomicU64,
}

impl Default for Share {
    fn default() -> Self {
        Self { percent: AtomicU8::new(100), frames: AtomicU64::new(0), given_up: AtomicU64::new(0) }
    }
}

impl Share {
    /// Of 100 frames so many.
    pub fn set(&self, percent: u8) {
        self.percent.store(percent.min(100), Ordering::Relaxed);
    }

    /// Is the next frame to be looked at? The others are spread evenly.
    pub fn takes(&self) -> bool {
        let percent = u64::from(self.percent.load(Ordering::Relaxed));
        let number = self.frames.fetch_add(1, Ordering::Relaxed);
        let takes = (number + 1) * percent / 100 > number * percent / 100;
        if !takes {
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
        takes
    }

    /// Frames that were given up.
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_frames_is_taken_evenly() {
        let share = Share::default();
        assert!((0..100).all(|_| share.takes()));
        share.set(25);
        let taken: Vec<bool> = (0..100).map(|_| share.takes()).collect();
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 25);
        assert!(taken.windows(5).all(|five| five.contains(&true)));
        assert_eq!(share.given_up(), 75);
    }

    #[test]
    fn times_are_those_of_the_last_frames() {
        let times = Times::default();
        assert_eq!(times.health(), InferenceHealth::default());
        (1..=1_000).for_each(|ms| times.add(Duration::from_millis(ms)));
        let health = times.health();
        assert_eq!((health.frames, health.p50_ms), (1_000, Some(873.0)));
    }
}
