//! `forecourt privacy`: what the box holds about people, what protects it, and what was done with it.

mod audit;
mod key;
mod purge;
mod report;

use clap::Subcommand;

use super::Exit;
use super::place::Place;
use crate::cli::Global;

/// What was typed after `privacy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// A report on the processing, filled in from the settings and the list: the beginning of an impact assessment.
    Report(report::Args),
    /// Remove what has run out: members, visits, audit records.
    Purge(purge::Args),
    /// Make a device key.
    NewKey(key::NewArgs),
    /// Change the device key; the templates stay, former copies of the key open nothing any more.
    Rekey(key::RekeyArgs),
    /// The log of what was done with personal data.
    Audit(audit::Args),
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    if let Action::NewKey(args) = args.action {
        return key::new(&args, global.json);
    }
    let place = Place::of(global)?;
    match args.action {
        Action::Report(args) => report::run(&args, &place, global.json),
        Action::Purge(args) => purge::run(&args, &place, global.json),
        Action::NewKey(args) => key::new(&args, global.json),
        Action::Rekey(args) => key::rekey(&args, &place, global.json),
        Action::Audit(args) => audit::run(args, &place, global.json),
    }
}
