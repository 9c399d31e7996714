//! `forecourt doc`: man pages and shell completions, made from the command line's own description. For packagers.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;

use super::Exit;
use crate::cli::{Cli, Global};

/// What was typed after `doc`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a man page for the program and one for each command into a folder.
    Man {
        /// The folder.
        folder: PathBuf,
    },
    /// Print the completions of a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// Runs it.
pub fn run(args: Args, _: &Global) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    match args.action {
        Action::Man { folder } => man(command, &folder)?,
        Action::Completions { shell } => {
            clap_complete::generate(shell, &mut command, "forecourt", &mut super::closed::stdout());
        }
    }
    Ok(Exit::Ok)
}

fn man(command: clap::Command, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    clap_mangen::generate_to(command, folder)
        .with_context(|| format!("cannot write man pages to `{}`", folder.display()))
}
