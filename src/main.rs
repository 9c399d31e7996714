//! Parse, set up logging, call the command, print the error chain once, set the exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use forecourt::cli::{Cli, Command};
use forecourt::commands::{self, Exit};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    forecourt::camera::process::prepare();
    commands::closed::end_quietly();
    let cli = Cli::parse();
    if let Err(error) = start_logging(&cli) {
        report(&error);
        return ExitCode::from(Exit::Usage as u8);
    }
    let exit = commands::run(cli).unwrap_or_else(|error| {
        report(&error);
        Exit::of(&error)
    });
    ExitCode::from(exit as u8)
}

/// What a person at a terminal needs to hear; the demo's broker complains about each client that goes.
const USUAL: &str = "warn,rumqttd=off";
/// What the journal of a box should hold: the life cycle.
const SERVICE: &str = "info,ort=warn,rumqttc=warn,rumqttd=off";

fn start_logging(cli: &Cli) -> anyhow::Result<()> {
    let usual = if matches!(cli.command, Command::Run(_)) { SERVICE } else { USUAL };
    let typed = cli.global.log.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(typed).with_context(|| {
        format!("`--log {typed}` is not understood; write such as `info` or `forecourt::mqtt=debug`")
    })?;
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(colours)
        .init();
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the one place where an error that ended a command is told")]
fn report(error: &anyhow::Error) {
    eprintln!("forecourt: {}", commands::told(error));
}
