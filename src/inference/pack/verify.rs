//! Checks of a model's file before anything else looks at it: place, size, hash, structure.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::onnx;
use crate::domain::sync::hex;

/// Largest file that is read; a model for this class of box is a tenth of it.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A model's file as a manifest names it.
#[derive(Clone, Copy, Debug)]
pub struct ModelFile<'a> {
    /// Folder of the pack.
    pub folder: &'a Path,
    /// Name in the folder.
    pub file: &'a str,
    /// Hash in the manifest.
    pub sha256: &'a str,
}

/// Why a model's file is refused.
#[derive(Debug, thiserror::Error)]
#[error("model `{}`: {reason}", path.display())]
pub struct BadModel {
    /// The file.
    pub path: PathBuf,
    /// In words.
    pub reason: String,
}

impl ModelFile<'_> {
    /// The bytes, once everything about them is right.
    pub fn read(&self) -> Result<Vec<u8>, BadModel> {
        let path = inside(self.folder, self.file)?;
        let refuse = |reason: String| BadModel { path: path.clone(), reason };
        let bytes = read_capped(&path).map_err(refuse)?;
        let found = hex(&Sha256::digest(&bytes));
        if !found.eq_ignore_ascii_case(self.sha256) {
            let wanted = self.sha256;
            return Err(refuse(format!("its sha256 is {found}, the manifest says {wanted}; fetch the pack again")));
        }
        onnx::check(&bytes).map_err(|reason| refuse(reason.to_string()))?;
        Ok(bytes)
    }
}

/// A file of a pack; refused when the name or a link leads out of the folder.
pub(super) fn inside(folder: &Path, name: &str) -> Result<PathBuf, BadModel> {
    let path = folder.join(name);
    let refuse = |reason: String| BadModel { path: path.clone(), reason };
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.is_empty() {
        return Err(refuse("a file of a pack is named relative to its folder, without `..`".to_owned()));
    }
    let real = path.canonicalize().map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let home = folder.canonicalize().map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if !real.starts_with(&home) {
        return Err(refuse(format!("it is a link that leaves the pack, to `{}`", real.display())));
    }
    Ok(real)
}

fn read_capped(path: &Path) -> Result<Vec<u8>, String> {
    let words = |error: std::io::Error| format!("cannot be read: {error}");
    let about = std::fs::metadata(path).map_err(words)?;
    if !about.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::with_capacity(about.len().min(LARGEST) as usize);
    let file = std::fs::File::open(path).map_err(words)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("is larger than {} MiB", LARGEST >> 20));
    }
    Ok(bytes)
}

/// The text of a `pack.toml`; one larger than 1 MiB is no manifest.
pub(super) fn read_manifest(path: &Path) -> Result<String, String> {
    const LARGEST_MANIFEST: u64 = 1024 * 1024;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(LARGEST_MANIFEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 == LARGEST_MANIFEST { Err("is larger than 1 MiB".to_owned()) } else { Ok(text) }
}
