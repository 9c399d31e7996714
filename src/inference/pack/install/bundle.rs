//! The bundle: a tar of a pack's plain files, and the label in the signature's trusted comment.
//!
//! The label is signed and says what the bundle is, so that nothing inside has to be parsed to decide whether it may be
//! installed.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;

use super::state::State;
use super::trust::Knowledge;
use crate::disk::{self, Rights, Whole};

/// Largest bundle, and largest sum of what comes out of it.
pub const MOST_BYTES: u64 = 256 << 20;
/// Most files in it.
const MOST_FILES: usize = 64;

/// What a signature says of its bundle.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Label {
    /// Name of the pack.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Counts up with every release; an older one is not installed again.
    pub ratchet: u64,
    /// After this it is not installed any more.
    pub expires: Option<Timestamp>,
    /// Which key signed; hexadecimal.
    pub key: String,
}

impl Label {
    /// The trusted comment.
    pub fn comment(&self) -> String {
        let expires = self.expires.map(|at| format!(" expires={at:.0}")).unwrap_or_default();
        format!("forecourt-pack name={} version={} ratchet={}{expires}", self.name, self.version, self.ratchet)
    }

    /// From a trusted comment whose signature was verified.
    pub fn parse(comment: &str, key: &str) -> anyhow::Result<Self> {
        let mut words = comment.split_whitespace();
        ensure!(words.next() == Some("forecourt-pack"), "the signature is not for a pack of models");
        let (mut name, mut version, mut ratchet, mut expires) = (None, None, None, None);
        for word in words {
            match word.split_once('=') {
                Some(("name", value)) => name = Some(value.to_owned()),
                Some(("version", value)) => version = Some(value.to_owned()),
                Some(("ratchet", value)) => ratchet = Some(value.parse().context("ratchet")?),
                Some(("expires", value)) => expires = Some(value.parse().context("expires")?),
                _ => bail!("the signature says `{word}`, which this program does not know; install a newer program"),
            }
        }
        let (name, version) = (name.context("no name is signed")?, version.context("no version is signed")?);
        ensure!(is_word(&name) && is_word(&version), "`{name}` {version} is no name of a pack");
        Ok(Self { name, version, ratchet: ratchet.context("no ratchet is signed")?, expires, key: key.to_owned() })
    }

    /// May it be installed where `state` holds?
    pub fn may_follow(&self, state: &State, knowledge: Knowledge) -> anyhow::Result<()> {
        let highest = state.ratchets.get(&self.key).copied().unwrap_or(0);
        let Self { name, version, ratchet, .. } = self;
        ensure!(
            *ratchet >= highest,
            "pack `{name}` {version} (release {ratchet}) is older than release {highest}, which this box has had"
        );
        if let Some(expires) = self.expires
            && knowledge.passed() > expires
        {
            bail!("pack `{name}` {version} expired at {expires:.0}; ask for a newer one");
        }
        Ok(())
    }

    /// Name of its folder below `.versions/NAME`.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.version, self.ratchet)
    }
}

/// Safe as the name of a file.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.')
}

/// Where the signature of a bundle lies.
pub fn signature_of(bundle: &Path) -> PathBuf {
    let mut name = bundle.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// Makes a bundle of all plain files of a folder, hidden ones left out; the same files give the same bytes.
///
/// # Errors
/// When a file cannot be read or the bundle not be written.
pub fn make(folder: &Path, bundle: &Path) -> anyhow::Result<()> {
    let words = || format!("cannot pack `{}`", folder.display());
    let entries = fs::read_dir(folder).with_context(words)?.collect::<Result<Vec<_>, _>>().with_context(words)?;
    let mut names: Vec<String> = entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| is_word(name));
    names.sort();
    let mut sink = tar::Builder::new(Whole::begin(bundle, Rights::mode(0o644))?);
    for name in names {
        let bytes = fs::read(folder.join(&name)).with_context(words)?;
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        sink.append_data(&mut header, &name, bytes.as_slice()).with_context(words)?;
    }
    Ok(sink.into_inner()?.finish()?)
}

/// Unpacks plain files with plain names and nothing else.
pub(super) fn unpack(bundle: &Path, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut archive = tar::Archive::new(File::open(bundle)?.take(MOST_BYTES));
    let (mut seen, mut left) = (BTreeSet::new(), MOST_BYTES);
    for entry in archive.entries().context("the bundle is no tar")? {
        let mut entry = entry.context("the bundle is damaged")?;
        let path = entry.path()?.into_owned();
        let mut parts = path.components();
        let name = match (parts.next(), parts.next()) {
            (Some(Component::Normal(name)), None) => name.to_str().filter(|name| is_word(name)).map(str::to_owned),
            _ => None,
        };
        let name = name.with_context(|| format!("the bundle holds `{}`, which is no plain name", path.display()))?;
        ensure!(entry.header().entry_type().is_file(), "the bundle holds `{name}`, which is no plain file");
        ensure!(seen.insert(name.clone()), "the bundle holds `{name}` twice");
        ensure!(seen.len() <= MOST_FILES, "the bundle holds more than {MOST_FILES} files");
        ensure!(entry.size() <= left, "the bundle holds more than {} MiB", MOST_BYTES >> 20);
        left -= entry.size();
        let mut sink = OpenOptions::new().create_new(true).write(true).open(folder.join(&name))?;
        let written = std::io::copy(&mut entry, &mut sink).with_context(|| format!("cannot unpack `{name}`"))?;
        ensure!(written == entry.size(), "the bundle ends within `{name}`");
        sink.sync_all()?;
    }
    ensure!(!seen.is_empty(), "the bundle is empty");
    Ok(disk::sync_folder(folder)?)
}
