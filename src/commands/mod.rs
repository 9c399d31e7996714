//! One file a subcommand; the only place that prints.
//!
//! Data goes to stdout, words to stderr. Every command returns an [`Exit`]; an error travels up to `main`.

// Printing is what these files are for.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the only module that talks to people")]

pub mod camera;
pub mod clock;
pub mod closed;
pub mod config;
#[cfg(feature = "broker")]
pub mod demo;
pub mod doc;
pub mod doctor;
pub mod events;
pub mod members;
pub mod metrics;
pub mod models;
mod place;
pub mod privacy;
pub mod provision;
pub mod read;
mod read_faces;
pub mod replay;
pub mod run;
pub mod status;
mod vision;
pub mod visits;

use jiff::Timestamp;

use crate::cli::{Cli, Command};
use crate::config::ConfigErrors;
use crate::inference::pack::ManifestError;
use crate::pipeline::replay::NoCamera;

/// Exit codes; documented in `docs/commands.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed; the reason stands on stderr.
    Failed = 1,
    /// The command line was not understood (also what clap uses).
    Usage = 2,
    /// The settings are wrong; each finding stands on stderr.
    Config = 3,
    /// What was asked for does not exist: no such member, event, plate in the picture.
    NotFound = 4,
    /// Part of the input was refused; nothing of a refused part was applied.
    Refused = 5,
    /// The service is not running or does not answer.
    NotRunning = 6,
}

/// An error with what caused it, each thing said once: some errors say their cause in their own words.
pub fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, words| match told.as_str() {
        "" => words,
        before if before.contains(&words) => told,
        before => format!("{before}: {words}"),
    })
}

impl Exit {
    /// The code of an error that ended a command, whatever the command was.
    pub fn of(error: &anyhow::Error) -> Self {
        let code = |cause: &(dyn std::error::Error + 'static)| {
            if let Some(stated) = cause.downcast_ref::<Stated>() {
                return Some(stated.exit);
            }
            let no_pack = matches!(cause.downcast_ref(), Some(ManifestError::NotFound { .. }));
            let missing = no_pack || cause.is::<NoCamera>();
            cause.is::<ConfigErrors>().then_some(Self::Config).or(missing.then_some(Self::NotFound))
        };
        error.chain().find_map(code).unwrap_or(Self::Failed)
    }
}

/// An error with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
struct Stated {
    exit: Exit,
    words: String,
}

/// The command line cannot be meant: options that do not go together, or one that is missing.
fn usage(words: impl Into<String>) -> anyhow::Error {
    Stated { exit: Exit::Usage, words: words.into() }.into()
}

/// Only the service could have answered.
fn not_running(words: impl Into<String>) -> anyhow::Error {
    Stated { exit: Exit::NotRunning, words: words.into() }.into()
}

/// An instant as it is typed.
fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write date, time and offset, such as 2026-03-31T08:00:00+08:00".to_owned())
}

/// Runs what was typed.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Run(args) => run::run(args, &cli.global),
        #[cfg(feature = "broker")]
        Command::Demo(args) => demo::run(args, &cli.global),
        Command::Replay(args) => replay::run(args, &cli.global),
        Command::Status(args) => status::run(args, &cli.global),
        Command::Metrics(args) => metrics::run(args, &cli.global),
        Command::Events(args) => events::run(args, &cli.global),
        Command::Visits(args) => visits::run(args, &cli.global),
        Command::Privacy(args) => privacy::run(args, &cli.global),
        Command::Provision(args) => provision::run(args, &cli.global),
        Command::Doctor(args) => doctor::run(&args, &cli.global),
        Command::Clock(args) => clock::run(args, &cli.global),
        Command::Doc(args) => doc::run(args, &cli.global),
        Command::Camera(args) => camera::run(args, &cli.global),
        Command::Config(args) => config::run(args, &cli.global),
        Command::Members(args) => members::run(args, &cli.global),
        Command::Read(args) => read::run(args, &cli.global),
        Command::Models(args) => models::run(args, &cli.global),
    }
}
