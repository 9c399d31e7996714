//! `forecourt run`: the service.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Exit;
use crate::cli::Global;
use crate::config;
use crate::pipeline::service;

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
    service::run(&loaded.config, &loaded.base, &stop)?;
    Ok(Exit::Ok)
}
