//! The read-only end of the spool, for the publisher and for people. Short reads only: the log must be foldable.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use super::error::{OpenError, SpoolError};
use super::event::{CLASSES, class_of, seq_of, slot, slots};
use super::transaction::Tx;
use crate::domain::event::EventClass;

/// Names a row over the life of the process, also when a new file takes the place of a damaged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Which file.
    pub generation: u64,
    /// Which event.
    pub seq: u64,
}

/// An event that waits for the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedEvent {
    /// Names the row in an acknowledgement.
    pub key: RowKey,
    /// How dear it is.
    pub class: EventClass,
    /// Short name.
    pub kind: String,
    /// Relative to the root of the box.
    pub topic: String,
    /// When it happened.
    pub happened_at: Timestamp,
    /// The bytes on the wire.
    pub payload: Vec<u8>,
}

/// How many events of a class wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The class.
    pub class: EventClass,
    /// How many.
    pub count: u64,
    /// When the oldest happened.
    pub oldest: Option<Timestamp>,
}

/// A read-only connection that follows the owner to a new file.
pub struct Reader {
    path: PathBuf,
    connection: Connection,
    generation: u64,
    newest: Arc<AtomicU64>,
}

impl Reader {
    pub(super) fn open(path: &Path, newest: Arc<AtomicU64>) -> Result<Self, OpenError> {
        let generation = newest.load(Ordering::Acquire);
        let database = |source| OpenError::Database { path: path.to_owned(), source };
        let connection = connect(path).map_err(database)?;
        Ok(Self { path: path.to_owned(), connection, generation, newest })
    }

    /// The next events of `class` after number `after` (0: from the start), in the order of their numbers.
    ///
    /// # Errors
    /// What the disk refused; the next call tries again.
    pub fn next(&mut self, class: EventClass, after: u64, limit: usize) -> Result<Vec<QueuedEvent>, SpoolError> {
        self.follow()?;
        let read = next(&self.connection, self.generation, class, after, limit);
        read.map_err(|e| SpoolError::from_sqlite(&self.path, &e))
    }

    /// Number of the newest event of `class`; 0 when none waits.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn newest(&mut self, class: EventClass) -> Result<u64, SpoolError> {
        self.follow()?;
        let sql = "select max(slot) from outbox where slot between ?1 and ?2";
        let read = self.connection.query_row(sql, slots(class), |row| row.get::<_, Option<i64>>(0));
        read.map(|slot| slot.map_or(0, seq_of)).map_err(|e| SpoolError::from_sqlite(&self.path, &e))
    }

    /// Which file is read now; numbers of another one mean nothing.
    ///
    /// # Errors
    /// When the new file cannot be opened.
    pub fn generation(&mut self) -> Result<u64, SpoolError> {
        self.follow().map(|()| self.generation)
    }

    /// How many events of each class wait.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn waiting(&mut self) -> Result<Vec<Waiting>, SpoolError> {
        self.follow()?;
        waiting(&self.connection).map_err(|e| SpoolError::from_sqlite(&self.path, &e))
    }

    fn follow(&mut self) -> Result<(), SpoolError> {
        let newest = self.newest.load(Ordering::Acquire);
        if newest != self.generation {
            self.connection = connect(&self.path).map_err(|e| SpoolError::from_sqlite(&self.path, &e))?;
            self.generation = newest;
        }
        Ok(())
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    // Its end must not take the files away that the owner keeps.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn next(
    connection: &Connection,
    generation: u64,
    class: EventClass,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<QueuedEvent>> {
    let sql = "select slot, kind, topic, happened_ms, payload from outbox where slot > ?1 and slot <= ?2
               order by slot limit ?3";
    let (_, last) = slots(class);
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map((slot(class, after), last, limit), |row| event(row, generation))?.collect()
}

fn event(row: &Row<'_>, generation: u64) -> rusqlite::Result<QueuedEvent> {
    let slot: i64 = row.get(0)?;
    Ok(QueuedEvent {
        key: RowKey { generation, seq: seq_of(slot) },
        class: class_of(slot),
        kind: row.get(1)?,
        topic: row.get(2)?,
        happened_at: time(row.get(3)?),
        payload: row.get(4)?,
    })
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) fn queued(connection: &Connection, generation: u64, limit: usize) -> rusqlite::Result<Vec<QueuedEvent>> {
    let mut all = Vec::new();
    for class in CLASSES {
        all.extend(next(connection, generation, class, 0, limit - all.len())?);
    }
    Ok(all)
}

/// The event of that number, whatever its class.
pub(super) fn numbered(connection: &Connection, generation: u64, seq: u64) -> rusqlite::Result<Option<QueuedEvent>> {
    let sql = "select slot, kind, topic, happened_ms, payload from outbox where slot in (?1, ?2, ?3, ?4)";
    let slots = CLASSES.map(|class| slot(class, seq));
    connection.prepare_cached(sql)?.query_row(slots, |row| event(row, generation)).optional()
}

pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    let sql = "select count(*), min(happened_ms) from outbox where slot between ?1 and ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut of = |class: EventClass| {
        statement.query_row(slots(class), |row| {
            let oldest = row.get::<_, Option<i64>>(1)?.map(time);
            Ok(Waiting { class, count: row.get::<_, i64>(0)?.cast_unsigned(), oldest })
        })
    };
    CLASSES.into_iter().map(&mut of).collect()
}

impl Tx<'_> {
    /// Deletes rows by their numbers, whatever their class; returns how many were there.
    pub(super) fn acknowledge(&mut self, numbers: &[u64]) -> Result<usize, SpoolError> {
        let run = || {
            let mut row = self.connection.prepare_cached("delete from outbox where slot in (?1, ?2, ?3, ?4)")?;
            let mut told = self.connection.prepare_cached("delete from dropped where told_by = ?1")?;
            numbers.iter().try_fold(0, |sum, seq| {
                let slots = CLASSES.map(|class| slot(class, *seq));
                let deleted = row.execute(slots)?;
                told.execute([seq.cast_signed()])?;
                Ok(sum + deleted)
            })
        };
        run().map_err(|e| self.place.error(&e))
    }
}
