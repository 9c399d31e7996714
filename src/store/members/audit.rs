//! The audit log: what was done with personal data, by whom and when. Records are only ever added, in the transaction
//! of what they tell of; each is bound to the one before by its hash, so that a changed, removed or reordered one shows.
//!
//! Whoever can write the file can also rewrite the log from some record on with fresh hashes. That shows only against a
//! hash that was kept elsewhere: `privacy audit verify` prints the newest and compares with one that is given to it.
//!
//! Members stand in it by a number that is made from their name, so that a member who was removed leaves no name behind;
//! who knows the name finds the records ([`MemberStore::audit_subject`]).
//!
//! After `privacy.keep_audit` records leave; the log then begins at a hash, and a record says so.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{MemberStore, StoreError, read, templates};
use crate::domain::sync::hex;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A file was imported.
    MembersImported,
    /// Members left the list.
    MemberRemoved,
    /// A member's consents are others than before.
    ConsentsChanged,
    /// Face templates of a member were made or replaced.
    FaceEnrolled,
    /// Face templates of a member were destroyed.
    FaceRemoved,
    /// The list was written to a file or a terminal.
    MembersExported,
    /// The face templates were written out, unsealed.
    TemplatesExported,
    /// The threshold of an embedding space was measured.
    Calibrated,
    /// The installer confirmed the signs.
    SignageConfirmed,
    /// The confirmation of the signs was taken back.
    SignageWithdrawn,
    /// The device key began to change.
    RekeyBegun,
    /// The device key has changed.
    RekeyDone,
    /// What had run out was removed.
    Purged,
    /// The service began with other settings than before.
    ConfigChanged,
    /// A report on the processing was made.
    Reported,
    /// The list was begun anew, because the former file was damaged.
    ListSetAside,
    /// Old records left the log.
    LogTrimmed,
    /// The models that are used are others than before.
    ModelsChanged,
    /// A picture was kept for debugging, or that was switched.
    DebugCapture,
}

impl Action {
    /// The word in the log.
    pub fn word(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(word)) => word,
            _ => unreachable!("an action is a word"),
        }
    }
}

/// A record as it stands in the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// From 1, without a gap.
    pub seq: u64,
    /// When.
    pub at: String,
    /// Who: `user:NAME`, `service`, `platform`.
    pub actor: String,
    /// See [`Action`].
    pub action: String,
    /// The member it was done to, see [`MemberStore::audit_subject`]; empty: nobody in particular.
    pub subject: String,
    /// More of it.
    pub detail: Value,
    /// In hexadecimal.
    pub hash: String,
}

/// What is wrong with the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// A record does not have the hash of what it says: it was changed, or one before it.
    Changed {
        /// The record.
        seq: u64,
    },
    /// Records are missing.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The record that was written down elsewhere is another one here.
    NotTheOneKept {
        /// The record.
        seq: u64,
    },
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Records in the log.
    pub records: u64,
    /// Number of the first, 0 when there is none.
    pub first: u64,
    /// Number of the newest, 0 when there is none.
    pub last: u64,
    /// Hash of the newest: keep it elsewhere, with its number.
    pub head: String,
    /// The first thing that is wrong.
    pub fault: Option<Fault>,
}

/// One record in the caller's transaction.
pub(super) fn append(
    connection: &Connection,
    actor: &str,
    action: Action,
    subject: &str,
    detail: &Value,
) -> rusqlite::Result<()> {
    append_at(connection, Timestamp::now(), actor, action, subject, detail)
}

/// One record about a member.
pub(super) fn append_of(
    connection: &Connection,
    actor: &str,
    action: Action,
    member_ref: &str,
    detail: &Value,
) -> rusqlite::Result<()> {
    append(connection, actor, action, &subject(connection, member_ref)?, detail)
}

