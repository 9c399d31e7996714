//! A file into the list: streamed, in one transaction, all or nothing. What a line does to the list is in `merge`.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, TransactionBehavior};
use serde_json::json;

use super::audit::{self, Action};
use super::entry::Entry;
use super::merge::Run;
use super::parse::{CsvLines, json_entry};
use super::report::{Fault, Outcome, Report};
use super::source::{self, Format, Lines, Next, Progress};
use super::{StoreError, read};
use crate::domain::plate::grammar::Grammar;
use crate::store::keys::{KeyError, KeyRing};

/// Lines between two calls of the progress function and two looks at the limit.
const STRIDE: u64 = 2_048;

/// How a file is to be imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Taken from the file's beginning when `None`.
    pub format: Option<Format>,
    /// Apply the good lines of a file that has bad ones.
    pub skip_bad: bool,
    /// The list becomes exactly this file; otherwise members that the file does not name stay.
    pub replace: bool,
    /// Change nothing, but say what would happen.
    pub dry_run: bool,
    /// Consent lease of members for whom the file names none, from `now`; zero: no lease.
    pub default_lease: Duration,
    /// The moment of the import.
    pub now: Timestamp,
    /// The site's, for dates without a time.
    pub zone: TimeZone,
    /// Most members the list may hold.
    pub max_members: u32,
    /// What face templates are sealed with, or why there is nothing; only asked for when a line has some.
    pub keys: Result<Arc<KeyRing>, String>,
    /// The region's; a plate that it does not hold is remarked, not refused.
    pub grammar: Option<Grammar>,
}

impl ImportOptions {
    /// Adds and updates, refuses a file with a bad line, no lease, dates in UTC.
    pub fn at(now: Timestamp) -> Self {
        Self {
            format: None,
            skip_bad: false,
            replace: false,
            dry_run: false,
            default_lease: Duration::ZERO,
            now,
            zone: TimeZone::UTC,
            max_members: u32::MAX,
            keys: Err(KeyError::NotNamed.to_string()),
            grammar: None,
        }
    }
}

/// Imports what `reader` holds; `progress` hears how far it is.
pub(super) fn import(
    connection: &mut Connection,
    (path, actor): (&Path, &str),
    reader: impl BufRead,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let sqlite = |source| StoreError::from_sqlite(path, source);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    let mut report = Report::default();
    let before = read::revision(&transaction).map_err(sqlite)?;
    let total = {
        let mut run = Run::new(&transaction, options, before + 1, (path, actor)).map_err(sqlite)?;
        feed(Lines::new(reader), &mut run, &mut report, progress)?;
        run.finish(&mut report).map_err(sqlite)?
    };
    if total > u64::from(options.max_members) {
        return Err(StoreError::TooMany { found: total, limit: options.max_members });
    }
    let good = !report.unreadable && (report.bad_lines == 0 || options.skip_bad);
    report.outcome = match good {
        true if options.dry_run => Outcome::WouldApply,
        true => Outcome::Applied,
        false => Outcome::Refused,
    };
    (report.revision, report.total) = (before, total);
    if report.outcome == Outcome::Applied {
        audit::append(&transaction, actor, Action::MembersImported, "", &told(&report, options)).map_err(sqlite)?;
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        report.revision = before + 1;
    } else {
        if report.outcome == Outcome::Refused {
            (report.added, report.updated, report.removed, report.templates) = (0, 0, 0, 0);
        }
        transaction.rollback().map_err(sqlite)?;
        report.total = read::count(connection).map_err(sqlite)?;
    }
    Ok(report)
}

/// What the audit log keeps of an import.
fn told(report: &Report, options: &ImportOptions) -> serde_json::Value {
    json!({
        "added": report.added,
        "updated": report.updated,
        "removed": report.removed,
        "templates": report.templates,
        "replaced": options.replace,
        "skipped_lines": report.bad_lines,
    })
}

/// All lines into the run; a file that is no member list ends it at once.
fn feed<R: BufRead>(
    mut lines: Lines<R>,
    run: &mut Run<'_>,
    report: &mut Report,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), StoreError> {
    let mut reading = None;
    while !report.unreadable {
        let number = lines.number + 1;
        let line = match lines.next().map_err(StoreError::Read)? {
            Next::End => break,
            Next::TooLong => Err(source::too_long()),
            Next::Line(bytes) => decode(bytes, number),
        };
        report.lines = number;
        match &mut reading {
            None => reading = begin(line, number, run, report)?,
            Some(reading) => {
                let entry = line.map_err(|fault| vec![fault]).and_then(|text| reading.entry(text, &run.options.zone));
                run.line(number, entry, report)?;
            }
        }
        if number.is_multiple_of(STRIDE) {
            progress(lines.progress());
            run.check_limit(report)?;
        }
    }
    progress(lines.progress());
    run.check_limit(report)?;
    if reading.is_none() && !report.unreadable {
        let way_out = "begin the file with a header, at least `member_ref,plate`";
        report.unreadable(1, Fault::new(None, "the file is empty", way_out));
    } else if !lines.ended {
        let seen = "the last line has no line end; if the file was cut off, the last member may be incomplete";
        report.finding(Some(lines.number), seen.to_owned());
    }
    Ok(())
}

/// The text of a line; the first one also tells what the file is.
fn decode(bytes: &[u8], number: u64) -> Result<&str, Fault> {
    match source::not_text(bytes).filter(|_| number == 1) {
        Some(fault) => Err(fault),
        None => source::text(bytes),
    }
}

/// The first line that is not blank: a CSV header, or already a member.
fn begin(
    line: Result<&str, Fault>,
    number: u64,
    run: &mut Run<'_>,
    report: &mut Report,
) -> Result<Option<Reading>, StoreError> {
    let first = match line {
        Ok(text) if text.trim().is_empty() => return Ok(None),
        Ok(text) => Reading::begin(text, run.options.format).map(|reading| (reading, text)),
        Err(fault) => Err(vec![fault]),
    };
    match first {
        Ok((mut reading, text)) => {
            if matches!(reading, Reading::Json) {
                run.line(number, reading.entry(text, &run.options.zone), report)?;
            }
            Ok(Some(reading))
        }
        Err(faults) => {
            faults.into_iter().for_each(|fault| report.unreadable(number, fault));
            Ok(None)
        }
    }
}

/// A file whose format is known.
enum Reading {
    Csv(Box<CsvLines>),
    Json,
}

impl Reading {
    fn begin(first: &str, format: Option<Format>) -> Result<Self, Vec<Fault>> {
        match format.map_or_else(|| source::format_of(first), Ok).map_err(|fault| vec![fault])? {
            Format::Csv => CsvLines::new(first).map(|lines| Self::Csv(Box::new(lines))),
            Format::JsonLines => Ok(Self::Json),
        }
    }

    fn entry(&mut self, line: &str, zone: &TimeZone) -> Result<Option<Entry>, Vec<Fault>> {
        match self {
            Self::Csv(lines) => lines.entry(line, zone),
            Self::Json => json_entry(line, zone),
        }
    }
}
