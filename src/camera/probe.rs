//! A short look at one camera, for an installer: does it open, what does it deliver, is its picture any good?

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;

use super::health::{HOLD, HealthWatch};
use super::source::redacted;
use super::thumbnail::Thumbnail;
use super::worker::opener;
use super::{FrameSource, PictureHealth};
use crate::config::Camera;
use crate::domain::frame::Frame;

/// What was seen of a camera.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Probe {
    /// Its name in the settings, or its source when it does not stand there.
    pub id: String,
    /// Without credentials.
    pub source: String,
    /// What reads it and the codec, such as `FFMPEG h264`.
    pub backend: Option<String>,
    /// Time to open it and get the first picture.
    pub first_picture_ms: Option<u64>,
    /// Pixels across; 0 when no picture came.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Frames a second that it says it has.
    pub expected_fps: Option<f32>,
    /// Frames a second that came; of a recording: by its own time.
    pub fps: Option<f32>,
    /// Longest time between two pictures; of a recording: by its own time.
    pub longest_gap_ms: u64,
    /// Pictures that came.
    pub frames: u64,
    /// Black, covered, frozen; blur is not told so soon.
    pub picture: PictureHealth,
    /// Why it could not be opened, or broke off.
    pub error: Option<String>,
}

impl Probe {
    /// Pictures came, to the end, and nothing is wrong with them.
    pub fn is_good(&self) -> bool {
        let seen = matches!(self.picture, PictureHealth::Good | PictureHealth::Unknown);
        self.error.is_none() && self.frames > 0 && seen
    }
}

/// Opens a camera and watches it for a while; a recording, for so much of its own time.
///
/// `tick` is called after each picture with the time watched so far.
pub fn probe(camera: &Camera, base: &Path, watch_for: Duration, tick: &mut dyn FnMut(Duration)) -> Probe {
    let mut probe = Probe { id: camera.id.clone(), source: redacted(&camera.source), ..Probe::default() };
    if let Err(error) = look(camera, base, watch_for, tick, &mut probe) {
        probe.error = Some(redacted(&format!("{error:#}")));
    }
    probe
}

fn look(
    camera: &Camera,
    base: &Path,
    watch_for: Duration,
    tick: &mut dyn FnMut(Duration),
    probe: &mut Probe,
) -> Result<()> {
    let asked = Instant::now();
    let mut source = opener(camera, base)?()?;
    probe.backend = Some(source.describe());
    probe.expected_fps = source.expected_fps();
    let mut health = HealthWatch::default();
    let mut first = None;
    let mut last = Duration::ZERO;
    while let Some(grabbed) = source.grab()? {
        let picture = source.picture()?;
        (probe.width, probe.height) = (picture.width, picture.height);
        health.watch(&Thumbnail::of(picture), grabbed.at);
        probe.frames += 1;
        probe.first_picture_ms.get_or_insert_with(|| asked.elapsed().as_millis() as u64);
        let begun = *first.get_or_insert(grabbed.at);
        if probe.frames > 1 {
            let gap = grabbed.at.saturating_sub(last);
            probe.longest_gap_ms = probe.longest_gap_ms.max(gap.as_millis() as u64);
        }
        last = grabbed.at;
        let watched = last.saturating_sub(begun);
        probe.fps = (!watched.is_zero()).then(|| (probe.frames - 1) as f32 / watched.as_secs_f32());
        tick(watched);
        if watched >= watch_for {
            break;
        }
    }
    probe.picture = health.told();
    Ok(())
}

/// Shortest time to watch in which a black or covered picture is told.
pub const SHORTEST: Duration = HOLD.saturating_add(Duration::from_secs(1));

/// A live camera's picture is taken after so long: exposure settles, and a stream that began between two key frames
/// becomes whole.
const SETTLE: Duration = Duration::from_millis(1500);

/// One picture: of a live camera the newest, of a recording the first at or after `at` of its own time.
pub fn shot(camera: &Camera, base: &Path, at: Duration) -> Result<Frame> {
    let mut source: Box<dyn FrameSource> = opener(camera, base)?()?;
    let wanted = if source.is_live() { SETTLE } else { at };
    let mut begun = None;
    while let Some(grabbed) = source.grab()? {
        let first = *begun.get_or_insert(if source.is_live() { grabbed.at } else { Duration::ZERO });
        if grabbed.at.saturating_sub(first) >= wanted {
            return source.picture()?.to_frame(grabbed);
        }
    }
    bail!("`{}` ends before {:.1} s", redacted(&camera.source), at.as_secs_f32());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve seconds of pictures, ten a second, of an evenly grey wall (`level`) or of a checkered one.
    fn folder(level: Option<u8>) -> (tempfile::TempDir, Camera) {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..120_u32 {
            let value = |x: u32, y: u32| level.unwrap_or(if (x + y + n) % 8 < 4 { 40 } else { 200 });
            let picture = image::RgbImage::from_fn(32, 18, |x, y| image::Rgb([value(x, y); 3]));
            picture.save(folder.path().join(format!("{n:03}.bmp"))).unwrap();
        }
        let camera = Camera { id: "lot".into(), source: "images:.".into(), ..Camera::default() };
        (folder, camera)
    }

    #[test]
    fn a_good_picture_is_measured() {
        let (folder, camera) = folder(None);
        let mut watched = Duration::ZERO;
        let probe = probe(&camera, folder.path(), SHORTEST, &mut |so_far| watched = so_far);
        assert!(probe.is_good(), "{probe:?}");
        assert_eq!((probe.width, probe.height, probe.longest_gap_ms), (32, 18, 100));
        assert!((probe.fps.unwrap() - 10.0).abs() < 0.01, "{probe:?}");
        assert_eq!(watched, SHORTEST);
    }

    #[test]
    fn a_covered_lens_and_a_missing_folder_are_told() {
        let (folder, camera) = folder(Some(90));
        let covered = probe(&camera, folder.path(), SHORTEST, &mut |_| {});
        assert_eq!((covered.picture, covered.is_good()), (PictureHealth::Covered, false));
        let gone = probe(&camera, &folder.path().join("gone"), SHORTEST, &mut |_| {});
        assert!(gone.error.as_deref().is_some_and(|words| words.contains("gone")), "{gone:?}");
    }

    #[test]
    fn a_shot_of_a_recording_is_taken_at_the_time_asked_for() {
        let (folder, camera) = folder(None);
        assert_eq!(shot(&camera, folder.path(), Duration::from_millis(250)).unwrap().seq, 3);
        let words = shot(&camera, folder.path(), Duration::from_secs(60)).unwrap_err().to_string();
        assert!(words.contains("ends before 60.0 s"), "{words}");
    }
}
