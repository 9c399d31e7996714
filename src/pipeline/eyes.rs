//! What looks at frames: the reader of plates and the reader of faces, each for the cameras that want it.
//!
//! The rules say what is worth a look ([`Attention`]); whether faces are looked at at all is theirs to say too, because
//! it hangs on a confirmation that may come or go while the service runs.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;

use super::people::FaceAttention;
use super::watch::Settled;
use crate::config::{Config, Sense};
use crate::domain::frame::Frame;
use crate::domain::geometry::Rect;
use crate::domain::observation::{FrameObservation, StageTimes};
use crate::inference::{FaceReader, PlateReader, Space, Wanted};

/// What the rules want of the next frame of a camera.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// Plates that need no reading for a while.
    pub settled: Vec<Settled>,
    /// Faces that are followed; one that is none of these is new and wanted.
    pub faces: Vec<FaceAttention>,
    /// May faces be looked at?
    pub faces_allowed: bool,
}

/// The readers.
pub struct Eyes {
    plates: PlateReader,
    faces: Option<FaceReader>,
    senses: HashMap<String, Senses>,
}

#[derive(Clone, Copy)]
struct Senses {
    plate: bool,
    face: bool,
}

impl Eyes {
    /// Loads the packs; that of faces only when a camera reads faces and the settings name one.
    ///
    /// # Errors
    /// Packs that are missing or broken, and settings that want faces without a pack.
    pub fn load(config: &Config, base: &Path) -> anyhow::Result<Self> {
        let senses: HashMap<String, Senses> = config
            .cameras
            .iter()
            .map(|camera| {
                let reads = |sense| camera.read.contains(&sense);
                (camera.id.clone(), Senses { plate: reads(Sense::Plate), face: reads(Sense::Face) })
            })
            .collect();
        let wants_faces = senses.values().any(|each| each.face);
        let faces = wants_faces.then(|| FaceReader::load(&config.faces, &config.inference, base)).transpose();
        Ok(Self {
            plates: PlateReader::load(&config.plates, &config.inference, base)?,
            faces: faces.context("a camera reads faces (`read = [\"face\"]`)")?,
            senses,
        })
    }

    /// The reader of plates.
    pub fn plates(&self) -> &PlateReader {
        &self.plates
    }

    /// The embedding space of faces, when a camera wants them.
    pub fn space(&self) -> Option<&Space> {
        self.faces.as_ref().and_then(FaceReader::space)
    }

    /// Looks at a frame of a camera.
    ///
    /// # Errors
    /// When a network fails.
    pub fn look(&mut self, camera: &str, frame: &Frame, attention: &Attention) -> anyhow::Result<FrameObservation> {
        let Senses { plate, face } = self.senses.get(camera).copied().unwrap_or(Senses { plate: true, face: false });
        let mut seen = if plate {
            let mut wanted = |rect: &Rect| !attention.settled.iter().any(|each| each.covers(rect, frame.at));
            self.plates.observe_with(camera, frame, &mut wanted)?
        } else {
            nothing(camera, frame)
        };
        if let Some(reader) = self.faces.as_mut().filter(|_| face && attention.faces_allowed) {
            let mut wanted = |rect: &Rect| wanted(attention, rect, frame);
            seen.faces = reader.observe(frame, &mut wanted, &mut seen.timing)?;
        }
        Ok(seen)
    }
}

/// A new face is made a vector of; one that is followed when it is due; an expression only where the rules ask for it.
fn wanted(attention: &Attention, rect: &Rect, frame: &Frame) -> Wanted {
    let known = attention.faces.iter().filter(|each| each.covers(rect));
    let nearest = known.max_by(|a, b| a.rect.iou(rect).total_cmp(&b.rect.iou(rect)));
    match nearest {
        Some(known) => Wanted { embedding: frame.at >= known.due, expression: known.expression },
        None => Wanted { embedding: true, expression: false },
    }
}

fn nothing(camera: &str, frame: &Frame) -> FrameObservation {
    FrameObservation {
        camera: camera.to_owned(),
        seq: frame.seq,
        at: frame.at,
        size: (frame.width, frame.height),
        plates: Vec::new(),
        faces: Vec::new(),
        timing: StageTimes::default(),
    }
}
