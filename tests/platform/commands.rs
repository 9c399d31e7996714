//! Commands (T31): effect once, answer always.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::site::{Ear, PATIENCE, ROOT, publish, soak};
use crate::stage::Stage;

#[test]
fn t31_whatever_must_not_be_done_is_refused_with_its_reason() {
    let Some(mut stage) = Stage::new() else { return };
    let _service = stage.start();
    let offered: Vec<&str> = stage.ear.newest["state/device"]["capabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["command"].as_str().unwrap())
        .collect();
    let all = [
        "members-refresh",
        "snapshot-health",
        "support-bundle",
        "member-delete",
        "restart",
        "config-patch",
        "pack-install",
    ];
    assert_eq!(offered, all);

    let unsigned = stage.request("restart", "r1", json!({}), None);
    assert_eq!(stage.reason("restart", "r1", &unsigned), "not-authorised");
    let stranger = stage.request("restart", "r2", json!({}), Some("stranger"));
    assert_eq!(stage.reason("restart", "r2", &stranger), "not-authorised");
    let mut changed = stage.request("member-delete", "d1", json!({"member_ref": "a"}), Some("platform"));
    changed["args"]["member_ref"] = json!("b");
    assert_eq!(stage.reason("member-delete", "d1", &changed), "not-authorised");
    let shell = stage.request("shell", "s1", json!({"run": "reboot"}), Some("platform"));
    assert_eq!(stage.reason("shell", "s1", &shell), "unknown");
    let mut expired = stage.request("members-refresh", "e1", json!({}), None);
    expired["issued"] = json!(Timestamp::now() - SignedDuration::from_hours(2));
    expired["expires"] = json!(Timestamp::now() - SignedDuration::from_hours(1));
    assert_eq!(stage.reason("members-refresh", "e1", &expired), "expired");
    let mut eternal = stage.request("members-refresh", "e2", json!({}), None);
    eternal["expires"] = json!("2999-01-01T00:00:00Z");
    assert_eq!(stage.reason("members-refresh", "e2", &eternal), "not-readable");
    let other = stage.request("members-refresh", "x1", json!({}), None);
    assert_eq!(stage.reason("members-refresh", "x2", &other), "not-readable");
    let answer = stage.answer("members-refresh", "g1", &[0xff, 0]);
    assert_eq!(answer["reason"]["code"], "not-readable");
    assert_eq!(stage.starts(), 1, "nothing was done");
}

#[test]
fn t31_a_command_has_its_effect_once_and_its_answer_always() {
    let Some(mut stage) = Stage::new() else { return };
    let service = stage.start();
    let list = stage.site.sign("platform", 1, &["M-1".to_owned(), "M-2".to_owned()], &[]);
    assert!(stage.site.publish(&list, 60).status.success(), "{}", stage.site.log());

    let delete = stage.request("member-delete", "d1", json!({"member_ref": "M-1"}), Some("platform")).to_string();
    let began = std::time::Instant::now();
    let first = stage.answer("member-delete", "d1", delete.as_bytes());
    println!("T31: a member was removed and this was answered within {:?}", began.elapsed());
    assert_eq!((&first["state"], &first["result"]["was_listed"]), (&json!("successful"), &json!(true)), "{first}");
    for _ in 0..9 {
        assert_eq!(stage.answer("member-delete", "d1", delete.as_bytes()), first, "the stored answer");
    }
    let gone = stage.ear.until(PATIENCE, |ear| ear.newest.contains_key("evt/receipt"));
    assert!(gone, "{}", stage.site.log());
    let other = stage.request("member-delete", "d1", json!({"member_ref": "M-2"}), Some("platform"));
    assert_eq!(stage.reason("member-delete", "d1", &other), "id-used");

    let bundle = stage.request("support-bundle", "b1", json!({}), None);
    let bundle = stage.answer("support-bundle", "b1", bundle.to_string().as_bytes());
    assert!(bundle["result"]["tar_base64"].is_string(), "{bundle}");

    // Ten times the same restart: the service begins anew once, in the same process.
    let restart = stage.request("restart", "r1", json!({}), Some("platform")).to_string();
    for _ in 0..10 {
        stage.send("restart", "r1", restart.as_bytes());
    }
    let done = stage.ear.until(PATIENCE, |ear| ear.has("cmdres/restart/r1", |answer| answer["state"] == "successful"));
    assert!(done, "{:?}\n{}", stage.ear.answers("restart", "r1"), stage.site.log());
    assert_eq!(stage.answer("restart", "r1", restart.as_bytes())["state"], "successful");
    assert_eq!(stage.starts(), 2, "{}", stage.site.log());

    // Killed, started, and asked again: the answer is the same and the member is not back.
    service.kill();
    let _service = stage.site.start();
    assert_eq!(stage.answer("member-delete", "d1", delete.as_bytes()), first);
    assert_eq!(stage.answer("restart", "r1", restart.as_bytes())["state"], "successful");
    assert_eq!(stage.starts(), 3, "no second restart");
    let status = stage.site.sync().unwrap();
    assert_eq!((&status["removed"], &status["wants"]), (&json!(1), &Value::Null), "{status}");
    assert!(!stage.site.log().contains("M-1"), "a member's name was logged");
}

/// The box is killed at a random moment of each of so many removals, and started again.
fn killed_in_the_middle(rounds: u32) {
    let Some(mut stage) = Stage::new() else { return };
    let mut service = stage.start();
    let names: Vec<String> = (0..rounds + 1).map(|n| format!("M-{n}")).collect();
    let list = stage.site.sign("platform", 1, &names, &[]);
    assert!(stage.site.publish(&list, 60).status.success(), "{}", stage.site.log());
    let mut dice = fastrand::Rng::new();
    let mut before = 0;
    for name in &names[..rounds as usize] {
        let id = format!("d-{name}");
        let delete = stage.request("member-delete", &id, json!({"member_ref": name}), Some("platform")).to_string();
        stage.send("member-delete", &id, delete.as_bytes());
        stage.ear.until(Duration::from_millis(dice.u64(0..250)), |_| false);
        before += usize::from(stage.ear.answers("member-delete", &id).is_empty());
        service.kill();
        service = stage.site.start();
        let answer = stage.last_answer("member-delete", &id, 0);
        assert_eq!(answer["state"], "successful", "{answer}\n{}", stage.site.log());
        assert_eq!(stage.answer("member-delete", &id, delete.as_bytes()), answer, "the stored answer");
    }
    let receipts = |ear: &Ear| -> BTreeMap<String, BTreeSet<String>> {
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, event) in ear.all.iter().filter(|(topic, _)| topic == "evt/receipt") {
            for name in event["data"]["member_refs"].as_array().unwrap() {
                let id = event["id"].as_str().unwrap().to_owned();
                told.entry(name.as_str().unwrap().to_owned()).or_default().insert(id);
            }
        }
        told
    };
    let all = stage.ear.until(PATIENCE, |ear| receipts(ear).len() == rounds as usize);
    let told = receipts(&stage.ear);
    println!("T31: {rounds} kills, {before} before the first answer was heard, {} receipts", told.len());
    assert!(all, "{told:?}");
    assert_eq!(stage.site.sync().unwrap()["removed"], rounds, "each was removed, and nobody else");
}

