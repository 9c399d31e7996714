//! A snapshot or a delta into the list, in one transaction.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::audit::{self, Action};
use super::super::merge::Run;
use super::super::parse::json_entry;
use super::super::report::Report;
use super::super::{ImportOptions, MemberStore, StoreError, read};
use super::{Applied, ApplyError, digest, meaning, put_receipts, put_synced_list};
use crate::domain::event::{Receipt, RemovedBy};
use crate::domain::sync::{Head, Wrong, hash_line};

/// Longest line of a list, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// A line of a delta that removes a member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removal {
    member_ref: String,
    deleted: bool,
    /// For people; not kept.
    #[serde(default, rename = "reason")]
    _reason: Option<String>,
}

impl MemberStore {
    /// Makes the list exactly that of a snapshot. `chunk` gives the lines of a chunk by its number.
    ///
    /// # Errors
    /// What is wrong with the list, or what the database refused; in both cases the former list stays.
    pub fn apply_snapshot(
        &mut self,
        head: &Head,
        options: &ImportOptions,
        mut chunk: impl FnMut(u32) -> Result<Vec<u8>, ApplyError>,
    ) -> Result<Applied, ApplyError> {
        self.apply(head, options, |run| {
            for number in 0..head.chunks {
                run.lines(&chunk(number)?, false)?;
            }
            run.remove_unseen(head)
        })
    }

    /// Changes the list by a delta that begins at the revision in force.
    ///
    /// # Errors
    /// As [`MemberStore::apply_snapshot`].
    pub fn apply_delta(&mut self, head: &Head, body: &[u8], options: &ImportOptions) -> Result<Applied, ApplyError> {
        self.apply(head, options, |run| {
            run.lines(body, true)?;
            run.write_removals(head, RemovedBy::Delta)
        })
    }

    fn apply(
        &mut self,
        head: &Head,
        options: &ImportOptions,
        body: impl FnOnce(&mut Applying<'_>) -> Result<(), ApplyError>,
    ) -> Result<Applied, ApplyError> {
        let (path, actor) = (self.path.clone(), self.actor.clone());
        let store = |source| ApplyError::Store(StoreError::from_sqlite(&path, source));
        let options = meaning(options);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store)?;
        let revision = read::revision(&transaction).map_err(store)? + 1;
        let applied = {
            let run = Run::new(&transaction, &options, revision, (&path, &actor)).map_err(store)?;
            let mut applying = Applying {
                transaction: &transaction,
                run,
                options: &options,
                path: &path,
                revision,
                report: Report::default(),
                line: 0,
                applied: Applied::default(),
                removed: Vec::new(),
                met: HashSet::new(),
            };
            body(&mut applying)?;
            applying.applied
        };
        let total = read::count(&transaction).map_err(store)?;
        if total > u64::from(options.max_members) {
            let words =
                format!("the box would hold {total} members, `members.max_members` allows {}", options.max_members);
            return Err(Wrong::new("too-many", words).into());
        }
        let (count, found) = digest(&transaction).map_err(store)?;
        if count != head.count {
            return Err(Wrong::new("count", format!("it has {count} members, its head says {}", head.count)).into());
        }
        if found != head.digest {
            return Err(Wrong::new("digest", "its members are not those of its digest").into());
        }
        put_synced_list(&transaction, head, options.now).map_err(store)?;
        let detail = json!({
            "epoch": head.epoch, "rev": head.rev, "key": head.key,
            "added": applied.added, "updated": applied.updated, "removed": applied.removed,
        });
        audit::append(&transaction, &actor, Action::MembersImported, "", &detail).map_err(store)?;
        transaction.execute("update state set revision = ?1", [revision.cast_signed()]).map_err(store)?;
        transaction.commit().map_err(store)?;
        self.empty_log();
        Ok(Applied { count, ..applied })
    }
}

/// An open transaction of one list.
struct Applying<'a> {
    transaction: &'a Transaction<'a>,
    run: Run<'a>,
    options: &'a ImportOptions,
    path: &'a std::path::Path,
    revision: u64,
    report: Report,
    line: u64,
    applied: Applied,
    removed: Vec<String>,
    /// Stones whose members the list names, as it did when they were removed.
    met: HashSet<[u8; 32]>,
}

