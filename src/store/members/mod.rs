//! The member list of the box, `members.db`: who may be recognised, by what, for what, and until when.
//!
//! A change is one transaction and is on the disk when it was reported; what was removed is overwritten. The file is
//! never deleted, also not when it is damaged: then the service renames it and begins an empty one. Several processes may have it open: a command that imports, and the
//! service that reads the list again when [`MemberStore::changed`] says so. Whether a member may be matched at a
//! moment is decided by `domain::member`, not here.

mod aside;
mod audit;
mod entry;
mod error;
mod export;
mod faces;
mod gallery;
mod import;
mod journal;
mod merge;
mod open;
mod parse;
mod purge;
mod read;
mod remove;
mod report;
mod rewrap;
mod row;
mod site;
mod source;
mod staging;
mod sync;
mod templates;
mod text;

use std::io::BufRead;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use self::aside::{SetAside, last_set_aside, set_aside};
pub use self::audit::{Action, Fault as AuditFault, Record, Verified};
pub use self::error::StoreError;
pub use self::export::{ExportError, object, read_objects};
pub use self::gallery::FaceReport;
pub use self::import::ImportOptions;
pub use self::journal::{Entered, JournalEntry};
pub use self::read::{ConsentCounts, Counts, Filter};
pub use self::report::{Finding, Outcome, Problem, Report};
pub use self::rewrap::Rewrapped;
pub use self::site::{Calibration, Signage};
pub use self::source::{Format, Progress};
pub use self::staging::Staging;
pub use self::sync::{Applied, ApplyError};
pub use self::templates::{EnrolError, MOST_TEMPLATES, NewTemplate, SpaceCount};
use crate::domain::member::Member;

/// Name of the file in `storage.folder`.
pub const FILE_NAME: &str = "members.db";

/// Number of a member in the database; stays while the member is in the list, and is what `domain::plate::list` calls
/// an owner.
pub type MemberId = i64;

/// The open member list.
#[derive(Debug)]
pub struct MemberStore {
    connection: Connection,
    path: PathBuf,
    /// Opened on a full disk, so that no other process can use the file.
    alone: bool,
    /// Who changes the list, for the audit log.
    actor: String,
}

/// What a reader last saw of the list; see [`MemberStore::changed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    data_version: i64,
    /// Revision of the list.
    pub revision: u64,
}

