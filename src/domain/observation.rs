//! What the inference thread says of one frame; what trackers and readers work on.

use super::Uptime;
use super::face::FaceObservation;
use super::geometry::{Quad, Rect};
use super::plate::PlateColour;
use super::plate::evidence::Evidence;

/// All plates and faces that were found in one frame of one camera.
#[derive(Clone, Debug)]
pub struct FrameObservation {
    /// Id of the camera.
    pub camera: String,
    /// Number of the frame.
    pub seq: u64,
    /// When the frame was taken.
    pub at: Uptime,
    /// Width and height of the frame, in pixels.
    pub size: (u32, u32),
    /// In falling order of detection score.
    pub plates: Vec<PlateObservation>,
    /// In falling order of detection score; empty where faces are not read.
    pub faces: Vec<FaceObservation>,
    /// What it cost.
    pub timing: StageTimes,
}

/// One plate in one frame.
#[derive(Clone, Debug)]
pub struct PlateObservation {
    /// Upright box in pixels of the frame.
    pub rect: Rect,
    /// The corners, when the detector tells them.
    pub corners: Option<Quad>,
    /// One line of characters or two.
    pub rows: Rows,
    /// Score of the detector, 0..1.
    pub detection: f32,
    /// The score is one that the detector's pack calls certain; otherwise the reader has to bear it out, see
    /// [`PlateObservation::stands`].
    pub certain: bool,
    /// What the reader saw; `None` when the plate was too small or too poor to be read, see `rejected`.
    pub evidence: Option<Evidence>,
    /// Distribution over colours, when a model tells it; sums to 1.
    pub colours: Vec<(PlateColour, f32)>,
    /// Measured on the crop.
    pub quality: CropQuality,
    /// Why the plate was not read.
    pub rejected: Option<RejectReason>,
}

/// Characters and mean probability from which a reading bears out that there is a plate at all.
const CHARACTERS: usize = 5;
const PROBABLE: f32 = 0.5;

impl PlateObservation {
    /// Is this a plate? The detector is certain, or the reader saw one there; a poor score and nothing to read is a sign, a
    /// grille or a patch of light far more often than a plate.
    pub fn stands(&self) -> bool {
        self.certain
            || self.evidence.as_ref().is_some_and(|evidence| {
                let greedy = evidence.greedy();
                greedy.confidence.len() >= CHARACTERS && greedy.mean_confidence() >= PROBABLE
            })
    }
}

/// Lines of characters on a plate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rows {
    /// One line.
    #[default]
    Single,
    /// Two lines.
    Double,
}

/// How good a crop is to read from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CropQuality {
    /// Width of the plate in the frame, in pixels.
    pub width_px: f32,
    /// Height of the plate in the frame, in pixels.
    pub height_px: f32,
    /// Variance of the Laplacian of the rectified crop's grey values; low is blurred.
    pub sharpness: f32,
    /// Mean grey value, 0..1.
    pub brightness: f32,
    /// Share of pixels at the upper end of the scale, 0..1; high is glare.
    pub saturated: f32,
}

/// From this share of saturated pixels on, light is taken for the reason why a plate was not read. Twice the highest
/// share (0.117) among 157 real plates that were read, on photographs of `cn_scenes` and `cn_ccpd`; half of them have
/// none at all.
const GLARE: f32 = 0.25;

impl CropQuality {
    /// Is so much of the crop at the upper end of the scale that light may be why nothing could be read? A plate that can
    /// be read is read all the same.
    pub fn is_washed_out(&self) -> bool {
        self.saturated >= GLARE
    }
}

/// Why a plate was found but not read, or read but not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// Fewer pixels than `plates.min_width_px`.
    TooSmall,
    /// Cut off by the edge of the picture.
    CutOff,
    /// Out of focus or moved.
    Blurred,
    /// Washed out by light.
    Glare,
    /// No string of the region's grammar fits.
    Grammar,
    /// Gone before enough frames agreed.
    FewVotes,
    /// A sign, a badge, a timestamp.
    NotAPlate,
}

impl RejectReason {
    /// Was a crop cut out and measured before it was rejected?
    pub fn was_looked_at(self) -> bool {
        matches!(self, Self::Blurred | Self::Glare)
    }

    /// The word used in counters and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooSmall => "too-small",
            Self::CutOff => "cut-off",
            Self::Blurred => "blurred",
            Self::Glare => "glare",
            Self::Grammar => "grammar",
            Self::FewVotes => "few-votes",
            Self::NotAPlate => "not-a-plate",
        }
    }
}

/// Milliseconds that each stage took for one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// Resizing and normalising the frame for the detector.
    pub detect_pre_ms: f32,
    /// The detector's network.
    pub detect_ms: f32,
    /// Decoding boxes.
    pub detect_post_ms: f32,
    /// Rectifying and normalising all crops.
    pub read_pre_ms: f32,
    /// The reader's network, all crops.
    pub read_ms: f32,
    /// Turning its output into evidence.
    pub read_post_ms: f32,
    /// Pre- and post-processing of faces: resizing, decoding, aligning.
    pub face_work_ms: f32,
    /// The networks for faces: detector, embedding, expression.
    pub face_ms: f32,
}
