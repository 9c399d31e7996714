//! Reads a plate that was found: rectify, run, evidence.

use std::time::Instant;

use anyhow::{Context, anyhow, ensure};

use super::colour::ColourClasses;
use super::decode::{TextDecoder, distribution};
use super::network::{Network, since};
use super::pack::{CropSpec, DoubleRow, DoubleRowMethod, Head, Model, Pack, Resize};
use super::picture::{CropBuffer, Pixels, Target};
use super::runtime::{Outputs, Runtime};
use crate::domain::geometry::Quad;
use crate::domain::observation::{CropQuality, Rows, StageTimes};
use crate::domain::plate::PlateColour;
use crate::domain::plate::evidence::{Evidence, Line};

/// Where a plate lies in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlateArea {
    /// Corners, or those of the upright box.
    pub quad: Quad,
    /// How well the area is known.
    pub known: Known,
    /// Lines, when the detector tells them.
    pub rows: Option<Rows>,
}

/// How well a plate's area is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// By its four corners.
    Corners,
    /// By an upright box around it.
    Box,
    /// The picture is the plate: a ready crop, without a margin of ours.
    Crop,
}

impl PlateArea {
    /// The margin that a model wants around it.
    pub fn margin(&self, crop: CropSpec) -> [f32; 2] {
        match self.known {
            Known::Corners => crop.margin,
            Known::Box => crop.margin_box.unwrap_or(crop.margin),
            Known::Crop => [0.0, 0.0],
        }
    }
}

/// What a reader's other heads tell of a plate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads {
    /// Shares of the colours in falling order, when the network has a head for them.
    pub colours: Option<Vec<(PlateColour, f32)>>,
    /// Probability that a person could read the crop, when the network has a head for it.
    pub legible: Option<f32>,
}

/// A reader of a pack.
#[derive(Debug)]
pub(crate) struct Reader {
    network: Network,
    decoder: TextDecoder,
    output: String,
    margins: CropSpec,
    resize: Resize,
    double_row: Option<DoubleRow>,
    colour: Option<(String, ColourClasses)>,
    legible: Option<Head>,
    crop: CropBuffer,
}

/// The whole plate with its margin, to the whole crop.
pub(crate) fn whole([x, y]: [f32; 2]) -> Target {
    Target { columns: [0.0, 1.0], u: [-x, 1.0 + x], v: [-y, 1.0 + y] }
}

impl Reader {
    /// Loads it, and runs it once so that a wrong shape or charset is known now.
    pub fn load(pack: &Pack, model: &Model, runtime: &Runtime) -> anyhow::Result<Self> {
        let named = || format!("model `{}`", pack.folder.join(&model.file).display());
        let heads = [&model.colour, &model.legible].into_iter().flatten();
        let mut wanted = vec![model.output.name()];
        wanted.extend(heads.map(|head| head.name.as_str()));
        let network = Network::load(pack, model, runtime, &wanted)?;
        let decoder =
            TextDecoder::new(&model.output).context("its output adaptor reads no text").with_context(named)?;
        let colour = model.colour.as_ref().map(|head| {
            let classes = ColourClasses::new(&head.classes, head.activation);
            classes.map(|classes| (head.name.clone(), classes)).map_err(|words| anyhow!("{words}"))
        });
        let mut reader = Self {
            network,
            decoder,
            output: model.output.name().to_owned(),
            margins: model.crop,
            resize: model.input.resize,
            double_row: model.double_row,
            colour: colour.transpose().with_context(named)?,
            legible: model.legible.clone(),
            crop: CropBuffer::default(),
        };
        reader.check(model).with_context(named)?;
        Ok(reader)
    }

    fn check(&mut self, model: &Model) -> anyhow::Result<()> {
        let (outputs, _) = self.network.run()?;
        self.decoder.decode(outputs.get(&self.output)?).map_err(|words| anyhow!("{words}"))?;
        for head in [&model.colour, &model.legible].into_iter().flatten() {
            let (found, named) = (outputs.get(&head.name)?.data.len(), head.classes.len());
            ensure!(found == named, "head `{}` tells {found} classes apart, the manifest names {named}", head.name);
        }
        Ok(())
    }

    /// Lines that the plate is taken to have: the detector's word, else its shape.
    pub fn rows(&self, area: &PlateArea) -> Rows {
        let flat =
            |rows: DoubleRow| rows.below_aspect.is_some_and(|least| area.quad.width() < least * area.quad.height());
        area.rows.unwrap_or(if self.double_row.is_some_and(flat) { Rows::Double } else { Rows::Single })
    }

