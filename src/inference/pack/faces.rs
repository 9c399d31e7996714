//! The words of a manifest about models for faces.

use serde::{Deserialize, Serialize};

use super::spec::{Output, Task};
use crate::domain::face::gallery::{Impostors, Tail};

/// How a YuNet's two scores become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum YunetScore {
    /// Class times objectness, as in its authors' tool.
    #[default]
    Product,
    /// The square root of that, as in OpenCV.
    Root,
}

/// How a face is cut out of the frame for a model that looks at one face.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "method", rename_all = "lowercase", deny_unknown_fields)]
pub enum Align {
    /// Turned, scaled and moved so that the five points come to these, shares of the crop's width and height.
    Points {
        /// Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture.
        template: [[f32; 2]; 5],
    },
    /// The square around the middle of the box.
    Square {
        /// Its side over the longer side of the box.
        #[serde(default = "one")]
        scale: f32,
        /// Turned so that the line of the eyes is level.
        #[serde(default)]
        level: bool,
    },
}

/// What a class of expression counts as in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LookWord {
    /// Pleased.
    Positive,
    /// Neither.
    Neutral,
    /// Displeased.
    Negative,
    /// None of them: the network does not know.
    None,
}

/// How alike faces look to an embedding.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Likeness {
    /// What it was measured on, in words.
    pub on: String,
    /// Cosine from which two faces are taken for one person, when just these two are compared.
    pub cosine: f32,
    /// Mean cosine of faces of different people.
    pub mean: f64,
    /// Standard deviation of that cosine.
    pub deviation: f64,
    /// Measured upper end of it, `from`, `share`, `scale`.
    #[serde(default)]
    pub tail: Option<Tail>,
}

impl Likeness {
    /// Scores between different people, as a gallery wants them.
    pub fn impostors(&self) -> Impostors {
        Impostors { mean: self.mean, deviation: self.deviation, tail: self.tail }
    }

    fn check(&self) -> Result<(), String> {
        let sound = self.mean.abs() < 1.0 && self.deviation > 0.0 && self.deviation < 1.0 && self.cosine.abs() < 1.0;
        if !sound || self.on.trim().is_empty() {
            return Err("`likeness` needs `on`, what it was measured on, and cosines between -1 and 1".to_owned());
        }
        Ok(())
    }
}

fn one() -> f32 {
    1.0
}

/// The strides of all public detectors of this kind.
pub(super) fn strides() -> Vec<usize> {
    vec![8, 16, 32]
}

/// Is what a manifest says of a model for faces complete, and can it be meant?
pub(super) fn check(
    task: Task,
    output: &Output,
    align: Option<&Align>,
    likeness: Option<&Likeness>,
) -> Result<(), String> {
    if let Some(likeness) = likeness {
        likeness.check()?;
    }
    match (task, align) {
        (Task::FaceEmbed, Some(Align::Points { template })) => check_template(template)?,
        (Task::FaceEmbed, _) => return Err("an embedding needs `align` with `method = \"points\"`".to_owned()),
        (Task::FaceExpression, Some(Align::Points { template })) => check_template(template)?,
        (Task::FaceExpression, Some(Align::Square { scale, .. })) if !(0.2..=5.0).contains(scale) => {
            return Err("`align.scale` must lie in 0.2..5".to_owned());
        }
        (Task::FaceExpression, None) => return Err("a model of expression needs `align`".to_owned()),
        _ => {}
    }
    check_output(output)
}

fn check_template(template: &[[f32; 2]; 5]) -> Result<(), String> {
    let inside = template.iter().flatten().all(|share| (-0.5..=1.5).contains(share));
    if !inside || template[1][0] - template[0][0] < 0.05 {
        return Err(
            "`align.template` holds five places as shares of the crop, the left eye left of the right".to_owned()
        );
    }
    Ok(())
}

fn check_output(output: &Output) -> Result<(), String> {
    let strides_sound =
        |strides: &[usize]| !strides.is_empty() && strides.iter().all(|stride| (1..=256).contains(stride));
    match output {
        Output::Yunet { strides, .. } if !strides_sound(strides) => {
            Err("`output.strides` are 1 to 256 pixels".to_owned())
        }
        Output::Scrfd { scores, boxes, points, strides, anchors } => {
            let count = strides.len();
            if !strides_sound(strides) || *anchors == 0 || [scores, boxes, points].iter().any(|n| n.len() != count) {
                return Err(
                    "`output` needs one name in `scores`, `boxes` and `points` for each of `strides`".to_owned()
                );
            }
            Ok(())
        }
        Output::Retinaface { strides, sizes, .. } => {
            let sound = strides_sound(strides) && sizes.len() == strides.len() && sizes.iter().all(|s| !s.is_empty());
            if sound { Ok(()) } else { Err("`output.sizes` needs a list for each of `strides`".to_owned()) }
        }
        Output::Embedding { space, .. } if space.trim().is_empty() => {
            Err("`output.space` must name the embedding space".to_owned())
        }
        Output::Embedding { min_eyes_px, .. } if !(0.0..=1000.0).contains(min_eyes_px) => {
            Err("`output.min_eyes_px` must lie in 0..1000".to_owned())
        }
        Output::Expression { classes, looks, .. } if classes.len() != looks.len() || classes.len() < 2 => {
            Err("`output.looks` needs one word for each of `classes`, of which there are two or more".to_owned())
        }
        _ => Ok(()),
    }
}
