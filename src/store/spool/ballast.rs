//! A file of dead weight beside the database: thrown off when the disk is full, so that acknowledged events can be
//! deleted and the log folded in; laid again before anything new is accepted.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::posix_fallocate;

use super::database::WAL_BYTES;
use crate::disk;
use crate::store::files::with_suffix;

/// Twice what the log may keep.
const BALLAST_BYTES: u64 = 2 * WAL_BYTES;

/// The dead weight of one database.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    pub(super) fn beside(database: &Path) -> Self {
        Self { path: with_suffix(database, "-ballast") }
    }

    /// Makes sure that its blocks are allocated; an error means that the disk has no room to spare.
    pub(super) fn lay(&self) -> io::Result<()> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        disk::inherit_owner(&self.path)?;
        let size = i64::try_from(BALLAST_BYTES).unwrap_or(i64::MAX);
        posix_fallocate(&file, 0, size).map_err(|errno| {
            // A part of the weight would only take the room that deleting needs.
            self.throw_off();
            io::Error::from(errno)
        })
    }

    /// Does it lie there, or was it thrown off?
    pub(super) fn is_laid(&self) -> bool {
        self.path.exists()
    }

    /// Gives its room back.
    pub(super) fn throw_off(&self) {
        // Emptied first: whoever still holds the file (a process between fork and exec holds every file of its parent)
        // would keep its blocks after the name is gone. Nothing to do about a failure here: the caller meets the same
        // disk at once and reports it.
        let _ = OpenOptions::new().write(true).truncate(true).open(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_real_blocks_and_gives_them_back() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::beside(&folder.path().join("spool.db"));
        ballast.lay().unwrap();
        let weight = std::fs::metadata(&ballast.path).unwrap();
        assert!(weight.blocks() * 512 >= BALLAST_BYTES, "{} blocks", weight.blocks());
        let held = std::fs::File::open(&ballast.path).unwrap();
        ballast.throw_off();
        assert!(!ballast.path.exists());
        assert_eq!(held.metadata().unwrap().blocks(), 0, "somebody else's handle keeps the blocks");
        ballast.lay().unwrap();
        ballast.lay().unwrap();
    }
}
