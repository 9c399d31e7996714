//! Which frames are worth looking at: not more than so many a second, and few when nothing moves.
//!
//! Pure: time comes in as a value. What is passed over is counted by the caller, by kind.

use std::time::Duration;

use super::thumbnail::{HEIGHT, Thumbnail, WHITE, WIDTH};
use crate::domain::Uptime;

/// Lets so many frames a second through, evenly.
#[derive(Clone, Debug)]
pub struct RateGate {
    interval: Duration,
    due: Option<Uptime>,
}

impl RateGate {
    /// `per_second` must be above 0.
    pub fn new(per_second: f32) -> Self {
        Self { interval: Duration::from_secs_f32(1.0 / per_second.clamp(0.01, 1000.0)), due: None }
    }

    /// Is a frame taken at `at` one of them? Keeps the rate on average when frames come at another beat.
    pub fn passes(&mut self, at: Uptime) -> bool {
        let due = self.due.unwrap_or(at);
        if at < due {
            return false;
        }
        let next = due + self.interval;
        self.due = Some(if next <= at { at + self.interval } else { next });
        true
    }
}

/// Cells of the motion grid that differ before something moved; of 80 × 45.
const MOVED_CELLS: usize = 4;
/// Share of white by which a cell must differ, after the change of the whole picture's light is taken off.
const MOVED_BY: f32 = 0.06;
/// Frames pass for so long after the last motion: a car that has just stopped is still read.
const LINGER: Duration = Duration::from_secs(1);
/// When nothing moves, one frame in so long passes.
const IDLE: Duration = Duration::from_secs(1);

/// Cells of the motion grid.
const GRID: usize = WIDTH / 2 * HEIGHT / 2;

/// Lets a frame through when something moved since the last one that passed, and one a second when nothing does.
#[derive(Clone, Debug, Default)]
pub struct MotionGate {
    /// Grid and time of the last frame that passed.
    passed: Option<(Vec<f32>, Uptime)>,
    moved: Option<Uptime>,
}

impl MotionGate {
    /// Does the frame taken at `at` pass?
    pub fn passes(&mut self, thumbnail: &Thumbnail, at: Uptime) -> bool {
        let grid = grid(thumbnail);
        let Some((last, last_at)) = &self.passed else {
            self.passed = Some((grid, at));
            return true;
        };
        if moved_cells(last, &grid) >= MOVED_CELLS {
            self.moved = Some(at);
        }
        let lingers = self.moved.is_some_and(|moved| at.saturating_sub(moved) <= LINGER);
        let passes = lingers || at.saturating_sub(*last_at) >= IDLE;
        if passes {
            self.passed = Some((grid, at));
        }
        passes
    }
}

/// Means of 2 × 2 cells, 0..1.
fn grid(thumbnail: &Thumbnail) -> Vec<f32> {
    let cells = thumbnail.cells();
    let mut grid = Vec::with_capacity(GRID);
    for pair in cells.chunks_exact(2 * WIDTH) {
        for x in (0..WIDTH).step_by(2) {
            let sum: u32 = [x, x + 1, WIDTH + x, WIDTH + x + 1].iter().map(|&at| u32::from(pair[at])).sum();
            grid.push(sum as f32 / (4.0 * f32::from(WHITE)));
        }
    }
    grid
}

fn moved_cells(before: &[f32], now: &[f32]) -> usize {
    let differences: Vec<f32> = before.iter().zip(now).map(|(before, now)| now - before).collect();
    let light = median(differences.clone());
    differences.iter().filter(|&&difference| (difference - light).abs() > MOVED_BY).count()
}

/// The middle value; 0 of none.
pub(super) fn median(mut values: Vec<f32>) -> f32 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::super::thumbnail::tests::{grey, thumbnail};
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn passed(rate: &mut RateGate, fps: u64, seconds: u64) -> usize {
        (0..fps * seconds).filter(|n| rate.passes(Duration::from_secs_f64(*n as f64 / fps as f64))).count()
    }

    #[test]
    fn the_rate_holds_on_average_whatever_the_cameras_beat() {
        for (camera, wanted, seconds) in [(15, 8.0, 10), (25, 8.0, 10), (30, 10.0, 10), (7, 3.0, 10)] {
            let got = passed(&mut RateGate::new(wanted), camera, seconds);
            let expected = wanted * seconds as f32;
            assert!((got as f32 - expected).abs() <= 1.0, "{camera} fps to {wanted}: {got} in {seconds} s");
        }
        assert_eq!(passed(&mut RateGate::new(8.0), 5, 10), 50, "a slow camera loses nothing");
    }

    #[test]
    fn after_a_gap_there_is_no_burst() {
        let mut rate = RateGate::new(2.0);
        assert!(rate.passes(MS(0)));
        assert!(rate.passes(MS(60_000)));
        assert!(!rate.passes(MS(60_100)));
        assert!(rate.passes(MS(60_500)));
    }

    /// A street with a bright car of 60 x 40 pixels at `x`, in 1280 x 720.
    fn street(x: u32, light: u8) -> Thumbnail {
        let car = |px: u32, py: u32| (x..x + 60).contains(&px) && (300..340).contains(&py);
        thumbnail(&grey(1280, 720, |px, py| light + if car(px, py) { 180 } else { 60 + (px % 32) as u8 }))
    }

    fn count(gate: &mut MotionGate, frames: impl Iterator<Item = (Thumbnail, u64)>) -> usize {
        frames.filter(|(picture, ms)| gate.passes(picture, MS(*ms))).count()
    }

    #[test]
    fn one_frame_a_second_passes_when_nothing_moves() {
        let still = (0..80).map(|n| (street(100, 0), n * 125));
        assert_eq!(count(&mut MotionGate::default(), still), 10);
    }

    #[test]
    fn a_small_car_passes_in_every_frame_and_for_a_second_after_it_stopped() {
        let mut gate = MotionGate::default();
        assert!(gate.passes(&street(100, 0), MS(0)));
        assert_eq!(count(&mut gate, (1..9).map(|n| (street(100 + 40 * n as u32, 0), n * 125))), 8);
        assert_eq!(count(&mut gate, (9..25).map(|n| (street(420, 0), n * 125))), 8 + 1);
    }

    #[test]
    fn a_crawling_car_passes_as_soon_as_its_way_adds_up() {
        let mut gate = MotionGate::default();
        let crawl = (0..8).map(|n| (street(100 + 6 * n as u32, 0), n * 125));
        assert!(count(&mut gate, crawl) >= 2);
    }

    #[test]
    fn a_cloud_before_the_sun_is_no_motion() {
        let clouds = (0..8).map(|n| (street(100, (n * 4) as u8), n * 125));
        assert_eq!(count(&mut MotionGate::default(), clouds), 1);
    }
}
