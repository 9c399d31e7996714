//! Numbers that the inference thread writes and others read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::event::InferenceHealth;
use crate::domain::pack_trial::StageMs;

/// Frames over which times are told.
const LAST: usize = 256;
/// Frames that a stage must have run in before its time is told: the first few after a start are slow.
const ENOUGH: usize = 60;

/// How long frames took.
#[derive(Debug, Default)]
pub struct Times {
    frames: AtomicU64,
    last: Mutex<Last>,
}

/// Milliseconds of the whole frame, and of its stages, each in the frames in which it ran.
#[derive(Debug, Default)]
struct Last {
    whole: VecDeque<f32>,
    detect: VecDeque<f32>,
    read: VecDeque<f32>,
    faces: VecDeque<f32>,
}

impl Times {
    /// A frame was looked at.
    pub fn add(&self, took: Duration, stages: StageMs) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        push(&mut last.whole, Some(took.as_secs_f32() * 1_000.0));
        push(&mut last.detect, stages.detect);
        push(&mut last.read, stages.read);
        push(&mut last.faces, stages.faces);
    }

    /// How long 95 of 100 of the last frames took at most, by stage.
    pub fn stages(&self) -> StageMs {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let p95 = |times: &VecDeque<f32>| percentile(times, 95).filter(|_| times.len() >= ENOUGH);
        StageMs { detect: p95(&last.detect), read: p95(&last.read), faces: p95(&last.faces) }
    }

    /// What is told of them.
    pub fn health(&self) -> InferenceHealth {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |percent: usize| percentile(&last.whole, percent);
        InferenceHealth { frames: self.frames.load(Ordering::Relaxed), p50_ms: at(50), p95_ms: at(95) }
    }
}

fn push(last: &mut VecDeque<f32>, ms: Option<f32>) {
    let Some(ms) = ms else { return };
    if last.len() == LAST {
        last.pop_front();
    }
    last.push_back(ms);
}

/// To a tenth of a millisecond; `None` when there are no times.
fn percentile(times: &VecDeque<f32>, percent: usize) -> Option<f32> {
    let mut sorted: Vec<f32> = times.iter().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map(|ms| (ms * 10.0).round() / 10.0)
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
        assert_eq!(times.stages(), StageMs::default());
        for ms in 1..=1_000_u16 {
            // A plate in one frame of twenty.
            let read = (ms % 20 == 0).then_some(7.0);
            let stages = StageMs { detect: Some(f32::from(ms) / 2.0), read, faces: None };
            times.add(Duration::from_millis(ms.into()), stages);
        }
        let health = times.health();
        assert_eq!((health.frames, health.p50_ms), (1_000, Some(873.0)));
        assert_eq!(times.stages(), StageMs { detect: Some(494.0), read: None, faces: None }, "too few plates");
        (0..10).for_each(|_| times.add(Duration::ZERO, StageMs { read: Some(7.0), ..StageMs::default() }));
        assert_eq!(times.stages().read, Some(7.0));
    }
}