/// What stands for a member in the log.
fn subject(connection: &Connection, member_ref: &str) -> rusqlite::Result<String> {
    let mut hash = Sha256::new();
    hash.update(b"forecourt audit subject\0");
    hash.update(templates::box_id(connection)?);
    hash.update(member_ref.as_bytes());
    Ok(format!("member:{}", hex(&hash.finalize()[..8])))
}

fn append_at(
    connection: &Connection,
    at: Timestamp,
    actor: &str,
    action: Action,
    subject: &str,
    detail: &Value,
) -> rusqlite::Result<()> {
    let (last, before): (i64, Vec<u8>) =
        connection.query_row("select last_seq, last_hash from audit_ends", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (seq, at, action, detail) = (last + 1, at.to_string(), action.word(), detail.to_string());
    let hash = hash(&before, seq, [&at, actor, &action, subject, &detail]);
    connection
        .prepare_cached(
            "insert into audit (seq, at, actor, action, subject, detail, hash) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![seq, at, actor, action, subject, detail, hash])?;
    connection.prepare_cached("update audit_ends set last_seq = ?1, last_hash = ?2")?.execute(params![seq, hash])?;
    Ok(())
}

/// Each field with its length, so that nothing can be moved from one to the next.
fn hash(before: &[u8], seq: i64, fields: [&str; 5]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"forecourt audit 1\0");
    hash.update(before);
    hash.update(seq.to_le_bytes());
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field.as_bytes());
    }
    hash.finalize().into()
}

/// A row as it stands, with the hash as bytes.
struct Stored {
    seq: i64,
    fields: [String; 5],
    hash: Vec<u8>,
}

const COLUMNS: &str = "seq, at, actor, action, subject, detail, hash";

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let fields = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
    Ok(Stored { seq: row.get(0)?, fields, hash: row.get(6)? })
}

impl From<Stored> for Record {
    fn from(stored: Stored) -> Self {
        let [at, actor, action, subject, detail] = stored.fields;
        let detail = serde_json::from_str(&detail).unwrap_or(Value::String(detail));
        let seq = stored.seq.cast_unsigned();
        Self { seq, at, actor, action, subject, detail, hash: hex(&stored.hash) }
    }
}

impl MemberStore {
    /// Adds a record.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn record(&mut self, action: Action, subject: &str, detail: &Value) -> Result<(), StoreError> {
        let transaction = super::begin(&mut self.connection, &self.path)?;
        append(&transaction, &self.actor, action, subject, detail)
            .and_then(|()| transaction.commit())
            .map_err(|source| StoreError::from_sqlite(&self.path, source))
    }

    /// What stands for a member in the log, whether listed or not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn audit_subject(&self, member_ref: &str) -> Result<String, StoreError> {
        subject(&self.connection, member_ref).map_err(|source| self.sqlite(source))
    }

    /// The newest records, the oldest of them first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn audit(&self, newest: u64) -> Result<Vec<Record>, StoreError> {
        let sql = format!("select {COLUMNS} from (select * from audit order by seq desc limit ?1) order by seq");
        let limit = i64::try_from(newest).unwrap_or(i64::MAX);
        let read = || -> rusqlite::Result<Vec<Record>> {
            self.connection.prepare(&sql)?.query_map([limit], |row| stored(row).map(Record::from))?.collect()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// The newest records of a member, the oldest of them first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn audit_of(&self, member_ref: &str, newest: u64) -> Result<Vec<Record>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from (select * from audit where subject = ?1 order by seq desc limit ?2) order by seq"
        );
        let limit = i64::try_from(newest).unwrap_or(i64::MAX);
        let subject = self.audit_subject(member_ref)?;
        let read = || -> rusqlite::Result<Vec<Record>> {
            let mut statement = self.connection.prepare(&sql)?;
            statement.query_map(params![subject, limit], |row| stored(row).map(Record::from))?.collect()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// Recomputes every hash. `kept`: number and hash of a record, as an earlier check printed them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verify_audit(&self, kept: Option<(u64, &str)>) -> Result<Verified, StoreError> {
        let sqlite = |source| self.sqlite(source);
        let snapshot = self.connection.unchecked_transaction().map_err(sqlite)?;
        verify(&snapshot, kept).map_err(sqlite)
    }

    /// Lets records from before a moment leave the log; returns how many. The newest one always stays.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn trim_audit(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let (path, actor) = (&self.path, &self.actor);
        let transaction = super::begin(&mut self.connection, path)?;
        let gone = trim(&transaction, actor, before).map_err(|source| StoreError::from_sqlite(path, source))?;
        transaction.commit().map_err(|source| StoreError::from_sqlite(path, source))?;
        Ok(gone)
    }
}

