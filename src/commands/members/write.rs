//! `members export`.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::Exit;
use super::Place;
use super::import::FormatArg;
use crate::store::members::{Filter, Format, MemberStore};

/// What was typed after `members export`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file, replaced when it exists; without it the list goes to standard output.
    file: Option<PathBuf>,
    /// How to write it; without it the file's ending decides, else CSV.
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
}

/// Runs it.
pub(super) fn run(args: Args, place: &Place) -> anyhow::Result<Exit> {
    let store = place.open()?;
    let format = args.format.map_or_else(|| by_name(args.file.as_deref()), Format::from);
    match &args.file {
        None => {
            store.export(&Filter::default(), format, BufWriter::new(std::io::stdout().lock()))?;
        }
        Some(file) => {
            let written = to_file(&store, format, file)?;
            eprintln!("{written} members written to {}.", file.display());
        }
    }
    Ok(Exit::Ok)
}

fn by_name(file: Option<&Path>) -> Format {
    let ending = file.and_then(Path::extension).map(|ending| ending.to_ascii_lowercase());
    match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("jsonl" | "ndjson" | "json") => Format::JsonLines,
        _ => Format::Csv,
    }
}

/// Whole or not at all, readable by its owner only: written beside the target, then moved onto it.
fn to_file(store: &MemberStore, format: Format, file: &Path) -> anyhow::Result<u64> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let written = (|| {
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut sink = BufWriter::new(opened);
        let written = store.export(&Filter::default(), format, &mut sink)?;
        sink.flush()?;
        sink.get_ref().sync_all()?;
        fs::rename(&beside, file)?;
        anyhow::Ok(written)
    })();
    if written.is_err() {
        fs::remove_file(&beside).ok();
    }
    written.with_context(|| format!("cannot write `{}`", file.display()))
}
