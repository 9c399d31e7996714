//! `forecourt clock`: the floor of the clock of a box without a battery, for the units that run at start and every ten
//! minutes.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use jiff::Timestamp;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};
use serde_json::json;

use super::Exit;
use crate::cli::Global;
use crate::clock::floor::{self, Facts, INSTALLED};
use crate::clock::{Boot, mark, since_boot};
use crate::domain::time::TimeQuality;

/// What was typed after `clock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The clock, how far it can be trusted, and the last written time.
    Show(File),
    /// Write the time down, unless it cannot be true.
    Save(File),
    /// Set the clock forward to the last written time or the age of the program; needs CAP_SYS_TIME.
    Restore(File),
    /// Leave a mark for the service, which may not ask the kernel: does a time server vouch for the clock?
    Mark(Mark),
}

#[derive(Debug, clap::Args)]
struct File {
    /// File of the last written time.
    #[arg(long, value_name = "FILE", default_value = INSTALLED)]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Mark {
    /// File of the mark.
    #[arg(long, value_name = "FILE", default_value = mark::INSTALLED)]
    file: PathBuf,
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match args.action {
        Action::Show(File { file }) => show(&file, global.json),
        Action::Save(File { file }) => save(&file),
        Action::Restore(File { file }) => restore(&file),
        Action::Mark(Mark { file }) => {
            mark::leave(&file, Boot::system().quality() == TimeQuality::Synced, since_boot())?;
            Ok(Exit::Ok)
        }
    }
}

fn show(file: &Path, as_json: bool) -> anyhow::Result<Exit> {
    let (now, quality, last) = (Timestamp::now(), Boot::system().quality(), floor::read(file));
    if as_json {
        println!("{}", json!({ "now": now, "quality": quality, "last": last, "built": built() }));
        return Ok(Exit::Ok);
    }
    let word = match quality {
        TimeQuality::Synced => "a time server disciplines it",
        TimeQuality::Holdover => "no time server any more",
        TimeQuality::Unsynced => "no time server yet",
    };
    println!("Clock: {now:.0} ({word})");
    println!("Written down last: {}", last.map_or_else(|| "never".to_owned(), |last| last.to_string()));
    Ok(Exit::Ok)
}

fn save(file: &Path) -> anyhow::Result<Exit> {
    let synchronised = Boot::system().quality() == TimeQuality::Synced;
    let facts = Facts { now: Timestamp::now(), synchronised, since_boot: since_boot(), last: floor::read(file) };
    if !facts.believable() {
        // No failure: the unit would be red on every box that waits for its time server.
        eprintln!(
            "The clock says {:.0}, which no time server confirms; the old time stays in `{}`.",
            facts.now,
            file.display()
        );
        return Ok(Exit::Ok);
    }
    floor::write(file, facts.now)?;
    Ok(Exit::Ok)
}

fn restore(file: &Path) -> anyhow::Result<Exit> {
    let now = Timestamp::now();
    let Some(floor) = floor::lift(now, floor::read(file), built()) else {
        eprintln!("The clock says {now:.0}; nothing later is known.");
        return Ok(Exit::Ok);
    };
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(floor.as_second(), 0))
        .with_context(|| format!("cannot set the clock to {floor:.0}"))?;
    eprintln!("The clock said {now:.0}; it was set to {floor:.0}.");
    Ok(Exit::Ok)
}

/// When the program was built: the package gives its files that time.
fn built() -> Option<Timestamp> {
    let modified = std::fs::metadata(std::env::current_exe().ok()?).ok()?.modified().ok()?;
    Timestamp::try_from(modified).ok()
}
