//! What can be wrong with the member database as a file, each with the way out.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::templates::SealError;
use crate::store::keys::KeyError;

/// Why the member list cannot be opened, read or changed. The file is never deleted or overwritten.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No file yet.
    #[error("no member list in `{0}`; make one with `forecourt members import FILE`")]
    Missing(PathBuf),
    /// Made by a newer program.
    #[error("`{path}` has schema {found}, this program knows {known}; install a newer version of forecourt")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Number in the file.
        found: u32,
        /// Newest number this program knows.
        known: u32,
    },
    /// A database of something else.
    #[error("`{0}` is no member list of forecourt and was left as it is; move it away or set another `storage.folder`")]
    Foreign(PathBuf),
    /// Damaged, no database at all, or emptied.
    #[error(
        "`{0}` is damaged and was left as it is; the service sets it aside when it starts and begins an empty list (or move it \
         away yourself, with its `-wal` and `-shm` files), then import the list again, or wait for the platform to send it"
    )]
    Corrupt(PathBuf),
    /// Another process is changing the list.
    #[error("another command is changing `{0}`; try again when it has ended")]
    Busy(PathBuf),
    /// More members than the box may hold.
    #[error("the list would hold {found} members, `members.max_members` allows {limit}; nothing was changed")]
    TooMany {
        /// What the list would hold.
        found: u64,
        /// The setting.
        limit: u32,
    },
    /// The linked SQLite has a known fault.
    #[error("SQLite {0} can lose commits (WAL-reset fault); forecourt needs 3.51.3 or newer")]
    OldSqlite(&'static str),
    /// Anything else that SQLite says.
    #[error("member list `{path}`: {source}; check free space and permissions of its folder")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file that is imported could not be read to its end; nothing was changed.
    #[error("cannot read the member file: {0}; nothing was changed")]
    Read(std::io::Error),
    /// A sealed row that does not open although its key does.
    #[error(
        "[FC-KEY-009] a face template in `{0}` is damaged; enrol its member again after `forecourt members remove --faces`"
    )]
    Damaged(PathBuf),
    /// The device key is missing or the wrong one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file that could not be read or written.
    #[error("{what} `{path}`: {source}")]
    File {
        /// What was tried, such as "cannot read".
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Sorts what SQLite said by what a person can do about it.
    pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Corrupt(path),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(path),
            _ => Self::Sqlite { path, source },
        }
    }

    /// Would a new file cure it? A list of another program or a newer version, and a wrong key, are no damage.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt(_))
    }

    /// Is it for lack of room on the disk alone?
    pub(super) fn lacks_room(&self) -> bool {
        let Self::Sqlite { source, .. } = self else { return false };
        let extended = source.sqlite_error().map(|error| error.extended_code);
        source.sqlite_error_code() == Some(ErrorCode::DiskFull) || extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
    }

    /// A template that could not be sealed.
    pub(super) fn from_seal(path: &Path, error: SealError) -> Self {
        match error {
            SealError::Store(source) => Self::from_sqlite(path, source),
            SealError::Key(error) => Self::Key(error),
        }
    }

    /// A file operation that failed.
    pub(super) fn file(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { what, path: path.to_path_buf(), source }
    }
}
