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
#[path = "support/site.rs"]
mod site;
#[path = "delivery/wire.rs"]
mod wire;

use broker::Subscriber;
use serde_json::Value;
use site::{PATIENCE, STRANGERS, Site, VISITORS, bundled, events, members, run, seen};

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
    site.status_when("the visit was not taken up again", |status| status["recognition"]["open_visits"] == 1);
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
