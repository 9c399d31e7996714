//! A small file that remembers the last number given away, beside the database.
//!
//! A log that is cut short or lost leaves a sound database that has gone back in time: numbers would be given away
//! twice, and the platform would take the second event for a repetition. The mark is written after each commit and not
//! synchronised: after a power cut it may be behind, which costs nothing; it is ahead only when the database lost what
//! was durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::store::files::with_suffix;

/// The mark of one database.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    file: Option<File>,
}

impl Mark {
    pub(super) fn beside(database: &Path) -> Self {
        Self { path: with_suffix(database, "-mark"), file: None }
    }

    /// Epoch and last number as they were noted; `None`: nothing that can be read.
    pub(super) fn read(&self) -> Option<(String, u64)> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let (epoch, seq) = text.lines().next()?.split_once(' ')?;
        Some((epoch.to_owned(), seq.trim().parse().ok()?))
    }

    /// Notes them. A failure costs only the warning: the numbers themselves stand in the database.
    pub(super) fn note(&mut self, epoch: &str, seq: u64) {
        // Always the same length, so that no rest of a longer line stays behind.
        let line = format!("{epoch} {seq:020}\n");
        let written = self.open().and_then(|file| file.write_all_at(line.as_bytes(), 0));
        if written.is_err() {
            self.file = None;
        }
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let file = File::options().create(true).truncate(false).write(true).open(&self.path)?;
            disk::inherit_owner(&self.path)?;
            self.file = Some(file);
        }
        self.file.as_ref().ok_or_else(|| io::Error::other("just opened"))
    }
}
