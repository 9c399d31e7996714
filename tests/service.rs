//! The whole way of the data through the real binary, the bundled pack and the bundled clip: replay is repeatable,
//! the service tells a real Mosquitto, and nothing that was accepted is lost when camera, broker or box die.

#![cfg(all(feature = "opencv", feature = "onnx"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    dead_code,
    reason = "tests, the lines that say what was skipped, and helpers shared with other tests"
)]

#[path = "delivery/broker.rs"]
mod broker;
#[path = "support/camera.rs"]
mod camera;
#[path = "delivery/checker.rs"]
mod checker;
#[path = "support/contract.rs"]
mod contract;
#[path = "delivery/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use broker::Subscriber;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Members whose vehicles drive through the clip; the two others on the list do not come, one of them differs from
/// the first car's plate in one character.
const VISITORS: [&str; 3] = ["M-1001", "M-1002", "M-1003"];
/// Plates in the clip that are nobody's.
const STRANGERS: [&str; 2] = ["浙B7K319", "京N5Q862"];
/// The clip, and the time for a slow machine around it.
const PATIENCE: Duration = Duration::from_secs(120);

fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name)
}

fn forecourt(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(arguments).env_remove("FORECOURT_CONFIG").env_remove("FORECOURT_LOG").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    let output = forecourt(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Settings in a folder of their own.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(source: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[site]\ntenant = \"acme\"\nsite = \"test\"\ndevice = \"box-1\"\n\
             [storage]\nfolder = \"state\"\ncontrol_socket = \"control.sock\"\n\
             [[camera]]\nid = \"gate\"\nsource = \"{source}\"\nmotion_gate = false\n\
             [visits]\nabsent_after = \"6s\"\ndwell_gap = \"3s\"\ndwell_min = \"1s\"\ndwell_marks = [\"5s\"]\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n"
        );
        std::fs::write(folder.path().join("forecourt.toml"), text).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn config(&self) -> String {
        self.path("forecourt.toml")
    }

    fn import(&self) {
        run(&["members", "import", &bundled("members.csv").to_string_lossy(), "--config", &self.config()]);
    }

    fn start(&self) -> Service {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let arguments = ["run", "--config", &self.config(), "--log", "debug"];
        Service(forecourt(&arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// What the running service answers; `None` while it does not.
    fn status(&self) -> Option<Value> {
        let output = forecourt(&["status", "--json", "--config", &self.config()]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }
}

/// A running service; killed when dropped.
struct Service(Child);

impl Service {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.0.wait().unwrap();
    }

    fn stop(mut self) -> std::process::ExitStatus {
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
fn events<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> BTreeMap<String, Value> {
    let valid = payloads.into_iter().map(contract::validate);
    valid.map(|event| (event["id"].as_str().unwrap().to_owned(), event)).collect()
}

/// Members that events of a kind are about, in order.
fn members(events: &BTreeMap<String, Value>, kind: &str) -> Vec<String> {
    let is = |event: &&Value| event["type"].as_str().unwrap().ends_with(kind);
    let of = |event: &Value| event["data"]["member_ref"].as_str().unwrap().to_owned();
    let mut members: Vec<String> = events.values().filter(is).map(of).collect();
    members.sort();
    members
}

fn seen(observer: &Subscriber) -> BTreeMap<String, Value> {
    events(observer.seen.iter().map(|arrival| arrival.payload.as_slice()))
}

#[test]
fn a_replay_tells_of_every_member_once_and_says_the_same_again() {
    let site = Site::new("file:unused.mp4", 1);
    let (clip, list) = (bundled("gate.mp4"), bundled("members.csv"));
    let (clip, list) = (clip.to_string_lossy(), list.to_string_lossy());
    let config = site.config();
    let arguments =
        ["replay", &clip, "--members", &list, "--config", &config, "--json", "--start", "2026-03-01T09:00:00Z"];
    let first = run(&[arguments.as_slice(), &["--log", "debug"]].concat());
    let second = run(&arguments);
    assert_eq!(first.stdout, second.stdout, "two replays of one clip differ");
    let events = events(first.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()));
    assert_eq!(members(&events, ".arrival"), VISITORS);
    assert_eq!(members(&events, ".departure"), VISITORS);
    assert!(!members(&events, ".dwell").is_empty());
    let said = String::from_utf8([first.stdout, first.stderr].concat()).unwrap();
    for plate in STRANGERS {
        assert!(!said.contains(plate) && !said.contains(&plate[3..]), "a stranger's plate was told");
    }
}

#[test]
fn what_the_camera_sees_reaches_the_broker_and_the_service_answers_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = broker::mosquitto(folder.path(), false) else { return };
    let site = Site::new(&format!("file:{}", bundled("gate.mp4").display()), broker.port);
    site.import();
    let mut observer = Subscriber::listen(broker.port);
    let service = site.start();
    let done = observer.until(PATIENCE, |observer| members(&seen(observer), ".departure").len() == VISITORS.len());
    assert!(done, "{:?}\n{}", members(&seen(&observer), ".departure"), site.log());
    let events = seen(&observer);
    assert_eq!(members(&events, ".arrival"), VISITORS);
    let status = site.status().expect("the running service answers");
    assert_eq!(status["recognition"]["open_visits"], 0);
    assert_eq!(status["cameras"][0]["id"], "gate");
    let visits = run(&["visits", "--json", "--config", &site.config()]);
    let visits: Value = serde_json::from_slice(&visits.stdout).unwrap();
    assert_eq!(visits.as_array().unwrap().len(), VISITORS.len());
    assert!(service.stop().success(), "{}", site.log());
    assert!(site.status().is_none());
    for plate in STRANGERS {
        assert!(!site.log().contains(&plate[3..]), "a stranger's plate was logged");
    }
    let written = std::fs::read(site.path("state/spool.db")).unwrap();
    for plate in STRANGERS {
        assert!(!written.windows(plate.len()).any(|window| window == plate.as_bytes()), "written to disk");
    }
}

#[test]
fn killing_the_box_the_broker_and_the_camera_loses_nothing_that_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut broker) = broker::mosquitto(folder.path(), false) else { return };
    if !camera::rtsp_available() {
        return;
    }
    let source = camera::RtspCamera::start(&bundled("gate.mp4"), &["--once"]);
    let site = Site::new(&source.url, broker.port);
    site.import();
    let mut observer = Subscriber::listen(broker.port);
    let service = site.start();
    let arrived =
        observer.until(PATIENCE, |observer| members(&seen(observer), ".arrival").contains(&VISITORS[0].into()));
    assert!(arrived, "{}", site.log());
    let mut before = seen(&observer);

    // The first car still stands there: no second arrival after a power cut.
    service.kill();
    broker.kill();
    let service = site.start();
    let until = Instant::now() + PATIENCE;
    while site.status().is_none_or(|status| status["recognition"]["open_visits"] != 1) {
        assert!(Instant::now() < until, "the visit was not taken up again\n{}", site.log());
    }
    broker.start();
    let mut observer = Subscriber::listen(broker.port);
    let done = observer.until(PATIENCE, |observer| {
        let mut all = before.clone();
        all.extend(seen(observer));
        members(&all, ".departure").contains(&VISITORS[0].into())
    });
    assert!(done, "{}", site.log());
    before.extend(seen(&observer));
    let arrivals = members(&before, ".arrival");
    assert_eq!(arrivals.iter().filter(|member| *member == VISITORS[0]).count(), 1, "a second arrival");

    // The camera dies for good: the box goes on and can be stopped.
    drop(source);
    assert!(site.status().is_some());
    assert!(service.stop().success(), "{}", site.log());
    let sequence = |event: &Value| event["sequence"].as_str().unwrap().parse::<u64>().unwrap();
    let mut numbers: Vec<u64> = before.values().map(sequence).collect();
    numbers.sort_unstable();
    let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert_eq!(gaps, 0, "accepted events are missing: {numbers:?}");
}
