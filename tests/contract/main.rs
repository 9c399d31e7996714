//! The contract with the platform: the committed schemas, examples and `asyncapi.yaml` are those that the program's
//! types generate, others' validators find them sound, and no consumer of the last release is hurt.
//!
//! `FORECOURT_BLESS=1 cargo test --test contract` writes them anew after a deliberate change;
//! `FORECOURT_RELEASE=1.2.0` with the same command keeps today's schemas as those of that release.

#![allow(clippy::print_stderr, reason = "the lines that say what was skipped")]

mod asyncapi;
mod channels;
mod compatibility;
mod compatibility_tests;
#[path = "../support/contract.rs"]
mod contract;
mod platform;
mod released;
mod validators;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use forecourt::domain::event::*;
use forecourt::domain::site::ZoneKind;
use forecourt::domain::sync::Kind;
use forecourt::domain::time::TimeQuality;
use jiff::Timestamp;
use platform::{head, health, messages, receipt};
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    format!("2026-03-01T{text}Z").parse().expect("a time of day")
}

fn envelope(sequence: u64, time: &str) -> Envelope {
    Envelope {
        source: source("acme", "shanghai-07", "box-1"),
        epoch: "f3k7q2".into(),
        sequence,
        time: at(time),
        recorded: at(time) + jiff::SignedDuration::from_millis(11),
        quality: TimeQuality::Synced,
        boot_id: "5f0f6a0e-3c9c-4d0e-9f0b-0d8a4b1c2d3e".into(),
        boot_ms: 7_200_000,
    }
}

fn subject() -> Subject {
    Subject {
        visit_id: "f3k7q2-17".into(),
        member_ref: "m-48213".into(),
        tier: Some("gold".into()),
        list: "vip".into(),
        organisation: Some("dealer-0042".into()),
        external_ids: BTreeMap::from([("oneid".to_owned(), "9c1d7a".to_owned())]),
        modality: Modality::Plate,
        camera: "gate".into(),
        confidence: 0.9987,
        vehicle: None,
        evidence: Evidence { frames: 4, score: 31.42, threshold: 9.5, why: "every character agrees".into() },
    }
}

fn display() -> ZoneRef {
    ZoneRef { id: "stand-3".into(), kind: ZoneKind::Display, product: Some("ev-9".into()) }
}

fn arrival() -> Arrival {
    Arrival {
        subject: subject(),
        zone: Some(ZoneRef { id: "lane-in".into(), kind: ZoneKind::Lane, product: None }),
        direction: Some(Direction::Approaching),
        arrived_at: at("08:00:00.100"),
        companions: vec![],
    }
}

fn dwell() -> Dwell {
    Dwell {
        subject: Subject { camera: "lot".into(), ..subject() },
        zone: display(),
        stay: 1,
        checkpoint: Some(1),
        ended: false,
        seconds_min: 60.125,
        seconds_max: 62.5,
        entered_at: at("08:02:00"),
        seen_at: at("08:03:00.125"),
    }
}

fn departure() -> Departure {
    let zone = ZoneTime { camera: "lot".into(), zone: display(), stays: 1, seconds_min: 1805.0, seconds_max: 1808.2 };
    Departure {
        subject: Subject { camera: "exit".into(), ..subject() },
        closed_by: ClosedBy::Exit,
        arrived_at: at("08:00:00.100"),
        last_seen_at: Some(at("08:40:00")),
        seconds: Some(2399.9),
        zones: vec![zone],
        companions: vec!["f3k7q2-18".into()],
    }
}

fn exit_expression() -> ExitExpression {
    let classes = [("happiness", 0.81), ("neutral", 0.16), ("surprise", 0.03)];
    ExitExpression {
        subject: Subject { camera: "door".into(), modality: Modality::Both, ..subject() },
        look: Look {
            expression: ExpressionWord::Positive,
            positive: 0.81,
            neutral: 0.19,
            negative: 0.0,
            classes: classes.into_iter().map(|(name, share)| (name.to_owned(), share)).collect(),
            frames: 14,
            quality: 0.72,
            seconds: 2.4,
        },
        seen_at: at("08:39:58"),
    }
}

