//! Whether a vehicle comes, goes or stands, told from the last seconds of its plate.

use crate::domain::Uptime;
use crate::domain::event::Direction;
use crate::domain::geometry::{Point, Rect};

/// Samples kept, and the time between two of them: a window of three seconds.
const KEPT: usize = 13;
const SPACING: Uptime = Uptime::from_millis(250);
/// A vehicle stands when its plate stayed within this many widths and this logarithm of its size for this long.
const STILL_WIDTHS: f32 = 0.35;
const STILL_GROWTH: f32 = 0.1;
const STILL_FOR: Uptime = Uptime::from_millis(1500);
/// Logarithm of the growth that tells coming from going.
const GROWTH: f32 = 0.12;
/// Widths moved down (coming) or up (going) the picture that tell it as well.
const DOWN_WIDTHS: f32 = 0.75;

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Uptime,
    centre: Point,
    width: f32,
}

/// The last seconds of a plate's path.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    samples: Vec<Sample>,
    /// Where the present movement began.
    from: Sample,
    direction: Option<Direction>,
}

impl Heading {
    /// Seen for the first time.
    pub fn first(seen: &Rect, at: Uptime) -> Self {
        let sample = Sample { at, centre: seen.centre(), width: seen.width() };
        Self { samples: vec![sample], from: sample, direction: None }
    }

    /// Seen again.
    pub fn seen(&mut self, seen: &Rect, at: Uptime) {
        let sample = Sample { at, centre: seen.centre(), width: seen.width() };
        if self.samples.last().is_none_or(|last| at.saturating_sub(last.at) >= SPACING) {
            if self.samples.len() == KEPT {
                self.samples.remove(0);
            }
            self.samples.push(sample);
        }
        if self.stands(&sample) {
            self.direction = Some(Direction::Stationary);
            self.from = sample;
        } else if let Some(way) = way(&self.from, &sample) {
            self.direction = Some(way);
        } else if self.direction == Some(Direction::Stationary) && !self.from.is_like(&sample) {
            self.direction = None;
        }
    }

    /// Coming, going or standing; `None` while it cannot be told.
    pub fn direction(&self) -> Option<Direction> {
        self.direction
    }

    /// Has it been here, as large as now, for long enough?
    fn stands(&self, now: &Sample) -> bool {
        let still = self.samples.iter().rev().take_while(|sample| sample.is_like(now));
        still.map(|sample| now.at.saturating_sub(sample.at)).any(|span| span >= STILL_FOR)
    }
}

impl Sample {
    fn is_like(&self, other: &Self) -> bool {
        self.drift(other) <= STILL_WIDTHS && (self.width / other.width).ln().abs() <= STILL_GROWTH
    }

    /// Widths between two places.
    fn drift(&self, other: &Self) -> f32 {
        self.centre.distance(other.centre) / other.width
    }
}

fn way(from: &Sample, now: &Sample) -> Option<Direction> {
    let growth = (now.width / from.width).ln();
    let down = (now.centre.y - from.centre.y) / now.width;
    if growth.abs() >= GROWTH {
        Some(if growth > 0.0 { Direction::Approaching } else { Direction::Receding })
    } else if down.abs() >= DOWN_WIDTHS {
        Some(if down > 0.0 { Direction::Approaching } else { Direction::Receding })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds ten frames a second; `path` gives x, y and width at a time in seconds.
    fn after(seconds: f32, path: impl Fn(f32) -> (f32, f32, f32)) -> Option<Direction> {
        let rect = |t| {
            let (x, y, width) = path(t);
            Rect::centred(Point::new(x, y), width, width / 3.0)
        };
        let mut heading = Heading::first(&rect(0.0), Uptime::ZERO);
        for step in 1..=(seconds * 10.0) as u64 {
            heading.seen(&rect(step as f32 / 10.0), Uptime::from_millis(step * 100));
        }
        heading.direction()
    }

    #[test]
    fn a_growing_plate_comes_and_a_shrinking_one_goes() {
        assert_eq!(after(2.0, |t| (400.0, 300.0, 60.0 + 20.0 * t)), Some(Direction::Approaching));
        assert_eq!(after(2.0, |t| (400.0, 300.0, 120.0 - 20.0 * t)), Some(Direction::Receding));
        assert_eq!(after(2.0, |t| (400.0, 100.0 + 80.0 * t, 60.0)), Some(Direction::Approaching));
    }

    #[test]
    fn a_car_that_stops_stands_and_one_that_starts_again_does_not() {
        let stops = |t: f32| (400.0, 300.0, 60.0 + 20.0 * t.min(2.0));
        assert_eq!(after(5.0, stops), Some(Direction::Stationary));
        let leaves = |t: f32| (400.0, 300.0, 100.0 - 15.0 * (t - 4.0).max(0.0));
        assert_eq!(after(4.0, leaves), Some(Direction::Stationary));
        assert_eq!(after(6.0, leaves), Some(Direction::Receding));
    }

    #[test]
    fn sideways_is_neither_coming_nor_going() {
        assert_eq!(after(2.0, |t| (100.0 + 200.0 * t, 300.0, 60.0)), None);
    }
}
