//! The words of a manifest about one model: task, output, thresholds.

use serde::{Deserialize, Serialize};

use super::boxes::{
    BoxLayout, Column, CornerOrder, Points, RowWord, plate_classes, plate_offsets, plate_overlaps, plate_sizes,
    plate_strides, plate_variance,
};
use super::faces::{LookWord, YunetScore, strides};
use super::lines::{Activation, Blank, TextLayout};

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Finds plates in a frame.
    PlateDetect,
    /// Reads a rectified plate.
    PlateOcr,
    /// Tells the colour of a rectified plate.
    PlateColour,
    /// Finds faces in a frame.
    FaceDetect,
    /// Turns an aligned face into a vector.
    FaceEmbed,
    /// Tells the expression of a face.
    FaceExpression,
}

impl Task {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::PlateDetect, Self::PlateOcr, Self::PlateColour, Self::FaceDetect, Self::FaceEmbed, Self::FaceExpression];

    /// Is it about faces, and not about plates?
    pub fn is_face(self) -> bool {
        matches!(self, Self::FaceDetect | Self::FaceEmbed | Self::FaceExpression)
    }

    /// Does it look at whole frames?
    pub fn finds(self) -> bool {
        matches!(self, Self::PlateDetect | Self::FaceDetect)
    }

    /// The word in a manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::PlateDetect => "plate-detect",
            Self::PlateOcr => "plate-ocr",
            Self::PlateColour => "plate-colour",
            Self::FaceDetect => "face-detect",
            Self::FaceEmbed => "face-embed",
            Self::FaceExpression => "face-expression",
        }
    }

    /// From the word; `None` for tasks that this module does not serve.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.word() == word)
    }
}

/// What the network's output means.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "adaptor", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Output {
    /// `plate-detect`: rows of `cx cy w h objectness, 4 corners, class scores`, decoded to input pixels; `[1, N, 13 + classes]`.
    Yolov5Corners {
        /// Name in the graph.
        name: String,
        /// What each class is: a list of `single` and `double`.
        #[serde(default)]
        classes: Vec<RowWord>,
        /// Order in which the corners stand.
        #[serde(default)]
        corners: CornerOrder,
    },
    /// `plate-detect`: columns of `cx cy w h, class scores[, corners]`, no objectness; `[1, 4 + classes (+ 8 or 12), N]`.
    Yolov8 {
        /// Name in the graph.
        name: String,
        /// What each class is.
        #[serde(default)]
        classes: Vec<RowWord>,
        /// Corner values per row: absent, `xy`, or `xyv` with a visibility after each corner.
        #[serde(default)]
        points: Points,
        /// Order in which the corners stand.
        #[serde(default)]
        corners: CornerOrder,
        /// `cn`: attributes first, as exported by its authors; `nc`: boxes first.
        #[serde(default)]
        layout: BoxLayout,
    },
    /// `plate-detect`: boxes after the graph's own suppression, named columns; `[N, columns]` or `[1, N, columns]`.
    YoloEnd2end {
        /// Name in the graph.
        name: String,
        /// What each column is.
        columns: Vec<Column>,
        /// What each class is.
        #[serde(default)]
        classes: Vec<RowWord>,
    },
    /// `plate-detect`: offsets to prior boxes `[N, 14]`, of which four corners count, probabilities of no plate and plate
    /// `[N, 2]`, expected overlap `[N, 1]`.
    YunetPlate {
        /// Name in the graph.
        #[serde(default = "plate_offsets")]
        offsets: String,
        /// Name in the graph.
        #[serde(default = "plate_classes")]
        scores: String,
        /// Name in the graph.
        #[serde(default = "plate_overlaps")]
        overlaps: String,
        /// Pixels between two places.
        #[serde(default = "plate_strides")]
        strides: Vec<usize>,
        /// Sides of the priors at each stride, in pixels.
        #[serde(default = "plate_sizes")]
        sizes: Vec<Vec<f32>>,
        /// What offsets are multiplied with, besides the side of the prior.
        #[serde(default = "plate_variance")]
        variance: f32,
    },
    /// `plate-ocr`: connectionist temporal classification.
    Ctc {
        /// Name in the graph.
        name: String,
        /// The symbols in order, without the blank.
        charset: String,
        /// Place of the blank class.
        blank: Blank,
        /// `tc`: time steps are rows; `ct`: classes are rows.
        layout: TextLayout,
        /// What the numbers are.
        activation: Activation,
        /// The evidence is divided by it; above 1 makes an over-confident reader modest.
        #[serde(default = "one")]
        temperature: f32,
    },
    /// `plate-ocr`: a distribution for each place of the string.
    Slots {
        /// Name in the graph.
        name: String,
        /// The symbols in order, without the pad.
        charset: String,
        /// Place of the class that means "no character here".
        blank: Blank,
        /// `tc`: places are rows; `ct`: classes are rows.
        layout: TextLayout,
        /// What the numbers are.
        activation: Activation,
        /// See `ctc`.
        #[serde(default = "one")]
        temperature: f32,
    },
    /// `plate-colour`: one distribution; `[1, classes]`.
    Classes {
        /// Name in the graph.
        name: String,
        /// The classes in order: words of `PlateColour`, or `other`.
        classes: Vec<String>,
        /// What the numbers are.
        activation: Activation,
    },
    /// `face-detect`: `cls_S`, `obj_S`, `bbox_S`, `kps_S` for each stride S; centres at whole steps.
    Yunet {
        /// How the two scores become one.
        #[serde(default)]
        score: YunetScore,
        /// Pixels between two places.
        #[serde(default = "strides")]
        strides: Vec<usize>,
    },
    /// `face-detect`: scores, distances to the four sides and to the five points for each stride, in strides.
    Scrfd {
        /// Names in the graph, `[places × anchors, 1]` each, 0..1.
        scores: Vec<String>,
        /// Names in the graph, 4 numbers a place: left, top, right, bottom.
        boxes: Vec<String>,
        /// Names in the graph, 10 numbers a place.
        points: Vec<String>,
        /// Pixels between two places.
        #[serde(default = "strides")]
        strides: Vec<usize>,
        /// Boxes at each place.
        #[serde(default = "two")]
        anchors: usize,
    },
    /// `face-detect`: offsets to prior boxes, `[1, N, 4]`, `[1, N, 2]` (no face, face) and `[1, N, 10]`.
    Retinaface {
        /// Name in the graph.
        boxes: String,
        /// Name in the graph; probabilities.
        scores: String,
        /// Name in the graph.
        points: String,
        /// Pixels between two places.
        #[serde(default = "strides")]
        strides: Vec<usize>,
        /// Sides of the priors at each stride, in pixels.
        #[serde(default = "prior_sizes")]
        sizes: Vec<Vec<f32>>,
        /// What offsets of centre and size are multiplied with.
        #[serde(default = "prior_variance")]
        variance: [f32; 2],
    },
    /// `face-detect`: rows of `x1 y1 x2 y2 score`, five points x y, in pixels of the input; `[1, N, 15]`.
    FaceRows {
        /// Name in the graph.
        name: String,
    },
    /// `face-embed`: one vector; brought to unit length by us.
    Embedding {
        /// Name in the graph.
        name: String,
        /// Name of the space; vectors of two spaces are never compared.
        space: String,
        /// Smallest distance between the eyes in the frame, in pixels, from which its vectors can be trusted.
        min_eyes_px: f32,
        /// The vector is the mean of the face and its mirror image; costs a second run.
        #[serde(default)]
        mirror: bool,
    },
    /// `face-expression`: one distribution; `[1, classes]`.
    Expression {
        /// Name in the graph.
        name: String,
        /// The classes in order, in the pack's words.
        classes: Vec<String>,
        /// What each class counts as.
        looks: Vec<LookWord>,
        /// What the numbers are.
        activation: Activation,
    },
}

