//! Stories of a site, told to the visits as the pipeline would tell them; every event is held against the contract.

#[path = "../../../../tests/support/contract.rs"]
mod contract;
mod dwell;
mod ending;
mod faces;
mod joining;
mod restart;
mod whatever;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::zones::Whereabouts;
use super::*;
use crate::domain::event::{Direction, Envelope, Evidence, Modality, Vehicle, ZoneRef, compose};
use crate::domain::site::{CameraRole, ZoneKind};
use crate::domain::time::TimeQuality;

pub(super) fn settings() -> VisitSettings {
    use std::time::Duration;
    VisitSettings {
        absent_after: Duration::from_secs(1800),
        exit_grace: Duration::from_secs(5),
        dwell_marks: vec![Duration::from_secs(60), Duration::from_secs(300)],
        dwell_min: Duration::from_secs(5),
        dwell_gap: Duration::from_secs(20),
        plate_in_events: false,
        save_every: Duration::from_secs(30),
    }
}

/// A box with its clock; seconds since the start of the story.
pub(super) struct Site {
    pub book: VisitBook,
    pub now: f64,
    /// What the wall clock shows at second 0.
    pub wall: Timestamp,
    pub last_closing: Option<Timestamp>,
    /// `data` of each event with its `type`, and the whole event.
    pub events: Vec<Value>,
}

pub(super) fn uptime(seconds: f64) -> Uptime {
    Uptime::from_secs_f64(seconds)
}

pub(super) fn facts(member_ref: &str) -> MemberFacts {
    MemberFacts { member_ref: member_ref.into(), list: "member".into(), dwell: true, ..MemberFacts::default() }
}

pub(super) fn zone(id: &str) -> Option<ZoneRef> {
    Some(ZoneRef { id: id.into(), kind: ZoneKind::Bay, product: None })
}

pub(super) fn key(camera: &str, track: u64) -> TrackKey {
    TrackKey { camera: camera.into(), track }
}

fn role(camera: &str) -> CameraRole {
    match camera {
        "exit" => CameraRole::Exit,
        "gate" => CameraRole::Entrance,
        _ => CameraRole::Lot,
    }
}

impl Site {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: VisitSettings) -> Self {
        let book = VisitBook::new(VisitRules::new(&settings), "e", 1);
        let wall = "2026-03-01T08:00:00Z".parse().unwrap();
        Self { book, now: 0.0, wall, last_closing: None, events: Vec::new() }
    }

    pub fn present(&self) -> Now {
        let wall = self.wall + SignedDuration::from_secs_f64(self.now);
        Now { moment: Moment::new(uptime(self.now), wall), last_closing: self.last_closing }
    }

    /// A sighting of a member's car by a track that began now.
    pub fn sighting(&self, member: &str, camera: &str, track: u64, at_zone: Option<ZoneRef>) -> Sighting {
        let at = uptime(self.now);
        Sighting {
            member: facts(member),
            key: key(camera, track),
            role: role(camera),
            at,
            first_seen: at,
            whereabouts: Whereabouts::first(at_zone, at),
            modality: Modality::Plate,
            confidence: 0.99,
            evidence: Evidence { frames: 3, score: 20.0, threshold: 9.0, why: "every character agrees".into() },
            vehicle: Some(Vehicle { plate: format!("皖A{member}"), plate_color: None, plate_type: None }),
            direction: Some(Direction::Receding),
        }
    }

    /// Proposes, commits and applies.
    pub fn give(&mut self, inputs: &[Input]) {
        let change = self.book.propose(&self.present(), inputs);
        for outgoing in &change.events {
            self.events.push(told(outgoing));
        }
        self.book.apply(change);
    }

    /// Second by second with a track in view until `until`, seen in that zone or in none.
    pub fn watch(&mut self, key: &TrackKey, zone: Option<&ZoneRef>, until: f64) {
        while self.now + 1.0 <= until {
            self.now += 1.0;
            self.give(&[Input::Presence { key: key.clone(), at: uptime(self.now), zone: zone.cloned() }]);
        }
    }

    /// Second by second with nothing in view.
    pub fn wait(&mut self, until: f64) {
        while self.now + 1.0 <= until {
            self.now += 1.0;
            self.give(&[]);
        }
    }

    pub fn sight(&mut self, member: &str, camera: &str, track: u64, at_zone: Option<ZoneRef>) {
        let sighting = self.sighting(member, camera, track, at_zone);
        self.give(&[Input::Sighting(Box::new(sighting))]);
    }

    /// Kinds of the events so far.
    pub fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(kind).collect()
    }

    pub fn last(&self) -> &Value {
        &self.events.last().unwrap()["data"]
    }

    pub fn of_kind(&self, wanted: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| kind(event) == wanted).map(|event| &event["data"]).collect()
    }
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap().rsplit('.').next().unwrap()
}

/// As a platform would get it; breaks the test when it breaks the contract.
fn told(outgoing: &Outgoing) -> Value {
    let envelope = Envelope {
        source: "/forecourt/acme/site/box".into(),
        epoch: "e".into(),
        sequence: 1,
        time: outgoing.at.wall,
        recorded: outgoing.at.wall,
        quality: TimeQuality::Synced,
        boot_id: "b".into(),
        boot_ms: u64::try_from(outgoing.at.uptime.as_millis()).unwrap(),
    };
    contract::validate(&compose(&envelope, &outgoing.event))
}