    /// Rectifies the plate and measures the crop; `read` reads what was prepared.
    pub fn prepare(&mut self, frame: Pixels<'_>, area: &PlateArea, times: &mut StageTimes) -> CropQuality {
        let begun = Instant::now();
        let quality = if let (Rows::Double, Some(rows)) = (self.rows(area), self.double_row) {
            match rows.method {
                DoubleRowMethod::SideBySide => self.cut_side_by_side(frame, area, rows),
                DoubleRowMethod::Split => self.cut_line(frame, area, rows.top),
                DoubleRowMethod::Whole => self.cut_whole(frame, area),
            }
        } else {
            self.cut_whole(frame, area)
        };
        times.read_pre_ms += since(begun);
        quality
    }

    /// Reads the plate that was prepared last.
    pub fn read(
        &mut self,
        frame: Pixels<'_>,
        area: &PlateArea,
        times: &mut StageTimes,
    ) -> anyhow::Result<(Evidence, Heads)> {
        let (first, heads) = self.run(times)?;
        let mut lines = vec![first];
        if let (Rows::Double, Some(rows @ DoubleRow { method: DoubleRowMethod::Split, .. })) =
            (self.rows(area), self.double_row)
        {
            let begun = Instant::now();
            self.cut_line(frame, area, rows.bottom);
            times.read_pre_ms += since(begun);
            lines.push(self.run(times)?.0);
        }
        let evidence = Evidence::new(self.decoder.charset().clone(), lines);
        Ok((evidence.context("the network's matrix does not fit its charset")?, heads))
    }

    fn cut_whole(&mut self, frame: Pixels<'_>, area: &PlateArea) -> CropQuality {
        let target = whole(area.margin(self.margins));
        self.cut(frame, area, &[target])
    }

    /// One of two lines; the margin is that of the whole plate, between the lines there is none.
    fn cut_line(&mut self, frame: Pixels<'_>, area: &PlateArea, line: [f32; 2]) -> CropQuality {
        let margin = area.margin(self.margins);
        let target = Target { v: within_margin(line, margin[1]), ..whole(margin) };
        self.cut(frame, area, &[target])
    }

    fn cut_side_by_side(&mut self, frame: Pixels<'_>, area: &PlateArea, rows: DoubleRow) -> CropQuality {
        let margin = area.margin(self.margins);
        let half =
            |columns: [f32; 2], line: [f32; 2]| Target { columns, v: within_margin(line, margin[1]), ..whole(margin) };
        self.cut(frame, area, &[half([0.0, 0.5], rows.top), half([0.5, 1.0], rows.bottom)])
    }

    fn cut(&mut self, frame: Pixels<'_>, area: &PlateArea, targets: &[Target]) -> CropQuality {
        let tensor = &mut self.network.tensor;
        self.crop.reset(tensor.width(), tensor.height());
        for target in targets {
            self.crop.fill(frame, &area.quad, *target, self.resize);
        }
        self.crop.put(tensor);
        self.crop.quality(&area.quad)
    }

    fn run(&mut self, times: &mut StageTimes) -> anyhow::Result<(Line, Heads)> {
        let (outputs, ms) = self.network.run()?;
        times.read_ms += ms;
        let begun = Instant::now();
        let line = self.decoder.decode(outputs.get(&self.output)?).map_err(|words| anyhow!("{words}"))?;
        let colours = match &self.colour {
            Some((name, classes)) => Some(classes.shares(outputs.get(name)?.data)),
            None => None,
        };
        let legible = self.legible.as_ref().map(|head| share_of(head, "readable", &outputs)).transpose()?;
        times.read_post_ms += since(begun);
        Ok((line, Heads { colours, legible }))
    }
}

/// A line that touches the plate's edge gets its margin there.
fn within_margin([from, to]: [f32; 2], margin: f32) -> [f32; 2] {
    [if from <= 0.0 { -margin } else { from }, if to >= 1.0 { 1.0 + margin } else { to }]
}

fn share_of(head: &Head, class: &str, outputs: &Outputs<'_>) -> anyhow::Result<f32> {
    let shares = distribution(outputs.get(&head.name)?.data, head.activation);
    Ok(head.classes.iter().zip(shares).filter(|(word, _)| *word == class).map(|(_, share)| share).sum())
}
