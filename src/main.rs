//! Parse, set up logging, call the command, print the error chain once, set the exit code.

use std::process::ExitCode;

use clap::Parser;
use forecourt::cli::Cli;
use forecourt::commands::{self, Exit};
use forecourt::config::ConfigErrors;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    forecourt::camera::process::prepare();
    let cli = Cli::parse();
    start_logging(cli.global.log.as_deref());
    let exit = commands::run(cli).unwrap_or_else(|error| {
        report(&error);
        // Whatever the command was: wrong settings have an exit code of their own.
        if error.is::<ConfigErrors>() { Exit::Config } else { Exit::Failed }
    });
    ExitCode::from(exit as u8)
}

/// What a person at a terminal needs to hear; the demo's broker complains about each client that goes.
const USUAL: &str = "warn,rumqttd=off";

fn start_logging(filter: Option<&str>) {
    let filter = EnvFilter::try_new(filter.unwrap_or(USUAL)).unwrap_or_else(|_| EnvFilter::new(USUAL));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

#[expect(clippy::print_stderr, reason = "the one place where an error that ended a command is told")]
fn report(error: &anyhow::Error) {
    eprintln!("forecourt: {error:#}");
}
