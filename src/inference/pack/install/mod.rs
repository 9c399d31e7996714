//! Packs that are brought to a box: signed, staged, tried, switched in one step, on probation, rolled back by themselves.
//!
//! ```text
//! PACKS/NAME            → link to .versions/NAME/VERSION, what the service loads
//! PACKS/.versions/NAME/ every version that was installed and not yet cleaned away
//! PACKS/.state/NAME     what is in use, what was before, probation, the counters of the keys
//! PACKS/.staging/       half-finished work; never in use, removed by the next installation
//! ```
//!
//! Not one byte of a pack is parsed before its signature is verified. Whatever step a power cut interrupts, the link
//! points to a whole, tried version.

pub mod bundle;
pub mod state;
#[cfg(test)]
mod tests;
pub mod trust;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

pub use bundle::Label;
pub use state::{Probation, State};
pub use trust::{Knowledge, Trust};

use super::{PackFolders, open};
use crate::disk;

/// Free space that must be left when all is unpacked.
const RESERVE: u64 = 32 << 20;

/// The steps of an installation, in order; a test stops after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The bundle lies in the staging folder.
    Copied,
    /// Its signature is good, and it may be installed.
    Verified,
    /// Its files lie in the staging folder.
    Unpacked,
    /// Hashes and samples agree.
    Tried,
    /// The version lies in its place.
    Placed,
    /// The state tells that it is about to be used.
    Announced,
    /// The link points to it.
    Switched,
}

/// Where packs are installed, and by what rules.
pub struct Installer<'a> {
    /// The folder.
    pub packs: &'a Path,
    /// Whose signatures count.
    pub trust: &'a Trust,
    /// What is known of the time.
    pub knowledge: Knowledge,
    /// Tries the unpacked folder, in a process of its own.
    pub try_out: &'a dyn Fn(&Path) -> anyhow::Result<()>,
    /// Told after each step; an error stops there, as a power cut would.
    pub after: &'a dyn Fn(Step) -> anyhow::Result<()>,
}

/// What an installation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// What the signature says of the pack.
    pub label: Label,
    /// The version that was in use before.
    pub before: Option<String>,
}

impl Installer<'_> {
    /// Installs a bundle; its signature lies beside it, `.minisig` appended.
    ///
    /// # Errors
    /// Why it was refused; what was in use stays in use then.
    pub fn install(&self, bundle: &Path) -> anyhow::Result<Installed> {
        let staging = self.packs.join(".staging");
        // Left over from a power cut: never in use.
        let _ = fs::remove_dir_all(&staging);
        fs::create_dir_all(&staging).with_context(|| format!("cannot write to `{}`", self.packs.display()))?;
        let result = self.staged(bundle, &staging);
        if result.is_ok() {
            let _ = fs::remove_dir_all(&staging);
        }
        result
    }

    fn staged(&self, bundle: &Path, staging: &Path) -> anyhow::Result<Installed> {
        let size = fs::metadata(bundle).with_context(|| format!("no bundle `{}`", bundle.display()))?.len();
        ensure!(size <= bundle::MOST_BYTES, "`{}` is larger than {} MiB", bundle.display(), bundle::MOST_BYTES >> 20);
        self.room_for(size)?;
        // A copy of our own: what is verified is what is unpacked, whatever happens to the stick meanwhile.
        let copy = staging.join("bundle.tar");
        fs::copy(bundle, &copy).with_context(|| format!("cannot copy `{}`", bundle.display()))?;
        (self.after)(Step::Copied)?;
        let label = self.trust.verify(&copy, &bundle::signature_of(bundle))?;
        let mut state = State::read(self.packs, &label.name)?.unwrap_or_default();
        label.may_follow(&state, self.knowledge)?;
        (self.after)(Step::Verified)?;
        let unpacked = staging.join(&label.name);
        bundle::unpack(&copy, &unpacked)?;
        (self.after)(Step::Unpacked)?;
        check(&unpacked, &label)?;
        (self.try_out)(&unpacked)
            .with_context(|| format!("pack `{}` {} fails its own test", label.name, label.version))?;
        (self.after)(Step::Tried)?;
        let before = self.current(&label.name)?;
        self.place(&unpacked, &label, before.as_deref())?;
        (self.after)(Step::Placed)?;
        state.announce(&label, before.clone());
        state.write(self.packs, &label.name)?;
        (self.after)(Step::Announced)?;
        point(self.packs, &label.name, &label.folder())?;
        (self.after)(Step::Switched)?;
        Ok(Installed { label, before })
    }

    fn room_for(&self, size: u64) -> anyhow::Result<()> {
        let about = nix::sys::statvfs::statvfs(self.packs)?;
        let free = about.blocks_available() as u64 * about.fragment_size() as u64;
        // The copy and what comes out of it.
        let needed = size * 2 + RESERVE;
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        ensure!(free >= needed, "{} MiB are free in `{}`, {} are needed", mib(free), self.packs.display(), mib(needed));
        Ok(())
    }

    /// The folder below `.versions/NAME` that is in use.
    fn current(&self, name: &str) -> anyhow::Result<Option<String>> {
        current(self.packs, name)
    }

    fn place(&self, unpacked: &Path, label: &Label, before: Option<&str>) -> anyhow::Result<()> {
        let versions = self.packs.join(".versions").join(&label.name);
        fs::create_dir_all(&versions)?;
        let place = versions.join(label.folder());
        if place.exists() {
            ensure!(before != Some(&label.folder()), "pack `{}` {} is in use already", label.name, label.version);
            fs::remove_dir_all(&place)?;
        }
        fs::rename(unpacked, &place).with_context(|| format!("cannot put the pack into `{}`", versions.display()))?;
        Ok(disk::sync_folder(&versions)?)
    }
}