/// Name of the file, and an event whose every field is as a platform will see it.
fn examples() -> Vec<(&'static str, Event, &'static str)> {
    let vehicle = Vehicle {
        plate: "沪A12345".into(),
        plate_color: Some("blue".into()),
        plate_type: Some("small-vehicle".into()),
    };
    let with_plate = Arrival { subject: Subject { vehicle: Some(vehicle), tier: None, ..subject() }, ..arrival() };
    let stay_over = Dwell { checkpoint: None, ended: true, seconds_min: 1805.0, seconds_max: 1808.2, ..dwell() };
    let withdrawn = Departure {
        closed_by: ClosedBy::Withdrawn,
        last_seen_at: None,
        seconds: None,
        zones: vec![],
        companions: vec![],
        ..departure()
    };
    let strangers = StrangerCount {
        camera: "gate".into(),
        from: at("08:45:00"),
        until: at("09:00:00"),
        vehicles: Some(11),
        people: None,
    };
    let dropped = OutboxDropped {
        class: EventClass::P2,
        first_sequence: sequence_word(101),
        last_sequence: sequence_word(180),
        count: 64,
        reason: DropReason::Full,
    };
    let camera = DeviceCamera {
        camera: "gate".into(),
        state: CameraState::Down,
        reason: Some("unreachable".into()),
        since: at("09:00:00"),
    };
    vec![
        ("arrival", Event::Arrival(arrival()), "08:00:01"),
        ("arrival-with-plate", Event::Arrival(with_plate), "08:00:01"),
        ("dwell", Event::Dwell(dwell()), "08:03:00.125"),
        ("dwell-ended", Event::Dwell(stay_over), "08:32:05"),
        ("departure", Event::Departure(departure()), "08:40:05"),
        ("departure-withdrawn", Event::Departure(withdrawn), "08:35:00"),
        ("outbox-dropped", Event::OutboxDropped(dropped), "08:50:00"),
        ("device-camera", Event::DeviceCamera(camera), "09:00:05"),
        ("receipt", Event::Receipt(receipt()), "09:10:01"),
        ("health", Event::Health(Box::new(health())), "09:20:00"),
        ("exit-expression", Event::ExitExpression(exit_expression()), "08:39:58"),
        ("stranger-count", Event::StrangerCount(strangers), "09:00:00"),
    ]
}

fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}

/// The examples, by file.
fn example_files() -> Vec<(String, Value)> {
    let mut files = Vec::new();
    for (number, (name, event, time)) in (1..).zip(examples()) {
        let bytes = compose(&envelope(number, time), &event);
        files.push((name.to_owned(), serde_json::from_slice(&bytes).expect("an event is JSON")));
    }
    files.extend(messages().into_iter().map(|(name, message)| (name.to_owned(), message)));
    files
}

/// The examples by the message that they are examples of.
fn examples_by_message() -> BTreeMap<String, Vec<(String, Value)>> {
    let mut by_message: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    for (file, payload) in example_files() {
        let message = payload["type"].as_str().and_then(|kind| kind.rsplit('.').next()).unwrap_or(&file).to_owned();
        by_message.entry(message).or_default().push((file, payload));
    }
    by_message
}

/// Everything in `contract/` that the types generate, by path.
fn generated() -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([("asyncapi.yaml".to_owned(), asyncapi::text(&examples_by_message()))]);
    for channel in channels::channels() {
        files.insert(channel.schema_file(), pretty(&channel.schema));
    }
    for (name, payload) in example_files() {
        files.insert(format!("examples/{name}.json"), pretty(&payload));
    }
    files
}

fn write(folder: &Path, files: &BTreeMap<String, String>) {
    std::fs::create_dir_all(folder.join("examples")).expect("contract/ can be made");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("contract/ can be written");
    }
}

/// Writes the contract anew when asked to, once, before any test reads it.
fn bless() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("FORECOURT_BLESS").is_some() {
            write(&contract::folder(), &generated());
        }
    });
}

fn validated(event: &[u8]) -> Value {
    bless();
    contract::validate(event)
}

#[test]
fn the_committed_contract_is_the_generated_one() {
    bless();
    let files = generated();
    for (name, text) in &files {
        let committed = std::fs::read_to_string(contract::folder().join(name)).unwrap_or_default();
        assert_eq!(&committed, text, "contract/{name} is old; run `FORECOURT_BLESS=1 cargo test --test contract`");
    }
    for folder in ["", "examples/"] {
        for entry in std::fs::read_dir(contract::folder().join(folder)).unwrap() {
            let name = format!("{folder}{}", entry.unwrap().file_name().to_string_lossy());
            let known = files.contains_key(&name) || !name.ends_with(".json");
            assert!(known, "nothing generates contract/{name} any more; delete it");
        }
    }
}

