//! A look into the spool while no service owns it, for a person at the terminal: nothing is made, mended or set aside,
//! so that a command that root types leaves no file behind that the service could not open.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::{OpenError, SpoolError};
use super::reader::{self, QueuedEvent};
use super::visits::{self, VisitRow};
use super::{FILE_NAME, database};

/// A read-only connection to a spool that has passed its check.
pub struct View {
    connection: Connection,
    path: PathBuf,
    epoch: String,
}

impl View {
    /// Opens the spool in `folder`.
    ///
    /// # Errors
    /// When it is not there or may not be read, is damaged or not ours, or was written by a newer program.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        let (connection, epoch) = database::look(&path)?;
        Ok(Self { connection, path, epoch })
    }

    /// Name of the database; `id`s of its events begin with it.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// As [`super::Spool::queued`].
    ///
    /// # Errors
    /// What the disk refused.
    pub fn queued(&self, limit: usize) -> Result<Vec<QueuedEvent>, SpoolError> {
        reader::queued(&self.connection, 0, limit).map_err(|error| self.error(&error))
    }

    /// As [`super::Spool::event`].
    ///
    /// # Errors
    /// What the disk refused.
    pub fn event(&self, seq: u64) -> Result<Option<QueuedEvent>, SpoolError> {
        reader::numbered(&self.connection, 0, seq).map_err(|error| self.error(&error))
    }

    /// As [`super::Spool::visits`].
    ///
    /// # Errors
    /// What the disk refused.
    pub fn visits(&self, limit: usize) -> Result<Vec<VisitRow>, SpoolError> {
        visits::newest(&self.connection, limit).map_err(|error| self.error(&error))
    }

    fn error(&self, error: &rusqlite::Error) -> SpoolError {
        SpoolError::from_sqlite(&self.path, error)
    }
}
