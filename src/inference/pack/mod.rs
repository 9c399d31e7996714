//! A pack: a folder of ONNX models and the `pack.toml` that says what they are and how to speak with them.
//!
//! Opening reads and checks the manifest only; [`ModelFile::read`] checks a model's file and gives its bytes, and
//! ONNX Runtime gets those very bytes, so that nothing can change between the check and the use. The format is
//! documented in `docs/packs.md`.

mod boxes;
mod calibration;
mod choose;
mod confusions;
mod faces;
mod find;
mod input;
pub mod install;
mod lines;
mod manifest;
mod onnx;
mod spec;
mod verify;

use std::path::{Path, PathBuf};

pub use boxes::{BoxLayout, Column, CornerOrder, Points, RowWord};
pub use calibration::CalibrationSpec;
pub use choose::{Chosen, faults, prefer, prefer_faces};
pub(crate) use confusions::read as read_confusions;
pub use faces::{Align, Likeness, LookWord, YunetScore};
pub use find::{PackFolders, SHIPPED, packs_in};
pub use input::{ColourOrder, Dtype, Fit, Input, Layout, PerChannel, Resize};
pub use lines::*;
pub use manifest::{Golden, Manifest, ManifestError, Model, OtherModel};
pub use spec::*;
pub use verify::{BadModel, ModelFile};

/// An opened pack: its manifest is sound, its files are not yet read.
#[derive(Clone, Debug)]
pub struct Pack {
    /// Folder of the files.
    pub folder: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
}

impl Pack {
    /// The file of one of its models.
    pub fn file<'a>(&'a self, file: &'a str, sha256: &'a str) -> ModelFile<'a> {
        ModelFile { folder: &self.folder, file, sha256 }
    }

    /// Every file named in the manifest with its hash, models of other tasks included.
    pub fn files(&self) -> impl Iterator<Item = ModelFile<'_>> {
        let served = self.manifest.models.iter().map(|model| (model.file.as_str(), model.sha256.as_str()));
        let others = self.manifest.others.iter().map(|model| (model.file.as_str(), model.sha256.as_str()));
        served.chain(others).map(|(file, sha256)| self.file(file, sha256))
    }

    /// A path of the pack's own, refused when it leaves the folder.
    pub fn path(&self, name: &str) -> Result<PathBuf, BadModel> {
        verify::inside(&self.folder, name)
    }
}

/// Where to begin when a settings file names a pack: `base` is the folder of that file.
pub fn open(name: &str, folders: &PackFolders, base: &Path) -> Result<Pack, ManifestError> {
    find::open(name, folders, base)
}