impl Output {
    /// The adaptor's word.
    pub fn adaptor(&self) -> &'static str {
        match self {
            Self::Yolov5Corners { .. } => "yolov5-corners",
            Self::Yolov8 { .. } => "yolov8",
            Self::YoloEnd2end { .. } => "yolo-end2end",
            Self::YunetPlate { .. } => "yunet-plate",
            Self::Ctc { .. } => "ctc",
            Self::Slots { .. } => "slots",
            Self::Classes { .. } => "classes",
            Self::Yunet { .. } => "yunet",
            Self::Scrfd { .. } => "scrfd",
            Self::Retinaface { .. } => "retinaface",
            Self::FaceRows { .. } => "face-rows",
            Self::Embedding { .. } => "embedding",
            Self::Expression { .. } => "expression",
        }
    }

    /// Name of the output in the graph; of the first, when there are several.
    pub fn name(&self) -> &str {
        match self {
            Self::Yolov5Corners { name, .. }
            | Self::Yolov8 { name, .. }
            | Self::YoloEnd2end { name, .. }
            | Self::Ctc { name, .. }
            | Self::Slots { name, .. }
            | Self::Classes { name, .. }
            | Self::FaceRows { name }
            | Self::Embedding { name, .. }
            | Self::Expression { name, .. } => name,
            Self::Yunet { .. } => "cls_8",
            Self::Scrfd { scores, .. } => scores.first().map_or("", String::as_str),
            Self::Retinaface { boxes, .. } => boxes,
            Self::YunetPlate { offsets, .. } => offsets,
        }
    }

    /// Does the adaptor serve the task?
    pub fn serves(&self, task: Task) -> bool {
        match self {
            Self::Yolov5Corners { .. } | Self::Yolov8 { .. } | Self::YoloEnd2end { .. } | Self::YunetPlate { .. } => {
                task == Task::PlateDetect
            }
            Self::Ctc { .. } | Self::Slots { .. } => task == Task::PlateOcr,
            Self::Classes { .. } => task == Task::PlateColour,
            Self::Yunet { .. } | Self::Scrfd { .. } | Self::Retinaface { .. } | Self::FaceRows { .. } => {
                task == Task::FaceDetect
            }
            Self::Embedding { .. } => task == Task::FaceEmbed,
            Self::Expression { .. } => task == Task::FaceExpression,
        }
    }
}

/// The adaptors that exist, for the words of a refusal.
pub const ADAPTORS: [&str; 13] = [
    "yolov5-corners",
    "yolov8",
    "yolo-end2end",
    "yunet-plate",
    "ctc",
    "slots",
    "classes",
    "yunet",
    "scrfd",
    "retinaface",
    "face-rows",
    "embedding",
    "expression",
];

fn two() -> usize {
    2
}

fn prior_sizes() -> Vec<Vec<f32>> {
    vec![vec![16.0, 32.0], vec![64.0, 128.0], vec![256.0, 512.0]]
}

fn prior_variance() -> [f32; 2] {
    [0.1, 0.2]
}

fn one() -> f32 {
    1.0
}

/// Where a detector's boxes begin to count.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Least score 0..1.
    pub score: f32,
    /// Overlap from which the weaker of two boxes is dropped.
    #[serde(default = "half")]
    pub nms_iou: f32,
    /// Score 0..1 from which a plate counts even where nothing can be read; below it the reader has to bear it out.
    /// Not given: every score counts.
    #[serde(default)]
    pub certain: f32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { score: 0.25, nms_iou: 0.5, certain: 0.0 }
    }
}

fn half() -> f32 {
    0.5
}