impl Applying<'_> {
    fn store(&self, source: rusqlite::Error) -> ApplyError {
        ApplyError::Store(StoreError::from_sqlite(self.path, source))
    }

    fn lines(&mut self, body: &[u8], delta: bool) -> Result<(), ApplyError> {
        for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.line += 1;
            let number = self.line;
            if line.len() > LONGEST_LINE {
                return Err(Wrong::new("member", format!("member {number}: its line is longer than 64 KiB")).into());
            }
            let text = std::str::from_utf8(line)
                .map_err(|_| Wrong::new("member", format!("member {number}: its line is not UTF-8")))?;
            match serde_json::from_str::<Removal>(text) {
                Ok(Removal { member_ref, deleted: true, .. }) if delta => self.remove(&member_ref)?,
                _ => self.member(text)?,
            }
        }
        Ok(())
    }

    fn member(&mut self, text: &str) -> Result<(), ApplyError> {
        let number = self.line;
        let wrong = |field: Option<&str>, words: &str| {
            let field = field.map(|name| format!(", {name}")).unwrap_or_default();
            ApplyError::Wrong(Wrong::new("member", format!("member {number}{field}: {words}")))
        };
        // Words about a field may quote it, and what is quoted here would be told to the platform and logged.
        let entry = json_entry(text, &self.options.zone)
            .map_err(|faults| {
                wrong(faults.first().and_then(|fault| fault.field), "is not what a member list may hold")
            })?
            .ok_or_else(|| wrong(None, "is blank"))?;
        if entry.consents.is_none() {
            return Err(wrong(Some("consents"), "must say what the member agreed to"));
        }
        let hash = hash_line(text.as_bytes());
        let known = self.known(&entry.member_ref).map_err(|source| self.store(source))?;
        if known.as_ref().is_some_and(|(_, _, seen)| *seen == self.revision) {
            return Err(Wrong::new("duplicate", format!("member {number}: was listed before")).into());
        }
        let lease = self.options.default_lease.is_zero() || entry.not_after.is_some();
        let unchanged = known.as_ref().is_some_and(|(_, old, _)| *old == hash);
        if self.stays_removed(&entry.member_ref, &hash).map_err(|source| self.store(source))? {
            return Ok(());
        }
        match known {
            Some(_) if unchanged => {}
            Some(_) => self.applied.updated += 1,
            None => self.applied.added += 1,
        }
        let member_ref = entry.member_ref.clone();
        if !(unchanged && lease) {
            self.run.line(number, Ok(Some(entry)), &mut self.report).map_err(ApplyError::Store)?;
            if let Some(problem) = self.report.problems.first() {
                return Err(wrong(problem.field, "is not what a member list may hold"));
            }
        }
        self.mark(&member_ref, &hash).map_err(|source| self.store(source))
    }

    /// Number, line and revision of a member that the platform listed before.
    fn known(&self, member_ref: &str) -> rusqlite::Result<Option<(i64, [u8; 32], u64)>> {
        let sql =
            "select m.id, s.line_hash, s.seen from member m join synced s on s.member = m.id where m.member_ref = ?1";
        let mut find = self.transaction.prepare_cached(sql)?;
        find.query_row([member_ref], |row| Ok((row.get(0)?, row.get(1)?, read::number(row, 2)?))).optional()
    }

    fn mark(&self, member_ref: &str, hash: &[u8; 32]) -> rusqlite::Result<()> {
        let sql = "insert into synced (member, line_hash, seen) select id, ?2, ?3 from member where member_ref = ?1 \
                   on conflict (member) do update set line_hash = ?2, seen = ?3";
        let mut mark = self.transaction.prepare_cached(sql)?;
        mark.execute((member_ref, hash, self.revision.cast_signed())).map(drop)
    }

    /// Was the member removed on the box, and does the list only repeat the line that was in force then? A changed line
    /// means that the platform lists the member anew.
    fn stays_removed(&mut self, member_ref: &str, hash: &[u8; 32]) -> rusqlite::Result<bool> {
        let ref_hash: [u8; 32] = Sha256::digest(member_ref).into();
        let mut find = self.transaction.prepare_cached("select line_hash from tombstone where ref_hash = ?1")?;
        let old: Option<[u8; 32]> = find.query_row([ref_hash], |row| row.get(0)).optional()?;
        match old {
            Some(old) if old == *hash => {
                self.met.insert(ref_hash);
                Ok(true)
            }
            Some(_) => {
                self.transaction.execute("delete from tombstone where ref_hash = ?1", [ref_hash])?;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    fn remove(&mut self, member_ref: &str) -> Result<(), ApplyError> {
        let sql = "delete from member where member_ref = ?1 and id in (select member from synced)";
        let gone = self.transaction.execute(sql, [member_ref]).map_err(|source| self.store(source))?;
        let ref_hash: [u8; 32] = Sha256::digest(member_ref).into();
        let buried = self.transaction.execute("delete from tombstone where ref_hash = ?1", [ref_hash]);
        let buried = buried.map_err(|source| self.store(source))?;
        match (gone, buried) {
            (0, 0) => {
                Err(Wrong::new("member", format!("member {}: is to be removed and is not listed", self.line)).into())
            }
            (0, _) => Ok(()),
            _ => {
                self.removed.push(member_ref.to_owned());
                Ok(())
            }
        }
    }

    /// Whom the snapshot did not name leaves.
    fn remove_unseen(&mut self, head: &Head) -> Result<(), ApplyError> {
        let run = || -> rusqlite::Result<Vec<String>> {
            let sql =
                "delete from member where id in (select member from synced where seen <> ?1) returning member_ref";
            let mut statement = self.transaction.prepare(sql)?;
            statement.query_map([self.revision.cast_signed()], |row| row.get(0))?.collect()
        };
        self.removed = run().map_err(|source| self.store(source))?;
        self.forget_tombstones().map_err(|source| self.store(source))?;
        self.write_removals(head, RemovedBy::Snapshot)
    }

    /// A stone over a member that the snapshot does not name has done its work.
    fn forget_tombstones(&mut self) -> rusqlite::Result<()> {
        let mut all = self.transaction.prepare("select ref_hash from tombstone")?;
        let stones = all.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<[u8; 32]>>>()?;
        for stone in stones.iter().filter(|stone| !self.met.contains(*stone)) {
            self.transaction.execute("delete from tombstone where ref_hash = ?1", [stone])?;
        }
        Ok(())
    }

    fn write_removals(&mut self, head: &Head, by: RemovedBy) -> Result<(), ApplyError> {
        self.applied.removed = self.removed.len() as u64;
        let receipt = Receipt {
            member_refs: std::mem::take(&mut self.removed),
            by,
            removed_at: self.options.now,
            shredded_at: None,
            epoch: Some(head.epoch.clone()),
            rev: Some(head.rev),
            command: None,
        };
        put_receipts(self.transaction, &receipt).map_err(|source| self.store(source))
    }
}
