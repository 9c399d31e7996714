//! `forecourt models`: the packs on this machine, whether they are sound, how fast and how good they are.

mod bench;
mod bundle;
mod eval;
mod faces;
mod fetch;
mod labels;
mod list;
mod plate_match;
mod score;
pub(super) mod stages;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;

use super::Exit;
use super::vision::Setup;
use crate::cli::Global;

/// What was typed after `models`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The packs that can be named, with their tasks, licences and folders.
    List,
    /// Check files, hashes, structure, shapes and golden samples of packs.
    Verify {
        /// Names or folders; all packs that can be named when there is none.
        packs: Vec<String>,
    },
    /// Fetch public models of the catalog.
    Fetch(fetch::Args),
    /// Make a bundle of a pack's folder.
    Pack(bundle::PackArgs),
    /// Sign a bundle.
    Sign(bundle::SignArgs),
    /// Install a signed bundle: verified, tried, switched in one step, on probation.
    Install(bundle::InstallArgs),
    /// Go back to the version before.
    Rollback(bundle::RollbackArgs),
    /// Milliseconds of each model, one thread, in turns, so that several packs can be compared.
    Bench {
        /// Pack to measure, by name or folder; repeatable. The packs of the settings when there is none.
        #[arg(long, value_name = "NAME|DIR")]
        pack: Vec<String>,
        /// Picture to look at; a drawn one of 1920x1080 when there is none.
        #[arg(long, value_name = "FILE")]
        image: Option<PathBuf>,
        /// Turns; each model runs once a turn.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(5..))]
        turns: u32,
    },
    /// How much of labelled pictures is found and read.
    Eval(eval::Args),
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match &args.action {
        Action::Fetch(args) => return fetch::run(args, global),
        Action::Pack(args) => return bundle::pack(args),
        Action::Sign(args) => return bundle::sign(args),
        Action::Install(args) => return bundle::install(args, global.json),
        Action::Rollback(args) => return bundle::rollback(args),
        _ => {}
    }
    let setup = Setup::new(global)?;
    match args.action {
        Action::Fetch(_) | Action::Pack(_) | Action::Sign(_) | Action::Install(_) | Action::Rollback(_) => Ok(Exit::Ok),
        Action::List => list::run(&setup, global.json),
        Action::Verify { packs } => verify::run(&packs, &setup, global.json),
        Action::Bench { pack, image, turns } => bench::run(&pack, image.as_deref(), turns, setup, global.json),
        Action::Eval(args) => eval::run(args, setup, global.json),
    }
}
