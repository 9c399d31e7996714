//! What can be seen of a box without changing anything: settings, the running service, the machine.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::Global;
use crate::clock::{Boot, TimeQuality};
use crate::config::{Config, Loaded, Sense};
use crate::inference::pack::{self, PackFolders};
use crate::pipeline::control::{self, Question};
use crate::provision;
use crate::store::members::{self, MemberStore, StoreError};
use crate::store::spool::{self, OpenError, View};

/// All of it; nothing personal is in it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Facts {
    /// Of the program.
    pub version: String,
    /// Of the box; empty when it has none.
    pub serial: String,
    /// By the wall clock.
    pub now: String,
    /// How far the clock can be trusted.
    pub clock: Option<TimeQuality>,
    /// The settings file; `None` when there is none.
    pub settings: Option<String>,
    /// What is wrong with it.
    pub settings_findings: Vec<String>,
    /// What the running service says of itself; `None` when none answers.
    pub status: Option<Value>,
    /// Why it could not be asked.
    pub status_error: Option<String>,
    /// What systemd says of the unit; empty without systemd.
    pub unit: BTreeMap<String, String>,
    /// Free and all bytes of the disk of `storage.folder`.
    pub disk: Option<[u64; 2]>,
    /// Available and all KiB of memory.
    pub memory: Option<[u64; 2]>,
    /// Hottest thermal zone, degrees Celsius.
    pub hottest: Option<f32>,
    /// Is there a way out of this box's own network?
    pub default_route: bool,
    /// Is a broker set?
    pub broker_set: bool,
    /// Packs of the settings that cannot be opened, with the reason.
    pub bad_packs: Vec<String>,
    /// Does a camera read faces?
    pub reads_faces: bool,
    /// Why this user cannot look into `storage.folder`.
    pub storage_closed: Option<String>,
    /// Databases that are damaged; looked at only while no service runs.
    pub bad_databases: Vec<String>,
}

impl Facts {
    /// Of this machine.
    pub fn gather(global: &Global) -> Self {
        let mut facts = Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            serial: provision::serial(Path::new("/")).unwrap_or_default(),
            now: format!("{:.0}", Timestamp::now()),
            clock: Some(Boot::system().quality()),
            settings: global.settings_file().map(|path| path.display().to_string()),
            unit: unit(),
            memory: memory(),
            hottest: hottest(Path::new("/sys/class/thermal")),
            default_route: default_route(),
            ..Self::default()
        };
        match global.settings() {
            Ok(loaded) => facts.of_settings(&loaded),
            Err(errors) => facts.settings_findings = errors.findings.iter().map(ToString::to_string).collect(),
        }
        facts
    }

    fn of_settings(&mut self, loaded: &Loaded) {
        let Loaded { config, base, .. } = loaded;
        self.settings_findings = loaded.check_service(true).iter().map(ToString::to_string).collect();
        self.broker_set = !config.mqtt.url.is_empty();
        match control::question(&base.join(&config.storage.control_socket), &Question::Status) {
            Ok(status) => self.status = status,
            Err(error) => self.status_error = Some(format!("{error:#}")),
        }
        let folder = base.join(&config.storage.folder);
        self.disk = disk(&folder);
        self.reads_faces = config.cameras.iter().any(|camera| camera.read.contains(&Sense::Face));
        self.storage_closed = closed(&folder);
        if self.status.is_none() && self.storage_closed.is_none() {
            self.bad_databases = bad_databases(&folder);
        }
        self.bad_packs = bad_packs(config, base);
    }
}

fn bad_packs(config: &Config, base: &Path) -> Vec<String> {
    let both = [(&config.plates.packs, &config.plates.pack_folders), (&config.faces.packs, &config.faces.pack_folders)];
    let opened = both.into_iter().flat_map(|(names, folders)| {
        let folders = PackFolders::new(folders, base);
        names.iter().filter_map(move |name| pack::open(name, &folders, base).err()).collect::<Vec<_>>()
    });
    opened.map(|error| error.to_string()).collect()
}

/// A folder that is not there yet is none that is closed.
fn closed(folder: &Path) -> Option<String> {
    let refused = std::fs::read_dir(folder).err().filter(|error| error.kind() == ErrorKind::PermissionDenied)?;
    Some(format!("`{}` (`storage.folder`): {refused}", folder.display()))
}

/// Looked at without making or changing a file. Those that are not there, or may not be read, are no damage.
fn bad_databases(folder: &Path) -> Vec<String> {
    let events =
        Some(folder.join(spool::FILE_NAME)).filter(|path| path.exists()).and_then(|_| View::open(folder).err());
    let events = events.filter(|error| matches!(error, OpenError::Unsound { .. } | OpenError::TooNew { .. }));
    let list = MemberStore::inspect(&folder.join(members::FILE_NAME)).err();
    let unusable =
        |error: &StoreError| error.is_damage() || matches!(error, StoreError::Foreign(_) | StoreError::TooNew { .. });
    let list = list.filter(unusable).map(|error| error.to_string());
    events.map(|error| error.to_string()).into_iter().chain(list).collect()
}

fn unit() -> BTreeMap<String, String> {
    let wanted = "ActiveState,SubState,Result,NRestarts,ConditionResult";
    let output = Command::new("systemctl").args(["show", "forecourt.service", "-p", wanted]).output();
    let Ok(output) = output else { return BTreeMap::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

fn disk(folder: &Path) -> Option<[u64; 2]> {
    // The folder may not be there yet; then the disk that it will be on.
    let there = folder.ancestors().find(|path| path.exists())?;
    let about = nix::sys::statvfs::statvfs(there).ok()?;
    let size = about.fragment_size();
    Some([about.blocks_available() * size, about.blocks() * size])
}

fn memory() -> Option<[u64; 2]> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let number = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some([number("MemAvailable:")?, number("MemTotal:")?])
}

fn hottest(folder: &Path) -> Option<f32> {
    let zones = std::fs::read_dir(folder).ok()?.flatten();
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path.join("temp")).ok()?.trim().parse::<f32>().ok();
    zones.filter_map(|zone| read(zone.path())).map(|milli| milli / 1000.0).max_by(f32::total_cmp)
}

fn default_route() -> bool {
    let v4 = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let column =
        |text: &str, at: usize, zero: &str| text.lines().any(|line| line.split_whitespace().nth(at) == Some(zero));
    let real_v6 = v6.lines().filter(|line| !line.ends_with(" lo")).any(|line| line.starts_with(&"0".repeat(32)));
    column(&v4, 1, "00000000") || real_v6
}
