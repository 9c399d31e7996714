//! Wires cameras → inference → rules → outbox → MQTT; the only module that knows all the others.
//!
//! `rules` is the same in a replay and in the service: it takes what inference saw and commits what follows from it.
//! `replay` drives it frame by frame on a clip's own time, `service` from threads on the machine's.

mod beside;
pub mod changes;
pub mod control;
pub mod delivery;
pub mod eyes;
mod faces;
pub mod fetch;
pub mod health;
mod house;
mod listing;
pub mod members;
pub mod packs;
pub mod people;
pub mod platform;
pub mod publish;
pub mod replay;
pub mod rules;
pub mod service;
pub mod watch;

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::config::Config;
use crate::domain::plate::grammar::Grammar;
use crate::domain::plate::reading::Interpreter;
use eyes::Eyes;
use rules::Recognition;
use watch::Matching;

/// How what these readers see is understood: the region's grammar and the reader's errors, its thresholds, the space of
/// the faces.
pub fn recognition(config: &Config, base: &Path, eyes: &Eyes) -> anyhow::Result<Recognition> {
    let crops = eyes.plates().crops();
    Ok(Recognition {
        interpreter: Interpreter::new(grammar(&config.plates.region, base)?, crops.confusions().clone()),
        matching: Matching::new(&config.plates, crops.calibration()),
        space: eyes.space().map(|space| space.name.clone()),
    })
}

/// A grammar that comes with the program, or one from a file.
pub fn grammar(region: &str, base: &Path) -> anyhow::Result<Grammar> {
    if let Some(grammar) = Grammar::built_in(region) {
        return Ok(grammar);
    }
    let path = base.join(region);
    let known = Grammar::BUILT_IN.map(|(word, _)| word).join(", ");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("`plates.region` is `{region}`: neither one of {known} nor a file that can be read")
    })?;
    Grammar::parse(&text).with_context(|| format!("in `{}`", path.display()))
}

/// A file that comes with the program: beside the installed program's data, or in the checkout it was built in.
pub fn bundled(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let installed = Path::new("/usr/share/forecourt").join(name.trim_start_matches("models/"));
    let beside = program.ancestors().skip(1).map(|folder| folder.join(name));
    let mut places = std::iter::once(installed).chain(beside).chain([PathBuf::from(name)]);
    places.find(|path| path.exists()).with_context(|| {
        format!("`{name}` is neither in /usr/share/forecourt nor beside the program; run it from its checkout")
    })
}
