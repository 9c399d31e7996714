//! A file into the list: streamed, in one transaction, all or nothing.
//!
//! What a file says about a member holds; what it does not say (a column that is absent) stays as stored, or takes
//! the default for a new member. Lines of one member may stand anywhere in the file: the first decides, a further
//! one adds plates and must repeat the rest or leave all of it empty.

use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, Statement, Transaction, TransactionBehavior};

use super::entry::Entry;
use super::parse::{CsvLines, json_entry};
use super::report::{Fault, Outcome, Report};
use super::source::{self, Format, Lines, Next, Progress};
use super::{StoreError, row};
use crate::domain::member::{Consents, Member};
use crate::domain::plate::grammar::Grammar;

/// What the act of listing a plate is taken to agree to; see `docs/decisions/0003-consent-by-listing.md`.
const LISTED: Consents = Consents { plate: true, face: false, dwell: true, expression: false };
/// The list of members whose file names none.
const DEFAULT_LIST: &str = "member";
/// Lines between two calls of the progress function and two looks at the limit.
const STRIDE: u64 = 2_048;
/// Plates that stand at several members, told one by one.
const SHARED_TOLD: u32 = 100;

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
            grammar: None,
        }
    }
}

/// Imports what `reader` holds; `progress` hears how far it is.
pub(super) fn import(
    connection: &mut Connection,
    path: &Path,
    reader: impl BufRead,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let sqlite = |source| StoreError::from_sqlite(path, source);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    let mut report = Report::default();
    let before = super::read::revision(&transaction).map_err(sqlite)?;
    let total = {
        let mut run = Run::new(&transaction, options, before + 1, path).map_err(sqlite)?;
        run.lines(Lines::new(reader), &mut report, progress)?;
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
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        report.revision = before + 1;
    } else {
        if report.outcome == Outcome::Refused {
            (report.added, report.updated, report.removed) = (0, 0, 0);
        }
        transaction.rollback().map_err(sqlite)?;
        report.total = super::read::count(connection).map_err(sqlite)?;
    }
    Ok(report)
}

/// The statements of one import.
struct Run<'a> {
    transaction: &'a Transaction<'a>,
    options: &'a ImportOptions,
    path: &'a Path,
    revision: u64,
    limit: u64,
    find: Statement<'a>,
    insert: Statement<'a>,
    update: Statement<'a>,
    clear_plates: Statement<'a>,
    add_plate: Statement<'a>,
}

impl<'a> Run<'a> {
    fn new(
        transaction: &'a Transaction<'a>,
        options: &'a ImportOptions,
        revision: u64,
        path: &'a Path,
    ) -> rusqlite::Result<Self> {
        let stored = if options.replace { 0 } else { super::read::count(transaction)? };
        Ok(Self {
            transaction,
            options,
            path,
            revision,
            limit: u64::from(options.max_members).saturating_sub(stored),
            find: transaction
                .prepare(&format!("select m.id, m.revision, {} from member m where m.member_ref = ?1", row::COLUMNS))?,
            insert: transaction.prepare(row::INSERT)?,
            update: transaction.prepare(row::UPDATE)?,
            clear_plates: transaction.prepare("delete from plate where member = ?1")?,
            add_plate: transaction.prepare(
                "insert or ignore into plate (member, position, plate) \
                 values (?1, (select coalesce(max(position) + 1, 0) from plate where member = ?1), ?2)",
            )?,
        })
    }

