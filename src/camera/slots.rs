//! One place for one frame per camera between the camera threads and the inference thread.
//!
//! The newest frame wins and the loss is counted: a slow reader sees the present, never a backlog. The reader serves
//! the cameras in turn, so that a busy camera starves no other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::frame::Frame;

/// The slots of all cameras, by their place in the settings.
#[derive(Debug)]
pub struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    frames: Vec<Option<Frame>>,
    dropped: Vec<u64>,
    next: usize,
    closed: bool,
}

impl Slots {
    /// Empty slots for so many cameras.
    pub fn new(cameras: usize) -> Self {
        let state = State { frames: vec![None; cameras], dropped: vec![0; cameras], next: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Puts the camera's newest frame down; `false` when nobody will take it any more.
    pub fn put(&self, camera: usize, frame: Frame) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.frames[camera].replace(frame).is_some() {
            state.dropped[camera] += 1;
        }
        drop(state);
        self.changed.notify_one();
        true
    }

    /// A waiting frame and its camera, in turn; `None` when none came in time or the slots are closed and empty.
    pub fn take(&self, timeout: Duration) -> Option<(usize, Frame)> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(taken) = state.take_in_turn() {
                return Some(taken);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return None;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing more is accepted; what lies in the slots can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Closed and empty: `take` will give nothing any more.
    pub fn finished(&self) -> bool {
        let state = self.lock();
        state.closed && state.frames.iter().all(Option::is_none)
    }

    /// Frames of this camera that a newer one replaced before they were taken.
    pub fn dropped(&self, camera: usize) -> u64 {
        self.lock().dropped[camera]
    }

    /// A panic elsewhere leaves whole frames and counters behind, so the poison tells nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_in_turn(&mut self) -> Option<(usize, Frame)> {
        let cameras = self.frames.len();
        for camera in (0..cameras).map(|step| (self.next + step) % cameras) {
            if let Some(frame) = self.frames[camera].take() {
                self.next = (camera + 1) % cameras;
                return Some((camera, frame));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn frame(seq: u64) -> Frame {
        Frame::new(seq, Duration::ZERO, 1, 1, vec![0; 3]).unwrap()
    }

    fn taken(slots: &Slots) -> Option<(usize, u64)> {
        slots.take(Duration::ZERO).map(|(camera, frame)| (camera, frame.seq))
    }

    #[test]
    fn the_newest_frame_wins_and_the_loss_is_counted() {
        let slots = Slots::new(2);
        for seq in 0..3 {
            assert!(slots.put(1, frame(seq)));
        }
        assert_eq!(taken(&slots), Some((1, 2)));
        assert_eq!(taken(&slots), None);
        assert_eq!((slots.dropped(0), slots.dropped(1)), (0, 2));
    }

    #[test]
    fn a_busy_camera_starves_no_other() {
        let slots = Slots::new(3);
        slots.put(2, frame(0));
        let mut served = Vec::new();
        for seq in 1..5 {
            slots.put(0, frame(seq));
            served.push(taken(&slots).unwrap().0);
        }
        assert_eq!(served, [0, 2, 0, 0]);
    }

    #[test]
    fn a_waiting_reader_is_woken_by_a_frame_and_by_the_end() {
        let slots = Slots::new(1);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (slots.take(SOON).map(|(_, frame)| frame.seq), slots.take(SOON).is_none()));
            slots.put(0, frame(7));
            // The reader may still hold nothing: only an emptied slot proves that it took the frame.
            while slots.lock().frames[0].is_some() {
                std::thread::yield_now();
            }
            let asked = Instant::now();
            slots.close();
            assert_eq!(reader.join().unwrap(), (Some(7), true));
            assert!(asked.elapsed() < SOON);
        });
    }

    #[test]
    fn what_lay_in_a_slot_when_it_was_closed_can_still_be_taken() {
        let slots = Slots::new(1);
        slots.put(0, frame(1));
        slots.close();
        assert!(!slots.put(0, frame(2)));
        assert!(!slots.finished());
        assert_eq!(taken(&slots), Some((0, 1)));
        assert!(slots.finished());
    }
}
