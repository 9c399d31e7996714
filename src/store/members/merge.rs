//! What a line does to the list, inside the transaction of an import.
//!
//! What a file says about a member holds; what it does not say (a column that is absent) stays as stored, or takes
//! the default for a new member. Lines of one member may stand anywhere in the file: the first decides, a further
//! one adds plates and must repeat the rest or leave all of it empty.

use std::path::Path;

use rusqlite::{OptionalExtension, Statement, Transaction};
use serde_json::json;

use super::audit::{self, Action};
use super::entry::Entry;
use super::import::ImportOptions;
use super::report::{Fault, Report};
use super::templates::{self, NewTemplate, Origin};
use super::{MemberId, StoreError, read, row, text};
use crate::domain::member::{Consents, Member};

/// What the act of listing a plate is taken to agree to; see `docs/decisions/0005-consent-by-listing.md`.
const LISTED: Consents = Consents { plate: true, face: false, dwell: true, expression: false };
/// The list of members whose file names none.
const DEFAULT_LIST: &str = "member";
/// Plates that stand at several members, told one by one.
const SHARED_TOLD: u32 = 100;

/// What a member is of whom nothing was said.
fn fresh() -> Member {
    Member { list: DEFAULT_LIST.to_owned(), consents: LISTED, ..Member::default() }
}

/// The statements of one import.
pub(super) struct Run<'a> {
    transaction: &'a Transaction<'a>,
    pub options: &'a ImportOptions,
    path: &'a Path,
    actor: &'a str,
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
        (path, actor): (&'a Path, &'a str),
    ) -> rusqlite::Result<Self> {
        let stored = if options.replace { 0 } else { read::count(transaction)? };
        Ok(Self {
            transaction,
            options,
            path,
            actor,
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
                let member = self.member(number, &entry, report);
                match member.map_err(|source| StoreError::from_sqlite(path, source))? {
                    Some(id) => self.faces(id, &entry, report),
                    None => Ok(()),
                }
            }
        }
    }

    /// The member into the list; `None` when the line was refused or is a further one of its member.
    fn member(&mut self, number: u64, entry: &Entry, report: &mut Report) -> rusqlite::Result<Option<MemberId>> {
        let found = self
            .find
            .query_row([&entry.member_ref], |found| {
                Ok((found.get::<_, i64>(0)?, read::number(found, 1)?, row::member(found, 2)?))
            })
            .optional()?;
        let further = found.as_ref().is_some_and(|(_, revision, _)| *revision == self.revision);
        let id = match found {
            None => {
                let member = self.said(entry, fresh());
                if self.refused(number, entry, &member, report)? {
                    return Ok(None);
                }
                report.added += 1;
                row::write(&mut self.insert, &member, self.revision)?
            }
            Some((id, revision, stored)) if revision != self.revision => {
                let consents = stored.consents;
                // A replaced list remembers nothing of the former one.
                let member = self.said(entry, if self.options.replace { fresh() } else { stored });
                if self.refused(number, entry, &member, report)? {
                    return Ok(None);
                }
                report.updated += 1;
                row::write(&mut self.update, &member, self.revision)?;
                self.note_consents(&member, consents)?;
                self.clear_plates.execute([id])?;
                id
            }
            Some((id, _, stored)) => {
                let faults = if entry.bare() { Vec::new() } else { self.conflicts(entry, &stored) };
                if !faults.is_empty() {
                    report.bad_line(number, faults);
                    return Ok(None);
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
        Ok((!further).then_some(id))
    }

    /// Are there templates in the line that cannot be stored? Asked before anything of the line is written.
    fn refused(&self, number: u64, entry: &Entry, member: &Member, report: &mut Report) -> rusqlite::Result<bool> {
        let faces = entry.faces.as_deref().unwrap_or_default();
        let fault = match &self.options.keys {
            _ if faces.is_empty() => None,
            _ if !member.consents.face => {
                Some(("the member has no consent `face`".to_owned(), "leave the templates out, or state the consent"))
            }
            Err(why) => Some((why.clone(), "name a device key, or leave the templates out")),
            Ok(_) => self.other_size(faces)?.map(|wrong| (wrong, "give vectors of one size in a space")),
        };
        let refused = fault.is_some();
        if let Some((wrong, way_out)) = fault {
            report.bad_line(number, vec![Fault::new(Some("faces"), wrong, way_out)]);
        }
        Ok(refused)
    }

    fn other_size(&self, faces: &[NewTemplate]) -> rusqlite::Result<Option<String>> {
        for (at, face) in faces.iter().enumerate() {
            let (space, found) = (&face.space, face.vector.values().len());
            let earlier =
                faces[..at].iter().find(|other| other.space == *space).map(|other| other.vector.values().len());
            let wanted = match earlier {
                Some(wanted) => Some(wanted),
                None => templates::numbers_of(self.transaction, space)?,
            };
            if let Some(wanted) = wanted.filter(|&wanted| wanted != found) {
                return Ok(Some(format!("[{at}] has {found} numbers, the templates of `{space}` have {wanted}")));
            }
        }
        Ok(None)
    }

    /// The templates of a line instead of those that the member has.
    fn faces(&self, id: MemberId, entry: &Entry, report: &mut Report) -> Result<(), StoreError> {
        let Some(faces) = &entry.faces else { return Ok(()) };
        let put = match &self.options.keys {
            Ok(ring) => {
                let member = (id, entry.member_ref.as_str());
                let what = (faces.as_slice(), Origin::Imported);
                templates::put(self.transaction, ring, member, self.revision, what, true)
            }
            // Only an empty list comes here: it takes the templates away.
            Err(_) => templates::clear(self.transaction, id).map(drop).map_err(Into::into),
        };
        report.templates += faces.len() as u64;
        put.map_err(|error| StoreError::from_seal(self.path, error))
    }

    /// A record when the consents are others than before.
    fn note_consents(&self, member: &Member, before: Consents) -> rusqlite::Result<()> {
        if member.consents == before {
            return Ok(());
        }
        let names = |consents: &Consents| text::consent_names(consents);
        let detail = json!({ "before": names(&before), "now": names(&member.consents) });
        audit::append_of(self.transaction, self.actor, Action::ConsentsChanged, &member.member_ref, &detail)
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
        compare("faces", entry.faces.as_ref().is_none_or(Vec::is_empty));
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
            report.removed = self.remove_others()?;
        }
        self.shared_plates(report)?;
        read::count(self.transaction)
    }

    /// Members whom the file does not name leave the list, each with a record.
    fn remove_others(&self) -> rusqlite::Result<u64> {
        let revision = self.revision.cast_signed();
        let mut others = self.transaction.prepare("select member_ref from member where revision <> ?1 order by id")?;
        let names: Vec<String> = others.query_map([revision], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for name in &names {
            audit::append_of(self.transaction, self.actor, Action::MemberRemoved, name, &json!({ "by": "import" }))?;
        }
        self.transaction.execute("delete from member where revision <> ?1", [revision]).map(|removed| removed as u64)
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
