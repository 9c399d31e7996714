//! `forecourt privacy`: what the box holds about people, what protects it, and what was done with it.

mod audit;
mod key;
mod purge;
mod report;

use std::path::PathBuf;

use clap::Subcommand;

use super::Exit;
use crate::cli::Global;
use crate::config::{Config, Loaded};
use crate::store::keys::{KeyError, KeyRing};
use crate::store::members::{FILE_NAME, MemberStore};

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
    let place = Place { loaded: global.settings()? };
    match args.action {
        Action::Report(args) => report::run(&args, &place, global.json),
        Action::Purge(args) => purge::run(&args, &place, global.json),
        Action::NewKey(args) => key::new(&args, global.json),
        Action::Rekey(args) => key::rekey(&args, &place, global.json),
        Action::Audit(args) => audit::run(args, &place, global.json),
    }
}

/// The settings and what they name.
struct Place {
    loaded: Loaded,
}

impl Place {
    fn config(&self) -> &Config {
        &self.loaded.config
    }

    fn folder(&self) -> PathBuf {
        self.loaded.base.join(&self.config().storage.folder)
    }

    /// The list, which must be there.
    fn open(&self) -> anyhow::Result<MemberStore> {
        Ok(MemberStore::open_existing(&self.folder().join(FILE_NAME))?)
    }

    fn keys(&self) -> Result<KeyRing, KeyError> {
        KeyRing::load(&self.config().privacy, &self.folder())
    }
}
