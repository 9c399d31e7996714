//! Finds the faces of a frame, judges them, and turns the good ones into vectors and expressions: what the inference
//! thread owns and calls.
//!
//! Every face that was found is told; what has no vector says why. The networks for one face run only where the caller
//! wants their answer and the face is good enough for it. Coordinates follow OpenCV: the middle of the first pixel is 0.
//! A vector leaves this module only as `domain::face::Embedding`, which is wiped when it is dropped.

mod closely;
mod detector;
mod embedder;
mod expression;
mod geometry;
mod quality;

use std::path::Path;
use std::time::Instant;

use anyhow::Context;

pub use self::closely::{How, Portrait};
pub(crate) use self::detector::FaceDetector;
pub(crate) use self::embedder::Embedder;
pub use self::embedder::Space;
pub(crate) use self::expression::ExpressionModel;
use self::geometry::{Pose, aligned};
pub(crate) use self::quality::Limits;
use super::decode::FaceBox;
use super::network::since;
use super::pack::{Chosen, PackFolders, Resize, Task};
use super::picture::{CropBuffer, Pixels};
use super::reader::whole;
use super::runtime::Runtime;
use crate::config::{Faces, Inference};
use crate::domain::face::{Embedding, Expression, FaceObservation, FaceQuality};
use crate::domain::frame::Frame;
use crate::domain::geometry::{Point, Rect};
use crate::domain::observation::StageTimes;

/// Side of the crop on which a face is measured, and the template of it: ArcFace's, which most models are near to.
const MEASURED: usize = 112;
/// No crop is measured smaller.
const SMALLEST_MEASURED: usize = 40;
const TEMPLATE: [[f32; 2]; 5] =
    [[0.3419, 0.4616], [0.6565, 0.4598], [0.5002, 0.6405], [0.3710, 0.8247], [0.6315, 0.8233]];

/// What is wanted of a face that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its vector.
    pub embedding: bool,
    /// Its expression.
    pub expression: bool,
}

impl Wanted {
    /// All there is.
    pub const ALL: Self = Self { embedding: true, expression: true };
}

/// Finds and judges the faces of a frame.
#[derive(Debug)]
pub struct FaceReader {
    detector: FaceDetector,
    embedder: Option<Embedder>,
    expression: Option<ExpressionModel>,
    limits: Limits,
    crop: CropBuffer,
}

impl FaceReader {
    /// Loads the packs that the settings name; `base` is the folder of the settings file. They must hold a detector
    /// and an embedding; an expression model is loaded when there is one.
    ///
    /// Fails with words that name the pack, the file and the way out; ONNX Runtime sees no file that was not verified.
    pub fn load(faces: &Faces, inference: &Inference, base: &Path) -> anyhow::Result<Self> {
        Self::load_for(faces, inference, base, &[Task::FaceDetect, Task::FaceEmbed])
    }

