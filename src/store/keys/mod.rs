//! The device key: what the keys of the members are wrapped with. It comes from a file, best a credential of systemd.
//!
//! A key file is text, a key a line (32 bytes in base64), remarks after `#`; or just 32 bytes. The first key is in use;
//! further ones only open what was wrapped before a rotation that is under way. A key is never logged or shown; its
//! name, made by hashing, is. What a key protects against depends on where its file is kept: [`Custody`].

mod error;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, Zeroizing};

pub use self::error::KeyError;
use super::seal::{self, KEY, Key};
use crate::config::Privacy;
use crate::disk::{self, NotWritten, Rights};

/// Name of the key that lies beside the data when `privacy.insecure_key` allows it.
pub const INSECURE_NAME: &str = "device.key";
/// Where systemd puts the credentials of the running service; root reads them there from a shell.
const OF_THE_SERVICE: &str = "/run/credentials/forecourt.service";
/// Only its owner reads it; one that root makes for a service that is not root must be readable by the service.
const RIGHTS: Rights = Rights::mode(0o600).of_folder();
/// A key file is not larger.
const MOST_BYTES: u64 = 4_096;

/// Where the device key is kept, and so what it protects against. Best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Custody {
    /// Handed over by systemd in memory.
    Credential,
    /// In a file on another disk than the data.
    OtherDisk,
    /// In a file on the disk of the data.
    SameDisk,
    /// Beside the data, because `privacy.insecure_key` allows it.
    Beside,
}

impl Custody {
    /// Does it deserve a flag in the health of the box?
    pub fn reduced(self) -> bool {
        matches!(self, Self::SameDisk | Self::Beside)
    }

    /// What it protects against, and what not.
    pub fn words(self) -> &'static str {
        match self {
            Self::Credential => {
                "a credential of systemd: as safe as the board keeps it (with a TPM also against a stolen box, \
                 without one against a copied database only)"
            }
            Self::OtherDisk => "a file on another disk: protects a copied or stolen data disk",
            Self::SameDisk => "a file on the disk of the data: protects a copied database, not a stolen disk",
            Self::Beside => "a file beside the data (privacy.insecure_key): protects a copied database file at most",
        }
    }
}

/// The device keys of a file, the first in use. Wiped when dropped.
pub struct KeyRing {
    keys: Vec<(String, Key)>,
    path: PathBuf,
    custody: Custody,
}

impl KeyRing {
    /// The keys that the settings name. With `privacy.insecure_key` and no key yet, one is made beside the data in
    /// `folder`.
    ///
    /// # Errors
    /// When none is named, or the file is missing, unreadable, readable by others or no key.
    pub fn load(privacy: &Privacy, folder: &Path) -> Result<Self, KeyError> {
        match &privacy.key_file {
            Some(name) if !name.contains('/') => Self::of_file(&credential(name)?, Custody::Credential),
            Some(path) => {
                let path = Path::new(path);
                let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
                let same = device(path) == device(folder);
                Self::of_file(path, if same { Custody::SameDisk } else { Custody::OtherDisk })
            }
            None if privacy.insecure_key => {
                let path = folder.join(INSECURE_NAME);
                if !path.exists() {
                    Self::make(&path)?;
                }
                Self::of_file(&path, Custody::Beside)
            }
            None => Err(KeyError::NotNamed),
        }
    }

