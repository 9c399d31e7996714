//! Events as the platform reads them: CloudEvents 1.0, structured JSON.
//!
//! Promises: the bytes of an event depend on nothing but its arguments, fields always come in the same order, and what
//! is composed satisfies the JSON Schema of its kind. The bytes that are stored are the bytes that are sent; only
//! [`mark_late`] adds to them.
//!
//! Left to others: numbers and epochs come from the outbox, times from the clock.

mod data;
mod health;
mod records;
mod schema;
mod wire;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use data::{
    Arrival, ClosedBy, Departure, Direction, Dwell, Evidence, ExitExpression, ExpressionWord, Look, Modality,
    StrangerCount, Subject, Vehicle, ZoneRef, ZoneTime,
};
pub use health::{
    CameraHealth, ConnectionQuality, DeviceHealth, GovernorHealth, Health, HealthReason, InferenceHealth,
    MembersHealth, OutboxHealth,
};
pub use records::{CameraState, DeviceCamera, DropReason, OutboxDropped, Receipt, RemovedBy};
pub use schema::schema;

use super::time::TimeQuality;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// A member came.
    Arrival,
    /// A member's time in a zone.
    Dwell,
    /// A visit ended.
    Departure,
    /// How a member looked on leaving.
    ExitExpression,
    /// How many who are no members passed.
    StrangerCount,
    /// Events were given up.
    OutboxDropped,
    /// A camera came or went.
    DeviceCamera,
    /// Members were removed.
    Receipt,
    /// How the box is.
    Health,
}

/// How dear an event is when room or time runs out; the highest number goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum EventClass {
    /// Receipts and drop records; never evicted.
    P0,
    /// Arrivals and departures.
    P1,
    /// Dwell and expression.
    P2,
    /// State of the device; only the newest matters.
    P3,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Arrival,
        Self::Dwell,
        Self::Departure,
        Self::ExitExpression,
        Self::StrangerCount,
        Self::OutboxDropped,
        Self::DeviceCamera,
        Self::Receipt,
        Self::Health,
    ];

    /// The last word of `type` and of the topic.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrival => "arrival",
            Self::Dwell => "dwell",
            Self::Departure => "departure",
            Self::ExitExpression => "exit-expression",
            Self::StrangerCount => "stranger-count",
            Self::OutboxDropped => "outbox-dropped",
            Self::DeviceCamera => "device-camera",
            Self::Receipt => "receipt",
            Self::Health => "health",
        }
    }

    /// From the word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// CloudEvents `type`.
    pub fn event_type(self) -> String {
        format!("com.forecourt.v1.{}", self.name())
    }

    /// Topic below `<root>/<tenant>/<site>/<device>/`.
    pub fn topic(self) -> String {
        match self {
            // Not about visits, and of no use when it is old: a topic of its own.
            Self::Health => self.name().to_owned(),
            _ => format!("evt/{}", self.name()),
        }
    }

    /// CloudEvents `dataschema`, with major and minor number; also the `$id` of the schema in `contract/`.
    pub fn data_schema(self) -> String {
        format!("urn:forecourt:schema:{}:1.0", self.name())
    }

    /// Its class in the outbox.
    pub fn class(self) -> EventClass {
        match self {
            Self::OutboxDropped | Self::Receipt => EventClass::P0,
            Self::Arrival | Self::Departure => EventClass::P1,
            Self::Dwell | Self::ExitExpression | Self::StrangerCount => EventClass::P2,
            Self::DeviceCamera | Self::Health => EventClass::P3,
        }
    }
}

impl EventClass {
    /// Its number, 0..=3.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// From its number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::P0, Self::P1, Self::P2, Self::P3].into_iter().find(|class| class.number() == number)
    }
}

