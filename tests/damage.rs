//! A member list that is damaged while the box is off, through the real service: it is set aside, what waits is delivered,
//! and the box says what it needs, instead of a loop of crashes.

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

use std::fs;

use serde_json::Value;
use site::{Site, run};

/// A camera that has nothing to show, so that events are only about itself.
const NO_CAMERA: &str = "images:empty";
const NO_BROKER: &str = "url = \"\"\n";

fn site() -> Site {
    let site = Site::new(NO_CAMERA, 1);
    fs::create_dir(site.path("empty")).unwrap();
    site.settle(NO_CAMERA, NO_BROKER);
    site
}

fn lost(status: &Value) -> bool {
    status["recognition"]["list_trouble"]["damaged"] == true
}

fn set_aside(site: &Site) -> usize {
    let entries = fs::read_dir(site.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    entries.filter(|name| name.to_string_lossy().starts_with("members.db.set-aside-")).count()
}

#[test]
fn a_damaged_list_is_set_aside_and_what_waits_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = broker::mosquitto(folder.path(), false) else { return };
    let site = site();
    site.import();
    let service = site.start();
    let waits = |status: &Value| status["outbox"]["waiting"].as_object().is_some_and(|classes| !classes.is_empty());
    let status = site.status_when("no event waits", |status| waits(status) && !status["recognition"].is_null());
    assert!(status["recognition"]["listed_plates"] != 0 && !lost(&status), "{status}");
    service.kill();

    let list = site.path("state/members.db");
    let mut bytes = fs::read(&list).unwrap();
    let half = bytes.len() / 2;
    bytes[4096..half].fill(0xEE);
    fs::write(&list, &bytes).unwrap();
    site.settle(NO_CAMERA, &format!("url = \"mqtt://127.0.0.1:{}\"\n", broker.port));
    let service = site.start();
    let status = site.status_when("nothing was delivered", |status| {
        status["mqtt"]["acked"].as_u64().unwrap_or(0) > 0 && !status["platform"]["health"]["score"].is_null()
    });
    assert!(lost(&status) && status["recognition"]["listed_plates"] == 0, "{status}");
    // The platform is told that there is no list, and what is wrong.
    assert_eq!(status["platform"]["members"]["list"], Value::Null);
    let reasons = status["platform"]["health"]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["code"] == "member-list"), "{reasons:?}");
    let said = run(&["status", "--config", &site.config()]).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("Member list: DAMAGED") && said.contains("members import FILE"), "{said}");
    let audit = run(&["privacy", "audit", "list", "--json", "--config", &site.config()]).stdout;
    assert!(String::from_utf8(audit).unwrap().contains("list-set-aside"));
    assert_eq!(set_aside(&site), 1);

    // It is said after a restart too, until a list has come in.
    assert!(service.stop().success(), "{}", site.log());
    let service = site.start();
    site.status_when("it is not said any more", lost);
    site.import();
    site.status_when("the import is not taken up", |status| {
        !lost(status) && status["recognition"]["listed_plates"].as_u64() > Some(0)
    });
    assert!(service.stop().success(), "{}", site.log());
    assert_eq!(set_aside(&site), 1);
}

#[test]
fn every_kind_of_damage_is_survived_and_what_is_no_damage_is_left() {
    let site = site();
    site.import();
    let list = site.path("state/members.db");
    let whole = fs::read(&list).unwrap();
    let cut = whole[..whole.len() / 3].to_vec();
    let garbage = b"somebody's notes, and no database\n".repeat(400);
    for (count, damage) in [cut, garbage, Vec::new()].into_iter().enumerate() {
        fs::write(&list, damage).unwrap();
        let service = site.start();
        let status = site.status_when("the damage is not told", lost);
        assert_eq!(status["outbox"]["condition"], "ok");
        assert!(service.stop().success(), "{}", site.log());
        assert_eq!(set_aside(&site), count + 1, "{}", site.log());
    }
    // A newer schema is no damage: nothing is renamed, and the service says why it does not start.
    let newer = rusqlite::Connection::open(&list).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let output = site::forecourt(&["run", "--config", &site.config()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("schema 99"), "{said}");
    assert_eq!(set_aside(&site), 3);
}
