//! Puts settings and the files that they name in place: whole or not at all, also in a power cut.
//!
//! A copy of the settings folder is made beside it, the new files are put into the copy, the copy is checked as the
//! service would check it, and the two folders change places in one step of the file system. What was there before is
//! removed only then.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::Places;
use super::stick::{SITE, Stick};
use crate::config::{self, Code, Config, Finding};
use crate::disk;

/// Why nothing was applied.
#[derive(Debug)]
pub enum Refused {
    /// The settings are wrong; every finding.
    Findings(Vec<Finding>),
    /// Anything else, in words.
    Words(String),
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::Words(format!("{error:#}"))
    }
}

/// A checked copy of the settings folder, not yet in place; removed when dropped.
#[derive(Debug)]
pub struct Staged {
    folder: PathBuf,
    target: PathBuf,
    /// The settings, with paths as they will be.
    pub config: Config,
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Copies, adds, checks. `extra` are further files, by their name in the settings folder.
///
/// # Errors
/// Why the settings cannot be used; nothing has changed then.
pub fn stage(places: &Places, text: &str, stick: &Stick, extra: &[(&str, Vec<u8>)]) -> Result<Staged, Refused> {
    let config = config::from_text(text).map_err(Refused::Findings)?;
    let target = places.settings.clone();
    fs::create_dir_all(&target).with_context(|| format!("cannot make `{}`", target.display()))?;
    let folder = target.with_extension("next");
    // Left over from a power cut: never in use.
    let _ = fs::remove_dir_all(&folder);
    let staged = Staged { folder, target, config };
    copy(&staged.target, &staged.folder)?;
    staged.put("forecourt.toml".as_ref(), text.as_bytes())?;
    for name in config::brought_along(&staged.config) {
        if let Some(bytes) = stick.named(&name).map_err(Refused::Words)? {
            staged.put(&name, &bytes)?;
        }
    }
    for (name, bytes) in extra {
        staged.put(name.as_ref(), bytes)?;
    }
    let loaded = config::load(&staged.folder.join("forecourt.toml"));
    let findings = loaded.map_or_else(|errors| errors.findings, |loaded| loaded.check_service(true));
    if findings.is_empty() { Ok(staged) } else { Err(staged.refused(findings)) }
}

impl Staged {
    /// Changes places with the settings in use.
    ///
    /// # Errors
    /// When the file system refuses; the old settings stay then.
    pub fn switch(self) -> anyhow::Result<()> {
        sync_tree(&self.folder)?;
        renameat2(AT_FDCWD, &self.folder, AT_FDCWD, &self.target, RenameFlags::RENAME_EXCHANGE)
            .with_context(|| format!("cannot put the new settings in the place of `{}`", self.target.display()))?;
        disk::sync_folder_of(&self.target).context("cannot sync the folder of the settings")
    }

    /// Whoever reads the findings knows the stick, and nothing of the copy that was checked.
    fn refused(&self, mut findings: Vec<Finding>) -> Refused {
        let copy = format!("{}/", self.folder.display());
        for finding in findings.iter_mut().filter(|finding| finding.problem.contains(&copy)) {
            finding.problem = finding.problem.replace(&copy, "");
            if finding.code == Code::NoFile {
                finding.remedy = if comes_by_stick(&finding.key) {
                    format!("put it on the stick, beside `{SITE}`, or correct the path")
                } else {
                    "this does not come by stick; name it by its whole path on the box".to_owned()
                };
            }
        }
        Refused::Findings(findings)
    }

    fn put(&self, name: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let words = || format!("cannot write `{}`", name.display());
        let mut above: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
        while let Some(folder) = above.pop() {
            fs::create_dir(folder).with_context(words)?;
            like(&self.target, folder)?;
        }
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o640).open(&path).with_context(words)?;
        file.write_all(bytes).with_context(words)?;
        like(&self.target, &path)
    }
}

/// Not packs, which come signed, nor recordings, nor a library, which would be executed.
fn comes_by_stick(key: &str) -> bool {
    !key.contains(".packs[") && !key.ends_with("].source") && key != "inference.library"
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to).with_context(|| format!("cannot make `{}`", to.display()))?;
    let about = fs::metadata(from)?;
    fs::set_permissions(to, about.permissions())?;
    like(from, to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, sink, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            copy(&source, &sink)?;
        } else if kind.is_file() {
            fs::copy(&source, &sink).with_context(|| format!("cannot copy `{}`", source.display()))?;
            let about = fs::metadata(&source)?;
            let _ = chown(&sink, Some(about.uid()), Some(about.gid()));
        } else {
            bail!("`{}` is neither a file nor a folder; take it away", source.display());
        }
    }
    Ok(())
}

/// Gives a path the owner and group of another; only root can, and only root needs to.
fn like(model: &Path, path: &Path) -> anyhow::Result<()> {
    let about = fs::metadata(model)?;
    if nix::unistd::geteuid().is_root() {
        chown(path, Some(about.uid()), Some(about.gid()))?;
    }
    if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(about.permissions().mode() & 0o7777))?;
    }
    Ok(())
}

fn sync_tree(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    Ok(disk::sync_folder(folder)?)
}
