//! `members import`: with a bar while it runs and a report when it is done.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::Table;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::super::Exit;
use super::Place;
use super::look::table;
use crate::domain::plate::grammar::Grammar;
use crate::store::members::{Format, ImportOptions, MemberStore, Outcome, Progress, Report};

/// Bad lines and findings that a terminal shows; `--json` has up to a thousand.
const SHOWN: usize = 20;

/// What was typed after `members import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file; `-` reads standard input.
    file: PathBuf,
    /// How it is written; without it the file's beginning decides.
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// Apply the good lines of a file that has bad ones, and report the bad ones.
    #[arg(long)]
    skip_bad: bool,
    /// Make the list exactly this file; otherwise members that the file does not name stay.
    #[arg(long)]
    replace: bool,
    /// Check the file and say what would change, but change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// A format by name.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum FormatArg {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Csv => Self::Csv,
            FormatArg::Jsonl => Self::JsonLines,
        }
    }
}

/// Runs it.
pub(super) fn run(args: Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let options = ImportOptions {
        format: args.format.map(Format::from),
        skip_bad: args.skip_bad,
        replace: args.replace,
        dry_run: args.dry_run,
        default_lease: place.config().members.default_lease,
        now: Timestamp::now(),
        zone: place.zone.clone(),
        max_members: place.config().members.max_members,
        keys: place.keys().map(Arc::new).map_err(|error| error.to_string()),
        grammar: Grammar::built_in(&place.config().plates.region),
    };
    // Opened before the list, so that a mistyped name makes no empty list.
    let (reader, length) = open(&args.file)?;
    let mut store = MemberStore::open(&place.list())?;
    let began = Instant::now();
    let bar = bar(length);
    let report = store.import(reader, &options, &mut |progress: Progress| {
        bar.set_position(progress.bytes);
        bar.set_message(format!("{} lines, {}/s", HumanCount(progress.lines), rate(progress.lines, began.elapsed())));
    });
    bar.finish_and_clear();
    let report = report?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        tell(&report, &args, began.elapsed());
    }
    Ok(if report.outcome == Outcome::Refused { Exit::Refused } else { Exit::Ok })
}

fn open(file: &Path) -> anyhow::Result<(Box<dyn BufRead>, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(BufReader::new(std::io::stdin())), None));
    }
    let opened = File::open(file).with_context(|| format!("cannot open the member file `{}`", file.display()))?;
    let meta = opened.metadata().with_context(|| format!("cannot read `{}`", file.display()))?;
    anyhow::ensure!(!meta.is_dir(), "`{}` is a folder; name a CSV or JSON Lines file", file.display());
    Ok((Box::new(BufReader::with_capacity(1 << 16, opened)), meta.is_file().then_some(meta.len())))
}

/// A bar with rate and time left, on a terminal only.
fn bar(length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => {
            (ProgressBar::new(length), "importing {bar:30} {percent:>3} %  {msg}  {binary_bytes_per_sec}  {eta} left")
        }
        None => (ProgressBar::new_spinner(), "importing {spinner} {msg}  {binary_bytes_per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is tested by every import"))
}

fn rate(lines: u64, elapsed: Duration) -> HumanCount {
    HumanCount((lines as f64 / elapsed.as_secs_f64().max(0.001)) as u64)
}

fn tell(report: &Report, args: &Args, elapsed: Duration) {
    if !report.problems.is_empty() {
        println!("{}", problems(report));
        more(report.bad_lines as usize, shown_lines(report), "bad lines");
    }
    for finding in report.findings.iter().take(SHOWN) {
        match finding.line {
            Some(line) => println!("note: line {line}: {}", finding.seen),
            None => println!("note: {}", finding.seen),
        }
    }
    more(report.finding_count as usize, report.findings.len().min(SHOWN), "notes");
    println!("{}", verdict(report, args));
    if report.outcome != Outcome::Refused {
        let done = if args.dry_run { "would be" } else { "now" };
        let total =
            if args.dry_run { (report.total + report.added).saturating_sub(report.removed) } else { report.total };
        println!(
            "{} added, {} updated, {} removed; {done} {} members. {} plates and {} face templates from {} lines in {:.1} s ({} lines/s).",
            HumanCount(report.added),
            HumanCount(report.updated),
            HumanCount(report.removed),
            HumanCount(total),
            HumanCount(report.plates),
            HumanCount(report.templates),
            HumanCount(report.lines),
            elapsed.as_secs_f64(),
            rate(report.lines, elapsed),
        );
    }
}

fn verdict(report: &Report, args: &Args) -> String {
    let bad = match report.bad_lines {
        0 => String::new(),
        1 => "1 bad line; ".to_owned(),
        many => format!("{} bad lines; ", HumanCount(many)),
    };
    match report.outcome {
        Outcome::Applied if report.bad_lines > 0 => format!("{bad}the good lines were applied."),
        Outcome::Applied => "Applied.".to_owned(),
        Outcome::WouldApply => format!("{bad}nothing was changed, this was a trial."),
        Outcome::Refused if report.unreadable || args.skip_bad => format!("{bad}nothing was changed."),
        Outcome::Refused => format!("{bad}nothing was changed. Mend them, or apply the good lines with --skip-bad."),
    }
}

fn problems(report: &Report) -> Table {
    let mut table = table(&["line", "field", "what is wrong", "what to do"]);
    for problem in report.problems.iter().take(SHOWN) {
        let field = problem.field.unwrap_or("");
        table.add_row([&problem.line.to_string(), field, &problem.wrong, &problem.way_out]);
    }
    table
}

/// Different lines among the problems that are shown.
fn shown_lines(report: &Report) -> usize {
    let mut lines: Vec<u64> = report.problems.iter().take(SHOWN).map(|problem| problem.line).collect();
    lines.dedup();
    lines.len()
}

fn more(all: usize, shown: usize, what: &str) {
    if all > shown {
        println!("… and {} more {what}; --json tells up to a thousand", HumanCount((all - shown) as u64));
    }
}
