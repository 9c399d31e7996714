//! Tells the expression of a face.

use std::time::Instant;

use anyhow::ensure;

use super::geometry::{aligned, square};
use crate::domain::face::Expression;
use crate::domain::geometry::Quad;
use crate::domain::observation::StageTimes;
use crate::inference::decode::{FaceBox, distribution};
use crate::inference::network::{Network, since};
use crate::inference::pack::{Activation, Align, LookWord, Model, Output, Pack, Resize};
use crate::inference::picture::{CropBuffer, Pixels};
use crate::inference::reader::whole;
use crate::inference::runtime::Runtime;

/// A model of expression of a pack.
#[derive(Debug)]
pub(crate) struct ExpressionModel {
    network: Network,
    crop: CropBuffer,
    align: Align,
    resize: Resize,
    output: String,
    classes: Vec<String>,
    looks: Vec<LookWord>,
    activation: Activation,
}

impl ExpressionModel {
    /// Loads it, and runs it once so that a wrong shape is known now.
    pub fn load(pack: &Pack, model: &Model, runtime: &Runtime) -> anyhow::Result<Self> {
        let named = || format!("model `{}`", pack.folder.join(&model.file).display());
        let Output::Expression { name, classes, looks, activation } = &model.output else {
            anyhow::bail!("adaptor `{}` tells no expression", model.output.adaptor());
        };
        let Some(align) = model.align else { anyhow::bail!("{}: it has no `align`", named()) };
        ensure!(model.input.width == model.input.height, "{}: its input is not square", named());
        let mut network = Network::load(pack, model, runtime, &[name])?;
        let (found, named_classes) = (network.run()?.0.get(name)?.data.len(), classes.len());
        ensure!(found == named_classes, "{} tells {found} classes apart, the manifest names {named_classes}", named());
        Ok(Self {
            network,
            crop: CropBuffer::default(),
            align,
            resize: model.input.resize,
            output: name.clone(),
            classes: classes.clone(),
            looks: looks.clone(),
            activation: *activation,
        })
    }

    /// Does it look at a square around the box, and not at an aligned face?
    pub fn takes_squares(&self) -> bool {
        matches!(self.align, Align::Square { .. })
    }

    /// The expression of a face in a frame.
    pub fn tell(&mut self, frame: Pixels<'_>, face: &FaceBox, times: &mut StageTimes) -> anyhow::Result<Expression> {
        let side = self.network.tensor.width();
        let quad = match &self.align {
            Align::Points { template } => aligned(&face.points, template, side),
            Align::Square { scale, level } => square(&face.rect, &face.points, *scale, *level, side),
        };
        self.tell_quad(frame, &quad, times)
    }

    /// That of a ready crop: the whole picture.
    pub fn tell_crop(&mut self, crop: Pixels<'_>, times: &mut StageTimes) -> anyhow::Result<Expression> {
        self.tell_quad(crop, &crop.quad(), times)
    }

    fn tell_quad(&mut self, frame: Pixels<'_>, quad: &Quad, times: &mut StageTimes) -> anyhow::Result<Expression> {
        let begun = Instant::now();
        let tensor = &mut self.network.tensor;
        self.crop.reset(tensor.width(), tensor.height());
        self.crop.fill(frame, quad, whole([0.0, 0.0]), self.resize);
        self.crop.put(tensor);
        times.face_work_ms += since(begun);
        let shares = self.run(times);
        self.crop.wipe();
        self.network.tensor.wipe();
        let shares = shares?;
        let of = |look: LookWord| {
            let counted = self.looks.iter().zip(&shares).filter(|(word, _)| **word == look);
            counted.map(|(_, share)| share).sum()
        };
        Ok(Expression {
            positive: of(LookWord::Positive),
            neutral: of(LookWord::Neutral),
            negative: of(LookWord::Negative),
            classes: self.classes.iter().cloned().zip(shares.iter().copied()).collect(),
        })
    }

    fn run(&mut self, times: &mut StageTimes) -> anyhow::Result<Vec<f32>> {
        let (mut outputs, ms) = self.network.run()?;
        times.face_ms += ms;
        let shares = distribution(outputs.get(&self.output)?.data, self.activation);
        outputs.wipe(&self.output)?;
        Ok(shares)
    }
}
