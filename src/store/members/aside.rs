//! Damage to the list: how an emptied file is told from a new one, and how a damaged file makes room for a new list.
//!
//! The file is renamed, never deleted. Nothing is taken over from it: what it says cannot be trusted any more, least of all
//! who agreed to what. Whoever sets it aside owns the folder: the service at its start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::audit::Action;
use super::{MemberStore, StoreError, read};
use crate::disk::{self, Rights};
use crate::store::files;

/// Lies beside a list that was begun. It holds nothing of the list.
const MARK: &str = "A member list was begun here; a members.db of 0 bytes beside this file has lost it.\n";

/// A damaged list that was renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it lies now.
    pub path: PathBuf,
    /// When it was renamed.
    pub at: Timestamp,
}

impl SetAside {
    /// Its name without the folder.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Renames a damaged list with its companions, so that a new one can begin.
///
/// # Errors
/// When the folder cannot be written.
pub fn set_aside(path: &Path) -> Result<SetAside, StoreError> {
    let renamed = files::set_aside(path);
    let path = renamed.map_err(|(path, source)| StoreError::file("cannot set aside", &path, source))?;
    Ok(SetAside { path, at: Timestamp::now() })
}

/// The list that was set aside last, if one is still there.
pub fn last_set_aside(path: &Path) -> Option<SetAside> {
    let whole = |(_, path): &(Timestamp, PathBuf)| {
        let name = path.to_string_lossy();
        !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    let last = files::all_set_aside(path).into_iter().rfind(whole);
    last.map(|(at, path)| SetAside { path, at })
}

/// From now on a list of 0 bytes has lost what was in it. A disk that is full does without.
pub(super) fn mark(path: &Path) {
    let mark = files::with_suffix(path, "-mark");
    if !mark.exists()
        && let Err(error) = disk::write_new(&mark, MARK.as_bytes(), Rights::mode(0o600).of_folder())
    {
        tracing::debug!("The member list was not marked: {:#}", anyhow::Error::from(error));
    }
}

/// A list is being made where there is no file.
pub(super) fn unmark(path: &Path) {
    // A mark that stays costs no more than an empty file that is set aside.
    let _ = std::fs::remove_file(files::with_suffix(path, "-mark"));
}

/// Has a file of 0 bytes once been a list?
pub(super) fn was_emptied(path: &Path) -> bool {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |about| about.len());
    let began = || files::with_suffix(path, "-mark").exists() || length(&files::with_suffix(path, "-wal")) > 0;
    path.exists() && length(path) == 0 && began()
}

impl MemberStore {
    /// Has nothing come into the list yet, neither a member nor a list of the platform?
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn is_bare(&self) -> Result<bool, StoreError> {
        let counts = read::counts(&self.connection).map_err(|source| self.sqlite(source))?;
        Ok(counts.members == 0 && self.synced_list()?.is_none())
    }

    /// Writes into the log of a new list why it is new.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn note_set_aside(&mut self, former: &SetAside) -> Result<(), StoreError> {
        self.record(Action::ListSetAside, "", &json!({ "file": former.name() }))
    }

    /// Removes lists that were set aside longer than `keep` ago, for they hold members too; returns how many files.
    pub fn forget_set_aside(&self, now: Timestamp, keep: Duration) -> usize {
        let Ok(limit) = now.checked_sub(keep) else { return 0 };
        let old = files::all_set_aside(&self.path).into_iter().filter(|(at, _)| *at < limit);
        old.filter(|(_, path)| std::fs::remove_file(path).is_ok()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ImportOptions;
    use super::*;

    const LIST: &str = "member_ref,plate\nm1,皖A00001\n";

    fn filled(path: &Path) -> MemberStore {
        let mut store = MemberStore::open(path).unwrap();
        store.import(LIST.as_bytes(), &ImportOptions::at(Timestamp::now()), &mut |_| {}).unwrap();
        store
    }

    #[test]
    fn a_list_of_0_bytes_is_damaged_where_there_was_one_and_new_where_there_was_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.db");
        std::fs::write(&path, "").unwrap();
        assert!(MemberStore::open(&path).unwrap().is_bare().unwrap());
        drop(filled(&path));
        std::fs::write(&path, "").unwrap();
        assert!(MemberStore::open(&path).unwrap_err().is_damage());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "it is left as it is");
        // Moved away by hand: a new one is no damage, also when it is looked at before its first page is written.
        std::fs::remove_file(&path).unwrap();
        drop(MemberStore::open(&path).unwrap());
        assert!(!was_emptied(&path));
    }

    #[test]
    fn a_list_that_was_set_aside_makes_room_and_goes_after_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.db");
        drop(filled(&path));
        assert_eq!(last_set_aside(&path), None);
        let former = set_aside(&path).unwrap();
        let mut store = MemberStore::open(&path).unwrap();
        store.note_set_aside(&former).unwrap();
        assert_eq!((store.is_bare().unwrap(), last_set_aside(&path).unwrap().path), (true, former.path.clone()));
        let record = &store.audit(1).unwrap()[0];
        assert_eq!((record.action.as_str(), &record.detail["file"]), ("list-set-aside", &former.name().into()));
        let day = Duration::from_secs(86_400);
        assert_eq!(store.forget_set_aside(Timestamp::now(), day), 0);
        assert_eq!(store.forget_set_aside(Timestamp::now().checked_add(2 * day).unwrap(), day), 1);
        assert!(!former.path.exists() && last_set_aside(&path).is_none());
    }
}
