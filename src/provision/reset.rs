//! Back to the state of the factory: every key is destroyed first, then what they protected, and a proof is written.
//!
//! Flash memory keeps old copies of what is overwritten; so the keys are what counts: without the device key face
//! templates cannot be read, wherever copies of them may lie. What this cannot promise: a copy of the sealed key
//! in worn-out cells of a card without a TPM, see `docs/appliance.md`.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Places;
use crate::disk;
use crate::domain::sync::hex;

/// Destroyed in this order, below the root; keys before data.
const KEYS: [&str; 3] = ["var/lib/forecourt-key", "etc/forecourt/identity", "var/lib/forecourt/device.key"];
const DATA: [&str; 3] = ["etc/forecourt", "var/lib/forecourt", "var/lib/forecourt-clock"];

/// What was destroyed; says nothing of what was in it.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// Which box.
    pub serial: String,
    /// When, by the box's clock.
    pub time: Timestamp,
    /// Every key file with the SHA-256 of what it held, so that the platform can compare with what it knows.
    pub keys: Vec<Destroyed>,
    /// Number of other files that were removed.
    pub files: usize,
    /// What could not be removed; empty when all went well.
    pub left: Vec<String>,
}

/// A key that is no more.
#[derive(Clone, Debug, Serialize)]
pub struct Destroyed {
    /// Where it lay.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Destroys; the folders themselves stay, empty, as the package made them.
pub fn destroy(places: &Places, serial: &str) -> Proof {
    let mut proof =
        Proof { serial: serial.to_owned(), time: Timestamp::now(), keys: Vec::new(), files: 0, left: Vec::new() };
    for path in KEYS.iter().flat_map(|name| files(&places.root.join(name))) {
        match shred(&path) {
            Ok(sha256) => proof.keys.push(Destroyed { path, sha256 }),
            Err(error) => proof.left.push(format!("{}: {error:#}", path.display())),
        }
    }
    for folder in DATA.map(|name| places.root.join(name)) {
        for path in files(&folder) {
            match fs::remove_file(&path) {
                Ok(()) => proof.files += 1,
                Err(error) => proof.left.push(format!("{}: {error}", path.display())),
            }
        }
        let folders = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for inner in folders.filter(|path| path.is_dir()) {
            if let Err(error) = fs::remove_dir_all(&inner) {
                proof.left.push(format!("{}: {error}", inner.display()));
            }
        }
        let _ = disk::sync_folder(&folder);
    }
    proof
}

/// Overwrites, syncs, removes; returns what the file's hash was.
fn shred(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path)?;
    let mut noise = vec![0; bytes.len()];
    getrandom::fill(&mut noise).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&noise)?;
    file.sync_all()?;
    fs::remove_file(path)?;
    disk::sync_folder_of(path)?;
    Ok(hex(&Sha256::digest(&bytes)))
}

/// All files below, also the only one; links are not followed.
fn files(path: &Path) -> Vec<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.flat_map(|entry| files(&entry.path())).collect()
        }
        Ok(_) => vec![path.to_owned()],
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_keys_or_the_data_is_left_and_the_proof_names_the_keys() {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let key = put("var/lib/forecourt-key/device-key.cred", "sealed");
        put("etc/forecourt/identity/device.key", "private");
        put("etc/forecourt/forecourt.toml", "[site]");
        put("var/lib/forecourt/members.db", "members");
        put("var/lib/forecourt/packs/.versions/a/pack.toml", "x");
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("var/lib/forecourt/link")).unwrap();
        // A second name of the same bytes, as an old copy would be: overwritten, not only unlinked.
        let copy = root.path().join("copy");
        fs::hard_link(&key, &copy).unwrap();
        let proof = destroy(&Places::below(root.path()), "box");
        assert_eq!(proof.left, Vec::<String>::new());
        let hashes: Vec<&str> = proof.keys.iter().map(|key| key.sha256.as_str()).collect();
        assert_eq!(hashes, [hex(&Sha256::digest("sealed")), hex(&Sha256::digest("private"))]);
        assert_eq!(proof.files, 4);
        for folder in ["etc/forecourt", "var/lib/forecourt", "var/lib/forecourt-key"] {
            assert_eq!(files(&root.path().join(folder)), Vec::<PathBuf>::new(), "{folder}");
        }
        assert_ne!(fs::read(copy).unwrap(), b"sealed");
        assert!(Path::new("/etc/passwd").exists());
    }
}