#[test]
fn every_message_has_an_example_that_satisfies_its_schema() {
    bless();
    let examples = examples_by_message();
    for channel in channels::channels() {
        let shown = examples.get(&channel.name).map_or(&[][..], Vec::as_slice);
        assert!(!shown.is_empty(), "{} has no example", channel.name);
        for (name, payload) in shown {
            assert!(contract::validator(&channel.name).is_valid(payload), "{name}");
        }
        assert!(!channel.summary().is_empty(), "{} says nothing of itself", channel.name);
    }
}

#[test]
fn every_kind_has_an_example_and_every_example_satisfies_its_schema() {
    let mut shown = Vec::new();
    for (name, event, time) in examples() {
        let json = validated(&compose(&envelope(7, time), &event));
        assert!(name.starts_with(event.kind().name()));
        assert_eq!(json["type"], event.kind().event_type());
        shown.push(event.kind());
    }
    assert!(EventKind::ALL.iter().all(|kind| shown.contains(kind)));
}

#[test]
fn what_the_platform_joins_on_is_in_every_event_of_a_visit() {
    for (name, event, time) in examples() {
        let about_nobody = event.kind() == EventKind::StrangerCount;
        if about_nobody || [EventClass::P0, EventClass::P3].contains(&event.kind().class()) {
            continue;
        }
        let json = validated(&compose(&envelope(7, time), &event));
        for key in ["member_ref", "visit_id", "tier", "modality", "camera", "confidence"] {
            assert!(json["data"].get(key).is_some(), "{name} has no {key}");
        }
        assert_eq!(json["data"].get("plate").is_some(), name == "arrival-with-plate");
    }
}

#[test]
fn an_event_that_breaks_the_contract_is_noticed() {
    let sound = validated(&compose(&envelope(7, "08:00:01"), &Event::Arrival(arrival())));
    let spoil = |path: &str, value: Value| {
        let mut spoilt = sound.clone();
        *spoilt.pointer_mut(path).unwrap() = value;
        !contract::validator("arrival").is_valid(&spoilt)
    };
    assert!(spoil("/sequence", json!("42")));
    assert!(spoil("/time", json!("yesterday")));
    assert!(spoil("/data/confidence", json!(1.5)));
    assert!(spoil("/data/modality", json!("voice")));
    assert!(spoil("/data/visit_id", Value::Null));
    assert!(spoil("/type", json!("com.forecourt.v1.dwell")));
}

#[test]
fn a_late_event_satisfies_the_schema_too() {
    let late = mark_late(&compose(&envelope(7, "08:00:01"), &Event::Arrival(arrival())));
    assert_eq!(validated(&late)["late"], json!(true));
}

#[test]
fn the_manual_names_every_topic_and_every_field() {
    let page = |name: &str| std::fs::read_to_string(contract::folder().join("../docs").join(name)).unwrap();
    let text = ["events.md", "delivery.md", "sync.md", "remote.md", "health.md"].map(page).concat();
    for channel in channels::channels() {
        let words: Vec<&str> = channel.topic.split('/').take_while(|word| !word.starts_with('{')).collect();
        assert!(text.contains(&words.join("/")), "docs/events.md does not name {}", channel.topic);
        let missing = |name: &&String| !text.contains(&format!("`{name}`")) && !text.contains(&format!("\"{name}\""));
        let untold: Vec<String> = fields(&channel.schema).iter().filter(missing).cloned().collect();
        assert!(untold.is_empty(), "the manual does not explain {untold:?} of {}", channel.name);
    }
}

/// Names of all fields, at whatever depth.
fn fields(schema: &Value) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(properties) = schema["properties"].as_object() {
        names.extend(properties.keys().cloned());
    }
    let inner = schema.as_object().map(|map| map.values().collect::<Vec<_>>());
    let inner = inner.or_else(|| schema.as_array().map(|items| items.iter().collect())).unwrap_or_default();
    names.extend(inner.into_iter().flat_map(fields));
    names
}

#[test]
fn every_other_message_has_an_example_that_satisfies_its_schema() {
    bless();
    for (name, example) in messages() {
        contract::validate_as(name, &example);
    }
    for kind in [Kind::Snapshot, Kind::Delta] {
        contract::validate_as("members-head", &json!(head(kind)));
    }
    assert!(!contract::validator("members-snapshot").is_valid(&json!(head(Kind::Delta))));
    assert!(!contract::validator("members-delta").is_valid(&json!(head(Kind::Manifest))));
}
