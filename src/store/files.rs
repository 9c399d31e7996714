//! The files of a database: what they are called, setting them aside, and looking into them without leaving a trace.
//!
//! Nothing is deleted here: what cannot be trusted is renamed, so that a person may look at it.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::disk;

/// Stands between a file's own name and the time at which it was set aside.
const ASIDE: &str = ".set-aside-";
/// That time, in UTC.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// Characters of it.
const STAMP_LENGTH: usize = 16;
/// What SQLite keeps beside a database.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// `path` with `suffix` behind its whole name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Renames a database and its companions to a name with the time in it; returns the new name.
///
/// # Errors
/// The path that could not be renamed or synced, and why.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, (PathBuf, io::Error)> {
    let stamp = Timestamp::now().strftime(STAMP).to_string();
    let free = |suffix: &String| !with_suffix(path, suffix).exists();
    let plain = format!("{ASIDE}{stamp}");
    let numbered = (1..1000).map(|n| format!("{ASIDE}{stamp}-{n}"));
    let suffix = std::iter::once(plain).chain(numbered).find(free).unwrap_or_default();
    let target = with_suffix(path, &suffix);
    std::fs::rename(path, &target).map_err(|error| (path.to_owned(), error))?;
    for ending in COMPANIONS {
        let companion = with_suffix(path, ending);
        match std::fs::rename(&companion, with_suffix(&target, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err((companion, error)),
            _ => {}
        }
    }
    disk::sync_folder_of(path).map_err(|error| (path.to_owned(), error))?;
    Ok(target)
}

/// What was set aside of a database, companions among it, with the time in its name; oldest first.
pub(super) fn all_set_aside(path: &Path) -> Vec<(Timestamp, PathBuf)> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let entries = std::fs::read_dir(disk::folder_of(path)).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let other = entry.file_name();
            let stamp = other.to_str()?.strip_prefix(name)?.strip_prefix(ASIDE)?.get(..STAMP_LENGTH)?;
            let at = DateTime::strptime(STAMP, stamp).ok()?.to_zoned(TimeZone::UTC).ok()?;
            Some((at.timestamp(), entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Opens a database that nobody may have open, read-only, and makes no file.
///
/// What SQLite would make is the index of a log; without a log it is told that nobody writes. Where a killed process left a
/// log without its index, SQLite makes the index and, for root, gives it the owner of the database.
pub(super) fn look(path: &Path) -> rusqlite::Result<Connection> {
    let log = std::fs::metadata(with_suffix(path, COMPANIONS[0])).map_or(0, |about| about.len());
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let address = format!("file:{escaped}?mode=ro{}", if log == 0 { "&immutable=1" } else { "" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    // Its end must not fold the log in and take it away.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_aside_is_found_again_by_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.db");
        for name in ["members.db", "members.db-wal", "members.db.set-aside-soon", "members.db-mark"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let began = Timestamp::now();
        let first = set_aside(&path).unwrap();
        std::fs::write(&path, "again").unwrap();
        let second = set_aside(&path).unwrap();
        assert!(first != second && !path.exists());
        assert_eq!(std::fs::read(with_suffix(&first, "-wal")).unwrap(), b"members.db-wal");
        let found = all_set_aside(&path);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|(at, _)| at.duration_since(began).as_secs().abs() <= 5), "{found:?}");
    }

    #[test]
    fn looking_makes_no_file_whatever_the_folder_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("50 % of #1?");
        std::fs::create_dir(&inner).unwrap();
        let path = inner.join("x.db");
        let made = Connection::open(&path).unwrap();
        made.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
        made.execute_batch("create table t (x); insert into t values (7)").unwrap();
        let names = || -> std::collections::BTreeSet<_> {
            std::fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        let seven = |connection: &Connection| connection.query_row("select x from t", [], |row| row.get::<_, u32>(0));
        // As a killed process leaves it: with a log and its index.
        let before = names();
        assert_eq!((before.len(), seven(&look(&path).unwrap()).unwrap()), (3, 7));
        assert_eq!(names(), before);
        drop(made);
        assert_eq!(names().len(), 1);
        let seen = look(&path).unwrap();
        assert_eq!(seven(&seen).unwrap(), 7);
        assert!(seen.execute_batch("insert into t values (8)").is_err());
        assert_eq!(names().len(), 1);
    }
}
