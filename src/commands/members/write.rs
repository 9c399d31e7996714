//! `members export`.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::super::Exit;
use super::super::closed::stdout;
use super::Place;
use super::import::FormatArg;
use crate::disk::{Rights, Whole};
use crate::store::members::{Action, Filter, Format, MemberStore};

/// What was typed after `members export`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file, replaced when it exists; without it the list goes to standard output.
    file: Option<PathBuf>,
    /// How to write it; without it the file's ending decides, on standard output `--json`, else CSV.
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// Write the face templates too, unsealed, as JSON Lines. Whoever has the file has the faces; the audit log tells of it.
    #[arg(long, requires = "file")]
    with_templates: bool,
}

/// Runs it.
pub(super) fn run(args: Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let mut store = place.open()?;
    if args.with_templates {
        return with_templates(&args, &mut store, place);
    }
    let format = match (args.format, &args.file) {
        (Some(format), _) => format.into(),
        (None, Some(file)) => by_name(file),
        (None, None) if json => Format::JsonLines,
        (None, None) => Format::Csv,
    };
    match &args.file {
        None => {
            // Told before: what a reader saw of it before he went away has left the box, too.
            store.record(Action::MembersExported, "", &json!({ "to_file": false }))?;
            store.export(&Filter::default(), format, BufWriter::new(stdout()))?;
        }
        Some(file) => {
            let written = to_file(file, |sink| Ok(store.export(&Filter::default(), format, sink)?))?;
            store.record(Action::MembersExported, "", &json!({ "to_file": true }))?;
            if json {
                println!("{}", json!({ "written": written, "file": file }));
            } else {
                eprintln!("{written} members written to {}.", file.display());
            }
        }
    }
    Ok(Exit::Ok)
}

fn with_templates(args: &Args, store: &mut MemberStore, place: &Place) -> anyhow::Result<Exit> {
    let file = args.file.as_deref().context("name the file that the templates go to")?;
    let csv = args.format.map(Format::from) == Some(Format::Csv);
    anyhow::ensure!(!csv, "templates cannot stand in CSV; leave `--format csv` out");
    let ring = place.keys()?;
    let written = to_file(file, |sink| Ok(store.export_with_faces(&Filter::default(), &ring, sink)?))?;
    eprintln!("{written} members written to {} with their face templates, unsealed. Guard it.", file.display());
    Ok(Exit::Ok)
}

fn by_name(file: &Path) -> Format {
    let ending = file.extension().map(|ending| ending.to_ascii_lowercase());
    match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("jsonl" | "ndjson" | "json") => Format::JsonLines,
        _ => Format::Csv,
    }
}

/// Whole or not at all, readable by its owner only.
fn to_file(file: &Path, write: impl FnOnce(&mut Whole) -> anyhow::Result<u64>) -> anyhow::Result<u64> {
    let mut sink = Whole::begin(file, Rights::mode(0o600))?;
    let written = write(&mut sink).with_context(|| format!("cannot write `{}`", file.display()))?;
    sink.finish()?;
    Ok(written)
}
