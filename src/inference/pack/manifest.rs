//! `pack.toml`: reading it and refusing what cannot be meant.
//!
//! Models of tasks that this version does not serve are kept by name, file and hash: a pack may hold more than one
//! program reads. Unknown keys of a known model are refused, with the key named.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::boxes;
use super::calibration::CalibrationSpec;
use super::faces::{self, Align, Likeness};
use super::input::{Fit, Input};
use super::lines::{CropSpec, DoubleRow, Head};
use super::spec::{ADAPTORS, Output, Task, Thresholds};
use crate::domain::plate::calibration::Calibration;

/// What a pack holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Short name, as in `plates.packs`.
    pub name: String,
    /// Version of the pack.
    pub version: String,
    /// SPDX expression, or words.
    pub licence: String,
    /// Where the weights come from.
    pub source: String,
    /// Region whose plates it reads, as in `plates.region`; empty: any.
    pub region: String,
    /// The models for plates and faces.
    pub models: Vec<Model>,
    /// Models of tasks that are served elsewhere, or not yet.
    pub others: Vec<OtherModel>,
}

/// One model for plates or faces.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What it is for.
    pub task: Task,
    /// File in the pack's folder.
    pub file: String,
    /// Hash of the file, 64 hexadecimal digits.
    pub sha256: String,
    /// How a picture becomes its input.
    pub input: Input,
    /// What its output means.
    pub output: Output,
    /// What is cut out of the frame for it.
    #[serde(default)]
    pub crop: CropSpec,
    /// How a plate with two lines is read; absent: as if it had one.
    #[serde(default)]
    pub double_row: Option<DoubleRow>,
    /// Second output that tells the colour: classes are words of `PlateColour`, or `other`.
    #[serde(default)]
    pub colour: Option<Head>,
    /// Second output whose class `readable` says that a person could read the crop.
    #[serde(default)]
    pub legible: Option<Head>,
    /// Where a detector's boxes begin to count.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// CSV file of the reader's own errors, `truth,read,count`.
    #[serde(default)]
    pub confusions: Option<String>,
    /// Thresholds of the known-plate test for this reader; absent: the program's own, which are cautious.
    #[serde(default)]
    pub calibration: Option<CalibrationSpec>,
    /// How a face is cut out of the frame for it.
    #[serde(default)]
    pub align: Option<Align>,
    /// How alike faces look to an embedding.
    #[serde(default)]
    pub likeness: Option<Likeness>,
    /// What `models verify` expects of sample pictures.
    #[serde(default)]
    pub golden: Vec<Golden>,
}

/// A sample picture and what the model makes of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Picture in the pack's folder: a frame for a detector, a ready crop for a reader.
    pub image: String,
    /// The string that a reader gives.
    #[serde(default)]
    pub text: Option<String>,
    /// The colour that a reader's head or a colour model gives.
    #[serde(default)]
    pub colour: Option<String>,
    /// The boxes that a detector gives, `x1 y1 x2 y2` in pixels; an empty list: none.
    #[serde(default)]
    pub boxes: Option<Vec<[f32; 4]>>,
    /// The crop holds two lines.
    #[serde(default)]
    pub double_row: bool,
    /// First numbers of the unit vector that an embedding gives, as many as are stated, each within 0.01.
    #[serde(default)]
    pub vector: Option<Vec<f32>>,
    /// Another picture of the same person: an aligned crop whose cosine reaches `likeness.cosine`.
    #[serde(default)]
    pub like: Option<String>,
    /// A picture of another person: an aligned crop whose cosine stays below it.
    #[serde(default)]
    pub unlike: Option<String>,
    /// The most probable class of expression, in the pack's words.
    #[serde(default)]
    pub expression: Option<String>,
}

/// A model of a task that this module does not serve.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherModel {
    /// The task's word.
    pub task: String,
    /// File in the pack's folder.
    pub file: String,
    /// Hash of the file.
    pub sha256: String,
    /// All that the manifest says of it.
    pub entry: toml::Table,
}

/// Why a pack cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// No such pack.
    #[error("no pack `{name}`; looked for it in {}", list(.looked))]
    NotFound {
        /// As it was asked for.
        name: String,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// The file could not be read.
    #[error("cannot read `{path}`: {reason}")]
    Unreadable {
        /// The manifest.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// The file says something that cannot be meant.
    #[error("`{path}`: {reason}")]
    Wrong {
        /// The manifest.
        path: PathBuf,
        /// In words, with the key.
        reason: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    if quoted.is_empty() { "no folder at all; set `plates.pack_folders`".to_owned() } else { quoted.join(", ") }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    name: String,
    version: String,
    licence: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    region: String,
    model: Vec<toml::Table>,
}

impl Manifest {
    /// Reads a manifest; `path` is named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ManifestError> {
        let wrong = |reason: String| {
            let reason = reason.trim_end().to_owned();
            // A key more is most often a newer pack: to install it again would not help.
            let newer = reason.contains("unknown field");
            let hint = "\nno key of a pack for this program; a pack made for a newer forecourt needs that one: update the program first";
            ManifestError::Wrong { path: path.to_owned(), reason: if newer { reason + hint } else { reason } }
        };
        Self::parse_words(text).map_err(wrong)
    }

    fn parse_words(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.format != 1 {
            return Err(format!("format {} is not known, this program reads format 1", file.format));
        }
        if file.model.is_empty() {
            return Err("there is no [[model]] in it".to_owned());
        }
        let File { name, version, licence, source, region, .. } = file;
        let mut manifest = Self { name, version, licence, source, region, models: vec![], others: vec![] };
        for entry in file.model {
            manifest.add(entry)?;
        }
        Ok(manifest)
    }

    fn add(&mut self, entry: toml::Table) -> Result<(), String> {
        let word = |key: &str| {
            let value = entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
            value.ok_or_else(|| format!("a [[model]] has no `{key}`"))
        };
        let (task, file, sha256) = (word("task")?, word("file")?, word("sha256")?);
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("model `{file}`: `sha256` must be 64 hexadecimal digits"));
        }
        if Task::from_word(&task).is_none() {
            self.others.push(OtherModel { task, file, sha256, entry });
            return Ok(());
        }
        check_adaptor(&entry).map_err(|reason| format!("model `{file}`: {reason}"))?;
        let model: Model = entry.try_into().map_err(|error| format!("model `{file}`: {error}"))?;
        model.check().map_err(|reason| format!("model `{file}`: {reason}"))?;
        if self.model(model.task).is_some() {
            return Err(format!("two models have the task `{task}`; a pack holds one of each"));
        }
        self.models.push(model);
        Ok(())
    }

    /// The model for a task.
    pub fn model(&self, task: Task) -> Option<&Model> {
        self.models.iter().find(|model| model.task == task)
    }
}

