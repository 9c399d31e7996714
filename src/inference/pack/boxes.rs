//! The words of a manifest about detectors of plates: classes, corners, layouts, prior boxes.

use serde::{Deserialize, Serialize};

/// What a detector's class is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowWord {
    /// A plate with one line.
    Single,
    /// A plate with two lines.
    Double,
    /// Not a plate; dropped.
    Other,
}

/// Order of a detector's corners, as one reads the plate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CornerOrder {
    /// Top left, top right, bottom right, bottom left.
    #[default]
    TlTrBrBl,
    /// Top left, bottom left, bottom right, top right.
    TlBlBrTr,
    /// Bottom right, bottom left, top left, top right (CCPD).
    BrBlTlTr,
}

/// Corner values of a `yolov8` head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Points {
    /// None.
    #[default]
    None,
    /// Eight: x and y of each.
    Xy,
    /// Twelve: x, y and visibility of each.
    Xyv,
}

/// Axes of a detector's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxLayout {
    /// Attributes, boxes.
    #[default]
    Cn,
    /// Boxes, attributes.
    Nc,
}

/// A column of a `yolo-end2end` output, in input pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Column {
    /// Number in the batch; passed over.
    Batch,
    /// Left.
    X1,
    /// Top.
    Y1,
    /// Right.
    X2,
    /// Bottom.
    Y2,
    /// Class.
    Class,
    /// Score 0..1.
    Score,
}

/// Defaults of `yunet-plate`: OpenCV's model zoo.
pub(super) fn plate_offsets() -> String {
    "loc".to_owned()
}

pub(super) fn plate_classes() -> String {
    "conf".to_owned()
}

pub(super) fn plate_overlaps() -> String {
    "iou".to_owned()
}

pub(super) fn plate_strides() -> Vec<usize> {
    vec![8, 16, 32, 64]
}

pub(super) fn plate_sizes() -> Vec<Vec<f32>> {
    vec![vec![10.0, 16.0, 24.0], vec![32.0, 48.0], vec![64.0, 96.0], vec![128.0, 192.0, 256.0]]
}

pub(super) fn plate_variance() -> f32 {
    0.1
}

/// Has every stride a list of sizes that are sizes?
pub(super) fn check_priors(strides: &[usize], sizes: &[Vec<f32>], variance: f32) -> Result<(), String> {
    let strides_sound = !strides.is_empty() && strides.iter().all(|stride| (1..=256).contains(stride));
    let sizes_sound =
        sizes.iter().all(|list| !list.is_empty() && list.iter().all(|side| (1.0..=4096.0).contains(side)));
    if !strides_sound || !sizes_sound || strides.len() != sizes.len() || !(0.0..=10.0).contains(&variance) {
        return Err(
            "`output` needs `strides` of 1 to 256 pixels, a list in `sizes` for each, `variance` in 0..10".into()
        );
    }
    Ok(())
}