    /// The keys of a file.
    ///
    /// # Errors
    /// As [`KeyRing::load`].
    pub fn of_file(path: &Path, custody: Custody) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { what: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 && custody != Custody::Credential {
            return Err(KeyError::Readable { path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES as usize + 1));
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        let keys = parse(&bytes).map_err(|why| KeyError::NotAKey { path: path.to_owned(), why })?;
        Ok(Self {
            keys: keys.into_iter().map(|key| (seal::name_of(&key), key)).collect(),
            path: path.to_owned(),
            custody,
        })
    }

    /// Makes a file with a new key that only its owner may read; an existing file is never overwritten.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn make(path: &Path) -> Result<String, KeyError> {
        let (name, text) = Self::generate()?;
        let made = fs::create_dir_all(disk::folder_of(path))
            .and_then(|()| disk::write_new(path, text.as_bytes(), RIGHTS).map_err(said));
        made.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists if path.exists() => KeyError::Exists(path.to_owned()),
            _ => KeyError::File { what: "written", path: path.to_owned(), source },
        })?;
        Ok(name)
    }

    /// A new key: its name and the text of its file.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<(String, Zeroizing<String>), KeyError> {
        let key = seal::new_key()?;
        let keys = [(seal::name_of(&key), key)];
        Ok((keys[0].0.clone(), text(&keys)))
    }

    /// A key for a list that stays in memory; it goes with it.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn passing() -> Result<Self, KeyError> {
        let key = seal::new_key()?;
        Ok(Self { keys: vec![(seal::name_of(&key), key)], path: PathBuf::new(), custody: Custody::Beside })
    }

    /// Name of the key in use.
    pub fn name(&self) -> &str {
        &self.keys[0].0
    }

    /// Where it is kept.
    pub fn custody(&self) -> Custody {
        self.custody
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all keys, the one in use first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(name, _)| name.as_str())
    }

    /// The key in use.
    pub(super) fn current(&self) -> (&str, &Key) {
        let (name, key) = &self.keys[0];
        (name, key)
    }

    /// The key of that name.
    pub(super) fn find(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|(known, _)| known == name).map(|(_, key)| key)
    }

    /// The keys of this ring, then those of the other one: what is needed while the device key changes.
    pub fn before(&self, former: &Self) -> Self {
        let mut keys = self.keys.clone();
        keys.extend(former.keys.iter().filter(|(name, _)| self.find(name).is_none()).cloned());
        Self { keys, path: self.path.clone(), custody: self.custody }
    }

    /// Puts a new key in front and writes the file, unless it holds several already: then a change was not finished.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin_change(&mut self) -> Result<(), KeyError> {
        if self.keys.len() == 1 {
            let key = seal::new_key()?;
            let mut keys = self.keys.clone();
            keys.insert(0, (seal::name_of(&key), key));
            self.write(&keys)?;
            self.keys = keys;
        }
        Ok(())
    }

    /// Forgets all keys but the one in use, in the file too.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish_change(&mut self) -> Result<(), KeyError> {
        self.write(&self.keys[..1])?;
        self.keys.truncate(1);
        Ok(())
    }

    /// Whole or not at all; the former content is overwritten where the disk allows it.
    fn write(&self, keys: &[(String, Key)]) -> Result<(), KeyError> {
        replace(&self.path, text(keys).as_bytes()).map_err(|source| KeyError::File {
            what: "written",
            path: self.path.clone(),
            source,
        })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({})", self.names().collect::<Vec<_>>().join(", "))
    }
}

/// The file of a credential: in the process that systemd started, else that of the running service.
fn credential(name: &str) -> Result<PathBuf, KeyError> {
    let own = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let folders = own.into_iter().chain([PathBuf::from(OF_THE_SERVICE)]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.exists());
    found.ok_or_else(|| KeyError::NoCredential { name: name.to_owned() })
}

/// What is wrong is said without a word of the content.
fn parse(bytes: &[u8]) -> Result<Vec<Key>, String> {
    if let Ok(raw) = <[u8; KEY]>::try_from(bytes) {
        return Ok(vec![Zeroizing::new(raw)]);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| format!("it is neither text nor {KEY} bytes"))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim()).filter(|line| !line.is_empty());
    let mut keys = Vec::new();
    for (number, line) in lines.enumerate() {
        let wrong = || format!("line {} of its keys is not {KEY} bytes in base64", number + 1);
        let mut decoded = STANDARD.decode(line).map_err(|_| wrong())?;
        let key = <[u8; KEY]>::try_from(decoded.as_slice()).map_err(|_| wrong());
        decoded.zeroize();
        keys.push(Zeroizing::new(key?));
    }
    if keys.is_empty() { Err("it holds no key".to_owned()) } else { Ok(keys) }
}