impl MemberStore {
    /// Opens the list in a file, makes it when there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (connection, alone) = open::open(path)?;
        Ok(Self { connection, path: path.to_path_buf(), alone, actor: user() })
    }

    /// Opens a list that must be there.
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        if path.exists() { Self::open(path) } else { Err(StoreError::Missing(path.to_path_buf())) }
    }

    /// Is a list that nobody has open sound? Reads every page, changes nothing and makes no file.
    ///
    /// # Errors
    /// Why it cannot be used; when there is none.
    pub fn inspect(path: &Path) -> Result<(), StoreError> {
        if path.exists() { open::inspect(path) } else { Err(StoreError::Missing(path.to_path_buf())) }
    }

    /// A list that lives as long as the value.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = PathBuf::from("memory");
        let sqlite = |source| StoreError::from_sqlite(&path, source);
        let mut connection = Connection::open_in_memory().map_err(sqlite)?;
        open::prepare(&mut connection, &path)?;
        Ok(Self { connection, path, alone: false, actor: user() })
    }

    /// Lets other processes use a list that was opened on a full disk, as soon as there is room. Does nothing otherwise.
    pub fn share(&mut self) -> Result<(), StoreError> {
        if self.alone {
            // The file is locked as long as it is open.
            self.connection = Connection::open_in_memory().map_err(|source| self.sqlite(source))?;
            (self.connection, self.alone) = open::open(&self.path)?;
        }
        Ok(())
    }

    /// Changes are made in this name, such as `platform`, instead of that of the user who runs the program.
    #[must_use]
    pub fn acting_as(self, actor: &str) -> Self {
        Self { actor: actor.to_owned(), ..self }
    }

    /// In whose name changes are made.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Another connection to the same list, for a helper thread; `None` when this one is the only possible.
    pub fn second(&self) -> Result<Option<Self>, StoreError> {
        if self.alone || self.connection.path().is_none_or(str::is_empty) {
            return Ok(None);
        }
        Self::open_existing(&self.path).map(|second| Some(second.with_small_cache()))
    }

    /// For a connection beside the one that recognition asks: what it reads or writes it meets once, and pages that it
    /// would keep are missing elsewhere.
    #[must_use]
    pub fn with_small_cache(self) -> Self {
        if let Err(error) = self.connection.pragma_update(None, "cache_size", -4_096) {
            tracing::debug!(%error, "The cache of a connection to the member list stays as large as it was.");
        }
        self
    }

    /// Imports a file or a stream; `progress` hears how far it is. Bad lines are in the report, not errors.
    pub fn import(
        &mut self,
        reader: impl BufRead,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, StoreError> {
        let report = import::import(&mut self.connection, (&self.path, &self.actor), reader, options, progress)?;
        if report.outcome == Outcome::Applied {
            self.empty_log();
        }
        Ok(report)
    }

    /// Calls `take` with the number and the fields of each member, in the order in which they were first listed; all of
    /// one revision, which is returned.
    pub fn each<E: From<StoreError>>(
        &self,
        filter: &Filter,
        mut take: impl FnMut(MemberId, Member) -> Result<(), E>,
    ) -> Result<u64, E> {
        let store = |source| StoreError::from_sqlite(&self.path, source);
        // Two statements that must see the same state.
        let snapshot = self.connection.unchecked_transaction().map_err(store)?;
        let revision = read::revision(&snapshot).map_err(store)?;
        read::each(&snapshot, filter, |id, member| take(id, member).map_err(Stop::Taker)).map_err(
            |stop| match stop {
                Stop::Store(source) => store(source).into(),
                Stop::Taker(error) => error,
            },
        )?;
        Ok(revision)
    }

    /// All members, with the revision they are of.
    pub fn all(&self) -> Result<(Vec<Member>, u64), StoreError> {
        let mut members = Vec::new();
        let revision = self.each(&Filter::default(), |_, member| {
            members.push(member);
            Ok::<_, StoreError>(())
        })?;
        Ok((members, revision))
    }

    /// Every plate of the members who consented to be matched by plate, with the number of its member, and the revision
    /// of the list. Nobody else reaches the match set; whether the moment is right is asked at the match.
    pub fn match_set(&self) -> Result<(Vec<(String, MemberId)>, u64), StoreError> {
        let store = |source| self.sqlite(source);
        let snapshot = self.connection.unchecked_transaction().map_err(store)?;
        let revision = read::revision(&snapshot).map_err(store)?;
        Ok((read::match_set(&snapshot).map_err(store)?, revision))
    }

    /// Numbers of the members on a list.
    pub fn on_list(&self, list: &str) -> Result<std::collections::HashSet<MemberId>, StoreError> {
        let read = || -> rusqlite::Result<_> {
            let mut find = self.connection.prepare_cached("select id from member where list = ?1")?;
            find.query_map([list], |row| row.get(0))?.collect()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// The member of that number, while it is in the list.
    pub fn by_id(&self, id: MemberId) -> Result<Option<Member>, StoreError> {
        read::by_id(&self.connection, id).map_err(|source| self.sqlite(source))
    }

    /// The number of the member of that name.
    pub fn id_of(&self, member_ref: &str) -> Result<Option<MemberId>, StoreError> {
        let found = read::get_with_id(&self.connection, member_ref).map_err(|source| self.sqlite(source))?;
        Ok(found.map(|(id, _)| id))
    }

    /// The member of that name.
    pub fn get(&self, member_ref: &str) -> Result<Option<Member>, StoreError> {
        read::get(&self.connection, member_ref).map_err(|source| self.sqlite(source))
    }

    /// Every member of a normalised plate.
    pub fn with_plate(&self, plate: &str) -> Result<Vec<Member>, StoreError> {
        read::with_plate(&self.connection, plate).map_err(|source| self.sqlite(source))
    }

    /// What the list holds, in numbers.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        read::counts(&self.connection).map_err(|source| self.sqlite(source))
    }

    /// How many members agreed to what.
    pub fn consent_counts(&self) -> Result<ConsentCounts, StoreError> {
        read::consents(&self.connection).map_err(|source| self.sqlite(source))
    }

    /// Has another process changed the list since `seen`? Costs microseconds; updates `seen`.
    pub fn changed(&self, seen: &mut Seen) -> Result<bool, StoreError> {
        let sqlite = |source| self.sqlite(source);
        let data_version =
            self.connection.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(sqlite)?;
        if data_version == seen.data_version {
            return Ok(false);
        }
        let revision = read::revision(&self.connection).map_err(sqlite)?;
        let changed = revision != seen.revision;
        *seen = Seen { data_version, revision };
        Ok(changed)
    }

    /// Reads every page and checks every row's place; seconds for a million plates.
    pub fn check(&self) -> Result<(), StoreError> {
        let said: String = self
            .connection
            .pragma_query_value(None, "quick_check", |row| row.get(0))
            .map_err(|source| self.sqlite(source))?;
        if said == "ok" { Ok(()) } else { Err(StoreError::Corrupt(self.path.clone())) }
    }

    fn sqlite(&self, source: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.path, source)
    }
}

/// A transaction that nobody can come between.
fn begin<'a>(connection: &'a mut Connection, path: &Path) -> Result<Transaction<'a>, StoreError> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    begun.map_err(|source| StoreError::from_sqlite(path, source))
}

/// Who runs the program: the person behind `sudo`, else the user.
fn user() -> String {
    let uid = nix::unistd::getuid();
    let behind = std::env::var("SUDO_USER").ok().filter(|name| uid.is_root() && !name.is_empty());
    let name = behind.or_else(|| nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name));
    format!("user:{}", name.unwrap_or_else(|| uid.to_string()))
}

/// Why an iteration ended early.
enum Stop<E> {
    Store(rusqlite::Error),
    Taker(E),
}

impl<E> From<rusqlite::Error> for Stop<E> {
    fn from(source: rusqlite::Error) -> Self {
        Self::Store(source)
    }
}

#[cfg(test)]
mod face_tests;
#[cfg(test)]
mod tests;
