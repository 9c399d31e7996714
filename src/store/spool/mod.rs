//! The durable queue of events, and the visits that make them.
//!
//! Promises: an event is accepted when [`Spool::transaction`] returns `Ok` (written and synchronised); it leaves only
//! by [`Spool::acknowledged`], or by being given up, and then an event of class P0 that tells of it is written in the
//! same transaction. Numbers are contiguous within an epoch and never used twice. The file and its log stay below
//! `outbox.max_mib`. A full, read-only or damaged disk is an error value, never a panic; the next call tries again.
//!
//! One owner: the rules thread. Others read through [`Reader`], and through [`View`] while no service runs.

mod ballast;
mod database;
mod error;
mod event;
mod mark;
mod reader;
mod recovery;
#[cfg(test)]
mod tests;
mod transaction;
mod view;
mod visits;

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use rusqlite::TransactionBehavior;
use tracing::error;

use crate::config;
use crate::disk;
use crate::domain::time::TimeQuality;
use crate::store::files::with_suffix;
use ballast::Ballast;
use database::Database;
use mark::Mark;

pub use error::{Condition, Health, OpenError, SetAside, SpoolError};
pub use event::{ComposeDrop, DropEvent, Dropped, Identity, NewEvent, StoredEvent};
pub use reader::{QueuedEvent, Reader, RowKey, Waiting};
pub use transaction::Tx;
pub use view::View;
pub use visits::{EchoRow, VisitRow};

/// Name of the database in `storage.folder`.
pub const FILE_NAME: &str = "spool.db";
/// Pause between two looks for events that are too old.
const EXPIRE_EVERY: Duration = Duration::from_secs(600);

/// Bounds of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most MiB of the database and its log together.
    pub max_mib: u32,
    /// How long closed visits are kept for the command line.
    pub keep_visits: Duration,
}

impl From<&config::Outbox> for Limits {
    fn from(settings: &config::Outbox) -> Self {
        Self { max_mib: settings.max_mib, keep_visits: settings.keep_arrivals }
    }
}

/// Where the spool lies and what it is called.
struct Place {
    path: PathBuf,
    epoch: String,
    max_pages: u64,
}

impl Place {
    fn error(&self, error: &rusqlite::Error) -> SpoolError {
        SpoolError::from_sqlite(&self.path, error)
    }
}

/// What a transaction brought about.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed<T> {
    /// What the body returned.
    pub value: T,
    /// The accepted events in the order of their numbers, records of dropped ones among them.
    pub events: Vec<StoredEvent>,
}

/// The owner's end.
pub struct Spool {
    /// `None` between a failure and the next attempt.
    connection: Option<rusqlite::Connection>,
    /// One that failed, until the next one is open; see [`recovery`].
    failed: Option<rusqlite::Connection>,
    place: Place,
    limits: Limits,
    compose: ComposeDrop,
    /// `None`: in memory.
    ballast: Option<Ballast>,
    mark: Option<Mark>,
    health: Health,
    failure: Option<(SpoolError, Instant)>,
    set_aside: Option<SetAside>,
    /// See [`Database::cramped`].
    cramped: bool,
    /// Raised when a new file takes the place of a damaged one: readers open anew, late acknowledgements are void.
    generation: Arc<AtomicU64>,
    expired_at: Option<Instant>,
    _lock: Option<Flock<std::fs::File>>,
}