/// The `data` of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A member came.
    Arrival(Arrival),
    /// A member's time in a zone.
    Dwell(Dwell),
    /// A visit ended.
    Departure(Departure),
    /// How a member looked on leaving.
    ExitExpression(ExitExpression),
    /// How many who are no members passed.
    StrangerCount(StrangerCount),
    /// Events were given up.
    OutboxDropped(OutboxDropped),
    /// A camera came or went.
    DeviceCamera(DeviceCamera),
    /// Members were removed.
    Receipt(Receipt),
    /// How the box is.
    Health(Box<Health>),
}

impl Event {
    /// What it is about.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Arrival(_) => EventKind::Arrival,
            Self::Dwell(_) => EventKind::Dwell,
            Self::Departure(_) => EventKind::Departure,
            Self::ExitExpression(_) => EventKind::ExitExpression,
            Self::StrangerCount(_) => EventKind::StrangerCount,
            Self::OutboxDropped(_) => EventKind::OutboxDropped,
            Self::DeviceCamera(_) => EventKind::DeviceCamera,
            Self::Receipt(_) => EventKind::Receipt,
            Self::Health(_) => EventKind::Health,
        }
    }

    /// An event of class P3 that still waits is superseded by a newer one with the same key.
    pub fn superseded_key(&self) -> Option<String> {
        match self {
            Self::DeviceCamera(camera) => Some(format!("device-camera/{}", camera.camera)),
            Self::Health(_) => Some("health".to_owned()),
            _ => None,
        }
    }
}

/// What stands around the `data`, as the outbox and the clock tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The device, see [`source`].
    pub source: String,
    /// Epoch of the outbox: changes when its file is made anew, so that a gap can be told from a new box.
    pub epoch: String,
    /// Place in the epoch, from 1, without gaps.
    pub sequence: u64,
    /// When it happened.
    pub time: Timestamp,
    /// When it was written to the outbox.
    pub recorded: Timestamp,
    /// How far these times can be trusted.
    pub quality: TimeQuality,
    /// Which run of the operating system.
    pub boot_id: String,
    /// When it happened, in milliseconds since that boot.
    pub boot_ms: u64,
}

/// CloudEvents `source` of a device: `/forecourt/TENANT/SITE/DEVICE`.
pub fn source(tenant: &str, site: &str, device: &str) -> String {
    format!("/forecourt/{tenant}/{site}/{device}")
}

/// CloudEvents `id`: epoch of the outbox and place in it; unique together with `source`.
pub fn event_id(epoch: &str, sequence: u64) -> String {
    format!("{epoch}-{sequence}")
}

/// A sequence as it stands in an event: 20 digits, so that the order of the words is the order of the numbers.
pub fn sequence_word(sequence: u64) -> String {
    format!("{sequence:020}")
}

/// The event as it goes to disk and to the broker: one JSON object, UTF-8, no line break.
pub fn compose(envelope: &Envelope, event: &Event) -> Vec<u8> {
    let kind = event.kind();
    let whole = CloudEvent {
        specversion: "1.0".to_owned(),
        id: event_id(&envelope.epoch, envelope.sequence),
        source: envelope.source.clone(),
        event_type: kind.event_type(),
        time: envelope.time,
        datacontenttype: "application/json".to_owned(),
        dataschema: kind.data_schema(),
        sequence: sequence_word(envelope.sequence),
        recordedtime: envelope.recorded,
        timequality: envelope.quality,
        bootid: envelope.boot_id.clone(),
        monoms: envelope.boot_ms,
        data: event,
        late: None,
    };
    serde_json::to_vec(&whole).expect("an event has string keys only and cannot fail to serialise")
}

/// The same event with `"late":true`, for one that is sent long after it happened. Bytes that are no JSON object come
/// back as they are.
pub fn mark_late(event: &[u8]) -> Vec<u8> {
    match event.strip_suffix(b"}") {
        Some(body) if body.len() > 1 => [body, b",\"late\":true}"].concat(),
        _ => event.to_vec(),
    }
}

