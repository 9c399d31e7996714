//! Is the picture fit to be looked at? Black, covered, frozen, or blurred against what this camera usually shows.
//!
//! Pure: a thumbnail and its time go in, a verdict comes out. A fault is told after it held for [`HOLD`] (frozen:
//! [`FROZEN_AFTER`]) and taken back after the picture was good for [`HOLD`]: a change is known within 15 s as long
//! as a picture a second comes in. Blur is judged against the camera's own sharpness over about a day, so it is not
//! told in the first minutes, and a camera that stays blurred for half a day becomes the norm.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::median;
use super::thumbnail::{HEIGHT, Thumbnail, WHITE, WIDTH};
use crate::domain::Uptime;

/// What is wrong with the picture, if anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PictureHealth {
    /// Not judged yet.
    #[default]
    Unknown,
    /// Fit to be looked at.
    Good,
    /// No light at all.
    Black,
    /// A hand, a leaf, paint or fog: one even tone.
    Covered,
    /// Out of focus or dirty, against what the camera usually shows.
    Blurred,
    /// The same picture over and over, without the noise of a living sensor.
    Frozen,
}

/// A verdict changes after it held for so long.
pub const HOLD: Duration = Duration::from_secs(4);
/// A picture that did not change at all for so long is frozen.
pub const FROZEN_AFTER: Duration = Duration::from_secs(8);
/// Pictures nearer together than this are not judged twice.
const EVERY: Duration = Duration::from_millis(400);

/// Share of white that hardly a cell of a black picture exceeds.
const BLACK_BELOW: f32 = 0.10;
/// Share of white that lies between the darkest and the brightest cells of a covered picture.
const COVERED_SPREAD: f32 = 0.12;
/// Blurred: less than this share of the usual sharpness.
const BLURRED_BELOW: f32 = 0.25;

/// Watches one camera's pictures.
#[derive(Clone, Debug, Default)]
pub struct HealthWatch {
    told: PictureHealth,
    /// What the pictures look like that differ from `told`, and since when.
    pending: Option<(PictureHealth, Uptime)>,
    last: Option<(Thumbnail, Uptime)>,
    /// When the picture last changed at all.
    changed_at: Uptime,
    usual: UsualSharpness,
}

impl HealthWatch {
    /// Judges a picture; `Some` when the verdict changed.
    pub fn watch(&mut self, thumbnail: &Thumbnail, at: Uptime) -> Option<PictureHealth> {
        if self.last.as_ref().is_some_and(|(_, last)| at.saturating_sub(*last) < EVERY) {
            return None;
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != thumbnail) {
            self.changed_at = at;
        }
        let looks = self.looks(thumbnail, at);
        self.last = Some((thumbnail.clone(), at));
        self.settle(looks, at)
    }

    /// The verdict so far.
    pub fn told(&self) -> PictureHealth {
        self.told
    }

    /// A new stream: what was held against the old one is forgotten, its usual sharpness is not.
    pub fn reopened(&mut self) {
        self.last = None;
        self.pending = None;
    }

    fn looks(&mut self, thumbnail: &Thumbnail, at: Uptime) -> PictureHealth {
        let light = Light::of(thumbnail);
        if light.bright < BLACK_BELOW {
            return PictureHealth::Black;
        }
        if light.bright - light.dark < COVERED_SPREAD {
            return PictureHealth::Covered;
        }
        if at.saturating_sub(self.changed_at) >= FROZEN_AFTER {
            return PictureHealth::Frozen;
        }
        let sharpness = sharpness(thumbnail);
        let usual = self.usual.add(sharpness, at);
        match usual {
            Some(usual) if sharpness < usual * BLURRED_BELOW => PictureHealth::Blurred,
            _ => PictureHealth::Good,
        }
    }

    fn settle(&mut self, looks: PictureHealth, at: Uptime) -> Option<PictureHealth> {
        if looks == self.told {
            self.pending = None;
            return None;
        }
        let since = match self.pending {
            Some((pending, since)) if pending == looks => since,
            _ => at,
        };
        self.pending = Some((looks, since));
        // Frozen has already held for FROZEN_AFTER; a first good picture needs no proof.
        let at_once = looks == PictureHealth::Frozen || (self.told, looks) == UNKNOWN_TO_GOOD;
        if !at_once && at.saturating_sub(since) < HOLD {
            return None;
        }
        self.pending = None;
        self.told = looks;
        Some(looks)
    }
}

const UNKNOWN_TO_GOOD: (PictureHealth, PictureHealth) = (PictureHealth::Unknown, PictureHealth::Good);

/// Grey values that 2 % and 98 % of the cells do not exceed, as shares of white.
struct Light {
    dark: f32,
    bright: f32,
}

impl Light {
    fn of(thumbnail: &Thumbnail) -> Self {
        let mut cells = thumbnail.cells().to_vec();
        cells.sort_unstable();
        let at = |share: usize| f32::from(cells[cells.len() * share / 100]) / f32::from(WHITE);
        Self { dark: at(2), bright: at(98) }
    }
}

