//! What the platform changed on this box, and the change that has not proved itself yet.
//!
//! The file `platform-changes.json` in `storage.folder` holds the patch that is laid over the settings file, and the trial: a
//! new patch, or a new pack, until the service has run with it for `commands.probation` without a fault. It is written whole
//! or not at all, before the change has any effect; so whatever interrupts, the next start knows what is on trial and to
//! what it goes back. The settings file itself, which an installer wrote, is never touched.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{error, info, warn};

use crate::config::{self, Loaded, patch};
use crate::disk::{self, Rights};
use crate::domain::pack_trial::Performance;
use crate::inference::pack::install;

/// Name of the file in `storage.folder`.
pub const FILE_NAME: &str = "platform-changes.json";
/// Starts of the service that a trial may cost; the first is the one that puts the change to use.
const MOST_STARTS: u32 = 3;

/// The file.
#[derive(Debug)]
pub struct Changes {
    path: PathBuf,
    kept: Kept,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Kept {
    patch: Map<String, Value>,
    trial: Option<Trial>,
    ended: Option<Ended>,
}

/// A change that has to prove itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Id of the command that asked for it.
    pub command: String,
    /// What was changed.
    pub change: Change,
    /// What was wrong with the box before; nobody holds it against the change.
    pub wrong_before: Vec<String>,
    /// How the packs before did, when the change is one of packs.
    #[serde(default)]
    pub before: Option<Performance>,
    /// Starts of the service since.
    pub starts: u32,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// The settings; this patch was in force before.
    Settings {
        /// The patch before.
        before: Map<String, Value>,
    },
    /// A pack.
    Pack {
        /// Folder of installed packs.
        packs: PathBuf,
        /// Its name.
        name: String,
        /// Its folder below `.versions/NAME`.
        version: String,
    },
}

/// A trial that ended badly.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    command: String,
    why: String,
}

/// How the box was before a change.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// What was wrong with it.
    pub wrong: Vec<String>,
    /// How its packs did; `None`: the change is none of packs, or it is not known.
    pub packs: Option<Performance>,
}

fn trial(command: &str, change: Change, known: Before) -> Trial {
    Trial { command: command.to_owned(), change, wrong_before: known.wrong, before: known.packs, starts: 0 }
}

