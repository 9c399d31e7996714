//! Opens the database file: library version, pragmas, schema and upgrades, and the setting aside of a broken file.
//!
//! Promise: what is returned has passed a check and has the newest schema. Its contents are `spool`'s business.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tracing::debug;

use super::error::{OpenError, SetAside};
use crate::disk;
use crate::store::files;

/// Marks the file as ours ("FCSP"), so that a foreign database is not written to.
const APPLICATION_ID: i32 = 0x4643_5350;
/// The first SQLite without the WAL-reset bug.
const OLDEST_SQLITE: i32 = 3_051_003;
/// The shape of a new database.
const SCHEMA: &str = include_str!("schema.sql");
/// Step n brings a database from version n to n + 1. Frozen once released.
const UPGRADES: &[&str] = &[include_str!("upgrades/0001.sql"), include_str!("upgrades/0002.sql")];

/// Bytes of a page.
pub(super) const PAGE_BYTES: u64 = 4096;
/// Pages in the log after which it is folded into the file: small, so that little is written late.
const CHECKPOINT_PAGES: u32 = 64;
/// Bytes that the log may keep between checkpoints.
pub(super) const WAL_BYTES: u64 = 512 * 1024;

/// A sound database and the names it goes by.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) epoch: String,
    /// Pages that the file may have; the log's share of `max_mib` is already taken off.
    pub(super) max_pages: u64,
    /// The disk had no room for the index of the log: it lies in memory, and nobody else can read the file meanwhile.
    pub(super) cramped: bool,
}

/// Where the index of the log lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    /// In a file of 32 KiB beside the database, for several connections.
    Shared,
    /// In this connection's memory.
    Own,
}

/// Opens or makes the database at `path`. A damaged or foreign file is renamed aside and a new one begun.
///
/// On a disk without a free byte `make_room` is called; when that does not help, the database is opened for this
/// connection alone, see [`Database::cramped`]: what stands in it can be read, and writing is refused like on any full disk.
pub(super) fn open(path: &Path, max_mib: u32, make_room: &dyn Fn()) -> Result<(Database, Option<SetAside>), OpenError> {
    match open_with(path, max_mib, Index::Shared) {
        Err(error) if error.lacks_room() => make_room(),
        done => return done,
    }
    match open_with(path, max_mib, Index::Shared) {
        Err(error) if error.lacks_room() => open_with(path, max_mib, Index::Own),
        done => done,
    }
}

fn open_with(path: &Path, max_mib: u32, index: Index) -> Result<(Database, Option<SetAside>), OpenError> {
    refuse_old_sqlite(rusqlite::version_number())?;
    match open_sound(path, max_mib, index) {
        Ok(database) => Ok((database, None)),
        Err(Refusal::Hard(error)) => Err(error),
        Err(Refusal::Unsound(why)) => {
            let aside = set_aside(path, why)?;
            match open_sound(path, max_mib, index) {
                Ok(database) => Ok((database, Some(aside))),
                Err(Refusal::Hard(error)) => Err(error),
                Err(Refusal::Unsound(why)) => {
                    let source = std::io::Error::other(format!("a new database is unsound too: {why}"));
                    Err(OpenError::Folder { path: path.to_owned(), source })
                }
            }
        }
    }
}

/// Writes what stands in the log into the file itself.
pub(super) fn fold(connection: &Connection) {
    let folded = connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()));
    if let Err(error) = folded {
        // Nothing is lost: the log is read again at the next start.
        debug!(%error, "The log of the spool was not folded in.");
    }
}

/// A database without a file, for a replay; `epoch` is given, so that two replays number alike.
pub(super) fn in_memory(epoch: &str, max_mib: u32) -> Result<Database, OpenError> {
    refuse_old_sqlite(rusqlite::version_number())?;
    let path = Path::new(":memory:");
    let database = |source| OpenError::Database { path: path.to_owned(), source };
    let connection = Connection::open_in_memory().map_err(database)?;
    prepare_new(&connection).map_err(database)?;
    connection.execute("update box set epoch = ?1", [epoch]).map_err(database)?;
    let max_pages = set_cap(&connection, max_mib).map_err(database)?;
    Ok(Database { connection, epoch: epoch.to_owned(), max_pages, cramped: false })
}

