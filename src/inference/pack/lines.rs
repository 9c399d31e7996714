//! The words of a manifest about reading: the crop, one line or two, what a reader's numbers are.

use serde::{Deserialize, Serialize};

/// Place of the class that is no character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blank {
    /// Before the symbols.
    First,
    /// After the symbols.
    Last,
    /// Class number, from 0.
    #[serde(untagged)]
    At(usize),
}

impl Blank {
    /// Class number, when there are `classes`.
    pub fn index(self, classes: usize) -> usize {
        match self {
            Self::First => 0,
            Self::Last => classes - 1,
            Self::At(place) => place,
        }
    }
}

/// Axes of a reader's output after the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TextLayout {
    /// Steps, classes.
    Tc,
    /// Classes, steps.
    Ct,
}

/// What a head's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// Before any soft-max.
    Logits,
    /// Probabilities.
    Softmax,
    /// Natural logarithms of probabilities.
    LogSoftmax,
}

/// A second output of a reader.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Name in the graph; `[1, classes]`.
    pub name: String,
    /// What the classes are, in order.
    pub classes: Vec<String>,
    /// What the numbers are.
    pub activation: Activation,
}

/// What is cut out of the frame for a model that looks at one plate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CropSpec {
    /// Added on each side of the four corners before rectifying, as a share of the plate's width and height; may be negative.
    pub margin: [f32; 2],
    /// The same around an upright box, when the detector tells no corners; `margin` when absent.
    pub margin_box: Option<[f32; 2]>,
}

/// How a plate with two lines is read.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DoubleRow {
    /// How.
    pub method: DoubleRowMethod,
    /// First and last share of the plate's height of the upper line.
    #[serde(default = "upper_line")]
    pub top: [f32; 2],
    /// The same for the lower line.
    #[serde(default = "lower_line")]
    pub bottom: [f32; 2],
    /// Width over height of the rectified plate below which it is taken for two lines, when the detector does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_aspect: Option<f32>,
}

fn upper_line() -> [f32; 2] {
    [0.0, 0.4]
}

fn lower_line() -> [f32; 2] {
    [0.4, 1.0]
}

/// How a plate with two lines is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoubleRowMethod {
    /// As it is: the network knows both.
    Whole,
    /// The upper line left of the lower in one crop, each half of its width.
    SideBySide,
    /// One after the other, two runs.
    Split,
}