fn text(keys: &[(String, Key)]) -> Zeroizing<String> {
    let mut text = String::with_capacity(128 + keys.len() * 80);
    text.push_str("# Device key of forecourt; the first is in use. Whoever has it can read the face templates.\n");
    for (name, key) in keys {
        let encoded = Zeroizing::new(STANDARD.encode(**key));
        text.push_str(&encoded);
        text.push_str(&format!(" # {name}\n"));
    }
    Zeroizing::new(text)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut former = OpenOptions::new().write(true).open(path)?;
    let length = former.metadata()?.len();
    disk::write(path, bytes, RIGHTS).map_err(said)?;
    // Flash may keep the old block all the same; docs/privacy.md says so.
    former.write_all(&vec![0; length as usize])?;
    former.sync_all()
}

/// The path stands in the words of [`KeyError`] already.
fn said(error: NotWritten) -> io::Error {
    error.source
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn privacy(key_file: Option<&Path>) -> Privacy {
        Privacy { key_file: key_file.map(|path| path.to_str().unwrap().to_owned()), ..Privacy::default() }
    }

    #[test]
    fn a_new_key_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/box.key");
        let name = KeyRing::make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let ring = KeyRing::load(&privacy(Some(&path)), folder.path()).unwrap();
        assert_eq!((ring.name(), ring.custody()), (name.as_str(), Custody::SameDisk));
        assert_eq!(format!("{ring:?}"), format!("KeyRing({name})"));
        assert!(KeyRing::make(&path).unwrap_err().to_string().contains("[FC-KEY-010] there is a key already"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_a_word_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("box.key");
        let load = |bytes: &[u8], mode: u32| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            KeyRing::load(&privacy(Some(&path)), folder.path()).map(|ring| ring.names().count())
        };
        let words = |bytes: &[u8], mode| load(bytes, mode).unwrap_err().to_string();
        assert_eq!(load(&[7; 32], 0o600).unwrap(), 1);
        let line = STANDARD.encode([7; 32]);
        assert_eq!(load(format!("# a\n{line} # new\n{line}\n").as_bytes(), 0o400).unwrap(), 2);
        for bytes in [b"".as_slice(), b"# only a remark\n", b"secret words", &[0xff; 40], &[b'A'; 9_000]] {
            let said = words(bytes, 0o600);
            assert!(said.contains("FC-KEY-003") && !said.contains("secret"), "{said}");
        }
        let said = words(line.as_bytes(), 0o640);
        assert!(said.contains("FC-KEY-006") && said.contains("mode 640"), "{said}");
    }

    #[test]
    fn without_a_key_the_way_out_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let words = |privacy: &Privacy| KeyRing::load(privacy, folder.path()).unwrap_err().to_string();
        assert!(words(&Privacy::default()).contains("FC-KEY-001"));
        assert!(words(&privacy(Some(&folder.path().join("gone.key")))).contains("FC-KEY-002"));
        let named = Privacy { key_file: Some("no-such-credential".into()), ..Privacy::default() };
        assert!(words(&named).contains("FC-KEY-007"));
    }

    #[test]
    fn only_an_explicit_setting_makes_a_key_beside_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let insecure = Privacy { insecure_key: true, ..Privacy::default() };
        let first = KeyRing::load(&insecure, folder.path()).unwrap();
        assert!(first.custody().reduced() && first.custody() == Custody::Beside);
        assert_eq!(KeyRing::load(&insecure, folder.path()).unwrap().name(), first.name());
    }

    #[test]
    fn a_change_keeps_the_former_key_until_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("box.key");
        let former = KeyRing::make(&path).unwrap();
        let load = || KeyRing::load(&privacy(Some(&path)), folder.path()).unwrap();
        let mut ring = load();
        ring.begin_change().unwrap();
        let halfway: Vec<String> = load().names().map(str::to_owned).collect();
        assert_eq!((halfway.len(), &halfway[1]), (2, &former));
        // Killed here, begun again: the same new key.
        let mut again = load();
        again.begin_change().unwrap();
        assert_eq!(again.name(), halfway[0]);
        again.finish_change().unwrap();
        assert_eq!(load().names().collect::<Vec<_>>(), [halfway[0].as_str()]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}
