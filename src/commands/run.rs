//! `forecourt run`: the service.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Exit;
use crate::cli::Global;
use crate::config::{self, Config};
use crate::inference::pack::install::state;
use crate::pipeline::changes::Changes;
use crate::pipeline::service::{self, Ended};
use crate::store::spool::{self, OpenError};

/// What was typed after `run`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it until SIGTERM or SIGINT; a second signal ends it at once.
pub fn run(_: Args, global: &Global) -> anyhow::Result<Exit> {
    let path = global.settings_file().context("name the settings file with `--config FILE`")?;
    let alone = config::load(path)?;
    let folder = alone.base.join(&alone.config.storage.folder);
    let mut changes = Changes::open(&folder);
    // A second service is refused a little later; it must not count as a start of the first.
    if !spool::is_owned(&folder) {
        count_start(&alone.config, &alone.base);
        changes.count_start();
    }
    let loaded = changes.settings(path)?;
    let findings = loaded.check_service(true);
    if !findings.is_empty() {
        for finding in &findings {
            eprintln!("{finding}");
        }
        return Ok(Exit::Config);
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(Exit::Failed as u8), Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    keep_new_packs(&loaded.config, &loaded.base);
    match service::run(&loaded.config, &loaded.base, Some(path), &stop) {
        Ok(Ended::Stopped) => Ok(Exit::Ok),
        Ok(Ended::Again) => Err(begin_anew()),
        Err(error) => Err(without_the_change(error, &folder)),
    }
}

/// A service that fails with a change of the platform on trial begins anew without it.
fn without_the_change(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    let mut changes = Changes::open(folder);
    let is_second = error.downcast_ref::<OpenError>().is_some_and(|error| matches!(error, OpenError::Busy { .. }));
    if is_second || changes.trial().is_none() {
        return error;
    }
    match changes.take_back(&format!("the service failed with it: {error:#}")) {
        Ok(()) => begin_anew(),
        Err(_) => error,
    }
}

/// The same program with the same words in the same process, so that it works with and without a supervisor. Comes back
/// only when it failed.
fn begin_anew() -> anyhow::Error {
    let program = std::env::current_exe().unwrap_or_else(|_| "forecourt".into());
    let error = std::process::Command::new(&program).args(std::env::args_os().skip(1)).exec();
    anyhow::Error::new(error).context(format!("cannot begin anew as `{}`", program.display()))
}

/// Folders in which packs were installed.
fn folders(config: &Config, base: &Path) -> Vec<PathBuf> {
    let folders = config.plates.pack_folders.iter().chain(&config.faces.pack_folders).map(|folder| base.join(folder));
    let mut folders: Vec<PathBuf> = folders.filter(|folder| !state::installed(folder).is_empty()).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Counts this start for packs that are on probation, which may roll one back.
fn count_start(config: &Config, base: &Path) {
    for folder in &folders(config, base) {
        state::count_start(folder);
    }
}

/// Keeps packs on probation when the service has run so long.
fn keep_new_packs(config: &Config, base: &Path) {
    let folders = folders(config, base);
    if folders.is_empty() {
        return;
    }
    // Ends with the process: a service that falls before keeps nothing. A little after the platform's desk has judged.
    let after = config.commands.probation + Duration::from_secs(10);
    let keep = move || {
        std::thread::sleep(after);
        folders.iter().for_each(|folder| state::keep(folder));
    };
    if let Err(error) = std::thread::Builder::new().name("probation".to_owned()).spawn(keep) {
        tracing::warn!(%error, "New packs stay on probation.");
    }
}
