//! One model of a pack by itself: how long it takes, and whether it gives what its golden samples say.

use anyhow::{Context, bail, ensure};

use super::crops::CropReader;
use super::decode::FaceBox;
use super::detector::Detector;
use super::face::{Embedder, ExpressionModel, FaceDetector};
use super::golden_faces;
use super::pack::{Chosen, Golden, Model, Pack, Task};
use super::runtime::Runtime;
use super::still;
use crate::config::Inference;
use crate::domain::frame::Frame;
use crate::domain::geometry::{Point, Rect};
use crate::domain::observation::{Rows, StageTimes};
use crate::inference::crops::Place;

/// Least overlap of a golden box with the box that is found.
const GOLDEN_IOU: f32 = 0.75;

/// A loaded model by itself.
#[derive(Debug)]
pub struct Solo {
    runner: Runner,
}

#[derive(Debug)]
enum Runner {
    Detector(Detector),
    Crops(CropReader),
    Faces(FaceDetector),
    Embedding(Embedder),
    Expression(ExpressionModel),
}

impl Solo {
    /// Verifies and loads one model; `base` is the folder that `inference.library` is relative to.
    pub fn load(pack: &Pack, model: &Model, settings: &Inference, base: &std::path::Path) -> anyhow::Result<Self> {
        let runtime = Runtime::find(settings, base)?;
        let mut only = pack.clone();
        only.manifest.models.retain(|each| each.task == model.task);
        let runner = match model.task {
            Task::PlateDetect => Runner::Detector(Detector::load(pack, model, &runtime, None)?),
            Task::PlateOcr | Task::PlateColour => Runner::Crops(CropReader::load(&Chosen::only(only), &runtime)?),
            Task::FaceDetect => Runner::Faces(FaceDetector::load(pack, model, &runtime, None)?),
            Task::FaceEmbed => Runner::Embedding(Embedder::load(pack, model, &runtime)?),
            Task::FaceExpression => Runner::Expression(ExpressionModel::load(pack, model, &runtime)?),
        };
        Ok(Self { runner })
    }

    /// One run: a detector on the whole frame, the others on the plate or face in it. Milliseconds before, in and after the
    /// network; for faces what is before and after stands together in front.
    pub fn time(&mut self, frame: &Frame, place: Rect) -> anyhow::Result<[f32; 3]> {
        let mut times = StageTimes::default();
        match &mut self.runner {
            Runner::Detector(detector) => {
                detector.find(frame.into(), &mut times)?;
                Ok([times.detect_pre_ms, times.detect_ms, times.detect_post_ms])
            }
            Runner::Crops(crops) => {
                crops.read(frame, Place::Corners(place.quad()), None, &mut times)?;
                Ok([times.read_pre_ms, times.read_ms, times.read_post_ms])
            }
            Runner::Faces(detector) => {
                detector.find(frame.into(), &mut times)?;
                Ok([times.face_work_ms, times.face_ms, 0.0])
            }
            Runner::Embedding(embedder) => {
                embedder.embed(frame.into(), &face_in(place).points, false, &mut times)?;
                Ok([times.face_work_ms, times.face_ms, 0.0])
            }
            Runner::Expression(model) => {
                model.tell(frame.into(), &face_in(place), &mut times)?;
                Ok([times.face_work_ms, times.face_ms, 0.0])
            }
        }
    }

    /// Runs a golden sample; `Err` says how the result differs.
    pub fn check(&mut self, pack: &Pack, golden: &Golden) -> anyhow::Result<()> {
        let frame = still::picture(&pack.path(&golden.image)?)?;
        match &mut self.runner {
            Runner::Detector(detector) => {
                let found = detector.find((&frame).into(), &mut StageTimes::default())?;
                let found: Vec<Rect> = found.iter().map(|candidate| candidate.rect).collect();
                check_boxes(&found, golden.boxes.as_deref().context("a detector's golden sample needs `boxes`")?)
            }
            Runner::Crops(crops) => check_reading(crops, &frame, golden),
            Runner::Faces(detector) => {
                let found = detector.find((&frame).into(), &mut StageTimes::default())?;
                let found: Vec<Rect> = found.iter().map(|face| face.rect).collect();
                check_boxes(&found, golden.boxes.as_deref().context("a detector's golden sample needs `boxes`")?)
            }
            Runner::Embedding(embedder) => golden_faces::check_vector(embedder, pack, &frame, golden),
            Runner::Expression(model) => golden_faces::check_expression(model, &frame, golden),
        }
    }
}

/// A face that looks into the camera, in a box.
fn face_in(rect: Rect) -> FaceBox {
    let points = [[0.32, 0.4], [0.68, 0.4], [0.5, 0.6], [0.36, 0.8], [0.64, 0.8]];
    let at = |[x, y]: [f32; 2]| Point::new(rect.x1 + x * rect.width(), rect.y1 + y * rect.height());
    FaceBox { rect, points: points.map(at), score: 1.0 }
}

fn check_boxes(found: &[Rect], wanted: &[[f32; 4]]) -> anyhow::Result<()> {
    for &[x1, y1, x2, y2] in wanted {
        let best = found.iter().map(|rect| rect.iou(&Rect::new(x1, y1, x2, y2))).fold(0.0, f32::max);
        ensure!(best >= GOLDEN_IOU, "what is at {x1:.0},{y1:.0} is met with IoU {best:.2}, {GOLDEN_IOU} is needed");
    }
    ensure!(found.len() == wanted.len(), "{} boxes were found, the sample has {}", found.len(), wanted.len());
    Ok(())
}

fn check_reading(crops: &mut CropReader, frame: &Frame, golden: &Golden) -> anyhow::Result<()> {
    let rows = if golden.double_row { Rows::Double } else { Rows::Single };
    let reading = crops.read(frame, Place::Whole, Some(rows), &mut StageTimes::default())?;
    if let Some(wanted) = &golden.text {
        let found = reading.evidence.map(|evidence| evidence.greedy().text);
        ensure!(found.as_ref() == Some(wanted), "it reads `{}`, not `{wanted}`", found.unwrap_or_default());
    }
    if let Some(wanted) = &golden.colour {
        let found = reading.colours.first().map_or("none", |(colour, _)| colour.word());
        ensure!(found == wanted, "its colour is {found}, not {wanted}");
    }
    if golden.text.is_none() && golden.colour.is_none() {
        bail!("a golden sample needs `text`, `colour` or `boxes`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_golden_frame_is_met_by_every_box_and_by_no_other() {
        let plates = [Rect::new(10.0, 10.0, 110.0, 40.0), Rect::new(200.0, 10.0, 300.0, 40.0)];
        let wanted = [[10.0, 11.0, 110.0, 41.0], [200.0, 10.0, 300.0, 40.0]];
        assert!(check_boxes(&plates, &wanted).is_ok());
        assert!(check_boxes(&plates, &wanted[..1]).unwrap_err().to_string().contains("2 boxes"));
        assert!(check_boxes(&plates[..1], &wanted).unwrap_err().to_string().contains("IoU 0.00"));
        assert!(check_boxes(&[], &[]).is_ok());
    }
}
