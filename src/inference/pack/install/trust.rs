//! Whose signatures count, and what is known of the time.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use minisign::{PublicKey, SignatureBox};

use super::bundle::Label;

/// Largest signature or key file.
const MOST_BYTES: u64 = 4096;

/// The keys of a box: one in use, one in reserve; offline keys of the distributor.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<(PathBuf, PublicKey)>,
    folders: Vec<PathBuf>,
}

/// What is known of the time.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge {
    /// The wall clock.
    pub now: Timestamp,
    /// Does or did a time server say so?
    pub trusted: bool,
    /// An instant that has surely passed.
    pub floor: Timestamp,
}

impl Knowledge {
    /// The latest instant that has passed for certain: a clock that nobody set must not let a pack expire.
    pub fn passed(self) -> Timestamp {
        if self.trusted { self.now } else { self.floor }
    }
}

impl Trust {
    /// Every `*.pub` of the folders; folders that are not there hold none.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn of(folders: &[PathBuf]) -> anyhow::Result<Self> {
        let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "pub"));
        paths.sort();
        let key = |path: PathBuf| {
            let text = read(&path)?;
            let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            let key = PublicKey::from_base64(line.trim()).map_err(|error| anyhow::anyhow!("{error}"));
            Ok((path.clone(), key.with_context(|| format!("`{}` is no public key of minisign", path.display()))?))
        };
        Ok(Self { keys: paths.into_iter().map(key).collect::<anyhow::Result<_>>()?, folders: folders.to_owned() })
    }

    /// Verifies a file against a signature of one of the keys; returns what the signature says.
    ///
    /// # Errors
    /// When no key is trusted, the signature is of another key, of the old kind, or wrong.
    pub fn verify(&self, file: &Path, signature: &Path) -> anyhow::Result<Label> {
        if self.keys.is_empty() {
            let folders: Vec<String> = self.folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
            bail!("no key is trusted; put the distributor's `*.pub` into {}", folders.join(" or "));
        }
        let words = || format!("the signature `{}`", signature.display());
        let text = read(signature).with_context(words)?;
        let signed =
            SignatureBox::from_string(&text).map_err(|error| anyhow::anyhow!("{error}")).with_context(words)?;
        ensure!(
            signed.is_prehashed(),
            "{} is of the old kind; sign with minisign -H or `forecourt models sign`",
            words()
        );
        let id = key_id(signed.keynum());
        let Some((_, key)) = self.keys.iter().find(|(_, key)| key_id(key.keynum()) == id) else {
            bail!("{} is of the key {id}, which this box does not trust", words());
        };
        minisign::verify(key, &signed, File::open(file)?, true, false, false)
            .map_err(|error| anyhow::anyhow!("{error}"))
            .with_context(|| format!("{} does not fit the bundle", words()))?;
        Label::parse(&signed.trusted_comment().map_err(|error| anyhow::anyhow!("{error}"))?, &id)
    }
}

/// As minisign writes it.
pub fn key_id(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn read(path: &Path) -> anyhow::Result<String> {
    let about = std::fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    ensure!(about.len() <= MOST_BYTES, "`{}` is larger than {MOST_BYTES} bytes", path.display());
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
