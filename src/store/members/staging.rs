//! Pieces of a list that is not complete yet, in `members-staging.db` beside the list: what has come in need not come
//! again after a kill.
//!
//! The pieces are encrypted with a key that exists only while they do: when a list is applied, or a member is removed, the
//! key goes first and nothing that is left on the medium can be read. A file that cannot be used is deleted; what it
//! held is asked for again.

use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::StoreError;
use crate::disk::{self, Rights};
use crate::domain::sync::Head;

/// Name of the file in `storage.folder`.
const FILE_NAME: &str = "members-staging.db";
/// Name of the key's file.
const KEY_NAME: &str = "members-staging.key";
/// Deltas that may wait for one that comes before them.
const MOST_DELTAS: i64 = 256;
const NONCE: usize = 24;
const SCHEMA: &str = "
    create table if not exists target (id integer primary key check (id = 1), head text not null) strict;
    create table if not exists chunk (chunk integer primary key, sealed blob not null) strict;
    create table if not exists delta (from_rev integer primary key, head text not null, sealed blob not null) strict;
";

/// The open file.
pub struct Staging {
    connection: Connection,
    folder: PathBuf,
    path: PathBuf,
    key: Zeroizing<[u8; 32]>,
}

impl Staging {
    /// Opens what stands in `folder`, or begins anew.
    ///
    /// # Errors
    /// When neither is possible.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        match Self::open_once(folder) {
            Ok(staging) => Ok(staging),
            Err(_) => {
                remove(folder)?;
                Self::open_once(folder)
            }
        }
    }

    fn open_once(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        let sqlite = |source| StoreError::from_sqlite(&path, source);
        let key = key(folder)?;
        private(&path)?;
        let connection = Connection::open(&path).map_err(sqlite)?;
        let pragmas = || -> rusqlite::Result<()> {
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "secure_delete", true)?;
            connection.pragma_update(None, "mmap_size", 0)?;
            connection.pragma_update(None, "cache_size", -2_048)?;
            connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
            connection.execute_batch(SCHEMA)
        };
        pragmas().map_err(sqlite)?;
        Ok(Self { connection, folder: folder.to_owned(), path, key })
    }

    /// The list whose chunks are collected.
    pub fn target(&self) -> Result<Option<Head>, StoreError> {
        let read = self.connection.query_row("select head from target", [], |row| row.get::<_, String>(0)).optional();
        let text = read.map_err(|source| self.sqlite(source))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Begins to collect the chunks of another list; those of the former one go.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn aim(&mut self, head: &Head) -> Result<(), StoreError> {
        let text = serde_json::to_string(head).expect("a head has string keys only");
        let aim = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            transaction.execute("delete from chunk", [])?;
            transaction.execute("insert or replace into target (id, head) values (1, ?1)", [text])?;
            transaction.commit()
        };
        aim().map_err(|source| self.sqlite(source))
    }

    /// Keeps the lines of a chunk.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn put_chunk(&mut self, chunk: u32, lines: &[u8]) -> Result<(), StoreError> {
        let sealed = self.seal(lines, &format!("chunk {chunk}"))?;
        let put = self.connection.prepare_cached("insert or replace into chunk (chunk, sealed) values (?1, ?2)");
        put.and_then(|mut put| put.execute(params![chunk, sealed])).map(drop).map_err(|source| self.sqlite(source))
    }

    /// Numbers of the chunks that are here, in order.
    pub fn chunks(&self) -> Result<Vec<u32>, StoreError> {
        let read = || -> rusqlite::Result<Vec<u32>> {
            let mut all = self.connection.prepare_cached("select chunk from chunk order by chunk")?;
            all.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// The lines of a chunk; `None`: it is not here, or cannot be read any more.
    pub fn chunk(&self, chunk: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let find = self.connection.prepare_cached("select sealed from chunk where chunk = ?1");
        let sealed: Option<Vec<u8>> = find
            .and_then(|mut find| find.query_row([chunk], |row| row.get(0)).optional())
            .map_err(|source| self.sqlite(source))?;
        Ok(sealed.and_then(|sealed| self.open_sealed(&sealed, &format!("chunk {chunk}"))))
    }

    /// Keeps a delta that begins at a revision which is not in force yet; `false`: too many wait.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn put_delta(&mut self, head: &Head, lines: &[u8]) -> Result<bool, StoreError> {
        let from = head.from.unwrap_or_default().cast_signed();
        let sealed = self.seal(lines, &format!("delta {from}"))?;
        let text = serde_json::to_string(head).expect("a head has string keys only");
        let put = || -> rusqlite::Result<bool> {
            let waiting: i64 = self.connection.query_row("select count(*) from delta", [], |row| row.get(0))?;
            if waiting >= MOST_DELTAS {
                return Ok(false);
            }
            let sql = "insert or replace into delta (from_rev, head, sealed) values (?1, ?2, ?3)";
            self.connection.execute(sql, params![from, text, sealed])?;
            Ok(true)
        };
        put().map_err(|source| self.sqlite(source))
    }

    /// The delta that begins at `from`, when it waits.
    pub fn delta(&self, from: u64) -> Result<Option<(Head, Vec<u8>)>, StoreError> {
        let from = from.cast_signed();
        let find = self.connection.prepare_cached("select head, sealed from delta where from_rev = ?1");
        let found: Option<(String, Vec<u8>)> = find
            .and_then(|mut find| find.query_row([from], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(|source| self.sqlite(source))?;
        Ok(found.and_then(|(head, sealed)| {
            Some((serde_json::from_str(&head).ok()?, self.open_sealed(&sealed, &format!("delta {from}"))?))
        }))
    }

    /// Forgets a delta.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn drop_delta(&mut self, from: u64) -> Result<(), StoreError> {
        let done = self.connection.execute("delete from delta where from_rev = ?1", [from.cast_signed()]);
        done.map(drop).map_err(|source| self.sqlite(source))
    }

    /// Forgets everything, and makes it unreadable: the key goes first.
    ///
    /// # Errors
    /// When the files cannot be removed or made anew.
    pub fn clear(self) -> Result<Self, StoreError> {
        let folder = self.folder.clone();
        drop(self);
        remove(&folder)?;
        Self::open_once(&folder)
    }

    fn seal(&self, plain: &[u8], what: &str) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| no_chance(&self.path, error))?;
        let payload = Payload { msg: plain, aad: what.as_bytes() };
        let sealed = cipher(&self.key).encrypt(&XNonce::from(nonce), payload).expect("far below the cipher's limit");
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open_sealed(&self, sealed: &[u8], what: &str) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>()?;
        cipher(&self.key).decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: what.as_bytes() }).ok()
    }

    fn sqlite(&self, source: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.path, source)
    }
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

