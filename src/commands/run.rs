//! `forecourt run`: the service.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Exit;
use crate::cli::Global;
use crate::config::{self, Config};
use crate::inference::pack::install::state;
use crate::pipeline::service::{self, Ended};

/// What was typed after `run`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it until SIGTERM or SIGINT; a second signal ends it at once.
pub fn run(_: Args, global: &Global) -> anyhow::Result<Exit> {
    let path = global.settings_file().context("name the settings file with `--config FILE`")?;
    let loaded = config::load(path)?;
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
    watch_new_packs(&loaded.config, &loaded.base);
    match service::run(&loaded.config, &loaded.base, &stop)? {
        Ended::Stopped => Ok(Exit::Ok),
        Ended::Again => Err(begin_anew()),
    }
}

/// The same program with the same words in the same process, so that it works with and without a supervisor. Comes back
/// only when it failed.
fn begin_anew() -> anyhow::Error {
    let program = std::env::current_exe().unwrap_or_else(|_| "forecourt".into());
    let error = std::process::Command::new(&program).args(std::env::args_os().skip(1)).exec();
    anyhow::Error::new(error).context(format!("cannot begin anew as `{}`", program.display()))
}

/// Counts this start for packs that are on probation, which may roll one back; keeps them after a quarter of an hour.
fn watch_new_packs(config: &Config, base: &Path) {
    let folders = config.plates.pack_folders.iter().chain(&config.faces.pack_folders).map(|folder| base.join(folder));
    let mut folders: Vec<PathBuf> = folders.filter(|folder| !state::installed(folder).is_empty()).collect();
    folders.sort();
    folders.dedup();
    for folder in &folders {
        state::count_start(folder);
    }
    if !folders.is_empty() {
        // Ends with the process: a service that falls before keeps nothing.
        let keep = move || {
            std::thread::sleep(state::PROBATION);
            folders.iter().for_each(|folder| state::keep(folder));
        };
        if let Err(error) = std::thread::Builder::new().name("probation".to_owned()).spawn(keep) {
            tracing::warn!(%error, "New packs stay on probation.");
        }
    }
}
