//! Which pack serves which task: the first in the list that has a model for it.

use std::path::{Path, PathBuf};

use super::manifest::{ManifestError, Model};
use super::{Pack, PackFolders, Task, packs_in};
use crate::config::{Code, Config, Faces, Finding, Plates};

/// Opened packs in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct Chosen(Vec<Pack>);

impl Chosen {
    /// Opens packs by name or folder; relative folders are relative to `base`.
    pub fn open(names: &[String], folders: &PackFolders, base: &Path) -> Result<Self, ManifestError> {
        names.iter().map(|name| super::open(name, folders, base)).collect::<Result<_, _>>().map(Self)
    }

    /// One pack.
    pub(crate) fn only(pack: Pack) -> Self {
        Self(vec![pack])
    }

    /// The packs.
    pub fn packs(&self) -> &[Pack] {
        &self.0
    }

    /// The model that serves a task, and its pack.
    pub fn model(&self, task: Task) -> Option<(&Pack, &Model)> {
        self.0.iter().find_map(|pack| pack.manifest.model(task).map(|model| (pack, model)))
    }

    /// Words for a task that none of them serves.
    pub(crate) fn lacks(&self, task: Task) -> String {
        let names: Vec<&str> = self.0.iter().map(|pack| pack.manifest.name.as_str()).collect();
        let key = if task.is_face() { "faces.packs" } else { "plates.packs" };
        let (names, task) = (names.join("`, `"), task.word());
        format!("no model for `{task}` in `{names}`; name a pack that has one in `{key}` or with --pack")
    }
}

/// Packs of the settings that cannot be opened; relative folders are relative to `base`. A folder that does not exist
/// is told by the check of files.
pub fn faults(config: &Config, base: &Path) -> Vec<Finding> {
    let (plates, faces) = (&config.plates, &config.faces);
    let tables = [("plates", &plates.packs, &plates.pack_folders), ("faces", &faces.packs, &faces.pack_folders)];
    let mut findings = Vec::new();
    for (table, names, folders) in tables {
        let folders = PackFolders::new(folders, base);
        for (index, name) in names.iter().enumerate() {
            let Err(error) = super::open(name, &folders, base) else { continue };
            let (problem, remedy) = match error {
                ManifestError::NotFound { .. } if name.contains('/') => continue,
                ManifestError::NotFound { .. } => (format!("there is no pack `{name}`"), instead_of(name, &folders)),
                other => (other.to_string(), format!("`forecourt models verify {name}` looks at all of it")),
            };
            findings.push(Finding::new(Code::NoPack, format!("{table}.packs[{index}]"), problem, remedy));
        }
    }
    findings
}

/// The pack that was probably meant, or where to see which there are.
fn instead_of(name: &str, folders: &PackFolders) -> String {
    let slips = |known: &String| strsim::damerau_levenshtein(known, name);
    let near = packs_in(folders).into_iter().map(|(known, _)| known).min_by_key(slips);
    match near.filter(|known| slips(known) <= 2) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`forecourt models list` tells which there are".to_owned(),
    }
}

/// Puts packs that were given on the command line before those of the settings.
///
/// Those of the settings stay only when the given ones lack a model for a `needed` task. Folders that were given are
/// relative to the working folder and become absolute; `base` is the folder of the settings file.
pub fn prefer(plates: &mut Plates, given: &[String], base: &Path, needed: &[Task]) -> Result<(), ManifestError> {
    put_first(&mut plates.packs, &plates.pack_folders, given, base, needed, |task| !task.is_face())
}

/// The same for faces.
pub fn prefer_faces(faces: &mut Faces, given: &[String], base: &Path, needed: &[Task]) -> Result<(), ManifestError> {
    put_first(&mut faces.packs, &faces.pack_folders, given, base, needed, Task::is_face)
}

fn put_first(
    packs: &mut Vec<String>,
    folders: &[PathBuf],
    given: &[String],
    base: &Path,
    needed: &[Task],
    concerns: fn(Task) -> bool,
) -> Result<(), ManifestError> {
    if given.is_empty() {
        return Ok(());
    }
    let folders = PackFolders::new(folders, base);
    let here = std::env::current_dir().unwrap_or_default();
    let opened: Vec<Pack> = given.iter().map(|name| super::open(name, &folders, &here)).collect::<Result<_, _>>()?;
    let serves = |pack: &Pack| pack.manifest.models.iter().any(|model| concerns(model.task));
    // Packs for the other sense alone leave this one's as they are.
    let given: Vec<&String> =
        given.iter().zip(&opened).filter(|(_, pack)| serves(pack)).map(|(name, _)| name).collect();
    if given.is_empty() {
        return Ok(());
    }
    let chosen = Chosen(opened);
    let complete = needed.iter().all(|&task| chosen.model(task).is_some());
    let named = |name: &String| !name.contains('/') && super::open(name, &folders, Path::new("")).is_ok();
    let absolute = |name: &String| if named(name) { name.clone() } else { here.join(name).display().to_string() };
    let mut names: Vec<String> = given.into_iter().map(absolute).collect();
    if !complete {
        names.append(packs);
    }
    *packs = names;
    Ok(())
}
