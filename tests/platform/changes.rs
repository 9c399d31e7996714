//! `config-patch`: what is closed or wrong is refused, what is sound is tried and kept, what does harm is taken back by
//! itself; answered always, done once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::site::{PATIENCE, Service};
use crate::stage::Stage;

/// With this time to prove a change.
fn stage(probation: &str) -> Option<Stage> {
    let stage = Stage::new()?;
    // `[commands]` is the last table of the file.
    stage.site.add(&format!("probation = \"{probation}\"\n"));
    Some(stage)
}

impl Stage {
    fn patch(&self, id: &str, patch: &Value) -> Value {
        self.request("config-patch", id, json!({ "patch": patch }), Some("platform"))
    }

    /// Sends a patch and waits until the service runs with it on trial.
    #[track_caller]
    fn on_trial(&mut self, id: &str, patch: &Value) -> String {
        let request = self.patch(id, patch).to_string();
        self.send("config-patch", id, request.as_bytes());
        let begun = self.ear.until(PATIENCE, |ear| ear.has("state/config", |state| state["probation"] == id));
        assert!(begun, "{:?}\n{}", self.ear.answers("config-patch", id), self.site.log());
        request
    }

    fn patched(&self) -> Value {
        self.ear.newest["state/config"]["patched"].clone()
    }

    #[track_caller]
    fn taken_back(&mut self, id: &str, why: &str) {
        let answer = self.last_answer("config-patch", id, 0);
        assert_eq!(
            (&answer["state"], &answer["reason"]["code"]),
            (&json!("failed"), &json!("rolled-back")),
            "{answer}"
        );
        let words = answer["reason"]["words"].as_str().unwrap();
        assert!(words.contains(why), "{words}");
        let back = self.ear.until(PATIENCE, |ear| {
            ear.has("state/config", |state| state["patched"] == json!([]) && state["probation"] == Value::Null)
        });
        assert!(back, "{}", self.ear.newest["state/config"]);
    }
}

#[test]
fn a_patch_is_tried_kept_and_answered_and_a_repetition_does_nothing() {
    let Some(mut stage) = stage("5s") else { return };
    let file = std::fs::read(stage.site.path("forecourt.toml")).unwrap();
    let service = stage.start();
    let before = stage.ear.newest["state/config"]["sha256"].clone();
    let patch = json!({ "camera": { "gate": { "analysis_fps": 4 } }, "visits": { "absent_after": "20m" } });
    let request = stage.on_trial("p1", &patch);
    let busy = stage.patch("p2", &json!({ "health": { "interval": "30s" } }));
    assert_eq!(stage.reason("config-patch", "p2", &busy), "busy");
    let answer = stage.last_answer("config-patch", "p1", 0);
    assert_eq!((&answer["state"], &answer["result"]["changed"]), (&json!("successful"), &json!(true)), "{answer}");
    assert_eq!(stage.patched(), json!(["camera.gate.analysis_fps", "visits.absent_after"]));
    assert_ne!(stage.ear.newest["state/config"]["sha256"], before);
    assert_eq!(answer["result"]["sha256"], stage.ear.newest["state/config"]["sha256"]);
    assert_eq!(stage.starts(), 2, "{}", stage.site.log());
    for _ in 0..3 {
        assert_eq!(stage.answer("config-patch", "p1", request.as_bytes()), answer, "the stored answer");
    }
    // In force over a kill, and given back by `null`.
    service.kill();
    let _service = stage.site.start();
    let there =
        stage.ear.until(PATIENCE, |ear| ear.all.iter().filter(|(topic, _)| topic == "state/config").count() > 3);
    assert!(there && stage.starts() == 3, "{}", stage.site.log());
    assert_eq!(stage.patched(), json!(["camera.gate.analysis_fps", "visits.absent_after"]));
    let back = stage.patch("p3", &json!({ "camera": null, "visits": null }));
    let answer = stage.answer("config-patch", "p3", back.to_string().as_bytes());
    assert_eq!((&answer["state"], &answer["result"]["sha256"]), (&json!("successful"), &before), "{answer}");
    assert_eq!(std::fs::read(stage.site.path("forecourt.toml")).unwrap(), file, "the file is the installer's");
}