#[test]
fn t31_killed_in_the_middle_a_command_is_answered_and_its_effect_told() {
    killed_in_the_middle(if soak() { 100 } else { 4 });
}

#[test]
fn t31_sees_a_box_that_forgets_what_it_has_done() {
    let Some(mut stage) = Stage::new() else { return };
    let service = stage.start();
    let restart = stage.request("restart", "r1", json!({}), Some("platform")).to_string();
    assert_eq!(stage.answer("restart", "r1", restart.as_bytes())["state"], "successful");
    service.kill();
    let journal = rusqlite::Connection::open(stage.site.path("state/members.db")).unwrap();
    journal.execute("delete from command", []).unwrap();
    drop(journal);
    let _service = stage.site.start();
    stage.answer("restart", "r1", restart.as_bytes());
    assert_eq!(stage.starts(), 4, "it was done twice: T31 counts it");
}

#[test]
fn an_answer_goes_where_it_is_wanted_with_what_was_sent_along() {
    let Some(mut stage) = Stage::new() else { return };
    let _service = stage.start();
    let request = stage.request("members-refresh", "m1", json!({}), None).to_string();
    // Response topic (8) and correlation data (9).
    let topic = b"forecourt/platform/inbox";
    let properties = [&[8, 0, topic.len() as u8][..], topic, &[9, 0, 3], b"abc"].concat();
    publish(stage.broker.port, &format!("{ROOT}/cmd/members-refresh/m1"), request.as_bytes(), &properties);
    let both = stage.ear.until(PATIENCE, |ear| {
        let done = |topic: &str| ear.has(topic, |answer| answer["state"] == "successful");
        done("forecourt/platform/inbox") && done("cmdres/members-refresh/m1")
    });
    assert!(both, "{:?}\n{}", stage.ear.newest.keys(), stage.site.log());
}