    /// The same for other `needed` tasks, of which `face-detect` is always one.
    pub fn load_for(faces: &Faces, inference: &Inference, base: &Path, needed: &[Task]) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !faces.packs.is_empty(),
            "no pack for faces is named; name one in `faces.packs` or with --pack"
        );
        let packs = Chosen::open(&faces.packs, &PackFolders::new(&faces.pack_folders, base), base)?;
        let runtime = Runtime::find(inference, base)?;
        for &task in needed {
            packs.model(task).with_context(|| packs.lacks(task))?;
        }
        let (pack, model) = packs.model(Task::FaceDetect).with_context(|| packs.lacks(Task::FaceDetect))?;
        let detector = FaceDetector::load(pack, model, &runtime, faces.detection_threshold)?;
        let embedder = packs.model(Task::FaceEmbed).map(|(pack, model)| Embedder::load(pack, model, &runtime));
        let embedder = embedder.transpose()?;
        let expression =
            packs.model(Task::FaceExpression).map(|(pack, model)| ExpressionModel::load(pack, model, &runtime));
        let limits = Limits {
            height_px: faces.min_height_px,
            eyes_px: embedder.as_ref().map_or(0.0, |embedder| embedder.space().min_eyes_px),
            quality: faces.min_quality,
            yaw: faces.max_yaw,
        };
        Ok(Self { detector, embedder, expression: expression.transpose()?, limits, crop: CropBuffer::default() })
    }

    /// The space of its vectors; `None` when no pack has an embedding.
    pub fn space(&self) -> Option<&Space> {
        self.embedder.as_ref().map(Embedder::space)
    }

    /// Does a pack tell expressions?
    pub fn tells_expression(&self) -> bool {
        self.expression.is_some()
    }

    /// The faces of a frame in falling order of detection score; `wanted` is asked once for each face that is good
    /// enough to be recognised from, with its box.
    pub fn observe(
        &mut self,
        frame: &Frame,
        wanted: &mut dyn FnMut(&Rect) -> Wanted,
        times: &mut StageTimes,
    ) -> anyhow::Result<Vec<FaceObservation>> {
        let found = self.detector.find(frame.into(), times)?;
        found.iter().map(|face| self.look_at(frame.into(), face, wanted, times)).collect()
    }

    /// The vector of a face whose five points are known, whatever its quality; `None` when it is no vector at all.
    pub fn embed_at(
        &mut self,
        frame: &Frame,
        points: &[Point; 5],
        mirror: bool,
        times: &mut StageTimes,
    ) -> anyhow::Result<Option<Embedding>> {
        let embedder = self.embedder.as_mut().context("no pack has a model for `face-embed`")?;
        embedder.embed(frame.into(), points, mirror, times)
    }

    /// What the embedding would see of a face with these points: for people who want to look at it, and for tests.
    pub fn crop_at(&mut self, frame: &Frame, points: &[Point; 5]) -> Option<Frame> {
        self.embedder.as_mut()?.crop(frame.into(), points)
    }

    fn look_at(
        &mut self,
        frame: Pixels<'_>,
        face: &FaceBox,
        wanted: &mut dyn FnMut(&Rect) -> Wanted,
        times: &mut StageTimes,
    ) -> anyhow::Result<FaceObservation> {
        let rect = face.rect.clipped(frame.width as f32, frame.height as f32);
        let (quality, rejected) = self.judge(frame, face, times);
        let wanted = if rejected.is_none() { wanted(&rect) } else { Wanted::default() };
        let embedding = match &mut self.embedder {
            Some(embedder) if wanted.embedding => embedder.embed(frame, &face.points, false, times)?,
            _ => None,
        };
        let expression = match &mut self.expression {
            Some(model) if wanted.expression => Some(model.tell(frame, face, times)?),
            _ => None,
        };
        Ok(FaceObservation {
            rect,
            points: face.points,
            detection: face.score,
            quality,
            embedding,
            expression,
            rejected,
        })
    }

    /// Measures a face; one too small or cut off is not looked at any closer.
    fn judge(
        &mut self,
        frame: Pixels<'_>,
        face: &FaceBox,
        times: &mut StageTimes,
    ) -> (FaceQuality, Option<crate::domain::face::FaceReject>) {
        let begun = Instant::now();
        let pose = Pose::of(&face.points);
        let mut quality = quality::of_place(face, &pose);
        let mut rejected = quality::unfit(face, &pose, frame, &self.limits);
        if rejected.is_none() {
            let seen = self.measure(frame, &face.points, &pose);
            rejected = quality::of_crop(&mut quality, seen, &self.limits);
        }
        times.face_work_ms += since(begun);
        (quality, rejected)
    }

    /// A small face is measured as large as it is: enlarged, even the sharpest has no edges left.
    fn measure(
        &mut self,
        frame: Pixels<'_>,
        points: &[Point; 5],
        pose: &Pose,
    ) -> crate::domain::observation::CropQuality {
        let template_eyes = (TEMPLATE[1][0] - TEMPLATE[0][0]) * MEASURED as f32;
        let scale = (pose.frontal_px / template_eyes).min(1.0);
        let side = ((MEASURED as f32 * scale) as usize).clamp(SMALLEST_MEASURED, MEASURED);
        let quad = aligned(points, &TEMPLATE, side);
        self.crop.reset(side, side);
        self.crop.fill(frame, &quad, whole([0.0, 0.0]), Resize::Area);
        let seen = self.crop.quality(&quad);
        self.crop.wipe();
        seen
    }

    fn express(&mut self, frame: &Frame, face: &FaceBox, times: &mut StageTimes) -> anyhow::Result<Option<Expression>> {
        self.expression.as_mut().map(|model| model.tell(frame.into(), face, times)).transpose()
    }
}