/// A CloudEvent of the structured JSON format.
#[derive(Serialize, JsonSchema)]
struct CloudEvent<D> {
    /// Version of CloudEvents.
    specversion: String,
    /// Epoch of the outbox, a hyphen, and the sequence without zeros; unique together with `source`.
    #[schemars(regex(pattern = "^[^-]+-[0-9]+$"))]
    id: String,
    /// The device: `/forecourt/TENANT/SITE/DEVICE`.
    source: String,
    /// What happened.
    #[serde(rename = "type")]
    event_type: String,
    /// When it happened, by the wall clock of the device; see `timequality`.
    #[serde(serialize_with = "wire::millis")]
    time: Timestamp,
    /// Form of `data`.
    datacontenttype: String,
    /// Which schema `data` follows.
    dataschema: String,
    /// Place in the device's outbox, 20 digits; events are ordered by it, never by time.
    #[schemars(regex(pattern = "^[0-9]{20}$"))]
    sequence: String,
    /// When the device wrote it down for good.
    #[serde(serialize_with = "wire::millis")]
    recordedtime: Timestamp,
    /// How far the times can be trusted.
    timequality: TimeQuality,
    /// Which run of the device's operating system.
    bootid: String,
    /// When it happened, in milliseconds since that boot; repairs `time` once the clock is known.
    monoms: u64,
    /// What is told.
    data: D,
    /// True when it was sent long after it happened (`outbox.late_after`); absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            source: source("acme", "shanghai-07", "box-1"),
            epoch: "k3x9".into(),
            sequence: 42,
            time: "2026-03-01T08:00:00.25Z".parse().unwrap(),
            recorded: "2026-03-01T08:00:00.261Z".parse().unwrap(),
            quality: TimeQuality::Synced,
            boot_id: "b7".into(),
            boot_ms: 86_400_250,
        }
    }

    fn camera_down() -> Event {
        Event::DeviceCamera(DeviceCamera {
            camera: "gate".into(),
            state: CameraState::Down,
            reason: Some("stalled".into()),
            since: "2026-03-01T07:59:55Z".parse().unwrap(),
        })
    }

    #[test]
    fn an_event_is_the_same_bytes_every_time() {
        let expected = concat!(
            r#"{"specversion":"1.0","id":"k3x9-42","source":"/forecourt/acme/shanghai-07/box-1","#,
            r#""type":"com.forecourt.v1.device-camera","time":"2026-03-01T08:00:00.250Z","#,
            r#""datacontenttype":"application/json","dataschema":"urn:forecourt:schema:device-camera:1.0","#,
            r#""sequence":"00000000000000000042","recordedtime":"2026-03-01T08:00:00.261Z","timequality":"synced","#,
            r#""bootid":"b7","monoms":86400250,"data":{"camera":"gate","state":"down","reason":"stalled","#,
            r#""since":"2026-03-01T07:59:55.000Z"}}"#
        );
        assert_eq!(String::from_utf8(compose(&envelope(), &camera_down())).unwrap(), expected);
    }

    #[test]
    fn a_late_event_differs_in_one_field_only() {
        let fresh = compose(&envelope(), &camera_down());
        let mut late: serde_json::Value = serde_json::from_slice(&mark_late(&fresh)).unwrap();
        assert_eq!(late.as_object_mut().unwrap().remove("late"), Some(true.into()));
        assert_eq!(late, serde_json::from_slice::<serde_json::Value>(&fresh).unwrap());
        assert_eq!(mark_late(b"no event"), b"no event");
    }

    #[test]
    fn numbers_that_json_does_not_know_become_numbers_that_it_knows() {
        let evidence = Evidence { frames: 1, score: f32::NAN, threshold: f32::INFINITY, why: String::new() };
        let json = serde_json::to_value(&evidence).unwrap();
        assert!(json["score"].is_number() && json["threshold"].is_number());
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.name()), Some(kind));
            assert!(kind.event_type().ends_with(&format!(".{}", kind.name())));
            assert_eq!(EventClass::from_number(kind.class().number()), Some(kind.class()));
        }
    }
}
