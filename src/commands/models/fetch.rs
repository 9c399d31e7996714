//! `forecourt models fetch`: public models of the catalog, resumed where a line broke, checked against size and hash.
//!
//! A file gets its name only when its hash is right. It becomes a pack with the manifest that the catalog carries, which is
//! verified like any other (`models verify`), or with one that is written beside it (`docs/packs.md`).

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::Exit;
use super::super::vision::Setup;
use super::verify;
use crate::cli::Global;
use crate::domain::sync::hex;
use crate::pipeline::fetch::{self, Persistence};

/// The catalog of this version of the program.
const CATALOG: &str = include_str!("../../../models/catalog.toml");
/// With a file whose line breaks; somebody waits and sees it.
const PERSISTENCE: Persistence = Persistence { attempts: 5, pause: Duration::ZERO };

/// What was typed after `models fetch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name in the catalog; without it the catalog is listed.
    name: Option<String>,
    /// Folder in which a folder of that name is made.
    #[arg(long, value_name = "DIR", default_value = "models/packs")]
    into: PathBuf,
    /// Another catalog.
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    format: u32,
    pack: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    task: String,
    licence: String,
    source: String,
    /// Text of its `pack.toml`, where this program has one.
    manifest: Option<String>,
    file: Vec<Wanted>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    url: String,
    bytes: u64,
    sha256: String,
}

/// Fetches, or lists.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let text = match &args.catalog {
        Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?,
        None => CATALOG.to_owned(),
    };
    let catalog: Catalog = toml::from_str(&text).context("the catalog")?;
    ensure!(catalog.format == 1, "the catalog is of format {}, this program reads 1", catalog.format);
    let Some(name) = &args.name else {
        for Entry { name, task, licence, file, .. } in &catalog.pack {
            println!("{name}  {task}  {licence}  {} KiB", file.iter().map(|file| file.bytes).sum::<u64>() >> 10);
        }
        return Ok(Exit::Ok);
    };
    let Some(entry) = catalog.pack.iter().find(|entry| entry.name == *name) else {
        eprintln!("There is no `{name}` in the catalog; `forecourt models fetch` lists it.");
        return Ok(Exit::NotFound);
    };
    let folder = args.into.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    eprintln!("`{name}` is under the licence {}, from {}.", entry.licence, entry.source);
    for file in &entry.file {
        bring(file, &folder).with_context(|| format!("`{}`", file.url))?;
    }
    let Some(manifest) = &entry.manifest else {
        eprintln!("It comes without a manifest: write `pack.toml` as docs/packs.md says.");
        println!("{}", folder.display());
        return Ok(Exit::Ok);
    };
    let path = folder.join("pack.toml");
    fs::write(&path, manifest).with_context(|| format!("cannot write `{}`", path.display()))?;
    let folder = folder.canonicalize()?;
    let judged = verify::run(&[folder.display().to_string()], &Setup::new(global)?, global.json)?;
    if judged != Exit::Ok {
        eprintln!(
            "The files are what the catalog promises, but the manifest does not fit them: correct `{}`.",
            path.display()
        );
    }
    Ok(judged)
}

fn bring(file: &Wanted, folder: &Path) -> anyhow::Result<()> {
    ensure!(Path::new(&file.name).file_name() == Some(file.name.as_ref()), "`{}` is no plain name", file.name);
    let whole = folder.join(&file.name);
    if whole.exists() && hash(&whole)? == file.sha256 {
        eprintln!("`{}` is there already.", file.name);
        return Ok(());
    }
    let part = folder.join(format!("{}.part", file.name));
    let bar = ProgressBar::new(file.bytes).with_message(file.name.clone());
    bar.set_style(ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {eta}")?);
    let broke = |error: &anyhow::Error| eprintln!("{error:#}; trying again from where it broke");
    fetch::whole(&file.url, file.bytes, &part, PERSISTENCE, &mut |there| bar.set_position(there), &broke)?;
    bar.finish_and_clear();
    let found = hash(&part)?;
    if found != file.sha256 {
        fs::remove_file(&part)?;
        bail!("its sha256 is {found}, the catalog says {}; it was thrown away", file.sha256);
    }
    fs::rename(&part, &whole)?;
    Ok(())
}

fn hash(path: &Path) -> anyhow::Result<String> {
    let (mut digest, mut file, mut piece) = (Sha256::new(), File::open(path)?, vec![0; 64 << 10]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => digest.update(&piece[..read]),
        }
    }
    Ok(hex(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::pack::{Manifest, Task};

    #[test]
    fn every_manifest_of_the_catalog_is_one_and_names_the_file_that_is_fetched() {
        let catalog: Catalog = toml::from_str(CATALOG).unwrap();
        let mut told = 0;
        for entry in &catalog.pack {
            let Some(text) = &entry.manifest else { continue };
            let manifest =
                Manifest::parse(text, Path::new(&entry.name)).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
            assert_eq!(manifest.name, entry.name);
            let [model] = manifest.models.as_slice() else { panic!("{}: one model", entry.name) };
            assert_eq!(Some(model.task), Task::from_word(&entry.task));
            let wanted = &entry.file[0];
            assert_eq!((&model.file, &model.sha256), (&wanted.name, &wanted.sha256));
            told += 1;
        }
        assert_eq!(told, 4);
    }
}
