//! A box with settings of its own, keys, and an ear at the broker.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::broker::local;
use crate::wire::{self, Packet};

pub const PATIENCE: Duration = Duration::from_secs(90);
pub const ROOT: &str = "forecourt/v1/acme/test/box-1";

pub fn soak() -> bool {
    std::env::var_os("FORECOURT_SOAK").is_some_and(|value| value != "0")
}

pub struct Site {
    pub folder: tempfile::TempDir,
}

impl Site {
    /// With the keys `platform` (trusted) and `stranger` (not).
    pub fn new(port: u16) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["platform", "stranger"] {
            site.ok(&["members", "keygen", &site.path(name)]);
        }
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/gate.mp4");
        let text = format!(
            "[site]\ntenant = \"acme\"\nsite = \"test\"\ndevice = \"box-1\"\n\
             [storage]\nfolder = \"state\"\ncontrol_socket = \"control.sock\"\n\
             [[camera]]\nid = \"gate\"\nsource = \"file:{}\"\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\nreconnect_max = \"1s\"\n\
             [members]\ntrusted_keys = [\"./platform.pub\"]\n[commands]\ntrusted_keys = [\"./platform.pub\"]\n",
            clip.display()
        );
        std::fs::write(site.path("forecourt.toml"), text).unwrap();
        site
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// Adds lines to the settings, whose last table is `[commands]`.
    pub fn add(&self, lines: &str) {
        let path = self.path("forecourt.toml");
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + lines).unwrap();
    }

    /// Another picture for the camera.
    pub fn camera(&self, source: &str) {
        let path = self.path("forecourt.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let line = |line: &str| match line.starts_with("source = ") {
            true => format!("source = \"{source}\"\nmotion_gate = false\nread = [\"plate\", \"face\"]\n"),
            false => format!("{line}\n"),
        };
        std::fs::write(&path, text.lines().map(line).collect::<String>()).unwrap();
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
        command.args(arguments).env_remove("FORECOURT_LOG").stdin(Stdio::null());
        let settings = self.path("forecourt.toml");
        if Path::new(&settings).exists() {
            command.env("FORECOURT_CONFIG", settings);
        }
        command
    }

    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn start(&self) -> Service {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["run", "--log", "info"]);
        // As the unit of the package has it.
        command.env("MALLOC_ARENA_MAX", "2");
        Service(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Writes a list of `names`, one plate each, and signs it with `key` into a folder named after the revision.
    pub fn sign(&self, key: &str, rev: u64, names: &[String], more: &[&str]) -> String {
        let list = self.path(&format!("list-{rev}.csv"));
        let plate = |name: &String| format!("{name},皖A{:05}\n", crc(name) % 100_000);
        let lines: String = names.iter().map(plate).collect();
        std::fs::write(&list, format!("member_ref,plate\n{lines}")).unwrap();
        let (key, out, rev) = (self.path(&format!("{key}.key")), self.path(&format!("signed-{rev}")), rev.to_string());
        let fixed = ["members", "sign", &list, "--key", &key, "--audience", "acme/test", "--epoch", "e1"];
        self.ok(&[&fixed[..], &["--rev", &rev, "--out", &out], more].concat());
        out
    }

    pub fn publish(&self, folder: &str, wait: u64) -> Output {
        self.run(&["members", "publish", folder, "--wait", &wait.to_string()])
    }

    /// What `status` says; `None` while nobody answers.
    pub fn status(&self) -> Option<Value> {
        let output = self.run(&["status", "--json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).ok())?
    }

    /// What `members sync status` says; `None` while nobody answers.
    pub fn sync(&self) -> Option<Value> {
        let output = self.run(&["members", "sync", "status", "--json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }
}

fn crc(text: &str) -> u32 {
    text.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
}

/// A running service; killed when dropped.
pub struct Service(pub Child);

impl Service {
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hears everything below the box's topics.
pub struct Ear {
    heard: Receiver<(String, Vec<u8>)>,
    /// The newest message on each topic.
    pub newest: BTreeMap<String, Value>,
    /// All of them, in order.
    pub all: Vec<(String, Value)>,
    /// The same as it came.
    pub raw: Vec<(String, Vec<u8>)>,
}

impl Ear {
    pub fn listen(port: u16) -> Self {
        let mut stream = TcpStream::connect(local(port)).unwrap();
        wire::connect(&format!("ear-{}", stream.local_addr().unwrap().port())).write(&mut stream).unwrap();
        assert_eq!(Packet::read(&mut stream).unwrap().body[1], 0, "CONNACK");
        wire::subscribe("forecourt/#").write(&mut stream).unwrap();
        while Packet::read(&mut stream).unwrap().kind != 9 {}
        let (sink, heard) = channel();
        std::thread::spawn(move || {
            while let Ok(packet) = Packet::read(&mut stream) {
                let Some((topic, id, payload)) = packet.publish() else { continue };
                if id != 0 && wire::puback(id, 0).write(&mut stream).is_err() {
                    break;
                }
                if sink.send((topic, payload)).is_err() {
                    break;
                }
            }
        });
        Self { heard, newest: BTreeMap::new(), all: Vec::new(), raw: Vec::new() }
    }

    /// Listens until `enough` says so; `false` when the time is over before.
    pub fn until(&mut self, limit: Duration, mut enough: impl FnMut(&Self) -> bool) -> bool {
        let until = Instant::now() + limit;
        while !enough(self) {
            let left = until.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left.min(Duration::from_millis(100))) {
                Ok((topic, payload)) => {
                    let topic = topic.trim_start_matches(ROOT).trim_start_matches('/').to_owned();
                    let value: Value = serde_json::from_slice(&payload).unwrap_or(Value::Null);
                    self.newest.insert(topic.clone(), value.clone());
                    self.all.push((topic.clone(), value));
                    self.raw.push((topic, payload));
                }
                Err(_) if left.is_zero() => return false,
                Err(_) => {}
            }
        }
        true
    }

    pub fn has(&self, topic: &str, check: impl Fn(&Value) -> bool) -> bool {
        self.newest.get(topic).is_some_and(check)
    }

    /// States of the answers to a command, in order.
    pub fn answers(&self, name: &str, id: &str) -> Vec<String> {
        let topic = format!("cmdres/{name}/{id}");
        let of = self.all.iter().filter(|(on, _)| *on == topic);
        of.map(|(_, answer)| answer["state"].as_str().unwrap().to_owned()).collect()
    }
}

/// Publishes with QoS 1 and waits for the broker.
pub fn publish(port: u16, topic: &str, payload: &[u8], properties: &[u8]) {
    let mut stream = TcpStream::connect(local(port)).unwrap();
    wire::connect(&format!("hand-{}", stream.local_addr().unwrap().port())).write(&mut stream).unwrap();
    assert_eq!(Packet::read(&mut stream).unwrap().body[1], 0, "CONNACK");
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    body.extend([0, 1, properties.len() as u8]);
    body.extend(properties);
    body.extend(payload);
    Packet::new(wire::PUBLISH, 0x02, body).write(&mut stream).unwrap();
    while Packet::read(&mut stream).unwrap().kind != wire::PUBACK {}
    let _ = Packet::new(wire::DISCONNECT, 0, Vec::new()).write(&mut stream);
}
