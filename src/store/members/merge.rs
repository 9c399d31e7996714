//! What a line does to the list, inside the transaction of an import.
//!
//! What a file says about a member holds; what it does not say (a column that is absent) stays as stored, or takes
//! the default for a new member. Lines of one member may stand anywhere in the file: the first decides, a further
//! one adds plates and must repeat the rest or leave all of it empty.

use std::path::Path;

use rusqlite::{OptionalExtension, Statement, Transaction};

use super::entry::Entry;
use super::import::ImportOptions;
use super::report::{Fault, Report};
use super::{StoreError, read, row};
use crate::domain::member::{Consents, Member};

/// What the act of listing a plate is taken to agree to; see `docs/decisions/0005-consent-by-listing.md`.
const LISTED: Consents = Consents { plate: true, face: false, dwell: true, expression: false };
/// The list of members whose file names none.
const DEFAULT_LIST: &str = "member";
/// Plates that stand at several members, told one by one.
const SHARED_TOLD: u32 = 100;

/// The statements of one import.
pub(super) struct Run<'a> {
    transaction: &'a Transaction<'a>,
    pub options: &'a ImportOptions,
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
    pub fn new(
        transaction: &'a Transaction<'a>,
        options: &'a ImportOptions,
        revision: u64,
        path: &'a Path,
    ) -> rusqlite::Result<Self> {
        let stored = if options.replace { 0 } else { read::count(transaction)? };
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

    pub fn check_limit(&self, report: &Report) -> Result<(), StoreError> {
        if report.added <= self.limit || (self.options.replace && report.added + report.updated <= self.limit) {
            return Ok(());
        }
        let limit = self.options.max_members;
        Err(StoreError::TooMany { found: u64::from(limit) - self.limit + report.added, limit })
    }

    /// One line's outcome into the database or the report.
    pub fn line(
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
                Ok((found.get::<_, i64>(0)?, read::number(found, 1)?, row::member(found, 2)?))
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
    pub fn finish(&mut self, report: &mut Report) -> rusqlite::Result<u64> {
        if report.unreadable {
            return read::count(self.transaction);
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
        read::count(self.transaction)
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
