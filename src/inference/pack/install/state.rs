//! What a box remembers of an installed pack, and the probation of a new one.
//!
//! The service counts its starts while a pack is on probation. After `commands.probation` of service the pack is kept;
//! when the service had to be started too often before, the version before takes its place again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use super::bundle::Label;
use super::{clean, current, roll_back};
use crate::disk::{self, Rights};

/// Starts of the service that a pack on probation may cost; the first is the one after the installation.
const MOST_STARTS: u32 = 3;

/// Of one pack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Folder of the version before, to which a rollback leads.
    pub before: Option<String>,
    /// The version in use is new.
    pub probation: Option<Probation>,
    /// Highest release that was ever installed, by key.
    pub ratchets: BTreeMap<String, u64>,
}

/// A new version that has to prove itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Probation {
    /// Its folder.
    pub version: String,
    /// Starts of the service since.
    pub starts: u32,
}

impl State {
    /// Of a pack; `None` when it was never installed here.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn read(packs: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        let path = path(packs, name);
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).with_context(|| format!("`{}` is damaged; remove it", path.display()))
    }

    /// Whole or not at all.
    pub(super) fn write(&self, packs: &Path, name: &str) -> anyhow::Result<()> {
        let path = path(packs, name);
        let folder = packs.join(".state");
        let words = || format!("cannot make `{}`", folder.display());
        if !folder.exists() {
            fs::create_dir_all(&folder).with_context(words)?;
            disk::inherit_owner(&folder).with_context(words)?;
        }
        // What root installs must stay the service's to change.
        Ok(disk::write(&path, &serde_json::to_vec(self)?, Rights::mode(0o644).of_folder())?)
    }

    pub(super) fn announce(&mut self, label: &Label, before: Option<String>) {
        self.before = before;
        self.probation = Some(Probation { version: label.folder(), starts: 0 });
        self.ratchets.insert(label.key.clone(), label.ratchet);
    }

    pub(super) fn rolled_back(&mut self) {
        self.before = None;
        self.probation = None;
    }
}

fn path(packs: &Path, name: &str) -> PathBuf {
    packs.join(".state").join(format!("{name}.json"))
}

/// Names of all packs that were installed here.
pub fn installed(packs: &Path) -> Vec<String> {
    let entries = fs::read_dir(packs.join(".state")).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json").map(str::to_owned)).collect();
    names.sort();
    names
}

/// Counts a start of the service for every pack on probation; a pack that cost too many is rolled back. Call it before
/// packs are opened. Returns those that were rolled back.
pub fn count_start(packs: &Path) -> Vec<String> {
    let names = installed(packs).into_iter();
    names.filter(|name| count_one(packs, name).unwrap_or_else(|error| told(name, &error))).collect()
}

fn count_one(packs: &Path, name: &str) -> anyhow::Result<bool> {
    let Some(mut state) = State::read(packs, name)? else { return Ok(false) };
    let Some(probation) = state.probation.as_mut() else { return Ok(false) };
    // Announced, but the power went before the switch: the version before is still in use.
    if current(packs, name)?.as_ref() != Some(&probation.version) {
        state.rolled_back();
        state.write(packs, name)?;
        return Ok(false);
    }
    probation.starts += 1;
    let starts = probation.starts;
    state.write(packs, name)?;
    if starts <= MOST_STARTS {
        return Ok(false);
    }
    let before = roll_back(packs, name)?;
    error!(
        pack = name,
        before, "The service had to be started again and again with this new pack; it was rolled back."
    );
    Ok(true)
}

/// The service has run for its probation: keeps every pack on probation and cleans older versions away.
pub fn keep(packs: &Path) {
    for name in installed(packs) {
        if let Err(error) = keep_one(packs, &name) {
            told(&name, &error);
        }
    }
}

fn keep_one(packs: &Path, name: &str) -> anyhow::Result<()> {
    let Some(mut state) = State::read(packs, name)? else { return Ok(()) };
    if let Some(probation) = state.probation.take() {
        state.write(packs, name)?;
        info!(pack = name, version = probation.version, "The new pack has proved itself and is kept.");
        // Versions are root's when root installed them; the next installation cleans then.
        let _ = clean(packs, name);
    }
    Ok(())
}

fn told(name: &str, error: &anyhow::Error) -> bool {
    error!(pack = name, "The state of an installed pack: {error:#}");
    false
}
