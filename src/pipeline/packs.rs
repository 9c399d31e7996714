//! Packs of models on their way to this box: fetched, then installed with their own test in a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use tracing::warn;

use super::fetch::{self, Persistence};
use crate::clock::{Boot, TimeQuality, floor};
use crate::config::Config;
use crate::inference::pack::install::{self, Installer, Knowledge, Label, Trust, bundle};

/// Patience with the test of a pack.
const PATIENCE: Duration = Duration::from_secs(180);
/// With a bundle whose line breaks.
const PERSISTENCE: Persistence = Persistence { attempts: 6, pause: Duration::from_secs(1) };
/// Folder in `storage.folder` for what is half fetched.
const FETCHED: &str = "fetched";
/// Free space that must be left.
const RESERVE: u64 = 32 << 20;

/// What `pack-install` needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Where the bundle lies, `https://…`.
    pub url: String,
    /// How large it is.
    pub bytes: u64,
    /// Text of its `.minisig`.
    pub signature: String,
}

impl Wanted {
    /// From the arguments of a command.
    ///
    /// # Errors
    /// In words.
    pub fn parse(args: &Map<String, Value>) -> Result<Self, String> {
        let wanted: Self = serde_json::from_value(Value::Object(args.clone())).map_err(|error| error.to_string())?;
        let most = bundle::MOST_BYTES;
        match wanted.bytes {
            0 => Err("`bytes` is 0".to_owned()),
            bytes if bytes > most => Err(format!("`bytes` is {bytes}, {most} are taken")),
            _ if !fetch::is_sound(&wanted.url) => Err("`url` is no https:// address".to_owned()),
            _ => Ok(wanted),
        }
    }
}

/// A pack that was brought to the box.
#[derive(Clone, Debug)]
pub struct Brought {
    /// What its signature says.
    pub label: Label,
    /// Where it was installed.
    pub packs: PathBuf,
    /// The version that was in use before; `None`: none was installed.
    pub before: Option<String>,
    /// Do the settings name it?
    pub named: bool,
}

/// Why a pack is not on the box.
#[derive(Debug)]
pub enum NotBrought {
    /// It did not come.
    NotFetched(String),
    /// It came, and was refused; what was in use stays in use.
    Refused(String),
}

/// Fetches a bundle and installs it. `id` names what is half fetched, so that a repetition goes on with it.
///
/// # Errors
/// Why nothing has changed.
pub fn bring(wanted: &Wanted, id: &str, config: &Config, folder: &Path) -> Result<Brought, NotBrought> {
    let folder = folder.join(FETCHED);
    let bundle = folder.join(format!("{id}.tar"));
    let fetched = fetch(wanted, &folder, &bundle);
    fetched.map_err(|error| NotBrought::NotFetched(format!("{error:#}")))?;
    let installed = install(&bundle, config);
    // Refused or installed: it is not needed any more.
    let _ = fs::remove_dir_all(&folder);
    installed.map_err(|error| NotBrought::Refused(format!("{error:#}")))
}

fn fetch(wanted: &Wanted, folder: &Path, bundle: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let about = nix::sys::statvfs::statvfs(folder)?;
    let free = about.blocks_available() as u64 * about.fragment_size() as u64;
    ensure!(free >= wanted.bytes + RESERVE, "{} MiB are free, {} bytes were to come", free >> 20, wanted.bytes);
    let part = bundle.with_extension("part");
    let broke = |error: &anyhow::Error| warn!("A bundle is asked for again: {error:#}");
    fetch::whole(&wanted.url, wanted.bytes, &part, PERSISTENCE, &mut |_| (), &broke)?;
    fs::write(bundle::signature_of(bundle), &wanted.signature)?;
    Ok(fs::rename(&part, bundle)?)
}

fn install(bundle: &Path, config: &Config) -> anyhow::Result<Brought> {
    let trust = Trust::of(&config.commands.pack_keys)?;
    let label = trust.verify(bundle, &bundle::signature_of(bundle))?;
    let of_faces = config.faces.packs.contains(&label.name);
    let named = of_faces || config.plates.packs.contains(&label.name);
    let folders = if of_faces { &config.faces.pack_folders } else { &config.plates.pack_folders };
    let packs = folders.first().context("`plates.pack_folders` names no folder to install into")?.clone();
    fs::create_dir_all(&packs).with_context(|| format!("cannot make `{}`", packs.display()))?;
    // A repetition after a kill: it lies there already.
    let before = install::current(&packs, &label.name)?;
    if before.as_ref() == Some(&label.folder()) {
        return Ok(Brought { label, packs, before, named });
    }
    let after = |_| Ok(());
    let installer =
        Installer { packs: &packs, trust: &trust, knowledge: knowledge(), try_out: &try_out, after: &after };
    let installed = installer.install(bundle)?;
    Ok(Brought { label: installed.label, packs, before: installed.before, named })
}

/// What is known of the time, so that a pack expires on time and not before.
pub fn knowledge() -> Knowledge {
    let built = std::env::current_exe().and_then(fs::metadata).and_then(|about| about.modified()).ok();
    let built = built.and_then(|at| Timestamp::try_from(at).ok());
    let floor = floor::read(floor::INSTALLED.as_ref()).max(built).unwrap_or(Timestamp::UNIX_EPOCH);
    Knowledge { now: Timestamp::now(), trusted: Boot::system().quality() != TimeQuality::Unsynced, floor }
}

/// Lets a pack test itself in a process of its own: a model may make ONNX Runtime crash, or run for ever.
///
/// # Errors
/// When the test fails or takes too long.
pub fn try_out(folder: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(program)
        .args(["models", "verify", "--json"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the test")?;
    let until = Instant::now() + PATIENCE;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("`forecourt models verify {}` says why ({status})", folder.display()),
            None if Instant::now() >= until => {
                child.kill()?;
                child.wait()?;
                bail!("it takes longer than {} s", PATIENCE.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wanted_names_its_place_size_and_signature() {
        let parse = |args: Value| Wanted::parse(args.as_object().unwrap());
        assert!(parse(json!({"url": "https://h/p.tar", "bytes": 9, "signature": "s"})).is_ok());
        for (args, word) in [
            (json!({"url": "http://h/p.tar", "bytes": 9, "signature": "s"}), "https"),
            (json!({"url": "http://127.0.0.1.h/p.tar", "bytes": 9, "signature": "s"}), "https"),
            (json!({"url": "file:///etc/passwd", "bytes": 9, "signature": "s"}), "https"),
            (json!({"url": "https://h/p.tar", "bytes": 0, "signature": "s"}), "bytes"),
            (json!({"url": "https://h/p.tar", "bytes": 1_u64 << 40, "signature": "s"}), "bytes"),
            (json!({"url": "https://h/p.tar", "bytes": 9}), "signature"),
            (json!({"url": "https://h/p.tar", "bytes": 9, "signature": "s", "run": "x"}), "run"),
        ] {
            let words = parse(args).unwrap_err();
            assert!(words.contains(word), "{words}");
        }
    }
}