/// Opens it to be looked at: nothing is made, mended or set aside. Returns its epoch too.
pub(super) fn look(path: &Path) -> Result<(Connection, String), OpenError> {
    let looked = || -> Result<(Connection, String), Refusal> {
        let judge = |error: rusqlite::Error| judge(path, error);
        let connection = files::look(path).map_err(judge)?;
        check_owner(path, &connection)?;
        if is_empty(&connection).map_err(judge)? {
            return Err(Refusal::Unsound("it is empty".into()));
        }
        check_pages(&connection).map_err(judge)?.map_err(Refusal::Unsound)?;
        let epoch = connection.query_row("select epoch from box", [], |row| row.get(0)).map_err(judge)?;
        Ok((connection, epoch))
    };
    // SQLite does not say why it cannot open a file.
    std::fs::File::open(path).map_err(|source| OpenError::Folder { path: path.to_owned(), source })?;
    looked().map_err(|refusal| match refusal {
        Refusal::Hard(error) => error,
        Refusal::Unsound(why) => OpenError::Unsound { path: path.to_owned(), why },
    })
}

enum Refusal {
    /// Cannot be helped by a new file.
    Hard(OpenError),
    /// The file is damaged or not ours; says why.
    Unsound(String),
}

fn refuse_old_sqlite(version: i32) -> Result<(), OpenError> {
    if version < OLDEST_SQLITE { Err(OpenError::OldSqlite(rusqlite::version())) } else { Ok(()) }
}

fn open_sound(path: &Path, max_mib: u32, index: Index) -> Result<Database, Refusal> {
    let judge = |error: rusqlite::Error| judge(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    make_private(path).map_err(|source| Refusal::Hard(OpenError::Folder { path: path.to_owned(), source }))?;
    let connection = Connection::open_with_flags(path, flags).map_err(judge)?;
    if index == Index::Own {
        // Before the log is looked at for the first time; later it would stay shared.
        connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(())).map_err(judge)?;
    }
    check_owner(path, &connection)?;
    set_pragmas(&connection).map_err(judge)?;
    check_pages(&connection).map_err(judge)?.map_err(Refusal::Unsound)?;
    bring_up_to_date(&connection).map_err(judge)?;
    let epoch = connection.query_row("select epoch from box", [], |row| row.get(0)).map_err(judge)?;
    let max_pages = set_cap(&connection, max_mib).map_err(judge)?;
    Ok(Database { connection, epoch, max_pages, cramped: index == Index::Own })
}

/// Whom a member visited is nobody else's business: only the owner may read the file; its companions follow it. What
/// root makes belongs to the owner of the folder.
fn make_private(path: &Path) -> std::io::Result<()> {
    std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    disk::inherit_owner(path)
}

/// Is the error one that a new file would cure?
fn judge(path: &Path, error: rusqlite::Error) -> Refusal {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => Refusal::Unsound(error.to_string()),
        None if matches!(error, rusqlite::Error::QueryReturnedNoRows) => {
            Refusal::Unsound("its `box` row is gone".into())
        }
        _ => Refusal::Hard(OpenError::Database { path: path.to_owned(), source: error }),
    }
}

fn check_owner(path: &Path, connection: &Connection) -> Result<(), Refusal> {
    let read = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(|e| judge(path, e));
    let (owner, version): (i64, i64) = (read("application_id")?, read("user_version")?);
    let known = u32::try_from(UPGRADES.len()).unwrap_or(u32::MAX);
    match (owner, version) {
        (0, 0) if is_empty(connection).map_err(|e| judge(path, e))? => Ok(()),
        (ours, version) if ours == i64::from(APPLICATION_ID) => match u32::try_from(version) {
            Ok(found) if found > known => Err(Refusal::Hard(OpenError::TooNew { path: path.to_owned(), found, known })),
            Ok(found) if found > 0 => Ok(()),
            _ => Err(Refusal::Unsound(format!("its schema version is {version}"))),
        },
        (other, _) => Err(Refusal::Unsound(format!("it is another program's database (application id {other})"))),
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("select count(*) = 0 from sqlite_schema", [], |row| row.get(0))
}

/// Durable first: a commit has reached the disk when it returns, and the log stays small.
fn set_pragmas(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed())?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    // NORMAL may roll back commits after a power cut, OFF destroys files: FULL is what "accepted" means.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES.cast_signed())?;
    // The shared index and the log stay when the last connection closes: a start on a full disk could not make them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A mapped file turns a read error into a signal.
    connection.pragma_update(None, "mmap_size", 0)
}

