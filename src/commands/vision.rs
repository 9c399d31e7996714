//! What the commands that look at pictures share: settings, packs, the region's grammar.

use std::path::PathBuf;

use crate::cli::Global;
use crate::config::{Config, Loaded};
use crate::domain::plate::grammar::Grammar;
use crate::inference::pack::{self, PackFolders, Task};
use crate::pipeline;

/// Settings and the folder that their paths are relative to.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the settings file says, or the defaults.
    pub config: Config,
    /// Folder of the settings file, or the working folder.
    pub base: PathBuf,
}

impl Setup {
    /// From `--config`, or the defaults.
    pub fn new(global: &Global) -> anyhow::Result<Self> {
        let Loaded { config, base, .. } = global.settings()?;
        Ok(Self { config, base })
    }

    /// Puts the packs of `--pack` in the place of those of the settings, as far as they serve the tasks.
    pub fn prefer(mut self, packs: &[String], needed: &[Task]) -> anyhow::Result<Self> {
        pack::prefer(&mut self.config.plates, packs, &self.base, needed)?;
        Ok(self)
    }

    /// The same for faces.
    pub fn prefer_faces(mut self, packs: &[String], needed: &[Task]) -> anyhow::Result<Self> {
        pack::prefer_faces(&mut self.config.faces, packs, &self.base, needed)?;
        Ok(self)
    }

    /// Where packs are looked up by name.
    pub fn folders(&self) -> PackFolders {
        let folders = [&self.config.plates.pack_folders[..], &self.config.faces.pack_folders].concat();
        PackFolders::new(&folders, &self.base)
    }

    /// The grammar of `plates.region`: a region's word, or a file.
    pub fn grammar(&self) -> anyhow::Result<Grammar> {
        pipeline::grammar(&self.config.plates.region, &self.base)
    }
}
