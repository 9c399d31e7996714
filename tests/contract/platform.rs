//! Examples of what platform and box tell each other besides events of visits.

use std::collections::BTreeMap;

use forecourt::domain::event::*;
use forecourt::domain::sync::*;
use forecourt::domain::time::TimeQuality;
use forecourt::mqtt::Presence;
use serde_json::{Value, json};

use crate::at;

pub fn receipt() -> Receipt {
    Receipt {
        member_refs: vec!["m-48213".into()],
        by: RemovedBy::Command,
        removed_at: at("09:10:00"),
        shredded_at: Some(at("09:10:00.800")),
        epoch: Some("2026-a".into()),
        rev: Some(17),
        command: Some("d-2044".into()),
    }
}

pub fn health() -> Health {
    let gate = CameraHealth {
        camera: "gate".into(),
        connection_quality: ConnectionQuality::Fair,
        fps_expected: Some(25.0),
        fps: 18.5,
        reconnects_last_hour: 1,
        stalls_last_hour: 0,
        picture: "good".into(),
        vehicles_last_hour: Some(31),
        vehicles_usual: Some(28.5),
        faces_last_hour: Some(52),
        faces_usual: Some(47.25),
        rejected: BTreeMap::from([("too-small".to_owned(), 12)]),
    };
    let reason = |code: &str, words: &str, weight| HealthReason { code: code.into(), words: words.into(), weight };
    Health {
        score: 80,
        reasons: vec![
            reason("heat", "the processor is hot or slowed down", 15),
            reason("camera-fair", "camera `gate` loses frames", 5),
        ],
        cameras: vec![gate],
        inference: InferenceHealth { frames: 81_224, p50_ms: Some(31.5), p95_ms: Some(44.0) },
        outbox: OutboxHealth { condition: "ok".into(), waiting: 2, oldest_s: Some(1) },
        members: MembersHealth { plates: 51_002, epoch: Some("2026-a".into()), rev: Some(17), age_s: Some(7_800) },
        clock: TimeQuality::Synced,
        device: DeviceHealth {
            temperature_c: Some(81.5),
            throttled: Some(false),
            load: Some(2.5),
            memory_mib: Some(3_792),
            memory_free_mib: Some(2_210),
            program_mib: Some(412),
            disk_mib: Some(28_600),
            disk_free_mib: Some(21_044),
            disk_wear_percent: Some(10),
        },
        governor: GovernorHealth {
            share_percent: 50, reason: Some("the processor has 82 °C".into()), given_up: 1_204
        },
    }
}

/// The first key of RFC 8032, section 7.1: whoever writes the other side can check his own signatures with it.
const EXAMPLE_KEY: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const EXAMPLE_PUB: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn signed<T: serde::Serialize + serde::de::DeserializeOwned>(object: &T) -> T {
    let key = SigningKey::parse(EXAMPLE_KEY).expect("a key");
    serde_json::from_value(key.sign(serde_json::to_value(object).expect("JSON"))).expect("of the same kind")
}

#[test]
fn the_examples_are_signed_with_the_published_key() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/examples");
    let published = std::fs::read_to_string(folder.join("example.pub")).expect("the public half");
    assert_eq!(TrustedKey::parse(&published).expect("a key").id(), TrustedKey::parse(EXAMPLE_PUB).expect("a key").id());
    let trusted = TrustedKeys::new(vec![TrustedKey::parse(&published).expect("a key")]);
    for name in ["command", "members-head", "members-snapshot", "members-delta"] {
        let text = std::fs::read_to_string(folder.join(name).with_extension("json")).expect("an example");
        let mut object: Value = serde_json::from_str(&text).expect("JSON");
        trusted.verify(&object).unwrap_or_else(|why| panic!("{name}: {why}"));
        object["audience"] = json!("another");
        assert!(trusted.verify(&object).is_err(), "{name} means nothing");
    }
}

