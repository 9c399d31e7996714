//! Member lists (T28): signed, applied whole or not at all, acknowledged; what is wrong is refused with a reason.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forecourt::store::members::MemberStore;
use serde_json::Value;

use crate::broker::mosquitto;
use crate::contract;
use crate::site::{Ear, PATIENCE, ROOT, Site, publish, soak};

fn names(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("M-{n:05}")).collect()
}

/// Everybody on the box, and the digest of what is really there.
fn on_the_box(site: &Site) -> (Vec<String>, String) {
    let store = MemberStore::open(site.path("state/members.db").as_ref()).unwrap();
    let mut names: Vec<String> = store.all().unwrap().0.into_iter().map(|member| member.member_ref).collect();
    names.sort();
    (names, store.synced_digest().unwrap().1)
}

/// The digest of what is really there.
pub fn digest_on_the_box(site: &Site) -> String {
    MemberStore::open(site.path("state/members.db").as_ref()).unwrap().synced_digest().unwrap().1
}

fn digest(folder: &str) -> String {
    let manifest: Value = serde_json::from_slice(&std::fs::read(format!("{folder}/manifest.json")).unwrap()).unwrap();
    manifest["digest"].as_str().unwrap().to_owned()
}

fn refused(ear: &mut Ear, reason: &str) -> bool {
    ear.until(PATIENCE, |ear| ear.has("state/members", |state| state["refused"]["reason"] == reason))
}

#[test]
fn a_list_and_its_changes_are_applied_acknowledged_and_receipted_and_everything_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), false) else { return };
    let site = Site::new(broker.port);
    let mut ear = Ear::listen(broker.port);
    let _service = site.start();
    let first = site.sign("platform", 1, &names(0..300), &["--chunk-kib", "4"]);
    let output = site.publish(&first, 60);
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), site.log());
    assert_eq!(on_the_box(&site), (names(0..300), digest(&first)));
    let status = site.sync().unwrap();
    assert_eq!((&status["list"]["rev"], &status["wants"]), (&Value::from(1), &Value::Null), "{status}");

    // A delta: ten leave, one comes.
    let previous = site.path("list-1.csv");
    let second = site.sign("platform", 2, &names(10..301), &["--previous", &previous, "--from", "1"]);
    assert!(site.publish(&second, 60).status.success(), "{}", site.log());
    assert_eq!(on_the_box(&site), (names(10..301), digest(&second)));
    let receipted = ear.until(PATIENCE, |ear| ear.newest.contains_key("evt/receipt"));
    assert!(receipted, "{}", site.log());
    let receipt = contract::validate(ear.newest["evt/receipt"].to_string().as_bytes());
    assert_eq!(receipt["data"]["member_refs"].as_array().unwrap().len(), 10);
    assert_eq!((&receipt["data"]["by"], &receipt["data"]["rev"]), (&Value::from("delta"), &Value::from(2)));
    for state in ["members", "device", "models", "config"] {
        let said = &ear.newest[&format!("state/{state}")];
        contract::validate_as(&format!("state-{state}"), said);
        assert!(!said.to_string().contains("M-0"), "{said}");
    }

    let before = on_the_box(&site);
    let stranger = site.sign("stranger", 3, &names(0..5), &[]);
    assert!(!site.publish(&stranger, 3).status.success());
    assert!(refused(&mut ear, "not-trusted"), "{:?}", ear.newest["state/members"]);
    publish(broker.port, &format!("{ROOT}/members/manifest"), &[0xff, 0, b'{'], &[]);
    assert!(refused(&mut ear, "not-readable"));
    assert!(!site.publish(&first, 3).status.success(), "back to revision 1");
    assert!(refused(&mut ear, "rollback"));
    let conflict = site.sign("platform", 2, &names(0..7), &[]);
    assert!(!site.publish(&conflict, 3).status.success());
    assert!(refused(&mut ear, "conflict"));
    assert_eq!(on_the_box(&site), before);
    assert!(!site.log().contains("皖A"), "a plate was logged");
}

#[test]
fn a_list_is_signed_with_its_face_templates_and_needs_no_device_key() {
    let site = Site::new(1);
    let vector: Vec<f32> = (0..128).map(|n| if n == 7 { 1.0 } else { 0.0 }).collect();
    let member = serde_json::json!({
        "member_ref": "M-1", "plate": ["皖A12345"], "consents": ["plate", "face"],
        "faces": [{ "space": "face-demo-1", "vector": vector, "quality": 0.75 }],
    });
    std::fs::write(site.path("list.jsonl"), format!("{member}\n")).unwrap();
    let (list, key, out) = (site.path("list.jsonl"), site.path("platform.key"), site.path("signed"));
    let fixed = ["members", "sign", &list, "--key", &key, "--audience", "acme/test", "--epoch", "e1", "--rev", "1"];
    site.ok(&[&fixed[..], &["--out", &out]].concat());
    let piece = std::fs::read_to_string(format!("{out}/snapshot-00000.jsonl")).unwrap();
    let line: Value = serde_json::from_str(piece.lines().nth(1).unwrap()).unwrap();
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    let face = &line["faces"][0];
    assert_eq!((&face["space"], face["vector"].as_str().unwrap()), (&"face-demo-1".into(), &*STANDARD.encode(bytes)));
}

/// The box is killed again and again while a list comes in; what is on it must always be one of the two lists, whole.
fn killed(kills: u32, members: u32, spoil: bool) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), true) else { return Ok(()) };
    let site = Site::new(broker.port);
    let old = site.sign("platform", 1, &names(0..members), &["--chunk-kib", "4"]);
    let service = site.start();
    assert!(site.publish(&old, 90).status.success(), "{}", site.log());
    service.kill();
    let new = site.sign("platform", 2, &names(members / 2..members * 3 / 2), &["--chunk-kib", "4"]);
    let lists = [(names(0..members), digest(&old)), (names(members / 2..members * 3 / 2), digest(&new))];
    let mut publisher = std::process::Command::new(env!("CARGO_BIN_EXE_forecourt"))
        .args(["members", "publish", &new, "--wait", "600", "--config", &site.path("forecourt.toml")])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut dice = fastrand::Rng::new();
    for kill in 0..kills {
        let service = site.start();
        std::thread::sleep(Duration::from_millis(dice.u64(200..2_500)));
        service.kill();
        if spoil && kill == 0 {
            let store = rusqlite::Connection::open(site.path("state/members.db")).unwrap();
            store
                .execute_batch("pragma foreign_keys = on; delete from member where id = (select max(id) from member)")
                .unwrap();
        }
        let found = on_the_box(&site);
        if !lists.contains(&found) {
            let _ = publisher.kill();
            let _ = publisher.wait();
            return Err(format!("after kill {kill}: {} members, neither the old nor the new list", found.0.len()));
        }
    }
    let _service = site.start();
    let published = publisher.wait().unwrap();
    assert!(published.success(), "{}", site.log());
    assert_eq!(on_the_box(&site), lists[1]);
    Ok(())
}

#[test]
fn t28_a_box_that_is_killed_while_a_list_comes_in_has_the_old_list_or_the_new_one() {
    let (kills, members) = if soak() { (200, 20_000) } else { (6, 1_500) };
    killed(kills, members, false).unwrap();
}

#[test]
fn t28_sees_a_list_that_is_neither() {
    if mosquitto(tempfile::tempdir().unwrap().path(), false).is_some() {
        assert!(killed(1, 200, true).is_err());
    }
}
