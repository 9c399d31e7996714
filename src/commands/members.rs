//! `forecourt members`: the list of who may be recognised, for its owner at the terminal.
//!
//! These commands show plates, because the list is what they are about; nothing here is logged.

mod calibrate;
pub(super) mod enroll;
mod explain;
mod import;
mod keygen;
mod look;
mod remove;
mod sign;
mod sync;
mod write;

pub(super) use self::look::table;

use clap::Subcommand;

pub(super) use self::look::short as not_matched;
use super::Exit;
use super::place::Place;
use crate::cli::Global;

/// What was typed after `members`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read a CSV or JSON Lines file into the list; a file with a bad line changes nothing.
    Import(import::Args),
    /// Write the list as a file that `import` reads back.
    Export(write::Args),
    /// Show the list as a table.
    List(look::ListArgs),
    /// Show all that the list holds of members.
    Show(look::ShowArgs),
    /// Remove members, or only their face templates; effective for the next match.
    Remove(remove::Args),
    /// Make a face template of photos of a member; the photos are not kept.
    #[command(visible_alias = "enrol")]
    Enroll(enroll::Args),
    /// Measure how alike the enrolled faces look to each other, and set the threshold by it.
    Calibrate(calibrate::Args),
    /// Say what a plate would match, and why or why not.
    Match(explain::Args),
    /// The list that the platform sends: how far it is.
    Sync(sync::Args),
    /// Make a pair of keys for signing lists and commands.
    Keygen(keygen::Args),
    /// Sign a list as the platform does.
    Sign(sign::SignArgs),
    /// Send a signed list to a box.
    Publish(sign::PublishArgs),
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let place = Place::of(global)?;
    match args.action {
        Action::Import(args) => import::run(args, &place, global.json),
        Action::Export(args) => write::run(args, &place, global.json),
        Action::List(args) => look::list(args, &place, global.json),
        Action::Show(args) => look::show(args, &place, global.json),
        Action::Remove(args) => remove::run(args, &place, global.json),
        Action::Enroll(args) => enroll::run(&args, &place, global.json),
        Action::Calibrate(args) => calibrate::run(&args, &place, global.json),
        Action::Match(args) => explain::run(args, &place, global.json),
        Action::Sync(args) => sync::run(&args, &place, global.json),
        Action::Keygen(args) => keygen::run(&args, global.json),
        Action::Sign(args) => sign::sign(&args, &place, global.json),
        Action::Publish(args) => sign::publish(&args, &place),
    }
}