/// What is in use of a pack; `None` when it was never installed.
///
/// # Errors
/// When something else has its place.
pub fn current(packs: &Path, name: &str) -> anyhow::Result<Option<String>> {
    let link = packs.join(name);
    let Ok(about) = fs::symlink_metadata(&link) else { return Ok(None) };
    ensure!(about.is_symlink(), "`{}` was not installed by this program; take it away first", link.display());
    let target = fs::read_link(&link)?;
    Ok(target.file_name().and_then(|version| version.to_str()).map(str::to_owned))
}

/// Goes back to the version before; returns which that is.
///
/// # Errors
/// When there is none.
pub fn roll_back(packs: &Path, name: &str) -> anyhow::Result<String> {
    let Some(mut state) = State::read(packs, name)? else { bail!("pack `{name}` was never installed here") };
    let Some(before) = state.before.clone() else {
        // The first of its name: without it the pack that ships with the program serves again.
        fs::remove_file(packs.join(name)).with_context(|| format!("pack `{name}` has no version before"))?;
        state.rolled_back();
        state.write(packs, name)?;
        disk::sync_folder(packs)?;
        return Ok("the one that ships with the program, if there is one".to_owned());
    };
    let there = packs.join(".versions").join(name).join(&before);
    ensure!(there.is_dir(), "the version before, `{before}`, is not on this box any more");
    point(packs, name, &before)?;
    state.rolled_back();
    state.write(packs, name)?;
    Ok(before)
}

/// Makes the link point to a version, in one step.
fn point(packs: &Path, name: &str, version: &str) -> anyhow::Result<()> {
    let part = packs.join(format!(".link-{name}"));
    let _ = fs::remove_file(&part);
    symlink(Path::new(".versions").join(name).join(version), &part)?;
    fs::rename(&part, packs.join(name)).with_context(|| format!("cannot switch pack `{name}`"))?;
    Ok(disk::sync_folder(packs)?)
}

/// Is it what the signature says, and is every file what the manifest says?
fn check(folder: &Path, label: &Label) -> anyhow::Result<()> {
    let above = folder.parent().context("a pack lies in a folder")?;
    let pack = open(&label.name, &PackFolders::only(vec![above.to_owned()]), above)?;
    let (name, version) = (&pack.manifest.name, &pack.manifest.version);
    ensure!(
        *name == label.name && *version == label.version,
        "the signature is for `{}` {}, the manifest says `{name}` {version}",
        label.name,
        label.version
    );
    for file in pack.files() {
        file.read()?;
    }
    Ok(())
}

/// Folders of `.versions/NAME` that are neither in use nor the one before; removed after a probation.
pub fn clean(packs: &Path, name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let state = State::read(packs, name)?.unwrap_or_default();
    let kept = [current(packs, name)?, state.before];
    let mut removed = Vec::new();
    for entry in fs::read_dir(packs.join(".versions").join(name)).into_iter().flatten().flatten() {
        let version = entry.file_name().to_string_lossy().into_owned();
        if !kept.iter().flatten().any(|each| *each == version) {
            fs::remove_dir_all(entry.path())?;
            removed.push(entry.path());
        }
    }
    Ok(removed)
}