fn check_pages(connection: &Connection) -> rusqlite::Result<Result<(), String>> {
    let word: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    Ok(if word == "ok" { Ok(()) } else { Err(format!("its check says: {word}")) })
}

fn bring_up_to_date(connection: &Connection) -> rusqlite::Result<()> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        return prepare_new(connection);
    }
    for (from, step) in UPGRADES.iter().enumerate().skip(version as usize) {
        let script = format!("begin immediate; {step}; pragma user_version = {}; commit;", from + 1);
        connection.execute_batch(&script)?;
    }
    Ok(())
}

/// Makes the tables, in one transaction with the marks that say whose they are.
fn prepare_new(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "begin immediate; {SCHEMA};
         insert into box (only_row, epoch, last_seq, starts) values (1, 'e' || lower(hex(randomblob(6))), 0, 0);
         pragma application_id = {APPLICATION_ID}; pragma user_version = {}; commit;",
        UPGRADES.len()
    ))
}

fn set_cap(connection: &Connection, max_mib: u32) -> rusqlite::Result<u64> {
    let bytes = (u64::from(max_mib) * 1024 * 1024).saturating_sub(WAL_BYTES);
    let pages = (bytes / PAGE_BYTES).max(64);
    connection.pragma_update_and_check(None, "max_page_count", pages.cast_signed(), |row| row.get::<_, i64>(0))?;
    Ok(pages)
}

/// Renames the file and its companions; nothing is deleted, so that a person may look at it.
fn set_aside(path: &Path, why: String) -> Result<SetAside, OpenError> {
    let path = files::set_aside(path).map_err(|(path, source)| OpenError::Folder { path, source })?;
    Ok(SetAside { path, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema as SQLite holds it, without comments and white space.
    fn shape(connection: &Connection) -> Vec<(String, String)> {
        let mut statement =
            connection.prepare("select name, coalesce(sql, '') from sqlite_schema order by name").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
        let plain = |sql: &str| {
            let lines = sql.lines().map(|line| line.split("--").next().unwrap_or("").trim());
            lines.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
        };
        rows.map(|row| row.map(|(name, sql)| (name, plain(&sql))).unwrap()).collect()
    }

    #[test]
    fn an_upgraded_database_equals_a_fresh_one() {
        let fresh = Connection::open_in_memory().unwrap();
        fresh.execute_batch(SCHEMA).unwrap();
        let upgraded = Connection::open_in_memory().unwrap();
        for step in UPGRADES {
            upgraded.execute_batch(step).unwrap();
        }
        assert_eq!(shape(&upgraded), shape(&fresh));
        assert!(shape(&fresh).len() >= 5);
    }

    #[test]
    fn an_old_sqlite_is_refused_and_ours_is_not() {
        assert!(refuse_old_sqlite(3_051_002).unwrap_err().to_string().contains("3.51.3"));
        refuse_old_sqlite(rusqlite::version_number()).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.db");
        let (database, _) = open(&path, 8, &|| ()).unwrap();
        database.connection.pragma_update(None, "user_version", 99).unwrap();
        drop(database);
        let words = open(&path, 8, &|| ()).err().unwrap().to_string();
        assert!(words.contains("schema 99") && words.contains("newer forecourt"), "{words}");
        let mut names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.all(|name| !name.to_string_lossy().contains("set-aside")));
    }

    #[test]
    fn a_foreign_or_broken_file_is_set_aside_and_a_new_epoch_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.db");
        let (database, aside) = open(&path, 8, &|| ()).unwrap();
        assert_eq!(aside, None);
        let before = database.epoch.clone();
        fold(&database.connection);
        drop(database);
        std::fs::write(&path, b"this is not a database, it is a letter to a friend").unwrap();
        let (database, aside) = open(&path, 8, &|| ()).unwrap();
        let aside = aside.unwrap();
        assert_ne!(database.epoch, before);
        assert!(std::fs::read(&aside.path).unwrap().starts_with(b"this is not"), "{aside:?}");
        drop(database);
        for file in [path.clone(), files::with_suffix(&path, "-wal"), files::with_suffix(&path, "-shm")] {
            std::fs::remove_file(file).unwrap();
        }
        Connection::open(&path).unwrap().execute_batch("create table t (x)").unwrap();
        let (_, aside) = open(&path, 8, &|| ()).unwrap();
        assert!(aside.unwrap().why.contains("another program"));
    }
}
