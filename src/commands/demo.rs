//! `forecourt demo`: the whole way of the data on one machine, without a camera, a broker or a configuration.
//!
//! Three drawn clips play in real time as the cameras (a gate, a showroom, the way out), the service runs as it does on
//! a box, a broker runs in the process, and what is printed is what came back from the broker. One of the members came
//! by car, walks in, stands at two cars and leaves with a smile; everybody else in the pictures is drawn too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::Exit;
use crate::cli::Global;
use crate::config::{Camera, CameraRole, Config, Sense, Zone, ZoneKind};
use crate::inference::FaceReader;
use crate::inference::pack::{self, Task};
use crate::mqtt::embedded::EmbeddedBroker;
use crate::pipeline::control::{self, Question};
use crate::pipeline::{bundled, service};
use crate::store::keys::KeyRing;
use crate::store::members::{self, ImportOptions, MemberStore};

/// What was typed after `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pack to use instead of the bundled one, by name or folder; repeat for detector and reader.
    #[arg(long = "pack", value_name = "NAME_OR_DIR")]
    packs: Vec<String>,
}

/// Members who agreed to be known by face, with their photos in `models/demo/photos`.
const ENROLLED: [&str; 2] = ["M-1001", "M-1004"];
/// The cars on show: zone, product, and what of the picture's width is theirs.
const DISPLAYS: [(&str, &str, [f32; 2]); 2] =
    [("display-1", "the red car", [0.04, 0.40]), ("display-2", "the blue car", [0.60, 0.96])];
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
        eprintln!(
            "forecourt demo: drawn clips as cameras at the gate, in the showroom and at the door; {listed} member"
        );
        eprintln!("plates and {} member faces on the list; an MQTT broker in this process.", ENROLLED.len());
        eprintln!("Each line below came back from the broker.\n");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let service = std::thread::spawn({
        let (config, base, stop) = (config.clone(), folder.to_owned(), Arc::clone(&stop));
        move || service::run(&config, &base, None, &stop)
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
    let wanted = ["arrival", "dwell", "exit-expression", "departure"];
    let whole = wanted.iter().all(|kind| shown.counts.contains_key(*kind));
    if whole {
        return Ok(Exit::Ok);
    }
    bail!("the demo ended without one of {}; run it again with `--log info`", wanted.join(", "))
}

fn settings(args: &Args, folder: &Path, port: u16) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.site.tenant = "demo".to_owned();
    config.site.site = "forecourt".to_owned();
    config.site.device = "box-1".to_owned();
    config.storage.folder = folder.to_owned();
    config.storage.control_socket = folder.join("control.sock");
    config.cameras = vec![
        camera("gate", CameraRole::Entrance, Sense::Plate)?,
        Camera {
            zones: DISPLAYS.iter().map(display).collect(),
            ..camera("showroom", CameraRole::Showroom, Sense::Face)?
        },
        camera("door", CameraRole::Exit, Sense::Face)?,
    ];
    config.faces.packs = vec!["face-demo".to_owned()];
    pack::prefer_faces(&mut config.faces, &args.packs, folder, &[Task::FaceDetect, Task::FaceEmbed])?;
    // The key of templates of drawn faces lies beside them, for the minute that the folder lives.
    config.privacy.insecure_key = true;
    pack::prefer(&mut config.plates, &args.packs, folder, &[Task::PlateDetect, Task::PlateOcr])?;
    // Short times, so that a visitor sees the end of a visit.
    config.visits.absent_after = Duration::from_secs(20);
    config.visits.exit_grace = Duration::from_secs(2);
    config.visits.dwell_gap = Duration::from_secs(6);
    config.visits.dwell_min = Duration::from_secs(1);
    config.visits.dwell_marks = vec![Duration::from_secs(5), Duration::from_secs(10)];
    config.mqtt.url = format!("mqtt://127.0.0.1:{port}");
    Ok(config)
}

fn camera(id: &str, role: CameraRole, sense: Sense) -> anyhow::Result<Camera> {
    let clip = bundled(&format!("models/demo/{id}.mp4"))?;
    let source = format!("file:{}", clip.display());
    Ok(Camera { id: id.to_owned(), source, role, read: vec![sense], motion_gate: false, ..Camera::default() })
}

fn display(&(id, product, [left, right]): &(&str, &str, [f32; 2])) -> Zone {
    Zone {
        id: id.to_owned(),
        kind: ZoneKind::Display,
        polygon: vec![[left, 0.0], [right, 0.0], [right, 1.0], [left, 1.0]],
        product: Some(product.to_owned()),
    }
}

/// Makes templates of the enrolment photos, as `members enroll` does.
fn enroll(config: &Config, store: &mut MemberStore) -> anyhow::Result<()> {
    let folder = &config.storage.folder;
    let ring = KeyRing::load(&config.privacy, folder)?;
    let mut reader = FaceReader::load(&config.faces, &config.inference, folder)?;
    let photos = bundled("models/demo/photos")?;
    for member_ref in ENROLLED {
        let all = std::fs::read_dir(&photos).with_context(|| format!("cannot read `{}`", photos.display()))?;
        let of_member = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(member_ref));
        let mut files: Vec<PathBuf> = all.filter_map(|entry| Some(entry.ok()?.path())).filter(of_member).collect();
        files.sort();
        store.enrol(&ring, member_ref, &[super::members::enroll::template(&files, &mut reader)?], true)?;
    }
    store.confirm_signage("drawn-people", "forecourt demo")?;
    Ok(())
}

fn list_members(config: &Config) -> anyhow::Result<u64> {
    let path = bundled("models/demo/members.csv")?;
    let file = std::fs::File::open(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut store = MemberStore::open(&config.storage.folder.join(members::FILE_NAME))?;
    let options = ImportOptions::at(jiff::Timestamp::now());
    let report = store.import(std::io::BufReader::new(file), &options, &mut |_| {})?;
    enroll(config, &mut store)?;
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
    played && empty && seen["open_visits"] == 0 && seen["vehicles"] == 0 && seen["faces"] == 0
}

/// What came back from the broker.
#[derive(Default)]
struct Shown {
    json: bool,
    counts: BTreeMap<String, usize>,
    members: BTreeMap<String, String>,
    /// What the ended stays at the cars on show said, and how the member left.
    story: Vec<String>,
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
            let data = &event["data"];
            let member = word("member_ref");
            if kind == "dwell" && data["ended"] == Value::Bool(true) && data["zone"]["kind"] == "display" {
                let product = data["zone"]["product"].as_str().unwrap_or("a car");
                let seconds = data["seconds_min"].as_f64().unwrap_or(0.0);
                self.story.push(format!("{member} stood at {product} for {seconds:.0} s"));
            }
            if kind == "exit-expression" {
                self.story.push(format!("{member} left with a {} look", word("expression")));
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
        let people = status["recognition"]["people"].as_object();
        let people: u64 = people.map_or(0, |all| all.values().filter_map(|each| each["people"].as_u64()).sum());
        println!();
        println!(
            "{vehicles} vehicles were followed through the pictures, and faces on {people} tracks. Members among them:"
        );
        for (member, tier) in &self.members {
            println!("  {member} ({tier})");
        }
        for line in &self.story {
            println!("  {line}");
        }
        println!(
            "The platform was told of {} arrivals, {} dwell marks, {} expressions and {} departures.",
            count("arrival"),
            count("dwell"),
            count("exit-expression"),
            count("departure")
        );
        println!("The other plates and faces left no trace: not in an event, not on disk, not in a log.");
    }
}