impl Spool {
    /// Opens or makes the spool in `folder`. A damaged file is set aside, see [`Spool::take_set_aside`].
    ///
    /// # Errors
    /// When the folder cannot be used, another process owns it, or a newer program wrote the file.
    pub fn open(folder: &Path, limits: Limits, compose: ComposeDrop) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        let usable = |source| OpenError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(usable)?;
        let lock = lock(&path)?;
        let ballast = Ballast::beside(&path);
        let laid = ballast.lay();
        let (database, set_aside) = database::open(&path, limits.max_mib, &|| ballast.throw_off())?;
        let mut spool = Self::around(database, path, limits, compose);
        spool.mark = Some(Mark::beside(&spool.place.path));
        spool.ballast = Some(ballast);
        spool.set_aside = set_aside;
        spool._lock = Some(lock);
        if laid.is_err() || !spool.ballast.as_ref().is_some_and(Ballast::is_laid) {
            let error = SpoolError::DiskFull { path: spool.place.path.clone() };
            spool.fail(&error);
        }
        spool.leave_the_past();
        Ok(spool)
    }

    /// A spool without a file, for a replay: the same `epoch` and the same events give the same bytes.
    ///
    /// # Errors
    /// When SQLite cannot make it.
    pub fn in_memory(epoch: &str, limits: Limits, compose: ComposeDrop) -> Result<Self, OpenError> {
        let database = database::in_memory(epoch, limits.max_mib)?;
        Ok(Self::around(database, ":memory:".into(), limits, compose))
    }

    fn around(database: Database, path: PathBuf, limits: Limits, compose: ComposeDrop) -> Self {
        Self {
            connection: Some(database.connection),
            failed: None,
            place: Place { path, epoch: database.epoch, max_pages: database.max_pages },
            limits,
            compose,
            ballast: None,
            mark: None,
            health: Health { condition: Condition::Ok, since: Timestamp::now(), detail: None },
            failure: None,
            set_aside: None,
            cramped: database.cramped,
            generation: Arc::new(AtomicU64::new(0)),
            expired_at: None,
            _lock: None,
        }
    }

    /// Runs `body` in one transaction and makes it durable. On `Err` nothing of it is stored.
    ///
    /// # Errors
    /// What the disk refused, or what `body` returned. The caller keeps its state and tries again later; while the
    /// disk is full or gone the refusal is quick.
    pub fn transaction<T>(
        &mut self,
        body: impl FnOnce(&mut Tx<'_>) -> Result<T, SpoolError>,
    ) -> Result<Committed<T>, SpoolError> {
        self.recover()?;
        self.run(body)
    }

    /// Deletes events that the broker has acknowledged; returns how many were still there. Works on a full disk.
    ///
    /// # Errors
    /// What the disk refused; then the caller keeps the keys and tries again.
    pub fn acknowledged(&mut self, keys: &[RowKey]) -> Result<usize, SpoolError> {
        let generation = self.generation.load(Ordering::Acquire);
        let numbers: Vec<u64> = keys.iter().filter(|key| key.generation == generation).map(|key| key.seq).collect();
        if numbers.is_empty() {
            return Ok(0);
        }
        self.reopen_if_closed()?;
        let deleted = self.run(|tx| tx.acknowledge(&numbers))?.value;
        Ok(deleted)
    }

    /// What is due now and then: gives up events that are too old, forgets old visits, tries a failed disk again.
    /// Ages are judged only by a clock that can be trusted.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn maintain(&mut self, now: Timestamp, quality: TimeQuality) -> Result<Vec<StoredEvent>, SpoolError> {
        self.recover()?;
        let due = self.expired_at.is_none_or(|last| last.elapsed() >= EXPIRE_EVERY);
        if quality == TimeQuality::Unsynced || !due {
            return Ok(Vec::new());
        }
        let keep = i64::try_from(self.limits.keep_visits.as_millis()).unwrap_or(i64::MAX);
        let before_ms = now.as_millisecond().saturating_sub(keep);
        let done = self.run(|tx| {
            tx.expire(now)?;
            visits::forget(tx.connection, before_ms).map_err(|e| tx.place.error(&e))
        })?;
        self.expired_at = Some(Instant::now());
        Ok(done.events)
    }

    /// Counts a start of the service: greater with every call on the same file, unless the disk cannot be written.
    ///
    /// # Errors
    /// When not even the last count can be read.
    pub fn count_start(&mut self) -> Result<u64, SpoolError> {
        let sql = "update box set starts = starts + 1 returning starts";
        let counted = self.recover().and_then(|()| {
            self.run(|tx| tx.connection.query_row(sql, [], |row| row.get(0)).map_err(|e| tx.place.error(&e)))
        });
        let starts: i64 = match counted {
            Ok(counted) => counted.value,
            Err(_) => {
                // A disk that fails is read at once, without the pause: the service is to come up and say so.
                self.failure = None;
                self.read(|connection| connection.query_row("select starts + 1 from box", [], |row| row.get(0)))?
            }
        };
        Ok(starts.cast_unsigned())
    }

    /// The visits that are under way, oldest first.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn open_visits(&mut self) -> Result<Vec<VisitRow>, SpoolError> {
        self.read(visits::open)
    }

    /// The departures of a moment ago.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn echoes(&mut self) -> Result<Vec<EchoRow>, SpoolError> {
        self.read(visits::echoes)
    }

    /// The newest visits, open or closed.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn visits(&mut self, limit: usize) -> Result<Vec<VisitRow>, SpoolError> {
        self.read(|connection| visits::newest(connection, limit))
    }

    /// The oldest events that wait, dearest class first.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn queued(&mut self, limit: usize) -> Result<Vec<QueuedEvent>, SpoolError> {
        let generation = self.generation.load(Ordering::Acquire);
        self.read(|connection| reader::queued(connection, generation, limit))
    }

    /// The waiting event of that number; `None`: it was delivered, given up, or never existed.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn event(&mut self, seq: u64) -> Result<Option<QueuedEvent>, SpoolError> {
        let generation = self.generation.load(Ordering::Acquire);
        self.read(|connection| reader::numbered(connection, generation, seq))
    }

    /// Could an event be accepted now? Costs little when not, and mends what can be mended.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&mut self) -> Result<(), SpoolError> {
        self.recover()
    }

    /// How many events of each class wait.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn waiting(&mut self) -> Result<Vec<Waiting>, SpoolError> {
        self.read(reader::waiting)
    }

    /// A second, read-only end for the publisher.
    ///
    /// # Errors
    /// When the file cannot be opened; a spool in memory has none.
    pub fn reader(&self) -> Result<Reader, OpenError> {
        Reader::open(&self.place.path, Arc::clone(&self.generation))
    }

    /// How the spool is, and since when.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Name of the database; `id`s of its events begin with it.
    pub fn epoch(&self) -> &str {
        &self.place.epoch
    }

    /// The damaged file that was set aside since the last call, at the start or later; the epoch is new then.
    pub fn take_set_aside(&mut self) -> Option<SetAside> {
        self.set_aside.take()
    }

    /// A database that gave away fewer numbers than the mark remembers has lost durable commits: its next events get a
    /// new epoch and follow the highest number, so that no number is given away twice. What still waits in it is kept.
    fn leave_the_past(&mut self) {
        let Some((epoch, seq)) = self.mark.as_ref().and_then(Mark::read) else { return };
        if epoch != self.place.epoch {
            return;
        }
        let moved = self.run(|tx| tx.leave_the_past(seq));
        if let Ok(Committed { value: Some(fresh), .. }) = moved {
            error!(lost_epoch = epoch, epoch = fresh, "The outbox lost its newest commits; a new epoch begins.");
            self.place.epoch = fresh;
        }
    }

    fn read<T>(&mut self, query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>) -> Result<T, SpoolError> {
        self.reopen_if_closed()?;
        let connection = self.connection.as_ref().expect("reopened above");
        query(connection).map_err(|e| self.place.error(&e)).inspect_err(|error| {
            let error = error.clone();
            self.fail(&error);
        })
    }

    fn run<T>(&mut self, body: impl FnOnce(&mut Tx<'_>) -> Result<T, SpoolError>) -> Result<Committed<T>, SpoolError> {
        match self.attempt(body) {
            Ok(done) => {
                self.recovered();
                Ok(done)
            }
            Err(error) => {
                self.fail(&error);
                Err(error)
            }
        }
    }

    fn attempt<T>(
        &mut self,
        body: impl FnOnce(&mut Tx<'_>) -> Result<T, SpoolError>,
    ) -> Result<Committed<T>, SpoolError> {
        let Self { connection, place, limits, compose, mark, .. } = self;
        let connection = connection.as_mut().expect("the caller has opened it");
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| place.error(&e))?;
        let mut tx = Tx { connection: &transaction, place, limits, compose, events: Vec::new() };
        let value = body(&mut tx)?;
        let events = std::mem::take(&mut tx.events);
        transaction.commit().map_err(|e| place.error(&e))?;
        if let (Some(mark), Some(newest)) = (mark, events.iter().map(|event| event.identity.seq).max()) {
            mark.note(&place.epoch, newest);
        }
        Ok(Committed { value, events })
    }
}