#[test]
fn what_a_platform_must_not_change_is_refused_by_name_and_what_is_wrong_with_its_reason() {
    let Some(mut stage) = stage("5s") else { return };
    let _service = stage.start();
    let unsigned = stage.request("config-patch", "u", json!({ "patch": {} }), None);
    assert_eq!(stage.reason("config-patch", "u", &unsigned), "not-authorised");
    for (id, patch, code, word) in [
        ("c1", json!({"mqtt": {"url": "mqtt://elsewhere:1883"}}), "not-allowed", "`mqtt.url`"),
        ("c2", json!({"mqtt": {"password_file": "/etc/shadow"}}), "not-allowed", "`mqtt.password_file`"),
        ("c3", json!({"commands": {"trusted_keys": []}}), "not-allowed", "`commands`"),
        ("c4", json!({"camera": {"gate": {"source": "rtsp://other/1"}}}), "not-allowed", "`camera.gate.source`"),
        ("c5", json!({"plates": {"packs": ["/tmp/pack"]}}), "not-allowed", "`plates.packs`"),
        ("c6", json!({"plates": {"min_frames": 0}}), "not-valid", "`plates.min_frames`"),
        ("c7", json!({"camera": {"lost": {"analysis_fps": 3}}}), "not-valid", "`lost`"),
        ("c8", json!("min_frames = 3"), "not-readable", "`patch`"),
    ] {
        let request = stage.patch(id, &patch);
        assert_eq!(stage.reason("config-patch", id, &request), code, "{patch}");
        let words = stage.ear.newest[&format!("cmdres/config-patch/{id}")]["reason"]["words"].to_string();
        assert!(words.contains(word), "{words}");
    }
    assert_eq!((stage.starts(), stage.patched()), (1, json!([])), "nothing was done");
}

#[test]
fn a_box_that_is_killed_again_and_again_with_a_patch_goes_back_and_says_so() {
    let Some(mut stage) = stage("10m") else { return };
    let mut service: Service = stage.start();
    let request = stage.on_trial("k1", &json!({ "plates": { "min_frames": 3 } }));
    let begun = stage.starts();
    for kill in 0..3 {
        service.kill();
        service = stage.site.start();
        let again = stage.ear.until(PATIENCE, |_| stage.site.log().matches("Started.").count() > begun + kill);
        assert!(again, "{}", stage.site.log());
    }
    stage.taken_back("k1", "again and again");
    assert_eq!(stage.answer("config-patch", "k1", request.as_bytes())["state"], "failed", "it is not tried once more");
}

#[test]
fn a_service_that_cannot_start_with_a_patch_starts_without_it() {
    let Some(mut stage) = stage("10m") else { return };
    let _service = stage.start();
    let request = stage.patch("s1", &json!({ "plates": { "packs": ["no-such-pack"] } }));
    stage.send("config-patch", "s1", request.to_string().as_bytes());
    stage.taken_back("s1", "no-such-pack");
}

#[test]
fn a_box_that_does_not_find_its_broker_with_a_patch_goes_back() {
    let Some(mut stage) = stage("6s") else { return };
    let _service = stage.start();
    stage.on_trial("b1", &json!({ "mqtt": { "max_inflight": 4 } }));
    stage.broker.kill();
    let gone = stage.ear.until(PATIENCE, |_| stage.site.log().contains("A change of the platform was taken back."));
    assert!(gone, "{}", stage.site.log());
    stage.broker.start();
    std::thread::sleep(Duration::from_millis(100));
    stage.ear = crate::site::Ear::listen(stage.broker.port);
    stage.taken_back("b1", "the broker is not reached");
}