fn trim(connection: &Connection, actor: &str, before: Timestamp) -> rusqlite::Result<u64> {
    // Times are written by one program in one form but may have stepped back: the last old record in a row decides.
    let first_young: Option<i64> = connection
        .query_row(
            "select min(seq) from audit where at >= ?1 or seq = (select last_seq from audit_ends)",
            [before.to_string()],
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    let Some(upto) = first_young.map(|seq| seq - 1) else { return Ok(0) };
    let last: Option<Vec<u8>> =
        connection.query_row("select hash from audit where seq = ?1", [upto], |row| row.get(0)).optional()?;
    let Some(last) = last else { return Ok(0) };
    connection.execute("update audit_ends set before_seq = ?1, before_hash = ?2", params![upto, last])?;
    let gone = connection.execute("delete from audit where seq <= ?1", [upto])?;
    append(
        connection,
        actor,
        Action::LogTrimmed,
        "",
        &json!({ "through": upto, "hash": hex(&last), "records": gone }),
    )?;
    Ok(gone as u64)
}

fn verify(connection: &Connection, kept: Option<(u64, &str)>) -> rusqlite::Result<Verified> {
    let (before_seq, mut before, last_seq, last): (i64, Vec<u8>, i64, Vec<u8>) =
        connection.query_row("select before_seq, before_hash, last_seq, last_hash from audit_ends", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let count = read::number_of(connection, "select count(*) from audit")?;
    let mut outcome =
        Verified { records: count, first: 0, last: last_seq.cast_unsigned(), head: hex(&last), fault: None };
    let mut statement = connection.prepare(&format!("select {COLUMNS} from audit order by seq"))?;
    let mut rows = statement.query([])?;
    let mut expected = before_seq + 1;
    while let Some(row) = rows.next()? {
        let record = stored(row)?;
        if outcome.first == 0 {
            outcome.first = record.seq.cast_unsigned();
        }
        let seq = record.seq.cast_unsigned();
        if record.seq != expected {
            outcome.fault = Some(Fault::Missing { from: expected.cast_unsigned(), to: seq - 1 });
            return Ok(outcome);
        }
        if record.hash != hash(&before, record.seq, record.fields.each_ref().map(String::as_str)) {
            outcome.fault = Some(Fault::Changed { seq });
            return Ok(outcome);
        }
        if kept.is_some_and(|(number, hash)| number == seq && !hash.eq_ignore_ascii_case(&hex(&record.hash))) {
            outcome.fault = Some(Fault::NotTheOneKept { seq });
            return Ok(outcome);
        }
        before = record.hash;
        expected += 1;
    }
    outcome.fault = ends(expected - 1, &before, (last_seq, &last), kept);
    Ok(outcome)
}

/// Does the log end where it should, and reach as far as the record that was kept?
fn ends(found: i64, hash: &[u8], (last_seq, last): (i64, &[u8]), kept: Option<(u64, &str)>) -> Option<Fault> {
    if found < last_seq {
        return Some(Fault::Missing { from: found.cast_unsigned() + 1, to: last_seq.cast_unsigned() });
    }
    if found > last_seq || hash != last {
        return Some(Fault::Changed { seq: found.cast_unsigned() });
    }
    let (number, _) = kept?;
    (number > found.cast_unsigned()).then(|| Fault::Missing { from: found.cast_unsigned() + 1, to: number })
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
