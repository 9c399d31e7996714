//! Finds and reads the plates of a frame: what the inference thread owns and calls.
//!
//! Every plate that was found is told, read or not; what was not read says why. The reader runs only where it can
//! help: not on plates too small to hold characters, cut off by the edge, or whose track the caller has decided.

use std::path::Path;

use anyhow::Context;

use super::crops::{CropReader, CropReading};
use super::decode::Candidate;
use super::detector::Detector;
use super::pack::{Chosen, PackFolders, Task};
use super::picture::Pixels;
use super::reader::{Known, PlateArea};
use super::runtime::Runtime;
use crate::config::{Inference, Plates};
use crate::domain::frame::Frame;
use crate::domain::geometry::{Point, Quad, Rect};
use crate::domain::observation::{CropQuality, FrameObservation, PlateObservation, RejectReason, StageTimes};

/// A plate is cut off when it reaches over the edge by more than this share of its width.
const OVER_THE_EDGE: f32 = 0.04;

/// Finds and reads the plates of a frame.
#[derive(Debug)]
pub struct PlateReader {
    detector: Detector,
    crops: CropReader,
    min_width_px: f32,
}

impl PlateReader {
    /// Loads the packs that the settings name; `base` is the folder of the settings file.
    ///
    /// Fails with words that name the pack, the file and the way out; ONNX Runtime sees no file that was not verified.
    pub fn load(plates: &Plates, inference: &Inference, base: &Path) -> anyhow::Result<Self> {
        let packs = Chosen::open(&plates.packs, &PackFolders::new(&plates.pack_folders, base), base)?;
        let runtime = Runtime::find(inference, base)?;
        let (pack, model) = packs.model(Task::PlateDetect).with_context(|| packs.lacks(Task::PlateDetect))?;
        packs.model(Task::PlateOcr).with_context(|| packs.lacks(Task::PlateOcr))?;
        let detector = Detector::load(pack, model, &runtime, plates.detection_threshold)?;
        Ok(Self { detector, crops: CropReader::load(&packs, &runtime)?, min_width_px: plates.min_width_px })
    }

    /// Finds the plates of a frame and reads them all.
    pub fn observe(&mut self, camera: &str, frame: &Frame) -> anyhow::Result<FrameObservation> {
        self.observe_with(camera, frame, &mut |_| true)
    }

    /// Finds the plates of a frame and reads those for whose box `wanted` says so.
    pub fn observe_with(
        &mut self,
        camera: &str,
        frame: &Frame,
        wanted: &mut dyn FnMut(&Rect) -> bool,
    ) -> anyhow::Result<FrameObservation> {
        let mut timing = StageTimes::default();
        let found = self.detector.find(frame.into(), &mut timing)?;
        let mut plates = Vec::with_capacity(found.len());
        for candidate in found {
            plates.push(self.look_at(frame, &candidate, wanted, &mut timing)?);
        }
        let (camera, size) = (camera.to_owned(), (frame.width, frame.height));
        Ok(FrameObservation { camera, seq: frame.seq, at: frame.at, size, plates, faces: Vec::new(), timing })
    }

    /// What reads the plates that were found.
    pub fn crops(&self) -> &CropReader {
        &self.crops
    }

    fn look_at(
        &mut self,
        frame: &Frame,
        found: &Candidate,
        wanted: &mut dyn FnMut(&Rect) -> bool,
        timing: &mut StageTimes,
    ) -> anyhow::Result<PlateObservation> {
        let known = if found.corners.is_some() { Known::Corners } else { Known::Box };
        let quad = found.corners.unwrap_or(found.rect.quad());
        let area = PlateArea { quad, known, rows: found.rows };
        let pixels = Pixels::from(frame);
        let rect = found.rect.clipped(frame.width as f32, frame.height as f32);
        let reason = unfit(&area.quad, pixels, self.min_width_px);
        let reading = match reason {
            None if wanted(&rect) => self.crops.read_area(pixels, &area, timing)?,
            rejected => not_read(&area.quad, rejected),
        };
        Ok(PlateObservation {
            rect,
            corners: found.corners,
            rows: self.crops.rows(&area),
            detection: found.score,
            certain: found.score >= self.detector.certain(),
            evidence: reading.evidence,
            colours: reading.colours,
            quality: reading.quality,
            rejected: reading.rejected,
        })
    }
}

fn not_read(quad: &Quad, rejected: Option<RejectReason>) -> CropReading {
    let quality = CropQuality { width_px: quad.width(), height_px: quad.height(), ..CropQuality::default() };
    CropReading { evidence: None, colours: Vec::new(), quality, rejected }
}

/// Why the reader need not be asked.
fn unfit(quad: &Quad, frame: Pixels<'_>, min_width_px: f32) -> Option<RejectReason> {
    if quad.width() < min_width_px {
        return Some(RejectReason::TooSmall);
    }
    let over = 1.0 + OVER_THE_EDGE * quad.width();
    let (right, bottom) = (frame.width as f32 + over, frame.height as f32 + over);
    let outside = |corner: Point| corner.x < -over || corner.y < -over || corner.x > right || corner.y > bottom;
    quad.0.into_iter().any(outside).then_some(RejectReason::CutOff)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Pixels<'static> = Pixels { width: 640, height: 480, bgr: &[] };

    #[test]
    fn a_plate_that_is_too_small_or_cut_off_is_not_read() {
        let plate = |x: f32, width: f32| Rect::new(x, 100.0, x + width, 100.0 + width / 3.0).quad();
        assert_eq!(unfit(&plate(100.0, 39.0), FRAME, 40.0), Some(RejectReason::TooSmall));
        assert_eq!(unfit(&plate(100.0, 120.0), FRAME, 40.0), None);
        assert_eq!(unfit(&plate(-3.0, 120.0), FRAME, 40.0), None);
        assert_eq!(unfit(&plate(-30.0, 120.0), FRAME, 40.0), Some(RejectReason::CutOff));
        assert_eq!(unfit(&plate(560.0, 120.0), FRAME, 40.0), Some(RejectReason::CutOff));
    }
}
