//! Which pack serves which task: the first in the list that has a model for it.

use std::path::Path;

use super::manifest::{ManifestError, Model};
use super::{Pack, PackFolders, Task};

/// Opened packs in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct Chosen(Vec<Pack>);

impl Chosen {
    /// Opens packs by name or folder; relative folders are relative to `base`.
    pub fn open(names: &[String], folders: &PackFolders, base: &Path) -> Result<Self, ManifestError> {
        names.iter().map(|name| super::open(name, folders, base)).collect::<Result<_, _>>().map(Self)
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
        let (names, task) = (names.join("`, `"), task.word());
        format!("no model for `{task}` in `{names}`; name a pack that has one in `plates.packs` or with --pack")
    }
}