    /// All lines; a file that is no member list ends it at once.
    fn lines<R: BufRead>(
        &mut self,
        mut lines: Lines<R>,
        report: &mut Report,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        let mut reading = None;
        loop {
            let number = lines.number + 1;
            let line =
                match lines.next().map_err(|source| StoreError::file("cannot read", Path::new("the file"), source))? {
                    Next::End => break,
                    Next::TooLong => Err(source::too_long()),
                    Next::Line(bytes) if number == 1 => match source::not_text(bytes) {
                        Some(fault) => return Ok(report.unreadable(1, fault)),
                        None => source::text(bytes),
                    },
                    Next::Line(bytes) => source::text(bytes),
                };
            report.lines = number;
            match (&mut reading, line) {
                (None, Err(fault)) => return Ok(report.unreadable(number, fault)),
                (None, Ok(text)) if text.trim().is_empty() => {}
                (None, Ok(text)) => match Reading::begin(text, self.options.format) {
                    Ok(begun) => {
                        let first = matches!(begun, Reading::Json).then(|| json_entry(text, &self.options.zone));
                        reading = Some(begun);
                        if let Some(entry) = first {
                            self.line(number, entry, report)?;
                        }
                    }
                    Err(faults) => {
                        faults.into_iter().for_each(|fault| report.unreadable(number, fault));
                        return Ok(());
                    }
                },
                (Some(_), Err(fault)) => report.bad_line(number, vec![fault]),
                (Some(reading), Ok(text)) => {
                    let entry = reading.entry(text, &self.options.zone);
                    self.line(number, entry, report)?;
                }
            }
            if number.is_multiple_of(STRIDE) {
                progress(lines.progress());
                self.check_limit(report)?;
            }
        }
        progress(lines.progress());
        self.check_limit(report)?;
        if reading.is_none() {
            let way_out = "begin the file with a header, at least `member_ref,plate`";
            report.unreadable(1, Fault::new(None, "the file is empty", way_out));
        } else if !lines.ended {
            let seen = "the last line has no line end; if the file was cut off, the last member may be incomplete";
            report.finding(Some(lines.number), seen.to_owned());
        }
        Ok(())
    }

    fn check_limit(&self, report: &Report) -> Result<(), StoreError> {
        if report.added <= self.limit || (self.options.replace && report.added + report.updated <= self.limit) {
            return Ok(());
        }
        let limit = self.options.max_members;
        Err(StoreError::TooMany { found: u64::from(limit) - self.limit + report.added, limit })
    }

    /// One line's outcome into the database or the report.
    fn line(
        &mut self,
        number: u64,
        entry: Result<Option<Entry>, Vec<Fault>>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        match entry {
            Ok(None) => Ok(()),
            Err(faults) => {
                report.bad_line(number, faults);
                Ok(())
            }
            Ok(Some(entry)) => {
                let path = self.path;
                self.member(number, &entry, report).map_err(|source| StoreError::from_sqlite(path, source))
            }
        }
    }

    fn member(&mut self, number: u64, entry: &Entry, report: &mut Report) -> rusqlite::Result<()> {
        let found = self
            .find
            .query_row([&entry.member_ref], |found| {
                Ok((found.get::<_, i64>(0)?, super::read::number(found, 1)?, row::member(found, 2)?))
            })
            .optional()?;
        let id = match found {
            None => {
                report.added += 1;
                let fresh = Member { list: DEFAULT_LIST.to_owned(), consents: LISTED, ..Member::default() };
                let member = self.said(entry, fresh);
                row::write(&mut self.insert, &member, self.revision)?
            }
            Some((id, revision, stored)) if revision != self.revision => {
                report.updated += 1;
                // A replaced list remembers nothing of the former one.
                let fresh = Member { list: DEFAULT_LIST.to_owned(), consents: LISTED, ..Member::default() };
                let base = if self.options.replace { fresh } else { stored };
                let member = self.said(entry, base);
                row::write(&mut self.update, &member, self.revision)?;
                self.clear_plates.execute([id])?;
                id
            }
            Some((id, _, stored)) => {
                let faults = if entry.bare() { Vec::new() } else { self.conflicts(entry, &stored) };
                if !faults.is_empty() {
                    report.bad_line(number, faults);
                    return Ok(());
                }
                id
            }
        };
        for plate in &entry.plates {
            self.add_plate.execute((id, plate))?;
            if let Some(grammar) =
                self.options.grammar.as_ref().filter(|grammar| grammar.matching(plate).next().is_none())
            {
                report.finding(
                    Some(number),
                    format!("{plate} has no format of {}; it will hardly be read", grammar.name()),
                );
            }
        }
        report.plates += entry.plates.len() as u64;
        Ok(())
    }

