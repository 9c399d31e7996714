//! Turns an aligned face into a vector. What the network saw and gave is overwritten before the next face.

use std::time::Instant;

use anyhow::{Context, ensure};

use super::geometry::aligned;
use crate::domain::Uptime;
use crate::domain::face::Embedding;
use crate::domain::face::gallery::Impostors;
use crate::domain::frame::Frame;
use crate::domain::geometry::{Point, Quad};
use crate::domain::observation::StageTimes;
use crate::inference::network::{Network, since};
use crate::inference::pack::{Align, Model, Output, Pack, Resize};
use crate::inference::picture::{CropBuffer, Pixels};
use crate::inference::reader::whole;
use crate::inference::runtime::Runtime;

/// What the vectors of a pack are.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// Its name; vectors of two spaces are never compared.
    pub name: String,
    /// Numbers in a vector.
    pub numbers: usize,
    /// Smallest distance between the eyes in the frame, in pixels.
    pub min_eyes_px: f32,
    /// Cosine from which two faces are taken for one person, when just these two are compared; `None`: not measured.
    pub cosine: Option<f32>,
    /// Scores between different people; `None`: not measured.
    pub impostors: Option<Impostors>,
}

/// An embedding of a pack.
#[derive(Debug)]
pub(crate) struct Embedder {
    network: Network,
    crop: CropBuffer,
    template: [[f32; 2]; 5],
    resize: Resize,
    output: String,
    mirror: bool,
    space: Space,
}

impl Embedder {
    /// Loads it, and runs it once so that a wrong shape is known and the size of its vectors.
    pub fn load(pack: &Pack, model: &Model, runtime: &Runtime) -> anyhow::Result<Self> {
        let named = || format!("model `{}`", pack.folder.join(&model.file).display());
        let Output::Embedding { name, space, min_eyes_px, mirror } = &model.output else {
            anyhow::bail!("adaptor `{}` gives no vectors", model.output.adaptor());
        };
        let Some(Align::Points { template }) = model.align else {
            anyhow::bail!("{}: it has no `align` with five points", named());
        };
        ensure!(model.input.width == model.input.height, "{}: its input is not square", named());
        let mut network = Network::load(pack, model, runtime, &[name])?;
        let numbers = network.run()?.0.get(name)?.data.len();
        ensure!((8..=4096).contains(&numbers), "{}: a vector of {numbers} numbers", named());
        let space = Space {
            name: space.clone(),
            numbers,
            min_eyes_px: *min_eyes_px,
            cosine: model.likeness.as_ref().map(|likeness| likeness.cosine),
            impostors: model.likeness.as_ref().map(|likeness| likeness.impostors()),
        };
        let (output, resize, mirror) = (name.clone(), model.input.resize, *mirror);
        Ok(Self { network, crop: CropBuffer::default(), template, resize, output, mirror, space })
    }

    /// What its vectors are.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The vector of a face with these five points in the frame; with `mirror`, or where the pack says so, the mean with
    /// that of its mirror image. `None` when the network gives no vector at all.
    pub fn embed(
        &mut self,
        frame: Pixels<'_>,
        points: &[Point; 5],
        mirror: bool,
        times: &mut StageTimes,
    ) -> anyhow::Result<Option<Embedding>> {
        let quad = aligned(points, &self.template, self.network.tensor.width());
        self.embed_quad(frame, &quad, mirror, times)
    }

    /// The vector of a ready crop: the whole picture.
    pub fn embed_crop(&mut self, crop: Pixels<'_>, times: &mut StageTimes) -> anyhow::Result<Option<Embedding>> {
        self.embed_quad(crop, &crop.quad(), false, times)
    }

    /// What the network would see of a face: for people who want to look at it, and for tests.
    pub fn crop(&mut self, frame: Pixels<'_>, points: &[Point; 5]) -> Option<Frame> {
        let side = self.network.tensor.width();
        self.crop.reset(side, side);
        self.crop.fill(frame, &aligned(points, &self.template, side), whole([0.0, 0.0]), self.resize);
        Frame::new(0, Uptime::ZERO, side as u32, side as u32, self.crop.bytes())
    }

    fn embed_quad(
        &mut self,
        frame: Pixels<'_>,
        quad: &Quad,
        mirror: bool,
        times: &mut StageTimes,
    ) -> anyhow::Result<Option<Embedding>> {
        let embedded = self.embed_both(frame, quad, mirror || self.mirror, times);
        self.crop.wipe();
        self.network.tensor.wipe();
        embedded
    }

    fn embed_both(
        &mut self,
        frame: Pixels<'_>,
        quad: &Quad,
        mirror: bool,
        times: &mut StageTimes,
    ) -> anyhow::Result<Option<Embedding>> {
        let begun = Instant::now();
        let tensor = &mut self.network.tensor;
        self.crop.reset(tensor.width(), tensor.height());
        self.crop.fill(frame, quad, whole([0.0, 0.0]), self.resize);
        self.crop.put(tensor);
        times.face_work_ms += since(begun);
        let face = self.run(times)?;
        if !mirror {
            return Ok(face);
        }
        self.crop.mirror();
        self.crop.put(&mut self.network.tensor);
        let mirrored = self.run(times)?;
        let (Some(face), Some(mirrored)) = (&face, &mirrored) else { return Ok(None) };
        let sum = face.values().iter().zip(mirrored.values()).map(|(a, b)| a + b);
        let sum = zeroize::Zeroizing::new(sum.collect::<Vec<f32>>());
        Ok(Embedding::new(&sum).ok())
    }

    fn run(&mut self, times: &mut StageTimes) -> anyhow::Result<Option<Embedding>> {
        let (mut outputs, ms) = self.network.run()?;
        times.face_ms += ms;
        let embedding = Embedding::new(outputs.get(&self.output).context("the vector")?.data).ok();
        outputs.wipe(&self.output)?;
        Ok(embedding)
    }
}

#[cfg(all(test, feature = "onnx"))]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inference::pack::{self, PackFolders, Task};
    use crate::inference::picture::TensorData;

    #[test]
    fn nothing_of_a_face_stays_behind() {
        let folders = PackFolders::new(&[], Path::new(""));
        let pack = pack::open("face-demo", &folders, Path::new("")).unwrap();
        let model = pack.manifest.model(Task::FaceEmbed).unwrap();
        let runtime = Runtime::find(&crate::config::Inference::default(), Path::new(".")).unwrap();
        let mut embedder = Embedder::load(&pack, model, &runtime).unwrap();
        let bgr: Vec<u8> = (0..64 * 64 * 3).map(|place| (place * 7 % 251) as u8).collect();
        let face = Pixels { width: 64, height: 64, bgr: &bgr };
        assert!(embedder.embed_crop(face, &mut StageTimes::default()).unwrap().is_some());
        let TensorData::F32(seen) = embedder.network.tensor.data() else { panic!("it takes floats") };
        assert!(seen.iter().all(|&value| value == 0.0), "the network's input still holds the face");
        assert!(embedder.crop.bytes().iter().all(|&value| value == 0), "the crop still holds the face");
        let (mut outputs, _) = embedder.network.run().unwrap();
        outputs.wipe(&embedder.output).unwrap();
        assert!(outputs.get(&embedder.output).unwrap().data.iter().all(|&value| value == 0.0));
    }
}