impl Changes {
    /// Reads the file; one that is damaged is set aside, and the settings file holds alone.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                let aside = path.with_extension("set-aside");
                error!(%error, aside = %aside.display(), "The platform's changes cannot be read; they are set aside.");
                let _ = fs::rename(&path, &aside);
                Kept::default()
            }),
            Err(_) => Kept::default(),
        };
        Self { path, kept }
    }

    /// The patch that is laid over the settings file.
    pub fn patch(&self) -> &Map<String, Value> {
        &self.kept.patch
    }

    /// The change that is on trial.
    pub fn trial(&self) -> Option<&Trial> {
        self.kept.trial.as_ref()
    }

    /// Why the change of this command was taken back; `None`: it was not.
    pub fn taken_back(&self, command: &str) -> Option<&str> {
        self.kept.ended.as_ref().filter(|ended| ended.command == command).map(|ended| ended.why.as_str())
    }

    /// The last change that was taken back, since the one after it was begun: id of its command, and why.
    pub fn ended(&self) -> Option<(&str, &str)> {
        self.kept.ended.as_ref().map(|ended| (ended.command.as_str(), ended.why.as_str()))
    }

    /// Puts a patch in force from the next start on; `known` is how the box was before.
    ///
    /// # Errors
    /// When it cannot be written; then nothing has changed.
    pub fn try_patch(&mut self, patch: Map<String, Value>, command: &str, known: Before) -> anyhow::Result<()> {
        let change = Change::Settings { before: self.kept.patch.clone() };
        let trial = Some(trial(command, change, known));
        self.write(Kept { patch, trial, ended: None })
    }

    /// Notes that a pack that was just installed is on trial.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn try_pack(&mut self, change: Change, command: &str, known: Before) -> anyhow::Result<()> {
        let trial = Some(trial(command, change, known));
        self.write(Kept { trial, ended: None, ..self.kept.clone() })
    }

    /// The change has proved itself.
    ///
    /// # Errors
    /// When it cannot be written; then it is on trial still.
    pub fn keep(&mut self) -> anyhow::Result<()> {
        if let Some(Trial { change: Change::Pack { packs, .. }, .. }) = &self.kept.trial {
            install::state::keep(packs);
        }
        self.write(Kept { trial: None, ..self.kept.clone() })
    }

    /// Takes the change on trial back; it is out of force from the next start on.
    ///
    /// # Errors
    /// When it cannot be written; then it is on trial still.
    pub fn take_back(&mut self, why: &str) -> anyhow::Result<()> {
        let Some(trial) = self.kept.trial.clone() else { return Ok(()) };
        let mut next = Kept { trial: None, ended: None, ..self.kept.clone() };
        match trial.change {
            Change::Settings { before } => next.patch = before,
            Change::Pack { packs, name, version } => {
                // The count of its own starts may have taken it back before.
                if install::current(&packs, &name)?.as_ref() == Some(&version) {
                    install::roll_back(&packs, &name)?;
                }
            }
        }
        next.ended = Some(Ended { command: trial.command, why: why.to_owned() });
        self.write(next)?;
        error!(why, "A change of the platform was taken back.");
        Ok(())
    }

    /// Counts a start of the service; a change that cost too many is taken back. Call it before settings and packs are read.
    pub fn count_start(&mut self) {
        let Some(mut trial) = self.kept.trial.clone() else { return };
        trial.starts += 1;
        let gone = match &trial.change {
            Change::Pack { packs, name, version } => {
                install::current(packs, name).ok().flatten().as_ref() != Some(version)
            }
            Change::Settings { .. } => false,
        };
        let done = if gone || trial.starts > MOST_STARTS {
            self.take_back("the service had to be started again and again with it")
        } else {
            self.write(Kept { trial: Some(trial), ..self.kept.clone() })
        };
        if let Err(error) = done {
            warn!("The start could not be counted: {error:#}");
        }
    }

    /// The settings file with the patch laid over it. A patch that does not fit is taken back when it is on trial, and
    /// dropped when somebody changed the file beneath it: who stands at the box has the last word.
    ///
    /// # Errors
    /// What is wrong with the file alone.
    pub fn settings(&mut self, path: &Path) -> anyhow::Result<Loaded> {
        let words = match config::load_patched(path, self.patch()) {
            Ok(loaded) => {
                let findings = loaded.check_service(true);
                if findings.is_empty() || self.patch().is_empty() {
                    return Ok(loaded);
                }
                findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            Err(errors) => {
                // What the file gets wrong by itself is told as such.
                config::load(path)?;
                errors.to_string()
            }
        };
        if self.trial().is_some_and(|trial| matches!(trial.change, Change::Settings { .. })) {
            self.take_back(&words)?;
            return Ok(config::load_patched(path, self.patch())?);
        }
        error!(words, "The platform's patch does not fit the settings file any more; it is dropped.");
        self.write(Kept { patch: Map::new(), ..self.kept.clone() })?;
        Ok(config::load(path)?)
    }

    /// The keys that are changed.
    pub fn keys(&self) -> Vec<String> {
        patch::keys(self.patch())
    }

    fn write(&mut self, next: Kept) -> anyhow::Result<()> {
        disk::write(&self.path, &serde_json::to_vec(&next)?, Rights::mode(0o600))?;
        self.kept = next;
        info!(keys = ?self.keys(), trial = self.trial().map(|trial| trial.command.as_str()), "The platform's changes were written.");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_patch_is_kept_taken_back_after_too_many_starts_and_dropped_when_the_file_changes_beneath() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forecourt.toml");
        let file = |more: &str| {
            let site = "[site]\ntenant = \"a\"\nsite = \"b\"\ndevice = \"c\"\n";
            let camera = "[[camera]]\nid = \"gate\"\nsource = \"rtsp://10.0.0.1/1\"\n";
            fs::write(&path, format!("{site}{camera}{more}")).unwrap();
        };
        file("");
        let first = map(json!({"plates": {"min_frames": 4}}));
        let mut changes = Changes::open(folder.path());
        changes.try_patch(first.clone(), "c1", Before::default()).unwrap();
        changes.keep().unwrap();
        let second = map(json!({"plates": {"min_frames": 9}}));
        changes.try_patch(second.clone(), "c2", Before::default()).unwrap();
        for start in 1..=3 {
            let mut changes = Changes::open(folder.path());
            changes.count_start();
            assert_eq!(changes.settings(&path).unwrap().config.plates.min_frames, 9, "start {start}");
        }
        let mut changes = Changes::open(folder.path());
        changes.count_start();
        assert_eq!(changes.settings(&path).unwrap().config.plates.min_frames, 4);
        assert!(changes.taken_back("c2").unwrap().contains("again and again"));
        assert_eq!((changes.taken_back("c1"), changes.trial()), (None, None));

        // On trial, and it does not even fit: at once.
        let wrong = map(json!({"camera": {"lost": {"analysis_fps": 2}}}));
        changes.try_patch(wrong, "c3", Before::default()).unwrap();
        assert_eq!(changes.settings(&path).unwrap().config.plates.min_frames, 4);
        assert!(changes.taken_back("c3").unwrap().contains("no camera `lost`"));

        let of_camera = map(json!({"camera": {"gate": {"analysis_fps": 2}}}));
        changes.try_patch(of_camera, "c4", Before::default()).unwrap();
        changes.keep().unwrap();
        let text = fs::read_to_string(&path).unwrap().replace("\"gate\"", "\"yard\"");
        fs::write(&path, text).unwrap();
        assert_eq!(changes.settings(&path).unwrap().config.cameras[0].id, "yard");
        assert!(Changes::open(folder.path()).patch().is_empty());

        fs::write(folder.path().join(FILE_NAME), "{\"patch\": 7}").unwrap();
        assert!(Changes::open(folder.path()).patch().is_empty());
        assert!(folder.path().join("platform-changes.set-aside").exists());
    }
}
