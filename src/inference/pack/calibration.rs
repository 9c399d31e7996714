//! `[model.calibration]` of a reader: how sure the known-plate test must be of what this reader saw.

use serde::{Deserialize, Serialize};

use super::Task;
use crate::domain::plate::calibration::{Calibration, FLOOR};

/// Thresholds that were measured with this very reader; `forecourt models eval --task plate-match --calibration` makes
/// them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationSpec {
    /// What it was measured on, in words; for people.
    pub on: String,
    /// `[false-accept rate, nats]` over a list of 10,000 plates.
    pub points: Vec<(f64, f32)>,
}

impl CalibrationSpec {
    /// The table, or what is wrong with it.
    pub(super) fn table(&self) -> Result<Calibration, String> {
        Calibration::new(self.points.clone()).ok_or_else(|| {
            format!(
                "`calibration.points` must be pairs [rate, nats] with rates between 0 and 1, each once, and nats of \
                 {FLOOR} or more that do not rise with the rate"
            )
        })
    }

    pub(super) fn check(&self, task: Task) -> Result<(), String> {
        if task != Task::PlateOcr {
            return Err(format!("`calibration` belongs to a `plate-ocr` model, this one is `{}`", task.word()));
        }
        if self.on.trim().is_empty() {
            return Err("`calibration.on` must say what it was measured on".to_owned());
        }
        self.table().map(drop)
    }
}
