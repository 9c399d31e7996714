//! A box whose clock is wrong and jumps (T16, T17 in short form), with the real service under libfaketime: it wakes up in
//! 1970, and while cars stand at the gate the clock steps to 2038, back by 400 days, by an hour, by a second, and at last to
//! the truth. No duration changes, nothing runs out early, and what TLS calls "not yet valid" or "expired" waits.
//!
//! Each was seen to fail on a break of one line: T16 with `Clock::uptime` taken from the wall clock (nobody but the first
//! car leaves any more); T17 with `Spool::maintain`, or `House::keep`, deleting by a time that nobody vouches for.

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
#[path = "delivery/checker.rs"]
mod checker;
#[path = "support/contract.rs"]
mod contract;
#[path = "support/site.rs"]
mod site;
#[path = "delivery/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use broker::{Subscriber, free_port, mosquitto_with};
use forecourt::domain::event::EventClass;
use forecourt::store::spool::{Limits, NewEvent, Spool};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use site::{PATIENCE, Site, VISITORS, bundled, events, members, run, seen};

/// Seconds that a duration may differ from what the clip holds: the service samples the clip in real time.
const SLACK: f64 = 1.0;
/// 2038-01-19T03:14:00Z, a few seconds before 32 bits end.
const END_OF_32_BITS: i64 = 2_147_483_640;

fn faketime() -> Option<PathBuf> {
    let folder = format!("/usr/lib/{}-linux-gnu/faketime", std::env::consts::ARCH);
    let library = Path::new(&folder).join("libfaketimeMT.so.1");
    if !library.exists() {
        println!("SKIPPED: {} is not there; apt-get install faketime", library.display());
        return None;
    }
    Some(library)
}

/// The wall clock of one process, moved from outside while it runs.
struct FakeClock(PathBuf);

impl FakeClock {
    /// Seconds beside the truth.
    fn beside_by(&self, seconds: i64) {
        let part = self.0.with_extension("part");
        std::fs::write(&part, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(&part, &self.0).unwrap();
    }

    fn says(&self, second: i64) {
        self.beside_by(second - Timestamp::now().as_second());
    }
}

/// The service in a world of this clock.
fn under<'a>(library: &'a Path, clock: &'a FakeClock) -> [(&'a str, &'a str); 5] {
    [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", clock.0.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
    ]
}

/// How far the clock of this machine is trusted: its kernel says so, and it is nobody's to fake.
fn quality() -> Value {
    let clock: Value = serde_json::from_slice(&run(&["clock", "show", "--json"]).stdout).unwrap();
    clock["quality"].clone()
}

/// An authority and a broker's certificate, valid from now on for 30 days.
fn certificates(folder: &Path) -> bool {
    let script = r#"set -e
        openssl ecparam -name prime256v1 -genkey -noout -out ca.key
        openssl req -x509 -new -key ca.key -sha256 -days 30 -subj "/CN=ca" -out ca.crt
        openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out server.key
        openssl req -new -key server.key -subj "/CN=server" -out server.csr
        printf "subjectAltName=DNS:localhost,IP:127.0.0.1\n" > s.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile s.ext -out server.crt"#;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let done = shell.status().is_ok_and(|status| status.success());
    if !done {
        println!("SKIPPED: openssl is not installed");
    }
    done
}

/// How long each member's visit was, in seconds.
fn lengths(events: &BTreeMap<String, Value>) -> BTreeMap<String, f64> {
    let departures = events.values().filter(|event| event["type"].as_str().unwrap().ends_with(".departure"));
    let entry = |event: &Value| {
        (event["data"]["member_ref"].as_str().unwrap().to_owned(), event["data"]["seconds"].as_f64().unwrap())
    };
    departures.map(entry).collect()
}

/// What the clip holds, by its own time.
fn truth(site: &Site) -> BTreeMap<String, f64> {
    let (clip, list) = (bundled("gate.mp4"), bundled("members.csv"));
    let words = ["replay", clip.to_str().unwrap(), "--members", list.to_str().unwrap(), "--json", "--config"];
    let replay = run(&[&words[..], &[&site.config()]].concat());
    lengths(&events(replay.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())))
}

