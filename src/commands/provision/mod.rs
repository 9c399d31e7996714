//! `forecourt provision`: what an installer does once at a site.

mod signage;

use clap::Subcommand;

use super::Exit;
use crate::cli::Global;

/// What was typed after `provision`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Confirm that the signs about face recognition hang; without it no face is read.
    ConfirmSignage(signage::Args),
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match args.action {
        Action::ConfirmSignage(args) => signage::run(args, global),
    }
}