/// Does another process own the spool of this folder?
pub fn is_owned(folder: &Path) -> bool {
    let Ok(file) = std::fs::File::open(with_suffix(&folder.join(FILE_NAME), "-lock")) else { return false };
    Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err()
}

/// The process that holds the lock, in words, as it noted itself.
fn owner(mut lock: &std::fs::File) -> String {
    let mut text = String::new();
    let read = lock.read_to_string(&mut text);
    let number = read.ok().and_then(|_| text.trim().parse::<u32>().ok());
    number.map_or_else(|| "another process".to_owned(), |number| format!("process {number}"))
}

/// One process owns the spool: two would number events twice.
fn lock(path: &Path) -> Result<Flock<std::fs::File>, OpenError> {
    let name = with_suffix(path, "-lock");
    let file = std::fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&name);
    let file = file.and_then(|file| disk::inherit_owner(&name).map(|()| file));
    let file = file.map_err(|source| OpenError::Folder { path: name.clone(), source })?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(file, _)| OpenError::Busy { path: path.to_owned(), owner: owner(&file) })?;
    // For the words of whoever comes second; on a full disk they do without.
    let noted = lock.set_len(0).and_then(|()| lock.write_all_at(std::process::id().to_string().as_bytes(), 0));
    if let Err(error) = noted {
        tracing::debug!(%error, "The number of the process was not noted beside the spool.");
    }
    Ok(lock)
}