    /// `base` with everything that the entry says.
    fn said(&self, entry: &Entry, base: Member) -> Member {
        let lease = || self.options.now.checked_add(self.options.default_lease).ok();
        let default_end = if self.options.default_lease.is_zero() { base.not_after } else { lease() };
        Member {
            member_ref: entry.member_ref.clone(),
            plates: Vec::new(),
            tier: entry.tier.clone().unwrap_or(base.tier),
            list: entry.list.clone().map_or(base.list, |list| list.unwrap_or_else(|| DEFAULT_LIST.to_owned())),
            organisation: entry.organisation.clone().unwrap_or(base.organisation),
            valid_from: entry.valid_from.unwrap_or(base.valid_from),
            valid_until: entry.valid_until.unwrap_or(base.valid_until),
            windows: entry.windows.clone().unwrap_or(base.windows),
            consents: entry.consents.unwrap_or(base.consents),
            not_after: match entry.not_after {
                Some(Some(end)) => Some(end),
                Some(None) if self.options.default_lease.is_zero() => None,
                _ => default_end,
            },
            external_ids: entry.external_ids.clone().unwrap_or(base.external_ids),
        }
    }

    /// What a further line says differently from the first line of its member.
    fn conflicts(&self, entry: &Entry, stored: &Member) -> Vec<Fault> {
        let here = self.said(entry, stored.clone());
        let mut names = Vec::new();
        let mut compare = |name: &'static str, same: bool| (!same).then(|| names.push(name));
        compare("tier", here.tier == stored.tier);
        compare("list", here.list == stored.list);
        compare("organisation", here.organisation == stored.organisation);
        compare("valid_from", here.valid_from == stored.valid_from);
        compare("valid_until", here.valid_until == stored.valid_until);
        compare("not_after", here.not_after == stored.not_after);
        compare("windows", here.windows == stored.windows);
        compare("consents", here.consents == stored.consents);
        compare("external_ids", here.external_ids == stored.external_ids);
        let way_out = "say the same in every line of a member, or only member_ref and plate in the further ones";
        let fault = |name| Fault::new(Some(name), "differs from an earlier line of this member", way_out);
        names.into_iter().map(fault).collect()
    }

    /// What concerns the list as a whole; returns how many members it holds now.
    fn finish(&mut self, report: &mut Report) -> rusqlite::Result<u64> {
        if report.unreadable {
            return super::read::count(self.transaction);
        }
        if report.added + report.updated == 0 {
            let way_out = "to empty the list use `forecourt members remove --all`";
            report.unreadable(report.lines, Fault::new(None, "the file lists nobody", way_out));
        }
        if self.options.replace {
            report.removed =
                self.transaction.execute("delete from member where revision <> ?1", [self.revision.cast_signed()])?
                    as u64;
        }
        self.shared_plates(report)?;
        super::read::count(self.transaction)
    }

    /// Plates that stand at several members of the new list.
    fn shared_plates(&self, report: &mut Report) -> rusqlite::Result<()> {
        let mut shared = self.transaction.prepare(
            "select plate, (select group_concat(member_ref, ', ' order by m.id) from member m join plate p on p.member = m.id \
             where p.plate = plate.plate) from plate group by plate having count(*) > 1 order by plate",
        )?;
        let mut rows = shared.query([])?;
        let mut told = 0;
        while let Some(found) = rows.next()? {
            told += 1;
            if told > SHARED_TOLD {
                report.finding_count += 1;
                continue;
            }
            let (plate, members): (String, String) = (found.get(0)?, found.get(1)?);
            report.finding(
                None,
                format!("plate {plate} stands at several members ({members}); matching it says `ambiguous`"),
            );
        }
        Ok(())
    }
}

/// A file whose format is known.
enum Reading {
    Csv(CsvLines),
    Json,
}

impl Reading {
    fn begin(first: &str, format: Option<Format>) -> Result<Self, Vec<Fault>> {
        match format.map_or_else(|| source::format_of(first), Ok).map_err(|fault| vec![fault])? {
            Format::Csv => CsvLines::new(first).map(Self::Csv),
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
