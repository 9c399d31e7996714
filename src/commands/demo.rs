//! `forecourt demo`: the whole way of the data on one machine, without a camera, a broker or a configuration.
//!
//! A drawn clip plays in real time as the camera, the service runs as it does on a box, a broker runs in the process,
//! and what is printed is what came back from the broker.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::Exit;
use crate::cli::Global;
use crate::config::{Camera, Config};
use crate::inference::pack::{self, Task};
use crate::mqtt::embedded::EmbeddedBroker;
use crate::pipeline::control::{self, Question};
use crate::pipeline::{bundled, service};
use crate::store::members::{self, ImportOptions, MemberStore};

/// What was typed after `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pack to use instead of the bundled one, by name or folder; repeat for detector and reader.
    #[arg(long = "pack", value_name = "NAME_OR_DIR")]
    packs: Vec<String>,
}

/// The service is given so long to start and to end beyond the length of the clip.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let folder = std::env::temp_dir().join(format!("forecourt-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let result = play(&args, global.json, &folder);
    // What remains of a demo is of no use to anybody.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn play(args: &Args, json: bool, folder: &Path) -> anyhow::Result<Exit> {
    let broker = EmbeddedBroker::start()?;
    let messages = broker.subscribe_all()?;
    let config = settings(args, folder, broker.port())?;
    let listed = list_members(&config)?;
    if !json {
        eprintln!("forecourt demo: a drawn clip as the camera at the gate, {listed} member plates on the list,");
        eprintln!("an MQTT broker in this process. Each line below came back from the broker.\n");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let service = std::thread::spawn({
        let (config, base, stop) = (config.clone(), folder.to_owned(), Arc::clone(&stop));
        move || service::run(&config, &base, &stop)
    });
    let mut shown = Shown { json, ..Shown::default() };
    let status = watch(&config, &messages, &mut shown, || service.is_finished());
    stop.store(true, Ordering::Release);
    let ended = service.join().map_err(|_| anyhow::anyhow!("the service panicked"))?;
    shown.rest(&messages);
    ended?;
    let status = status?;
    if !json {
        shown.summary(&status);
    }
    let whole = ["arrival", "dwell", "departure"].iter().all(|kind| shown.counts.contains_key(*kind));
    if whole {
        return Ok(Exit::Ok);
    }
    bail!("the demo ended without an arrival, a dwell and a departure; run it again with `--log info`")
}

fn settings(args: &Args, folder: &Path, port: u16) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.site.tenant = "demo".to_owned();
    config.site.site = "forecourt".to_owned();
    config.site.device = "box-1".to_owned();
    config.storage.folder = folder.to_owned();
    config.storage.control_socket = folder.join("control.sock");
    let clip = bundled("models/demo/gate.mp4")?;
    config.cameras = vec![Camera {
        id: "gate".to_owned(),
        source: format!("file:{}", clip.display()),
        motion_gate: false,
        ..Camera::default()
    }];
    pack::prefer(&mut config.plates, &args.packs, folder, &[Task::PlateDetect, Task::PlateOcr])?;
    // Short times, so that a visitor sees the end of a visit.
    config.visits.absent_after = Duration::from_secs(4);
    config.visits.dwell_gap = Duration::from_secs(2);
    config.visits.dwell_min = Duration::from_secs(1);
    config.visits.dwell_marks = vec![Duration::from_secs(5), Duration::from_secs(10)];
    config.mqtt.url = format!("mqtt://127.0.0.1:{port}");
    Ok(config)
}

fn list_members(config: &Config) -> anyhow::Result<u64> {
    let path = bundled("models/demo/members.csv")?;
    let file = std::fs::File::open(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut store = MemberStore::open(&config.storage.folder.join(members::FILE_NAME))?;
    let options = ImportOptions::at(jiff::Timestamp::now());
    let report = store.import(std::io::BufReader::new(file), &options, &mut |_| {})?;
    Ok(report.plates)
}

/// Shows what arrives until the clip is over, every visit has ended and everything was delivered.
fn watch(
    config: &Config,
    messages: &Receiver<(String, Vec<u8>)>,
    shown: &mut Shown,
    ended: impl Fn() -> bool,
) -> anyhow::Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    let mut asked = Instant::now();
    loop {
        match messages.recv_timeout(Duration::from_millis(200)) {
            Ok((topic, payload)) => shown.message(&topic, &payload),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("the broker in this process ended"),
        }
        if ended() {
            bail!("the service ended before the clip was over");
        }
        if asked.elapsed() < Duration::from_millis(500) {
            continue;
        }
        asked = Instant::now();
        let status = control::question(&config.storage.control_socket, &Question::Status).ok().flatten();
        match status {
            Some(status) if is_over(&status) => return Ok(status),
            _ if Instant::now() > deadline => bail!("the demo did not come to its end in {} s", PATIENCE.as_secs()),
            _ => {}
        }
    }
}

fn is_over(status: &Value) -> bool {
    let played = status["cameras"].as_array().is_some_and(|all| all.iter().all(|each| each["state"] == "ended"));
    let waiting = status["outbox"]["waiting"].as_object();
    let empty = waiting.is_some_and(|classes| classes.values().all(|each| each["count"] == 0));
    let seen = &status["recognition"];
    played && empty && seen["open_visits"] == 0 && seen["vehicles"] == 0
}

/// What came back from the broker.
#[derive(Default)]
struct Shown {
    json: bool,
    counts: BTreeMap<String, usize>,
    members: BTreeMap<String, String>,
}

impl Shown {
    fn message(&mut self, topic: &str, payload: &[u8]) {
        let Some((_, kind)) = topic.rsplit_once("/evt/") else { return };
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        if let Ok(event) = serde_json::from_slice::<Value>(payload) {
            let word = |key: &str| event["data"][key].as_str().unwrap_or("-").to_owned();
            if kind == "arrival" {
                self.members.insert(word("member_ref"), word("tier"));
            }
        }
        if self.json {
            println!("{}", String::from_utf8_lossy(payload));
        } else {
            println!("{}", super::events::line(payload));
        }
    }

    fn rest(&mut self, messages: &Receiver<(String, Vec<u8>)>) {
        while let Ok((topic, payload)) = messages.recv_timeout(Duration::from_millis(200)) {
            self.message(&topic, &payload);
        }
    }

    fn summary(&self, status: &Value) {
        let count = |kind: &str| self.counts.get(kind).copied().unwrap_or(0);
        let vehicles = status["recognition"]["cameras"]["gate"]["vehicles"].as_u64().unwrap_or(0);
        let members = self.members.len();
        println!();
        println!("{vehicles} vehicles were followed through the picture; {members} belong to members:");
        for (member, tier) in &self.members {
            println!("  {member} ({tier})");
        }
        println!(
            "The platform was told of {} arrivals, {} dwell marks and {} departures.",
            count("arrival"),
            count("dwell"),
            count("departure")
        );
        println!("The other plates left no trace: not in an event, not on disk, not in a log.");
    }
}
