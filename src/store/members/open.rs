//! Opening the database file: made with private permissions, recognised by its application id, brought up to date.
//!
//! Durability: WAL with `synchronous = FULL`, so a change that was reported is on the disk. `secure_delete` overwrites
//! what was removed; the write-ahead log is emptied after every change, so that nothing lingers there.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::{StoreError, aside};
use crate::disk;
use crate::store::files;

/// `FCMB`, in the header of the file.
const APPLICATION_ID: u32 = 0x4643_4d42;
/// Newest schema.
const SCHEMA: u32 = 3;
/// Steps from schema n to n + 1; a fresh database takes them all. Frozen once released.
const STEPS: [&str; SCHEMA as usize] =
    [include_str!("schema.sql"), include_str!("upgrades/0002.sql"), include_str!("upgrades/0003.sql")];
/// Older ones have the WAL-reset fault.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long a command waits for another one that changes the list.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens an existing file or makes a new one; true when nobody else can use it meanwhile, for lack of room on the disk.
pub(super) fn open(path: &Path) -> Result<(Connection, bool), StoreError> {
    if aside::was_emptied(path) {
        return Err(StoreError::Corrupt(path.to_path_buf()));
    }
    if !path.exists() {
        aside::unmark(path);
        create_private(path).map_err(|source| StoreError::file("cannot make", path, source))?;
    }
    let opened = match connect(path, false) {
        Err(error) if error.lacks_room() => (connect(path, true)?, true),
        done => (done?, false),
    };
    aside::mark(path);
    Ok(opened)
}

/// Looks into a list that nobody has open, without making or changing a file: is it ours, and sound?
pub(super) fn inspect(path: &Path) -> Result<(), StoreError> {
    let sqlite = |source| StoreError::from_sqlite(path, source);
    if aside::was_emptied(path) {
        return Err(StoreError::Corrupt(path.to_path_buf()));
    }
    let connection = files::look(path).map_err(sqlite)?;
    identify(&connection, path)?;
    let said: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(sqlite)?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Corrupt(path.to_path_buf())) }
}

/// `alone`: with the index of the log in memory, which needs no room on the disk and keeps others out. The list can be
/// read then, and changing it is refused like on any full disk.
fn connect(path: &Path, alone: bool) -> Result<Connection, StoreError> {
    let sqlite = |source| StoreError::from_sqlite(path, source);
    let mut connection = Connection::open(path).map_err(sqlite)?;
    if alone {
        connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(())).map_err(sqlite)?;
    }
    prepare(&mut connection, path)?;
    Ok(connection)
}

/// Identifies, brings up to date and sets the pragmas.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::OldSqlite(rusqlite::version()));
    }
    let sqlite = |source| StoreError::from_sqlite(path, source);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    identify(connection, path)?;
    pragmas(connection).map_err(sqlite)?;
    bring_up(connection, path)?;
    Ok(())
}

/// Refuses what is not ours before a byte is written.
fn identify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |source| StoreError::from_sqlite(path, source);
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let tables: u32 =
        connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).map_err(sqlite)?;
    let (id, version) = (number("application_id").map_err(sqlite)?, number("user_version").map_err(sqlite)?);
    let fresh = tables == 0 && id == 0 && version == 0;
    if !fresh && id != APPLICATION_ID {
        return Err(StoreError::Foreign(path.to_path_buf()));
    }
    if version > SCHEMA {
        return Err(StoreError::TooNew { path: path.to_path_buf(), found: version, known: SCHEMA });
    }
    Ok(())
}

fn pragmas(connection: &Connection) -> rusqlite::Result<()> {
    // A database in memory answers `memory`; everything else must have become WAL.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Errors of the medium must come as errors, not as signals.
    connection.pragma_update(None, "mmap_size", 0)?;
    // KiB when negative: bounds the memory of an import.
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "journal_size_limit", 1 << 20)
}

/// Applies the missing steps; each step is one transaction.
fn bring_up(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |source| StoreError::from_sqlite(path, source);
    loop {
        // Taken before the look, so that two programs that start at once do not both build.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
        let Some(step) = STEPS.get(version as usize) else { return Ok(()) };
        transaction.execute_batch(step).map_err(sqlite)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
        transaction.pragma_update(None, "user_version", version + 1).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
    }
}

/// An empty file that only its owner may read, owned by the owner of the folder: a list that root imports must be
/// readable by the service, which is not root.
fn create_private(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(disk::folder_of(path))?;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    disk::inherit_owner(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn words(error: StoreError) -> String {
        error.to_string()
    }

    #[test]
    fn a_new_file_is_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/members.db");
        drop(open(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(open(&path).unwrap());
    }

    #[test]
    fn a_newer_schema_is_refused_with_both_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.db");
        open(&path).unwrap().0.pragma_update(None, "user_version", SCHEMA + 1).unwrap();
        let said = words(open(&path).unwrap_err());
        assert!(
            said.contains(&format!("schema {}, this program knows {SCHEMA}", SCHEMA + 1))
                && said.contains("install a newer version"),
            "{said}"
        );
    }

    #[test]
    fn a_list_of_the_first_schema_is_brought_up_and_keeps_its_members() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(STEPS[0]).unwrap();
        old.execute_batch(
            "pragma user_version = 1; update state set revision = 7; \
             insert into member (id, member_ref, list, consent_plate, consent_face, consent_dwell, consent_expression, revision) \
             values (3, 'm3', 'vip', 1, 1, 0, 0, 7); insert into plate values (3, 0, '皖A12345');",
        )
        .unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        drop(old);
        let store = crate::store::members::MemberStore::open(&path).unwrap();
        let counts = store.counts().unwrap();
        assert_eq!((counts.members, counts.plates, counts.revision), (1, 1, 7));
        assert_eq!(store.get("m3").unwrap().unwrap().list, "vip");
        let shape = |connection: &Connection| -> Vec<(String, String)> {
            let sql = "select name, coalesce(sql, '') from sqlite_schema order by name";
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let fresh = open(&folder.path().join("fresh.db")).unwrap();
        assert_eq!(shape(&open(&path).unwrap().0), shape(&fresh.0));
    }

    #[test]
    fn a_database_of_something_else_and_a_text_file_are_left_as_they_are_and_only_one_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("create table songs (title text)").unwrap();
        let text = folder.path().join("text.db");
        fs::write(&text, "member_ref,plate\n".repeat(600)).unwrap();
        for (path, damage) in [(other, false), (text, true)] {
            let before = fs::read(&path).unwrap();
            let error = open(&path).unwrap_err();
            assert_eq!((error.is_damage(), inspect(&path).unwrap_err().is_damage()), (damage, damage), "{error:?}");
            let said = words(error);
            assert!(said.contains("was left as it is") && said.contains("move it"), "{said}");
            assert_eq!(fs::read(&path).unwrap(), before);
        }
    }

    #[test]
    fn damage_is_told_from_foreign_and_names_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.db");
        drop(open(&path).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        // The first page's b-tree header, behind the 100 bytes of the file's.
        bytes[100..400].fill(0xEE);
        fs::write(&path, bytes).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        assert!(words(error).contains("import the list again"));
    }

    #[test]
    fn sqlite_itself_has_no_wal_reset_fault() {
        assert!(rusqlite::version_number() >= OLDEST_SQLITE, "{}", rusqlite::version());
    }
}
