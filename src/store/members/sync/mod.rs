//! Lists of the platform: applied in one transaction, or not at all.
//!
//! Promises: after a kill the former or the new list is complete, never a mixture; the digest of what is in force is that
//! of the head that was applied; who left the list is written down as a receipt in the same transaction. What one line
//! may say is the importer's business (`merge`), so that an imported list and a synced one mean the same.

mod apply;
mod erase;

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::{ImportOptions, MemberStore, StoreError, read};
use crate::domain::event::Receipt;
use crate::domain::sync::{Head, Synced, Wrong, digest_of};

/// Members that one receipt names.
const PER_RECEIPT: usize = 100;

/// What applying a list did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Members that were not listed before.
    pub added: u64,
    /// Members whose line changed.
    pub updated: u64,
    /// Members that are gone.
    pub removed: u64,
    /// Members of the list.
    pub count: u64,
}

/// Why a list is not in force: it is wrong, or the disk refused.
#[derive(Debug)]
pub enum ApplyError {
    /// It is wrong; nothing was changed.
    Wrong(Wrong),
    /// The database refused; nothing was changed, it may be tried again.
    Store(StoreError),
}

impl From<Wrong> for ApplyError {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl MemberStore {
    /// The list in force; `None`: the platform has never sent one.
    pub fn synced_list(&self) -> Result<Option<Synced>, StoreError> {
        synced_list(&self.connection).map_err(|source| self.sqlite(source))
    }

    /// Members of the platform's list, those removed on the box among them, and the digest of what is really there.
    pub fn synced_digest(&self) -> Result<(u64, String), StoreError> {
        digest(&self.connection).map_err(|source| self.sqlite(source))
    }

    /// Members that were removed on the box since the list in force.
    pub fn tombstones(&self) -> Result<u64, StoreError> {
        self.connection
            .query_row("select count(*) from tombstone", [], |row| read::number(row, 0))
            .map_err(|source| self.sqlite(source))
    }

    /// Removals that the platform has not been told of, by number, oldest first.
    pub fn receipts(&self) -> Result<BTreeMap<i64, Receipt>, StoreError> {
        let read = || -> rusqlite::Result<Vec<(i64, String)>> {
            let mut statement = self.connection.prepare_cached("select id, body from receipt order by id limit 256")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let rows = read().map_err(|source| self.sqlite(source))?;
        Ok(rows.into_iter().filter_map(|(id, body)| Some((id, serde_json::from_str(&body).ok()?))).collect())
    }

    /// The platform will be told: the receipt stands in the outbox.
    pub fn forget_receipt(&mut self, id: i64) -> Result<(), StoreError> {
        let done = self.connection.execute("delete from receipt where id = ?1", [id]);
        done.map(drop).map_err(|source| self.sqlite(source))
    }

    /// Tries again to empty the log, should a reader have been in the way; true when nothing lingers in it.
    pub fn shred(&self) -> bool {
        let done = self.connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get::<_, i64>(0));
        matches!(done, Ok(0))
    }
}

fn synced_list(connection: &Connection) -> rusqlite::Result<Option<Synced>> {
    let moment = |text: String, column| {
        text.parse().map_err(|error: jiff::Error| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
        })
    };
    connection
        .query_row("select epoch, rev, count, digest, issued, applied_at from synced_list", [], |row| {
            Ok(Synced {
                epoch: row.get(0)?,
                rev: read::number(row, 1)?,
                count: read::number(row, 2)?,
                digest: row.get(3)?,
                issued: moment(row.get(4)?, 4)?,
                applied_at: moment(row.get(5)?, 5)?,
            })
        })
        .optional()
}

fn put_synced_list(connection: &Connection, head: &Head, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "insert or replace into synced_list (id, epoch, rev, issued, count, digest, applied_at) values (1, ?1, ?2, ?3, ?4, ?5, ?6)";
    let (rev, count) = (head.rev.cast_signed(), head.count.cast_signed());
    let values = params![head.epoch, rev, head.issued.to_string(), count, head.digest, now.to_string()];
    connection.execute(sql, values).map(drop)
}

/// Number of lines, and their digest.
fn digest(connection: &Connection) -> rusqlite::Result<(u64, String)> {
    let sql = "select line_hash from synced union all select line_hash from tombstone order by 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut hashes = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        hashes.push(row.get::<_, [u8; 32]>(0)?);
    }
    let count = hashes.len() as u64;
    Ok((count, digest_of(hashes.into_iter())))
}

/// Writes down who was removed, some at a time.
fn put_receipts(connection: &Connection, receipt: &Receipt) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("insert into receipt (body) values (?1)")?;
    for member_refs in receipt.member_refs.chunks(PER_RECEIPT) {
        let part = Receipt { member_refs: member_refs.to_vec(), ..receipt.clone() };
        put.execute([serde_json::to_string(&part).expect("a receipt has string keys only")])?;
    }
    Ok(())
}

/// What a list of the platform means: each line says all that holds for its member.
fn meaning(options: &ImportOptions) -> ImportOptions {
    ImportOptions { format: None, skip_bad: false, replace: true, dry_run: false, ..options.clone() }
}

#[cfg(test)]
mod tests;
