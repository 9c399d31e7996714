//! `forecourt config`: settings as the program understands them.

use clap::Subcommand;

use super::Exit;
use crate::cli::Global;
use crate::config::Config;

/// What was typed after `config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every key with its default, as a settings file.
    Default,
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match args.action {
        Action::Default if global.json => println!("{}", serde_json::to_string_pretty(&Config::default())?),
        Action::Default => print!("{}", toml::to_string(&Config::default())?),
    }
    Ok(Exit::Ok)
}
