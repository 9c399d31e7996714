//! A site in a folder of its own with the bundled clip and members, its running service, and what was told.

#![allow(dead_code, unused_imports, clippy::unwrap_used, reason = "shared by several test files; a test may panic")]

#[path = "clip.rs"]
mod clip;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::broker::Subscriber;
use crate::contract;
pub use clip::{STRANGERS, VISITORS};

/// The clip, and the time for a slow machine around it.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name)
}

pub fn forecourt(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(arguments).env_remove("FORECOURT_CONFIG").env_remove("FORECOURT_LOG").stdin(Stdio::null());
    command
}

pub fn run(arguments: &[&str]) -> Output {
    let output = forecourt(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Settings in a folder of their own.
pub struct Site {
    pub folder: tempfile::TempDir,
}

impl Site {
    pub fn new(source: &str, port: u16) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        site.settle(source, &format!("url = \"mqtt://127.0.0.1:{port}\"\n"));
        site
    }

    /// Writes the settings anew; `mqtt` is what stands in that table.
    pub fn settle(&self, source: &str, mqtt: &str) {
        let text = format!(
            "[site]\ntenant = \"acme\"\nsite = \"test\"\ndevice = \"box-1\"\n\
             [storage]\nfolder = \"state\"\ncontrol_socket = \"control.sock\"\n\
             [[camera]]\nid = \"gate\"\nsource = \"{source}\"\nmotion_gate = false\n\
             [visits]\nabsent_after = \"6s\"\ndwell_gap = \"3s\"\ndwell_min = \"1s\"\ndwell_marks = [\"5s\"]\n\
             [mqtt]\n{mqtt}"
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    pub fn config(&self) -> String {
        self.path("forecourt.toml")
    }

    pub fn import(&self) {
        run(&["members", "import", &bundled("members.csv").to_string_lossy(), "--config", &self.config()]);
    }

    pub fn start(&self) -> Service {
        self.start_under(&[], &[])
    }

    /// The same under another program that becomes the service (`exec`), with more in the environment.
    pub fn start_under(&self, wrapper: &[&str], environment: &[(&str, &str)]) -> Service {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let program = env!("CARGO_BIN_EXE_forecourt");
        let config = self.config();
        let words = [wrapper, &[program, "run", "--config", &config, "--log", "debug"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_remove("FORECOURT_CONFIG").env_remove("FORECOURT_LOG");
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Service(command.spawn().unwrap())
    }

    /// What the running service answers, as soon as `enough` says so.
    pub fn status_when(&self, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.status().filter(&enough) {
                return status;
            }
            assert!(Instant::now() < until, "{what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// What the running service answers; `None` while it does not.
    pub fn status(&self) -> Option<Value> {
        let output = forecourt(&["status", "--json", "--config", &self.config()]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }
}

/// A running service; killed when dropped.
pub struct Service(pub Child);

impl Service {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.0.wait().unwrap();
    }

    pub fn stop(mut self) -> std::process::ExitStatus {
        self.signal(Signal::SIGTERM);
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the service does not stop");
            std::thread::yield_now();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Distinct events by id, each held against the contract.
pub fn events<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> BTreeMap<String, Value> {
    let valid = payloads.into_iter().map(contract::validate);
    valid.map(|event| (event["id"].as_str().unwrap().to_owned(), event)).collect()
}

/// Members that events of a kind are about, in order.
pub fn members(events: &BTreeMap<String, Value>, kind: &str) -> Vec<String> {
    let is = |event: &&Value| event["type"].as_str().unwrap().ends_with(kind);
    let of = |event: &Value| event["data"]["member_ref"].as_str().unwrap().to_owned();
    let mut members: Vec<String> = events.values().filter(is).map(of).collect();
    members.sort();
    members
}

pub fn seen(observer: &Subscriber) -> BTreeMap<String, Value> {
    events(observer.seen.iter().map(|arrival| arrival.payload.as_slice()))
}