#[test]
fn a_clock_that_jumps_changes_no_duration_loses_no_event_and_lets_tls_wait() {
    let Some(library) = faketime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (at, secret) = (folder.path().display(), free_port());
    if !certificates(folder.path()) {
        return;
    }
    let encrypted = format!(
        "allow_anonymous true\nlistener {secret} 127.0.0.1\ncertfile {at}/server.crt\nkeyfile {at}/server.key\n"
    );
    let Some(broker) = mosquitto_with(folder.path(), &encrypted) else { return };
    let site = Site::new("file:unused.mp4", 1);
    let truth = truth(&site);
    assert_eq!(truth.len(), VISITORS.len());
    let mqtt = format!("url = \"mqtts://localhost:{secret}\"\nca_file = \"{at}/ca.crt\"\n");
    site.settle(&format!("file:{}", bundled("gate.mp4").display()), &mqtt);
    site.import();

    let clock = FakeClock(folder.path().join("clock"));
    clock.says(100);
    let mut observer = Subscriber::listen(broker.port);
    let service = site.start_under(&[], &under(&library, &clock));
    let status = site.status_when("nobody is at the gate", |status| status["recognition"]["open_visits"] == 1);
    assert!(
        status["mqtt"].to_string().contains("NotValidYet") || status["mqtt"].to_string().contains("not valid yet"),
        "{}",
        status["mqtt"]
    );

    // The first car stands there; each of these steps is one that boxes have made.
    for step in [END_OF_32_BITS, Timestamp::now().as_second() - 400 * 86_400] {
        clock.says(step);
        std::thread::sleep(Duration::from_secs(4));
        assert!(site.status().is_some(), "the service fell over its clock\n{}", site.log());
    }
    for beside in [3_600, 1] {
        clock.beside_by(-beside);
        std::thread::sleep(Duration::from_secs(2));
    }
    clock.beside_by(0);

    let done = observer.until(PATIENCE, |observer| members(&seen(observer), ".departure").len() >= VISITORS.len());
    assert!(done, "{:?}\n{}", members(&seen(&observer), ".departure"), site.log());
    let events = seen(&observer);
    assert_eq!(members(&events, ".arrival"), VISITORS, "an event was lost or doubled");
    assert_eq!(members(&events, ".departure"), VISITORS);
    for (member, seconds) in lengths(&events) {
        let right = truth[&member];
        assert!((seconds - right).abs() <= SLACK, "{member}: {seconds} s, the clip holds {right} s");
    }
    // No time server vouches for the clock of this test, unless the machine's own kernel is disciplined by one.
    let quality = quality();
    assert!(events.values().all(|event| event["timequality"] == quality));
    let first = events.values().find(|event| event["type"].as_str().unwrap().ends_with(".arrival")).unwrap();
    let wall: Timestamp = first["time"].as_str().unwrap().parse().unwrap();
    assert!(wall.as_second() < 86_400, "the first arrival was in 1970: {wall}");
    assert!(service.stop().success(), "{}", site.log());
}

/// T17: an event that waits for the broker and a member on a lease, both long over by a clock that says 2038. Matching by the
/// lease may stop for a while; what is deleted does not come back when the clock is put right.
#[test]
fn a_start_in_2038_that_nobody_vouches_for_deletes_nothing() {
    let Some(library) = faketime() else { return };
    if quality() != "unsynced" {
        println!("SKIPPED: a time server disciplines the clock of this machine, so every time counts as right");
        return;
    }
    let site = Site::new("rtsp://127.0.0.1:9/nothing-comes", free_port());
    let list = site.path("leased.csv");
    std::fs::write(&list, "member_ref,plate,consents,not_after\nleased,皖A10000,plate,2030-01-01T00:00:00Z\n").unwrap();
    run(&["members", "import", &list, "--config", &site.config()]);
    leave_waiting(&site.folder.path().join("state"));

    let clock = FakeClock(site.folder.path().join("clock"));
    clock.says(END_OF_32_BITS);
    let service = site.start_under(&[], &under(&library, &clock));
    // The first round of what deletes by time comes with the first tick of the rules, half a second after the start.
    let status = site.status_when("it does not run", |status| status["uptime_s"].as_u64() >= Some(3));
    assert_eq!(status["recognition"]["list_trouble"], Value::Null, "{status}");
    assert!(service.stop().success(), "{}", site.log());
    run(&["members", "show", "leased", "--config", &site.config()]);
    let waiting: Value =
        serde_json::from_slice(&run(&["events", "outbox", "--json", "--config", &site.config()]).stdout).unwrap();
    let kinds: Vec<&str> = waiting.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"arrival") && !kinds.contains(&"outbox-dropped"), "{kinds:?}");
}

/// An event of today that is worth sending for a month.
fn leave_waiting(folder: &Path) {
    let limits = Limits { max_mib: 8, keep_visits: Duration::from_secs(86_400) };
    let mut spool = Spool::open(folder, limits, Box::new(|_, _, _| panic!("there is room for one"))).unwrap();
    let now = Timestamp::now();
    let accepted = spool.transaction(|tx| {
        tx.append(NewEvent {
            class: EventClass::P1,
            kind: "arrival",
            topic: "evt/arrival",
            happened_at: now,
            expires_at: Some(now + SignedDuration::from_hours(30 * 24)),
            supersedes: None,
            make: &|identity| serde_json::to_vec(&json!({ "id": identity.id })).unwrap(),
        })
    });
    accepted.unwrap();
}
