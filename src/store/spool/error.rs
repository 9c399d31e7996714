//! What can go wrong with the spool, in words that name the file and the way out.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::ErrorCode;
use serde::{Deserialize, Serialize};

/// Why the spool could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The library is one that can lose commits.
    #[error(
        "SQLite {0} can lose commits (its WAL-reset bug was fixed in 3.51.3); build forecourt with its bundled SQLite"
    )]
    OldSqlite(&'static str),
    /// Written by a newer program.
    #[error("`{path}` has schema {found}, this program knows {known}; install a newer forecourt or move the file away")]
    TooNew {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// Another process owns it.
    #[error(
        "{owner} uses `{path}`, another forecourt with the same `storage.folder`; stop it first, or set another folder"
    )]
    Busy {
        /// The database.
        path: PathBuf,
        /// Who, in words.
        owner: String,
    },
    /// Damaged or not ours; only looked at, so that it lies where it lay.
    #[error(
        "`{path}` cannot be trusted: {why}; nothing was changed. The service sets it aside at its next start and begins a \
         new queue"
    )]
    Unsound {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The folder or a file in it cannot be used.
    #[error(
        "cannot use `{path}`: {source}; check that the folder exists, that the service may write to it, and that the disk has room"
    )]
    Folder {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite could not open or prepare it.
    #[error("cannot open `{path}`: {source}")]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl OpenError {
    /// Is it for lack of room on the disk alone?
    pub(super) fn lacks_room(&self) -> bool {
        match self {
            Self::Database { source, .. } => is_full(source),
            Self::Folder { source, .. } => {
                matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

/// No room, also where SQLite calls it a failure to lengthen the shared index of its log.
fn is_full(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull) || extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Why a transaction was not accepted. Nothing of it is stored; the caller keeps its state and tries again.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpoolError {
    /// The disk is full.
    #[error("the disk of `{path}` is full; nothing new is accepted until there is room again")]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// The spool has reached `outbox.max_mib` with events that are never given up.
    #[error(
        "`{path}` has reached outbox.max_mib = {max_mib} with events that are never given up; raise it, or connect the broker"
    )]
    CapReached {
        /// The database.
        path: PathBuf,
        /// The setting.
        max_mib: u32,
    },
    /// The file system or the file is read-only.
    #[error("`{path}` cannot be written (read-only file system or file); check the disk and its mount options")]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The file is damaged; it is set aside and a new one begun with the next call.
    #[error("`{path}` is damaged; it is set aside and a new queue with a new epoch begins")]
    Corrupt {
        /// The database.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("reading or writing `{path}` failed: {detail}; check the disk (`dmesg`)")]
    Io {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// A value that SQLite refused: a mistake in this program.
    #[error("`{path}`: {detail}")]
    Refused {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
}

impl SpoolError {
    /// What SQLite's error means here.
    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        match error.sqlite_error_code() {
            _ if is_full(error) => Self::DiskFull { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path },
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Io { path, detail },
            _ => Self::Refused { path, detail },
        }
    }

    /// The state of the spool that this error puts it in; `None` when it says nothing about the disk.
    pub(super) fn condition(&self) -> Option<Condition> {
        match self {
            Self::DiskFull { .. } | Self::CapReached { .. } => Some(Condition::Full),
            Self::ReadOnly { .. } => Some(Condition::ReadOnly),
            Self::Corrupt { .. } => Some(Condition::Corrupt),
            Self::Io { .. } => Some(Condition::Failing),
            Self::Refused { .. } => None,
        }
    }
}

/// How the spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Events are accepted.
    #[default]
    Ok,
    /// No room.
    Full,
    /// Cannot be written.
    ReadOnly,
    /// Damaged; set aside with the next attempt.
    Corrupt,
    /// Input or output errors.
    Failing,
}

/// How the spool is, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// How it is.
    pub condition: Condition,
    /// Since when.
    pub since: Timestamp,
    /// The last error, in words.
    pub detail: Option<String>,
}

/// A damaged or foreign file that was renamed, so that a new queue could begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Where it lies now.
    pub path: PathBuf,
    /// What was wrong with it.
    pub why: String,
}
