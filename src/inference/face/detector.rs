//! Finds faces in a frame.

use std::time::Instant;

use anyhow::{Context, anyhow};

use crate::domain::geometry::{Point, Rect};
use crate::domain::observation::StageTimes;
use crate::inference::decode::{FaceBox, FaceDecoder, Numbers};
use crate::inference::network::{Network, since};
use crate::inference::pack::{Input, Model, Pack};
use crate::inference::picture::{Pixels, Placement, Resizer};
use crate::inference::runtime::Runtime;

/// A detector of a pack.
#[derive(Debug)]
pub(crate) struct FaceDetector {
    network: Network,
    input: Input,
    decoder: FaceDecoder,
    resizer: Resizer,
    score: f32,
}

impl FaceDetector {
    /// Loads it, and runs it once so that a wrong shape is known now; `score` overrides the pack's threshold.
    pub fn load(pack: &Pack, model: &Model, runtime: &Runtime, score: Option<f32>) -> anyhow::Result<Self> {
        let score = score.unwrap_or(model.thresholds.score);
        let mut decoder = FaceDecoder::new(&model.output, model.thresholds);
        decoder.set_score(score);
        let names: Vec<&str> = decoder.names().iter().map(String::as_str).collect();
        let network = Network::load(pack, model, runtime, &names)?;
        let mut detector = Self { network, input: model.input.clone(), decoder, resizer: Resizer::default(), score };
        let grey = vec![128; 64 * 48 * 3];
        detector
            .find(Pixels { width: 64, height: 48, bgr: &grey }, &mut StageTimes::default())
            .with_context(|| format!("model `{}`", pack.folder.join(&model.file).display()))?;
        Ok(detector)
    }

    /// Faces in pixels of the frame, in falling order of score.
    pub fn find(&mut self, frame: Pixels<'_>, times: &mut StageTimes) -> anyhow::Result<Vec<FaceBox>> {
        let bound = (self.input.width, self.input.height);
        self.find_within(frame, bound, times)
    }

    /// The same with another threshold, and the frame scaled to fit into `longest` × `longest` pixels, where the
    /// network takes any size; else at its own size.
    pub fn find_at(
        &mut self,
        frame: Pixels<'_>,
        longest: usize,
        score: f32,
        times: &mut StageTimes,
    ) -> anyhow::Result<Vec<FaceBox>> {
        let bound = if self.any_size() { (longest, longest) } else { (self.input.width, self.input.height) };
        self.decoder.set_score(score);
        let found = self.find_within(frame, bound, times);
        self.decoder.set_score(self.score);
        found
    }

    /// Does the network take any size?
    pub fn any_size(&self) -> bool {
        self.input.multiple.is_some()
    }

    fn find_within(
        &mut self,
        frame: Pixels<'_>,
        bound: (usize, usize),
        times: &mut StageTimes,
    ) -> anyhow::Result<Vec<FaceBox>> {
        let Input { fit, resize, pad, multiple, .. } = self.input;
        let begun = Instant::now();
        let tensor = &mut self.network.tensor;
        if let Some(step) = multiple {
            let needed = Placement::new((frame.width, frame.height), bound, fit);
            tensor.reshape(needed.width.next_multiple_of(step), needed.height.next_multiple_of(step));
        }
        let placement = self.resizer.resize_within(frame, tensor, bound, fit, resize, pad);
        let size = (tensor.width(), tensor.height());
        times.face_work_ms += since(begun);
        let (outputs, ms) = self.network.run()?;
        times.face_ms += ms;
        let begun = Instant::now();
        let fetched = self.decoder.names().iter().map(|name| outputs.get(name));
        let fetched: Vec<Numbers<'_>> = fetched.collect::<anyhow::Result<_>>()?;
        let mut found = self.decoder.decode(&fetched, size).map_err(|words| anyhow!("{words}"))?;
        found.iter_mut().for_each(|face| *face = in_frame(*face, placement));
        times.face_work_ms += since(begun);
        Ok(found)
    }
}

fn in_frame(face: FaceBox, placement: Placement) -> FaceBox {
    let Rect { x1, y1, x2, y2 } = face.rect;
    let (near, far) = (placement.to_frame(Point::new(x1, y1)), placement.to_frame(Point::new(x2, y2)));
    let points = face.points.map(|point| placement.to_frame(point));
    FaceBox { rect: Rect::new(near.x, near.y, far.x, far.y), points, ..face }
}
