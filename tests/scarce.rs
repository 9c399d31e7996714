//! When something runs out or fails (T3 as people see it, T22, T23, T24, T25 in short form): the disk fails for a while, the
//! process that recognises dies in the middle, memory, processor time, open files and the speed of the disk are taken away, names
//! are not resolved. Frames may be lost then, events may not, and no visit is told twice.
//!
//! Each was seen to fail on a break of one line: T22 when a start does not take up the visits that were saved (one car
//! arrives three times); T23 when a start of the service empties the outbox; T24 when the slot does not count the frame that
//! gives way; T25 when every tick of the rules leaves a file open.

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
#[path = "support/cgroup.rs"]
mod cgroup;
#[path = "delivery/checker.rs"]
mod checker;
#[path = "support/contract.rs"]
mod contract;
#[path = "support/site.rs"]
mod site;
#[path = "delivery/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use broker::{Subscriber, mosquitto};
use cgroup::Group;
use forecourt::store::spool::{Limits, Spool};
use nix::sys::signal::Signal;
use serde_json::Value;
use site::{PATIENCE, Site, VISITORS, bundled, members, run, seen};

/// Each of these takes a whole processor: one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn clip() -> String {
    format!("file:{}", bundled("gate.mp4").display())
}

/// May processes be traced here?
fn strace_works() -> bool {
    let works =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        println!(
            "SKIPPED, or in part: strace is not installed, or processes may not be traced here; the disk is sound"
        );
    }
    works
}

/// Events in the outbox, of a kind.
fn waiting(site: &Site, kind: &str) -> usize {
    let output = run(&["events", "outbox", "--json", "--config", &site.config()]);
    let events: Value = serde_json::from_slice(&output.stdout).unwrap();
    events.as_array().unwrap().iter().filter(|event| event["kind"] == kind).count()
}

/// T22. There is one process: when its networks crash it, all of it dies. RTSP, so that the camera goes on meanwhile.
#[test]
fn a_crash_of_recognition_tells_no_visit_twice_and_none_by_halves() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), false) else { return };
    if !camera::rtsp_available() {
        return;
    }
    let source = camera::RtspCamera::start(&bundled("gate.mp4"), &["--once"]);
    let site = Site::new(&source.url, broker.port);
    site.import();
    let mut observer = Subscriber::listen(broker.port);
    let mut service = site.start();
    let mut longest = Duration::ZERO;
    for (count, signal) in [Signal::SIGSEGV, Signal::SIGABRT].into_iter().enumerate() {
        let enough = |observer: &Subscriber| members(&seen(observer), ".arrival").len() > count;
        assert!(observer.until(PATIENCE, enough), "{}", site.log());
        service.signal(signal);
        let died = Instant::now();
        drop(service);
        service = site.start();
        site.status_when("the visit was not taken up again", |status| status["recognition"]["open_visits"] != 0);
        longest = longest.max(died.elapsed());
    }
    println!("longest time from the crash to the visit being taken up again: {:.1} s", longest.as_secs_f32());
    let left = |observer: &Subscriber| members(&seen(observer), ".departure").contains(&VISITORS[0].to_owned());
    assert!(observer.until(PATIENCE, left), "{}", site.log());
    drop(source);
    let events = seen(&observer);
    let arrivals = members(&events, ".arrival");
    assert_eq!(arrivals.iter().filter(|member| *member == VISITORS[0]).count(), 1, "{arrivals:?}");
    let (came, gone) = (visits(&events, ".arrival"), visits(&events, ".departure"));
    assert!(came.iter().chain(&gone).all(|(_, &times)| times == 1), "told twice: {came:?} {gone:?}");
    assert!(gone.keys().all(|visit| came.contains_key(visit)), "told by halves: {came:?} {gone:?}");
}

