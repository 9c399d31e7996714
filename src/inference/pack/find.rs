//! From a name or folder to a pack.
//!
//! A name is looked up in `plates.pack_folders`, then in `models/packs` of each folder above the program (a
//! checkout), then in a packs folder beside the checkout: `$FORECOURT_SHARED/packs`, or `shared/packs` beside the
//! checkout that the program was built in. For public models that come without a manifest of ours the program
//! carries one ([`SHIPPED`]); it holds their hash, so that only the very file it was written for is taken.

use std::path::{Path, PathBuf};

use super::manifest::{Manifest, ManifestError};
use super::{Pack, verify};

/// A manifest that the program carries for a public model.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Name of the pack.
    pub name: &'static str,
    /// Folder in which its files are looked for.
    pub folder: &'static str,
    text: &'static str,
}

macro_rules! shipped {
    ($name:literal in $folder:literal) => {
        Shipped {
            name: $name,
            folder: $folder,
            text: include_str!(concat!("../../../models/manifests/", $name, ".toml")),
        }
    };
}

/// Manifests of public models, without weights; `models/catalog.toml` says where the files are.
pub const SHIPPED: [Shipped; 11] = [
    shipped!("plate-detect-y5fu" in "plate-detect-y5fu"),
    shipped!("plate-detect-y5fu-640" in "plate-detect-y5fu"),
    shipped!("plate-detect-yolov9t" in "plate-detect-yolov9t"),
    shipped!("plate-ocr-cn-lprnet0007" in "plate-ocr-cn-lprnet0007"),
    shipped!("plate-ocr-cn-lprnet-sirius" in "plate-ocr-cn-lprnet-sirius"),
    shipped!("plate-ocr-latin-cct-xs-v2" in "plate-ocr-latin-cct-xs-v2"),
    shipped!("plate-colour" in "plate-colour"),
    shipped!("face-detect-yunet" in "face-detect-yunet"),
    shipped!("face-embed-retail0095" in "face-embed-retail0095"),
    shipped!("face-embed-mobileface-v2" in "face-embed-mobileface-v2"),
    shipped!("face-expression-ferplus" in "face-expression-ferplus"),
];

/// Folders in which packs are looked up by name, in order.
#[derive(Clone, Debug)]
pub struct PackFolders(Vec<PathBuf>);

impl PackFolders {
    /// `configured` is `plates.pack_folders`; relative ones are relative to `base`, the settings file's folder.
    pub fn new(configured: &[PathBuf], base: &Path) -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        let program: Vec<&Path> = program.ancestors().skip(1).collect();
        let mut folders: Vec<PathBuf> = configured.iter().map(|folder| base.join(folder)).collect();
        folders.extend(program.iter().map(|folder| folder.join("models/packs")));
        folders.extend(std::env::var_os("FORECOURT_SHARED").map(|folder| PathBuf::from(folder).join("packs")));
        // Beside the checkout that the program was built in, and nowhere else: a folder above the working folder may be
        // anybody's.
        let checkouts = program.iter().filter(|folder| folder.join("models/packs").is_dir());
        folders.extend(checkouts.filter_map(|folder| folder.parent()).map(|beside| beside.join("shared/packs")));
        Self::only(folders)
    }

    /// These and no others.
    pub fn only(folders: Vec<PathBuf>) -> Self {
        let mut kept: Vec<PathBuf> = Vec::new();
        for folder in folders {
            if !kept.contains(&folder) {
                kept.push(folder);
            }
        }
        Self(kept)
    }

    /// In order.
    pub fn folders(&self) -> &[PathBuf] {
        &self.0
    }
}

/// Opens a pack by name, or by folder when `name` holds a path separator or no such name is found.
pub(super) fn open(name: &str, folders: &PackFolders, base: &Path) -> Result<Pack, ManifestError> {
    let as_folder = base.join(name);
    let is_name = !name.contains('/') && !name.is_empty() && name != "." && name != "..";
    let mut looked = Vec::new();
    if is_name {
        for folder in &folders.0 {
            if let Some(pack) = open_in(folder, name)? {
                return Ok(pack);
            }
            looked.push(folder.join(name));
        }
    }
    if !looked.contains(&as_folder) {
        looked.push(as_folder.clone());
    }
    // `canonicalize` gives `.` and `dir/..` a base name.
    let real = as_folder.canonicalize().unwrap_or(as_folder);
    let is_folder = real.is_dir();
    let found = match (real.parent(), real.file_name().and_then(|name| name.to_str())) {
        (Some(parent), Some(name)) => open_in(parent, name)?,
        _ => None,
    };
    looked.retain(|folder| !is_name || folder.parent().is_some_and(Path::is_dir));
    found.ok_or_else(|| match is_folder {
        true => ManifestError::Wrong { path: base.join(name), reason: "the folder holds no `pack.toml`".to_owned() },
        false => ManifestError::NotFound { name: name.to_owned(), looked },
    })
}

/// `None` when there is nothing of that name in the folder.
fn open_in(parent: &Path, name: &str) -> Result<Option<Pack>, ManifestError> {
    let folder = parent.join(name);
    let path = folder.join("pack.toml");
    if path.exists() {
        let unreadable = |reason: String| ManifestError::Unreadable { path: path.clone(), reason };
        let text = verify::read_manifest(&path).map_err(unreadable)?;
        return Ok(Some(Pack { manifest: Manifest::parse(&text, &path)?, folder }));
    }
    let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == name) else { return Ok(None) };
    let folder = parent.join(shipped.folder);
    if !folder.is_dir() {
        return Ok(None);
    }
    Ok(Some(Pack { manifest: Manifest::parse(shipped.text, Path::new(name))?, folder }))
}

/// Every pack that can be opened by name, or why not; in order of the folders.
pub fn packs_in(folders: &PackFolders) -> Vec<(String, Result<Pack, ManifestError>)> {
    let mut found: Vec<(String, Result<Pack, ManifestError>)> = Vec::new();
    for folder in &folders.0 {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.extend(SHIPPED.iter().map(|shipped| shipped.name.to_owned()));
        names.sort();
        names.dedup();
        for name in names {
            if found.iter().any(|(known, _)| *known == name) {
                continue;
            }
            if let Some(result) = open_in(folder, &name).transpose() {
                found.push((name, result));
            }
        }
    }
    found
}
