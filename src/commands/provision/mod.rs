//! `forecourt provision`: from a stick to a working box, and back to the state of the factory.

mod apply;
mod checks;
mod report;
mod reset;
mod show;
mod signage;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;

use super::Exit;
use crate::cli::Global;
use crate::config::{self, Loaded};
use crate::provision::{self, Places};

/// What was typed after `provision`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Act on the system below this folder instead of on this machine, such as on an image that is being made.
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// Serial number, when the board has none of its own.
    #[arg(long, global = true, value_name = "WORD")]
    serial: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Who this box is, and what it has been given.
    Show {
        /// Write the label into this folder: `label-SERIAL.png` and `.txt`.
        #[arg(long, value_name = "DIR")]
        label: Option<PathBuf>,
    },
    /// Put the settings of a stick in place, whole or not at all, and write the result of every check back to it.
    Apply(apply::Args),
    /// Write down that the signs about the cameras hang; no face is read before.
    ConfirmSignage(signage::Args),
    /// Destroy all keys and data of this box, and write a proof.
    Reset(reset::Args),
}

/// The box that is acted on.
struct Here {
    places: Places,
    serial: String,
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let places = Places::below(&args.root);
    let serial = args.serial.or_else(|| provision::serial(&places.root));
    let here = |places| -> anyhow::Result<Here> {
        let words = "this box has no serial number of its own and no machine id; name one with `--serial WORD`";
        Ok(Here { places, serial: serial.context(words)? })
    };
    match args.action {
        Action::Show { label } => show::run(&here(places)?, label.as_deref(), global),
        Action::Apply(args) => apply::run(&args, &here(places)?, global),
        Action::ConfirmSignage(args) => signage::run(args, &places, global),
        Action::Reset(args) => reset::run(&args, &here(places)?, global),
    }
}

/// Is it this machine, and not an image that is being made?
fn is_this_machine(places: &Places) -> bool {
    places.root == Path::new("/")
}

/// The settings that were typed, else those of the box that is acted on.
fn settings(places: &Places, global: &Global) -> anyhow::Result<Loaded> {
    if is_this_machine(places) || global.config.is_some() {
        return Ok(global.settings()?);
    }
    Ok(config::load(&places.settings_file())?)
}
