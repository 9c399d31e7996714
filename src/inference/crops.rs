//! Reads plates whose place is known: the reader of a pack and, where it tells no colour, a colour model beside it.

use std::path::Path;

use anyhow::Context;

use super::colour::ColourModel;
use super::pack::{Chosen, PackFolders, Task, read_confusions};
use super::picture::Pixels;
use super::reader::{Known, PlateArea, Reader};
use super::runtime::Runtime;
use crate::config::{Inference, Plates};
use crate::domain::frame::Frame;
use crate::domain::geometry::{Quad, Rect};
use crate::domain::observation::{CropQuality, RejectReason, Rows, StageTimes};
use crate::domain::plate::PlateColour;
use crate::domain::plate::calibration::Calibration;
use crate::domain::plate::confusion::Confusions;
use crate::domain::plate::evidence::Evidence;

/// Least share of the class `readable` of a reader that tells whether a person could read the crop.
const LEGIBLE: f32 = 0.5;

/// What was read from one plate.
#[derive(Clone, Debug, Default)]
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

/// Where the plate is in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// The picture is the plate, cut as the reader wants it.
    Whole,
    /// Within an upright box.
    Box(Rect),
    /// Within four corners.
    Corners(Quad),
}

/// Reads plates whose place is known: text, colour, or both, as the packs can.
#[derive(Debug)]
pub struct CropReader {
    reader: Option<Reader>,
    colour: Option<ColourModel>,
    confusions: Confusions,
    calibration: Option<Calibration>,
}

impl CropReader {
    /// From packs by name or folder, without a detector; `base` is the folder of the settings file.
    pub fn open(plates: &Plates, inference: &Inference, base: &Path) -> anyhow::Result<Self> {
        let packs = Chosen::open(&plates.packs, &PackFolders::new(&plates.pack_folders, base), base)?;
        packs.model(Task::PlateOcr).with_context(|| packs.lacks(Task::PlateOcr))?;
        Self::load(&packs, &Runtime::find(inference, base)?)
    }

    /// From the packs' models; fails with words that name the pack and the file.
    pub(crate) fn load(packs: &Chosen, runtime: &Runtime) -> anyhow::Result<Self> {
        let reader = packs.model(Task::PlateOcr);
        let tells_colour = reader.is_some_and(|(_, model)| model.colour.is_some());
        let colour = packs.model(Task::PlateColour).filter(|_| !tells_colour);
        let measured = reader.and_then(|(pack, model)| model.confusions.as_ref().map(|file| (pack, file)));
        let confusions = match measured {
            Some((pack, file)) => read_confusions(&pack.path(file)?)?,
            None => Confusions::default(),
        };
        Ok(Self {
            confusions,
            calibration: reader.and_then(|(_, model)| model.calibration()),
            reader: reader.map(|(pack, model)| Reader::load(pack, model, runtime)).transpose()?,
            colour: colour.map(|(pack, model)| ColourModel::load(pack, model, runtime)).transpose()?,
        })
    }

    /// Reads one plate of a picture; `rows` when it is known.
    pub fn read(
        &mut self,
        picture: &Frame,
        place: Place,
        rows: Option<Rows>,
        times: &mut StageTimes,
    ) -> anyhow::Result<CropReading> {
        let all = Rect::new(0.0, 0.0, picture.width as f32, picture.height as f32);
        let (quad, known) = match place {
            Place::Whole => (all.quad(), Known::Crop),
            Place::Box(rect) => (rect.quad(), Known::Box),
            Place::Corners(quad) => (quad, Known::Corners),
        };
        self.read_area(picture.into(), &PlateArea { quad, known, rows }, times)
    }

    pub(crate) fn read_area(
        &mut self,
        frame: Pixels<'_>,
        area: &PlateArea,
        times: &mut StageTimes,
    ) -> anyhow::Result<CropReading> {
        let mut reading = match &mut self.reader {
            Some(reader) => read_text(reader, frame, area, times)?,
            None => CropReading::default(),
        };
        if let Some(model) = &mut self.colour {
            reading.colours = model.tell(frame, area, times)?;
        }
        Ok(reading)
    }

    /// The reader's own errors as its pack tells them, or those that every reader makes.
    pub fn confusions(&self) -> &Confusions {
        &self.confusions
    }

    /// Thresholds of the known-plate test that were measured with this reader; `None` when its pack holds none.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Lines that a plate is taken to have.
    pub(crate) fn rows(&self, area: &PlateArea) -> Rows {
        self.reader.as_ref().map_or(area.rows.unwrap_or_default(), |reader| reader.rows(area))
    }
}

fn read_text(
    reader: &mut Reader,
    frame: Pixels<'_>,
    area: &PlateArea,
    times: &mut StageTimes,
) -> anyhow::Result<CropReading> {
    let quality = reader.prepare(frame, area, times);
    let (evidence, heads) = reader.read(frame, area, times)?;
    let legible = heads.legible.is_none_or(|share| share >= LEGIBLE);
    Ok(CropReading {
        evidence: legible.then_some(evidence),
        colours: heads.colours.unwrap_or_default(),
        quality,
        rejected: (!legible).then_some(illegible(&quality)),
    })
}

/// Why nobody could read it: the crop itself says which of the two it is.
fn illegible(quality: &CropQuality) -> RejectReason {
    if quality.is_washed_out() { RejectReason::Glare } else { RejectReason::Blurred }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_illegible_crop_that_is_washed_out_is_glare_and_any_other_is_blurred() {
        let crop = |saturated| CropQuality { saturated, ..CropQuality::default() };
        assert_eq!(illegible(&crop(0.4)), RejectReason::Glare);
        assert_eq!(illegible(&crop(0.117)), RejectReason::Blurred);
    }
}