/// An unknown adaptor is refused with the list of those that exist, which serde's words would bury.
fn check_adaptor(entry: &toml::Table) -> Result<(), String> {
    let output = entry.get("output").and_then(toml::Value::as_table).ok_or("there is no [model.output]")?;
    let word = output.get("adaptor").and_then(toml::Value::as_str).unwrap_or_default();
    if ADAPTORS.contains(&word) {
        return Ok(());
    }
    Err(format!("output adaptor `{word}` is not known; known are {}", ADAPTORS.join(", ")))
}

impl Model {
    fn check(&self) -> Result<(), String> {
        if !self.output.serves(self.task) {
            return Err(format!("adaptor `{}` does not serve `{}`", self.output.adaptor(), self.task.word()));
        }
        self.check_input()?;
        self.check_output()?;
        for head in [&self.colour, &self.legible].into_iter().flatten() {
            if head.classes.len() < 2 {
                return Err(format!("head `{}` has fewer than two classes", head.name));
            }
        }
        if self.legible.as_ref().is_some_and(|head| !head.classes.iter().any(|class| class == "readable")) {
            return Err("`legible.classes` has no class `readable`".to_owned());
        }
        if let Some(rows) = self.double_row {
            check_lines(rows.top).and(check_lines(rows.bottom))?;
        }
        faces::check(self.task, &self.output, self.align.as_ref(), self.likeness.as_ref())?;
        let Thresholds { score, nms_iou, certain } = self.thresholds;
        if [score, nms_iou, certain].iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err("`thresholds` must lie in 0..1".to_owned());
        }
        if let Some(calibration) = &self.calibration {
            calibration.check(self.task)?;
        }
        self.check_crop()
    }

    /// Thresholds of the known-plate test for this reader, when its manifest holds any.
    pub fn calibration(&self) -> Option<Calibration> {
        self.calibration.as_ref().map(|spec| spec.table().expect("checked when the manifest was read"))
    }

    fn check_input(&self) -> Result<(), String> {
        const LARGEST: usize = 4096;
        let Input { width, height, std, .. } = &self.input;
        if !(1..=LARGEST).contains(width) || !(1..=LARGEST).contains(height) {
            return Err(format!("input of {width}x{height} pixels; each side must be 1 to {LARGEST}"));
        }
        if (0..3).any(|channel| !std.of(channel).is_normal()) {
            return Err("`input.std` must not be 0".to_owned());
        }
        if !self.task.finds() && self.input.fit != Fit::Stretch {
            return Err(format!("`{}` takes a ready crop: `input.fit` must be \"stretch\"", self.task.word()));
        }
        let Some(multiple) = self.input.multiple else { return Ok(()) };
        let divides = |side: &usize| multiple > 0 && side.is_multiple_of(multiple);
        if self.input.fit != Fit::Corner || !divides(width) || !divides(height) {
            return Err("`input.multiple` goes with `fit = \"corner\"` and divides width and height".to_owned());
        }
        Ok(())
    }

    fn check_crop(&self) -> Result<(), String> {
        let margins = [Some(self.crop.margin), self.crop.margin_box];
        if margins.into_iter().flatten().flatten().any(|share| !(-0.4..=2.0).contains(&share)) {
            return Err("`crop` margins must lie in -0.4..2".to_owned());
        }
        Ok(())
    }

    fn check_output(&self) -> Result<(), String> {
        use super::boxes::Column::{Score, X1, X2, Y1, Y2};
        match &self.output {
            Output::Ctc { charset, temperature, .. } | Output::Slots { charset, temperature, .. } => {
                let mut symbols: Vec<char> = charset.chars().collect();
                symbols.sort_unstable();
                if let Some(twice) = symbols.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(format!("`output.charset` holds `{}` twice", twice[0]));
                }
                if symbols.len() < 2 || !temperature.is_normal() || *temperature < 0.0 {
                    return Err("`output.charset` needs two symbols and `temperature` must be above 0".to_owned());
                }
            }
            Output::YoloEnd2end { columns, .. } => {
                if let Some(missing) = [X1, Y1, X2, Y2, Score].into_iter().find(|column| !columns.contains(column)) {
                    return Err(format!("`output.columns` lacks {missing:?}"));
                }
            }
            Output::YunetPlate { strides, sizes, variance, .. } => boxes::check_priors(strides, sizes, *variance)?,
            Output::Classes { classes, .. } if classes.len() < 2 => {
                return Err("`output.classes` needs two classes".to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

fn check_lines([from, to]: [f32; 2]) -> Result<(), String> {
    let sound = 0.0 <= from && from < to && to <= 1.0;
    if sound { Ok(()) } else { Err(format!("`double_row` line [{from}, {to}] must rise within 0..1")) }
}