/// How often each visit was told of.
fn visits(events: &BTreeMap<String, Value>, kind: &str) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for event in events.values().filter(|event| event["type"].as_str().unwrap().ends_with(kind)) {
        *times.entry(event["data"]["visit_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    times
}

/// T25: 64 open files, every fsync takes 200 ms, the broker's name is not resolved. Then T23: so little memory that the
/// kernel kills it. All that was accepted reaches the broker in the end, each once.
#[test]
fn few_files_a_slow_disk_no_names_and_no_memory_lose_no_event() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), false) else { return };
    let site = Site::new(&clip(), broker.port);
    site.import();
    site.settle(&clip(), "url = \"mqtt://broker.invalid\"\n");
    let traced = strace_works();
    let slow = "exec strace -D -f -qq -o /dev/null -e inject=fdatasync,fsync:delay_exit=200000 -e trace=fdatasync,fsync -- \"$@\"";
    let wrapper = format!("ulimit -n 64; {}", if traced { slow } else { "exec \"$@\"" });
    let service = site.start_under(&["sh", "-c", &wrapper, "sh"], &[]);
    let status = site.status_when("not all came and left", |status| {
        status["recognition"]["open_visits"] == 0 && waiting(&site, "departure") == VISITORS.len()
    });
    let high_water = memory_peak(service.0.id());
    assert_eq!(status["outbox"]["condition"], "ok", "{status}");
    assert!(service.stop().success(), "{}", site.log());
    let (arrivals, departures) = (waiting(&site, "arrival"), waiting(&site, "departure"));
    assert_eq!((arrivals, departures), (VISITORS.len(), VISITORS.len()));

    if let Some(group) = Group::memory("t23") {
        // Of what it needs it gets a third: it cannot even load its networks, and the kernel kills it, each time.
        group.limit_memory(high_water / 3);
        let mut service = site.start_under(&["sh", "-c", &group.join("exec \"$@\""), "sh"], &[]);
        let ended = service.0.wait().unwrap();
        assert!(!ended.success(), "a third of {high_water} bytes was enough");
        // With all that it was seen to need, it runs.
        group.limit_memory(high_water + high_water / 8);
        let service = site.start_under(&["sh", "-c", &group.join("exec \"$@\""), "sh"], &[]);
        site.status_when("it does not run in the memory that it needs", |_| true);
        assert!(service.stop().success());
    }

    site.settle("rtsp://127.0.0.1:9/nothing-more-comes", &format!("url = \"mqtt://127.0.0.1:{}\"\n", broker.port));
    let mut observer = Subscriber::listen(broker.port);
    let service = site.start();
    let all = |observer: &Subscriber| members(&seen(observer), ".departure").len() >= VISITORS.len();
    assert!(observer.until(PATIENCE, all), "{}", site.log());
    assert!(service.stop().success());
    assert_eq!(members(&seen(&observer), ".arrival"), VISITORS);
    assert_eq!(members(&seen(&observer), ".departure"), VISITORS);
    assert!(observer.ids.values().all(|&times| times == 1), "{:?}", observer.ids);
}

/// T24: a third of one processor, as a hot board gives, then a twelfth. Frames are left out and counted; events come in time.
#[test]
fn a_hot_board_drops_frames_and_no_events() {
    let _turn = alone();
    let Some(group) = Group::cpu("t24") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), false) else { return };
    let site = Site::new(&clip(), broker.port);
    site.import();
    let mut observer = Subscriber::listen(broker.port);
    group.limit_cpu(33);
    let service = site.start_under(&["sh", "-c", &group.join("exec \"$@\""), "sh"], &[]);
    let came = |observer: &Subscriber| !members(&seen(observer), ".arrival").is_empty();
    assert!(observer.until(PATIENCE, came), "{}", site.log());
    // A fast machine keeps up with a third of a processor; none keeps up with this.
    group.limit_cpu(8);
    let status = site.status_when("no frame was dropped", |status| status["cameras"][0]["dropped"].as_u64() > Some(0));
    assert_eq!(status["outbox"]["condition"], "ok", "{status}");
    for event in seen(&observer).values().filter(|event| event["type"].as_str().unwrap().ends_with(".arrival")) {
        let at = |key: &str| event[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let late = at("recordedtime").duration_since(at("time")).as_secs_f64();
        assert!(late <= 10.0, "decided {late} s after it was seen");
    }
    group.limit_cpu(0);
    assert!(service.stop().success(), "{}", site.log());
}

/// Most memory that a process ever held, in bytes.
fn memory_peak(pid: u32) -> u64 {
    of_process(pid, "VmHWM:") * 1024
}

/// A number that the kernel tells of a process.
fn of_process(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// T3, as people see it: the disk fails for a while; `status` and `doctor` say so, the service lives on, and what
/// happened meanwhile is accepted when the disk is sound again. Every call by itself: `tests/delivery/io_error.rs`.
#[test]
fn a_disk_that_fails_for_a_while_is_told_and_keeps_no_event() {
    let _turn = alone();
    if !strace_works() {
        return;
    }
    // A camera that does not answer is an event by itself.
    let site = Site::new("rtsp://127.0.0.1:9/nobody", 9);
    let limits = Limits { max_mib: 8, keep_visits: Duration::from_secs(60) };
    let spool =
        Spool::open(site.path("state").as_ref(), limits, Box::new(|_, _, _| unreachable!("nothing is given up")));
    drop(spool.unwrap());
    let log = site.path("state/spool.db-wal");
    let faults = format!(
        "exec strace -D -f -qq -o /dev/null -P {log} -e trace=fdatasync,fsync \
         -e inject=fdatasync,fsync:error=EIO -- \"$@\""
    );
    let service = site.start_under(&["sh", "-c", &faults, "sh"], &[]);
    let status = site.status_when("no failure was told", |status| status["outbox"]["condition"] == "failing");
    assert!(status["outbox"]["detail"].as_str().unwrap().contains("dmesg"), "{status}");
    let doctor = site::forecourt(&["doctor", "--json", "--config", &site.config()]).output().unwrap();
    let findings = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(findings.contains("the outbox is failing"), "{findings}");
    // The disk is sound again: whoever makes its calls fail lets go of the service.
    let tracer = of_process(service.0.id(), "TracerPid:").try_into().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(tracer), Signal::SIGKILL).unwrap();
    site.status_when("not recovered", |status| status["outbox"]["condition"] == "ok");
    assert!(service.stop().success(), "{}", site.log());
    assert_eq!(waiting(&site, "device-camera"), 1);
    assert!(!site.log().contains("panicked"), "{}", site.log());
}
