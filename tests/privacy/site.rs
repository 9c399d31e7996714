//! A box with settings, a list and keys of its own, and members with made-up faces.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

pub const OK: i32 = 0;
pub const FAILED: i32 = 1;
pub const NOT_FOUND: i32 = 4;
pub const REFUSED: i32 = 5;
pub const SPACE: &str = "story-space";

/// A box with settings and an empty storage folder.
pub struct Site {
    pub folder: TempDir,
    /// Where systemd would have put credentials.
    pub credentials: Option<PathBuf>,
}

impl Site {
    /// `privacy`: lines of the table.
    pub fn new(privacy: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), credentials: None };
        site.settings(privacy, "");
        site
    }

    /// With a device key beside the settings.
    pub fn with_key() -> Self {
        let site = Self::new("key_file = \"./box.key\"");
        site.told(&["privacy", "new-key", site.path("box.key").to_str().unwrap()], OK);
        site
    }

    pub fn settings(&self, privacy: &str, more: &str) {
        let text = format!(
            "[site]\ntenant = \"acme\"\nsite = \"here\"\ndevice = \"box-1\"\n\n[storage]\nfolder = \"state\"\n\n\
             [[camera]]\nid = \"gate\"\nsource = \"images:none\"\nread = [\"plate\", \"face\"]\n\n[privacy]\n{privacy}\n\n{more}\n"
        );
        fs::write(self.path("forecourt.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
        command.arg("--config").arg(self.path("forecourt.toml")).args(words);
        for name in ["FORECOURT_CONFIG", "FORECOURT_LOG", "CREDENTIALS_DIRECTORY"] {
            command.env_remove(name);
        }
        if let Some(credentials) = &self.credentials {
            command.env("CREDENTIALS_DIRECTORY", credentials);
        }
        command
    }

    pub fn output(&self, words: &[&str], exit: i32) -> Output {
        let output = self.command(words).output().unwrap();
        let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{words:?}\n{}\n{}", told(&output.stdout), told(&output.stderr));
        output
    }

    /// What stands on stdout.
    pub fn told(&self, words: &[&str], exit: i32) -> String {
        String::from_utf8(self.output(words, exit).stdout).unwrap()
    }

    /// What stands on stderr.
    pub fn warned(&self, words: &[&str], exit: i32) -> String {
        String::from_utf8(self.output(words, exit).stderr).unwrap()
    }

    pub fn json(&self, words: &[&str], exit: i32) -> Value {
        serde_json::from_str(&self.told(&[words, &["--json"]].concat(), exit)).unwrap()
    }

    pub fn import(&self, lines: &str) {
        self.told(&["members", "import", &self.file("list.jsonl", lines)], OK);
    }

    /// Members with a template each who may be matched by face now, as loading the gallery finds them.
    pub fn in_gallery(&self) -> u64 {
        self.json(&["members", "calibrate", "--dry-run"], OK)["templates"].as_u64().unwrap()
    }

    /// Files of the storage folder that hold the bytes.
    pub fn holding(&self, needle: &[u8]) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path("state")).unwrap().map(|entry| entry.unwrap().path());
        let holds = |path: &PathBuf| fs::read(path).unwrap().windows(needle.len()).any(|part| part == needle);
        files.filter(holds).collect()
    }

    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("state/members.db")).unwrap()
    }
}

pub fn vector(seed: u64) -> Vec<f32> {
    // Seeds that follow each other give streams that resemble each other.
    let mut random = fastrand::Rng::with_seed((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let raw: Vec<f32> = (0..256).map(|_| random.f32() - 0.5).collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    raw.iter().map(|value| value / length).collect()
}

pub fn bytes(seed: u64) -> Vec<u8> {
    vector(seed).iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Members `m0`, `m1`, … with a plate and a template each.
pub fn members(count: u64) -> String {
    (0..count)
        .map(|n| {
            let faces = json!([{ "space": SPACE, "vector": STANDARD.encode(bytes(n)) }]);
            let plate = [format!("皖A{:05}", 10_000 + n)];
            json!({ "member_ref": format!("m{n}"), "plate": plate, "consents": ["plate", "face"], "faces": faces })
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Enough that pairs can be measured.
pub const CROWD: u64 = 60;
