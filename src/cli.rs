//! What was typed.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::commands;
use crate::config::{self, ConfigErrors, Loaded};

/// Where a box has its settings.
pub const INSTALLED: &str = "/etc/forecourt/forecourt.toml";

/// Firmware for an in-store recognition box: cameras in, arrivals, dwell and departures of members out over MQTT.
#[derive(Debug, Parser)]
#[command(name = "forecourt", version, max_term_width = 110)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// Settings file; without it `/etc/forecourt/forecourt.toml` when there is one, else the defaults.
    #[arg(long, short, global = true, value_name = "FILE", env = "FORECOURT_CONFIG")]
    pub config: Option<PathBuf>,
    /// Machine-readable output on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to log on stderr, such as `info` or `forecourt::mqtt=debug`.
    #[arg(long, global = true, value_name = "FILTER", env = "FORECOURT_LOG")]
    pub log: Option<String>,
}

impl Global {
    /// The settings file: the one that was named, else the box's own when there is one.
    pub fn settings_file(&self) -> Option<&Path> {
        self.config.as_deref().or_else(|| Some(Path::new(INSTALLED)).filter(|path| path.exists()))
    }

    /// What it means; the defaults when there is none.
    pub fn settings(&self) -> Result<Loaded, ConfigErrors> {
        config::load_or_default(self.settings_file())
    }
}

/// The commands, a file each in `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service: watch the cameras and tell the platform.
    Run(commands::run::Args),
    /// Show the whole way of the data with a drawn clip and a broker in the process.
    #[cfg(feature = "broker")]
    Demo(commands::demo::Args),
    /// Play a recording as if a camera saw it, and print what would be told.
    Replay(commands::replay::Args),
    /// Show how the running service is.
    Status(commands::status::Args),
    /// Print figures of the running service as Prometheus text.
    Metrics(commands::metrics::Args),
    /// Follow events, or look at those that wait for the broker.
    Events(commands::events::Args),
    /// Show who is here, and who was.
    Visits(commands::visits::Args),
    /// Cameras: list them, try them, take a picture.
    Camera(commands::camera::Args),
    /// Check settings, or print the defaults.
    Config(commands::config::Args),
    /// The list of who may be recognised: import, export, list, show, remove, match.
    Members(commands::members::Args),
    /// Find and read the plates of picture files.
    Read(commands::read::Args),
    /// Packs of models: list, verify, measure.
    Models(commands::models::Args),
    /// What the box holds about people: report, purge, keys, audit log.
    Privacy(commands::privacy::Args),
    /// From a stick to a working box: apply, show, confirm-signage, reset.
    Provision(commands::provision::Args),
    /// What is wrong with this box, why, and what to do next.
    Doctor(commands::doctor::Args),
    /// The clock of a box without a battery: show it, write it down, set it forward at the start.
    Clock(commands::clock::Args),
    /// Man pages and shell completions.
    #[command(hide = true)]
    Doc(commands::doc::Args),
}
