//! Finds plates in a frame.

use std::time::Instant;

use anyhow::{Context, anyhow};

use super::decode::{BoxDecoder, Candidate};
use super::network::{Network, since};
use super::pack::{Input, Model, Pack};
use super::picture::{Pixels, Placement, Resizer};
use super::runtime::Runtime;
use crate::domain::geometry::{Point, Quad, Rect};
use crate::domain::observation::StageTimes;

/// A detector of a pack.
#[derive(Debug)]
pub(crate) struct Detector {
    network: Network,
    input: Input,
    decoder: BoxDecoder,
    resizer: Resizer,
    certain: f32,
}

impl Detector {
    /// Loads it, and runs it once so that a wrong shape is known now; `score` overrides the pack's threshold.
    pub fn load(pack: &Pack, model: &Model, runtime: &Runtime, score: Option<f32>) -> anyhow::Result<Self> {
        let mut decoder = BoxDecoder::new(&model.output, model.thresholds);
        let names: Vec<&str> = decoder.names().iter().map(String::as_str).collect();
        let network = Network::load(pack, model, runtime, &names)?;
        if let Some(score) = score {
            decoder.set_score(score);
        }
        let (input, resizer, certain) = (model.input.clone(), Resizer::default(), model.thresholds.certain);
        let mut detector = Self { network, input, decoder, resizer, certain };
        let grey = vec![128; 32 * 32 * 3];
        detector
            .find(Pixels { width: 32, height: 32, bgr: &grey }, &mut StageTimes::default())
            .with_context(|| format!("model `{}`", pack.folder.join(&model.file).display()))?;
        Ok(detector)
    }

    /// Score from which a plate needs no reading to be one.
    pub fn certain(&self) -> f32 {
        self.certain
    }

    /// Plates in pixels of the frame, in falling order of score.
    pub fn find(&mut self, frame: Pixels<'_>, times: &mut StageTimes) -> anyhow::Result<Vec<Candidate>> {
        let Input { width, height, fit, resize, pad, .. } = self.input;
        let begun = Instant::now();
        let placement = self.resizer.resize(frame, &mut self.network.tensor, fit, resize, pad);
        times.detect_pre_ms += since(begun);
        let (outputs, ms) = self.network.run()?;
        times.detect_ms += ms;
        let begun = Instant::now();
        let numbers = self.decoder.names().iter().map(|name| outputs.get(name)).collect::<Result<Vec<_>, _>>()?;
        let mut found = self.decoder.decode(&numbers, (width, height)).map_err(|words| anyhow!("{words}"))?;
        found.iter_mut().for_each(|candidate| *candidate = in_frame(*candidate, placement));
        times.detect_post_ms += since(begun);
        Ok(found)
    }
}

fn in_frame(candidate: Candidate, placement: Placement) -> Candidate {
    let Rect { x1, y1, x2, y2 } = candidate.rect;
    let (near, far) = (placement.to_frame(Point::new(x1, y1)), placement.to_frame(Point::new(x2, y2)));
    let corners = candidate.corners.map(|quad| Quad(quad.0.map(|corner| placement.to_frame(corner))));
    Candidate { rect: Rect::new(near.x, near.y, far.x, far.y), corners, ..candidate }
}
