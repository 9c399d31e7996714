//! Reads plates whose place is known: the reader of a pack and, where it tells no colour, a colour model beside it.

use anyhow::Context;

use super::colour::ColourModel;
use super::pack::{Chosen, Task};
use super::picture::Pixels;
use super::reader::{Known, PlateArea, Reader};
use super::runtime::Runtime;
use crate::domain::frame::Frame;
use crate::domain::geometry::{Quad, Rect};
use crate::domain::observation::{CropQuality, RejectReason, Rows, StageTimes};
use crate::domain::plate::PlateColour;
use crate::domain::plate::evidence::Evidence;

/// Least share of the class `readable` of a reader that tells whether a person could read the crop.
const LEGIBLE: f32 = 0.5;

/// What was read from one plate.
#[derive(Clone, Debug)]
pub struct CropReading {
    /// The log-probabilities; `None` when the reader says that nobody could read it, see `rejected`.
    pub evidence: Option<Evidence>,
    /// Shares of the colours in falling order; empty when no model tells them.
    pub colours: Vec<(PlateColour, f32)>,
    /// Measured on the crop.
    pub quality: CropQuality,
    /// Why there is no evidence.
    pub rejected: Option<RejectReason>,
}

/// Reads plates whose place is known.
#[derive(Debug)]
pub struct CropReader {
    reader: Reader,
    colour: Option<ColourModel>,
}

impl CropReader {
    /// From the packs' reader; fails with words that name the pack and the file.
    pub(crate) fn load(packs: &Chosen, runtime: &Runtime) -> anyhow::Result<Self> {
        let (pack, model) = packs.model(Task::PlateOcr).with_context(|| packs.lacks(Task::PlateOcr))?;
        let reader = Reader::load(pack, model, runtime)?;
        let colour = match packs.model(Task::PlateColour) {
            Some((pack, colour)) if model.colour.is_none() => Some(ColourModel::load(pack, colour, runtime)?),
            _ => None,
        };
        Ok(Self { reader, colour })
    }

    /// Reads a plate by its corners, or a picture that is nothing but the plate.
    pub fn read(
        &mut self,
        picture: &Frame,
        corners: Option<Quad>,
        rows: Option<Rows>,
        times: &mut StageTimes,
    ) -> anyhow::Result<CropReading> {
        let all = Rect::new(0.0, 0.0, picture.width as f32, picture.height as f32).quad();
        let known = if corners.is_some() { Known::Corners } else { Known::Crop };
        self.read_area(picture.into(), &PlateArea { quad: corners.unwrap_or(all), known, rows }, times)
    }

    pub(crate) fn read_area(
        &mut self,
        frame: Pixels<'_>,
        area: &PlateArea,
        times: &mut StageTimes,
    ) -> anyhow::Result<CropReading> {
        let quality = self.reader.prepare(frame, area, times);
        let (evidence, heads) = self.reader.read(frame, area, times)?;
        let legible = heads.legible.is_none_or(|share| share >= LEGIBLE);
        let colours = match (&mut self.colour, heads.colours) {
            (_, Some(colours)) => colours,
            (Some(model), None) => model.tell(frame, area, times)?,
            (None, None) => Vec::new(),
        };
        let rejected = (!legible).then_some(RejectReason::Blurred);
        Ok(CropReading { evidence: legible.then_some(evidence), colours, quality, rejected })
    }

    /// Lines that a plate is taken to have.
    pub(crate) fn rows(&self, area: &PlateArea) -> Rows {
        self.reader.rows(area)
    }
}