fn no_chance(path: &Path, error: getrandom::Error) -> StoreError {
    StoreError::file("no random numbers for", path, std::io::Error::other(error.to_string()))
}

/// The key of the pieces; a new one when there is none.
fn key(folder: &Path) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let path = folder.join(KEY_NAME);
    if let Ok(bytes) = std::fs::read(&path).map(Zeroizing::new)
        && let Ok(key) = <[u8; 32]>::try_from(bytes.as_slice())
    {
        return Ok(Zeroizing::new(key));
    }
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|error| no_chance(&path, error))?;
    let written = disk::write(&path, &*key, Rights::mode(0o600));
    written.map_err(|error| StoreError::file("cannot write", &path, error.source))?;
    Ok(key)
}

fn private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| StoreError::file("cannot make", path, source))
}

/// Overwrites the key, then removes it and the pieces.
fn remove(folder: &Path) -> Result<(), StoreError> {
    let key = folder.join(KEY_NAME);
    if key.exists() {
        let overwrite = || -> std::io::Result<()> {
            use std::io::Write;
            let mut file = std::fs::OpenOptions::new().write(true).open(&key)?;
            file.write_all(&[0; 32])?;
            file.sync_all()
        };
        overwrite().map_err(|source| StoreError::file("cannot overwrite", &key, source))?;
    }
    for name in [KEY_NAME, FILE_NAME, "members-staging.db-wal", "members-staging.db-shm"] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::file("cannot remove", &path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"{\"member_ref\":\"M-77\",\"plate\":[\"X\"]}";

    fn found_in(folder: &Path, needle: &[u8]) -> bool {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    }

    #[test]
    fn a_chunk_survives_a_restart_and_is_readable_only_through_here() {
        let folder = tempfile::tempdir().unwrap();
        let mut staging = Staging::open(folder.path()).unwrap();
        staging.put_chunk(3, SECRET).unwrap();
        drop(staging);
        let staging = Staging::open(folder.path()).unwrap();
        assert_eq!((staging.chunks().unwrap(), staging.chunk(3).unwrap().unwrap()), (vec![3], SECRET.to_vec()));
        assert!(!found_in(folder.path(), b"M-77"));
        assert_eq!(staging.chunk(4).unwrap(), None);
    }

    #[test]
    fn what_was_cleared_is_gone_and_a_broken_file_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut staging = Staging::open(folder.path()).unwrap();
        staging.put_chunk(0, SECRET).unwrap();
        let staging = staging.clear().unwrap();
        assert!(staging.chunks().unwrap().is_empty());
        drop(staging);
        std::fs::write(folder.path().join(FILE_NAME), "no database at all, but long enough to be looked at".repeat(99))
            .unwrap();
        assert!(Staging::open(folder.path()).unwrap().chunks().unwrap().is_empty());
    }
}