/// Variance of the Laplacian over the thumbnail; depends on the scene, so compare a camera with itself only.
fn sharpness(thumbnail: &Thumbnail) -> f32 {
    let cells = thumbnail.cells();
    let (mut sum, mut squares, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
    for y in 1..HEIGHT - 1 {
        for at in y * WIDTH + 1..(y + 1) * WIDTH - 1 {
            let around =
                [at - 1, at + 1, at - WIDTH, at + WIDTH].iter().map(|&near| f64::from(cells[near])).sum::<f64>();
            let laplacian = around - 4.0 * f64::from(cells[at]);
            sum += laplacian;
            squares += laplacian * laplacian;
            count += 1.0;
        }
    }
    ((squares - sum * sum / count) / count) as f32
}

/// The camera's own sharpness over about a day: enough values soon after the start, then one every two minutes.
#[derive(Clone, Debug, Default)]
struct UsualSharpness {
    values: VecDeque<f32>,
    added_at: Option<Uptime>,
    median: f32,
}

impl UsualSharpness {
    const ENOUGH: usize = 30;
    const MOST: usize = 720;
    const FIRST_EVERY: Duration = Duration::from_secs(5);
    const THEN_EVERY: Duration = Duration::from_secs(120);

    /// Takes the value in when it is time for one; the median, once there are enough.
    fn add(&mut self, value: f32, at: Uptime) -> Option<f32> {
        let every = if self.values.len() < Self::ENOUGH { Self::FIRST_EVERY } else { Self::THEN_EVERY };
        if self.added_at.is_none_or(|last| at.saturating_sub(last) >= every) {
            if self.values.len() == Self::MOST {
                self.values.pop_front();
            }
            self.values.push_back(value);
            self.added_at = Some(at);
            self.median = median(self.values.iter().copied().collect());
        }
        (self.values.len() >= Self::ENOUGH).then_some(self.median)
    }
}

#[cfg(test)]
mod tests {
    use super::super::thumbnail::tests::{grey, thumbnail};
    use super::PictureHealth::{Black, Blurred, Covered, Frozen, Good};
    use super::*;

    /// Deterministic noise, as a sensor has it.
    fn noise(x: u32, y: u32, n: u64, most: u32) -> u32 {
        let mixed = x.wrapping_mul(7919) ^ y.wrapping_mul(104_729) ^ (n as u32).wrapping_mul(15_485_863);
        (mixed.wrapping_mul(2_654_435_761) >> 12) % most
    }

    /// Walls, edges and windows, with noise that changes with `n`.
    fn scene(n: u64) -> Thumbnail {
        let wall = |x: u32, y: u32| if (x / 12 + y / 9).is_multiple_of(2) { 60 } else { 170 };
        thumbnail(&grey(320, 180, |x, y| (wall(x, y) + noise(x, y, n, 6)) as u8))
    }

    /// The same scene as a lens out of focus shows it: soft waves instead of edges.
    fn soft(n: u64) -> Thumbnail {
        let wave = |at: u32, period: f32| (at as f32 / period).sin();
        let wall = |x: u32, y: u32| 115.0 + 50.0 * wave(x, 30.0) * wave(y, 22.0);
        thumbnail(&grey(320, 180, |x, y| (wall(x, y) as u32 + noise(x, y, n, 3)) as u8))
    }

    fn even(level: u32) -> impl Fn(u64) -> Thumbnail {
        move |n| thumbnail(&grey(320, 180, |x, y| (level + noise(x, y, n, 5)) as u8))
    }

    /// A picture each half second from `from` to `to`, in seconds; each change with its second.
    fn show(
        watch: &mut HealthWatch,
        from: u64,
        to: u64,
        picture: impl Fn(u64) -> Thumbnail,
    ) -> Vec<(PictureHealth, u64)> {
        // Eight pictures in turn: each differs from the one before, as a living sensor's do.
        let pictures: Vec<Thumbnail> = (0..8).map(picture).collect();
        let times = (from * 2..to * 2).map(|half| (half as usize % 8, Duration::from_millis(half * 500)));
        times.filter_map(|(n, at)| watch.watch(&pictures[n], at).map(|told| (told, at.as_secs()))).collect()
    }

    #[test]
    fn each_fault_is_told_within_fifteen_seconds_and_taken_back() {
        type Faulty = Box<dyn Fn(u64) -> Thumbnail>;
        let faults: [(PictureHealth, Faulty); 4] = [
            (Black, Box::new(even(4))),
            (Covered, Box::new(even(120))),
            (Frozen, Box::new(|_| scene(7))),
            (Blurred, Box::new(soft)),
        ];
        for (fault, picture) in faults {
            let mut watch = HealthWatch::default();
            assert_eq!(show(&mut watch, 0, 300, scene), [(Good, 0)]);
            let told = show(&mut watch, 300, 315, picture);
            assert_eq!(told.len(), 1, "{fault:?}: {told:?}");
            assert_eq!(told[0].0, fault);
            let back = show(&mut watch, 315, 330, scene);
            assert_eq!(back.iter().map(|(told, _)| *told).collect::<Vec<_>>(), [Good], "{fault:?}");
        }
    }

    #[test]
    fn a_hand_that_passes_the_lens_is_not_told() {
        let mut watch = HealthWatch::default();
        show(&mut watch, 0, 60, scene);
        assert_eq!(show(&mut watch, 60, 63, even(90)), []);
        assert_eq!(show(&mut watch, 63, 90, scene), []);
        assert_eq!(watch.told(), Good);
    }

    #[test]
    fn a_quiet_scene_with_sensor_noise_is_not_frozen() {
        assert_eq!(show(&mut HealthWatch::default(), 0, 120, scene), [(Good, 0)]);
    }

    #[test]
    fn a_soft_scene_is_no_blur_when_the_camera_always_shows_it() {
        assert_eq!(show(&mut HealthWatch::default(), 0, 600, soft), [(Good, 0)]);
    }

    #[test]
    fn a_camera_that_begins_black_is_told_as_black() {
        let told = show(&mut HealthWatch::default(), 0, 15, even(2));
        assert_eq!(told.iter().map(|(told, _)| *told).collect::<Vec<_>>(), [Black]);
    }
}
