//! Back to the state of the factory: every key is destroyed first, then what they protected, and a proof is written.
//!
//! Flash memory keeps old copies of what is overwritten; so the keys are what counts: without the device key face
//! templates cannot be read, wherever copies of them may lie. What this cannot promise: a copy of the sealed key
//! in worn-out cells of a card without a TPM, see `docs/appliance.md`.
//!
//! The box's own folders are emptied; of a folder that the settings name, which others may use too, goes what the program
//! makes there, and the rest is told as left.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Places;
use super::named::Named;
use crate::disk;
use crate::domain::sync::hex;

/// Destroyed in this order, below the root; keys before data.
const KEYS: [&str; 3] = ["var/lib/forecourt-key", "etc/forecourt/identity", "var/lib/forecourt/device.key"];
const DATA: [&str; 3] = ["etc/forecourt", "var/lib/forecourt", "var/lib/forecourt-clock"];
/// Keys in `storage.folder`, by the beginnings of their names.
const STORED_KEYS: [&str; 2] = ["device.key", "members-staging.key"];
/// Everything else that the program makes there, files and folders.
const STORED: [&str; 7] = [
    "members.db",
    "members-staging.db",
    "spool.db",
    "health-history.json",
    "platform-changes.json",
    "bundles",
    "packs",
];

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

/// Destroys what lies in the box's own folders and what its settings name; the folders themselves stay, empty, as the
/// package made them.
pub fn destroy(places: &Places, serial: &str, named: &Named) -> Proof {
    let mut proof =
        Proof { serial: serial.to_owned(), time: Timestamp::now(), keys: Vec::new(), files: 0, left: Vec::new() };
    proof.left.extend(named.lost.iter().cloned());
    let folders = DATA.map(|name| places.root.join(name));
    // One that lies in the box's own folders is emptied with them.
    let storage = named.storage.as_deref().filter(|path| folders.iter().all(|folder| !path.starts_with(folder)));
    let own = KEYS.iter().map(|name| places.root.join(name));
    let stored = storage.into_iter().flat_map(|folder| inside(folder, &STORED_KEYS));
    for path in own.chain(named.keys.iter().cloned()).chain(stored).flat_map(|path| files(&path)) {
        match shred(&path) {
            Ok(sha256) => proof.keys.push(Destroyed { path, sha256 }),
            Err(error) => proof.left.push(format!("{}: {error:#}", path.display())),
        }
    }
    for path in named.secrets.iter().flat_map(|path| files(path)) {
        match shred(&path) {
            Ok(_) => proof.files += 1,
            Err(error) => proof.left.push(format!("{}: {error:#}", path.display())),
        }
    }
    if let Some(folder) = storage {
        inside(folder, &STORED).iter().for_each(|path| proof.clear(path));
        let foreign = "was not made by forecourt and was left as it is";
        proof.left.extend(files(folder).iter().map(|path| format!("{}: {foreign}", path.display())));
        let _ = disk::sync_folder(folder);
    }
    for folder in folders {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        entries.for_each(|entry| proof.clear(&entry.path()));
        let _ = disk::sync_folder(&folder);
    }
    proof
}

impl Proof {
    /// Removes a file, or a folder with all that is in it.
    fn clear(&mut self, path: &Path) {
        for path in files(path) {
            match fs::remove_file(&path) {
                Ok(()) => self.files += 1,
                Err(error) => self.left.push(format!("{}: {error}", path.display())),
            }
        }
        if path.is_dir()
            && let Err(error) = fs::remove_dir_all(path)
        {
            self.left.push(format!("{}: {error}", path.display()));
        }
    }
}

/// What lies in a folder under a name that begins with one of these.
fn inside(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let own = entries.filter(|entry| names.iter().any(|name| entry.file_name().to_string_lossy().starts_with(name)));
    own.map(|entry| entry.path()).collect()
}

/// Overwrites, syncs, removes; returns what the file's hash was. A link is removed, what it leads to is not touched.
fn shred(path: &Path) -> anyhow::Result<String> {
    if let Ok(target) = fs::read_link(path) {
        fs::remove_file(path)?;
        anyhow::bail!("was a link to `{}` and is removed; destroy what it led to by hand", target.display());
    }
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
        let proof = destroy(&Places::below(root.path()), "box", &Named::default());
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

    #[test]
    fn what_the_settings_name_elsewhere_goes_too_and_what_is_not_ours_is_told() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        let put = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let settings = |key_file: &str| {
            let text = format!(
                "[storage]\nfolder = \"/srv/box\"\n[privacy]\nkey_file = \"{key_file}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1\"\nusername = \"box\"\npassword_file = \"/srv/word\"\n"
            );
            put("etc/forecourt/forecourt.toml", &text)
        };
        settings("/mnt/other/box.key");
        let key = put("mnt/other/box.key", "key");
        let gone = [
            put("srv/box/members.db", "members"),
            put("srv/box/members.db.set-aside-20260101T000000Z", "former members"),
            put("srv/box/spool.db-wal", "events"),
            put("srv/box/bundles/a.json", "bundle"),
            put("srv/word", "secret"),
        ];
        let strange = put("srv/box/diary.txt", "somebody's");
        let proof = destroy(&places, "box", &Named::of(&places, None));
        assert_eq!(proof.keys.iter().map(|key| &key.path).collect::<Vec<_>>(), [&key]);
        assert!(gone.iter().chain([&key]).all(|path| !path.exists()), "{proof:?}");
        assert!(strange.exists() && proof.left.len() == 1 && proof.left[0].contains("diary.txt"), "{proof:?}");

        // A credential is found where systemd looks for it; one that is nowhere is not passed over.
        settings("forecourt.key");
        let sealed = put("etc/credstore.encrypted/forecourt.key", "sealed");
        let proof = destroy(&places, "box", &Named::of(&places, None));
        assert!(!sealed.exists() && proof.keys.iter().any(|key| key.path == sealed), "{proof:?}");
        settings("forecourt.key");
        let proof = destroy(&places, "box", &Named::of(&places, None));
        assert!(proof.left.iter().any(|line| line.contains("the credential `forecourt.key`")), "{proof:?}");
        settings("/mnt/other/box.key");
        let proof = destroy(&places, "box", &Named::of(&places, None));
        assert!(proof.left.iter().any(|line| line.contains("box.key: `privacy.key_file` is not there")), "{proof:?}");
        fs::write(settings("x/y"), "[[broken").unwrap();
        let named = Named::of(&places, None);
        assert!(named.lost[0].contains("cannot be used"), "{named:?}");
    }

    #[test]
    fn a_link_in_the_place_of_a_key_does_not_lead_out() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "somebody's").unwrap();
        let folder = root.path().join("var/lib/forecourt-key");
        fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.join("device-key.cred")).unwrap();
        let proof = destroy(&Places::below(root.path()), "box", &Named::default());
        assert_eq!(fs::read(outside.path()).unwrap(), b"somebody's");
        assert!(files(&folder).is_empty() && proof.left[0].contains("was a link to"), "{proof:?}");
    }
}