pub fn head(kind: Kind) -> Head {
    signed(&Head {
        format: FORMAT.into(),
        kind,
        audience: "acme/shanghai-07".into(),
        epoch: "2026-a".into(),
        rev: 17,
        issued: at("07:00:00"),
        count: 48_213,
        digest: "6f".repeat(32),
        chunks: 212,
        chunk: (kind == Kind::Snapshot).then_some(3),
        from: (kind == Kind::Delta).then_some(16),
        sha256: (kind != Kind::Manifest).then(|| "a5".repeat(32)),
        key: String::new(),
        signature: String::new(),
    })
}

fn request() -> Request {
    signed(&Request {
        format: Some(COMMAND_FORMAT.into()),
        name: "member-delete".into(),
        id: "d-2044".into(),
        audience: Some("acme/shanghai-07/box-1".into()),
        issued: at("09:09:58"),
        expires: at("10:09:58"),
        args: serde_json::Map::from_iter([("member_ref".to_owned(), json!("m-48213"))]),
        reply_to: None,
        correlation: None,
        key: None,
        signature: None,
    })
}

fn answer() -> Answer {
    Answer {
        name: "member-delete".into(),
        id: "d-2044".into(),
        state: AnswerState::Successful,
        at: at("09:10:00.010"),
        reason: None,
        result: Some(json!({ "was_listed": true, "removed_at": at("09:10:00") })),
        correlation: None,
    }
}

fn members_state() -> MembersState {
    let list = Synced {
        epoch: "2026-a".into(),
        rev: 17,
        count: 48_213,
        digest: "6f".repeat(32),
        issued: at("07:00:00"),
        applied_at: at("07:00:09"),
    };
    let wants = Wants {
        epoch: "2026-a".into(),
        rev: 18,
        after: Some(17),
        staged: 3,
        chunks: 212,
        missing: vec![[0, 1], [5, 211]],
    };
    let refused = Refusal {
        reason: "rollback".into(),
        words: "revision 17 is in force, 16 would go back".into(),
        at: at("08:00:00"),
        refused: 1,
    };
    MembersState { list: Some(list), removed: 1, wants: Some(wants), refused: Some(refused) }
}

fn device_facts() -> DeviceFacts {
    DeviceFacts {
        source: source("acme", "shanghai-07", "box-1"),
        version: "0.1.0".into(),
        architecture: "aarch64".into(),
        boot_id: "5f0f6a0e-3c9c-4d0e-9f0b-0d8a4b1c2d3e".into(),
        started_at: at("06:00:00"),
        cameras: vec!["gate".into(), "exit".into()],
        capabilities: vec![
            Capability { command: CommandName::MembersRefresh, signed: false },
            Capability { command: CommandName::MemberDelete, signed: true },
            Capability { command: CommandName::ConfigPatch, signed: true },
            Capability { command: CommandName::PackInstall, signed: true },
        ],
        max_packet: 262_144,
    }
}

/// Messages that are no events: name of schema and example.
pub fn messages() -> Vec<(&'static str, Value)> {
    let presence = Presence { online: true, session: 3_000_001, epoch: "f3k7q2".into(), version: "1.0.0".into() };
    let models = ModelFacts { plates: vec!["plate-cn".into()], faces: vec![], region: "cn".into() };
    let config = ConfigFacts {
        sha256: "c3".repeat(32),
        version: "0.1.0".into(),
        patched: vec!["camera.gate.analysis_fps".into(), "visits.absent_after".into()],
        probation: Some("p-17".into()),
    };
    vec![
        ("state-online", json!(presence)),
        ("members-head", json!(head(Kind::Manifest))),
        ("members-snapshot", json!(head(Kind::Snapshot))),
        ("members-delta", json!(head(Kind::Delta))),
        ("command", json!(request())),
        ("command-answer", json!(answer())),
        ("state-members", json!(members_state())),
        ("state-device", json!(device_facts())),
        ("state-models", json!(models)),
        ("state-config", json!(config)),
    ]
}
