//! The `data` of events about visits: what the platform reads.
//!
//! The order of the fields is the order on the wire. A field is never re-used for another meaning; new fields are
//! added, and consumers ignore those they do not know. JSON Schemas in `contract/` are generated from these types.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire::{four_places, four_places_each, maybe_millis, maybe_three_places, millis, three_places};
use crate::domain::site::ZoneKind;

/// By what a member was recognised.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Modality {
    /// By the number plate of a vehicle.
    #[default]
    Plate,
    /// By the face.
    Face,
    /// By plate and by face during the same visit.
    Both,
}

impl Modality {
    /// What is known after another sighting: plate and face make both.
    pub fn joined(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }
}

/// Who the event is about, and how sure the box is.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct Subject {
    /// One visit of one member; the same in all events of the visit.
    pub visit_id: String,
    /// The platform's opaque name of the member.
    pub member_ref: String,
    /// Loyalty tier as the member list has it; null when it has none.
    pub tier: Option<String>,
    /// The list the member stands on, such as `member`, `vip`, `blocked`.
    pub list: String,
    /// Who listed the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Echoed from the member list, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external_ids: BTreeMap<String, String>,
    /// By what the member was recognised during this visit so far.
    pub modality: Modality,
    /// Camera that this event comes from.
    pub camera: String,
    /// How sure the box is that it is this member, 0..1.
    #[serde(serialize_with = "four_places")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: f32,
    /// The vehicle; only when the site turned `privacy.plate_in_events` on.
    #[serde(flatten)]
    pub vehicle: Option<Vehicle>,
    /// What the decision rests on.
    pub evidence: Evidence,
}

/// A plate as it is told to the platform.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub struct Vehicle {
    /// The listed plate that was recognised, without blanks and dots.
    pub plate: String,
    /// Ground colour: `blue`, `yellow`, `green`, `yellow-green`, `white`, `black`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_color: Option<String>,
    /// Kind of plate in the words of the region's grammar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_type: Option<String>,
}

/// What a decision rests on.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct Evidence {
    /// Frames that were pooled.
    pub frames: u32,
    /// By plate: logarithm of how much better this member explains the frames than anyone else. By face: cosine between
    /// what was seen and the member's templates.
    #[serde(serialize_with = "four_places")]
    pub score: f32,
    /// Score from which a match is accepted.
    #[serde(serialize_with = "four_places")]
    pub threshold: f32,
    /// Why it was accepted, in words without the plate.
    pub why: String,
}

/// Where a vehicle moves, seen from the camera.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It comes nearer.
    Approaching,
    /// It goes away.
    Receding,
    /// It stands.
    Stationary,
}

/// An area of a camera's picture.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
pub struct ZoneRef {
    /// Name of the zone, unique on its camera; the camera's id when it has no zones (then: the whole picture).
    pub id: String,
    /// What the area is.
    pub kind: ZoneKind,
    /// For `display`: what stands there, as the site's settings call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
}

/// A member came; once per visit.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct Arrival {
    /// Who, and how sure.
    #[serde(flatten)]
    pub subject: Subject,
    /// Where in the picture, when in a zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneRef>,
    /// Where the vehicle was moving, when it could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// When the box first saw the vehicle or the face; the event's `time` is when it knew whose it is.
    #[serde(serialize_with = "millis")]
    pub arrived_at: Timestamp,
    /// Visits of other members that began at the same camera at most 20 s before: they may have come together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<String>,
}

/// How long a member has been in a zone: at each configured mark, and when the stay ends.
///
/// Cumulative: each replaces the earlier ones of the same `visit_id`, `camera`, `zone.id` and `stay`, so that a lost or
/// repeated one does no harm.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct Dwell {
    /// Who, and how sure.
    #[serde(flatten)]
    pub subject: Subject,
    /// Where.
    pub zone: ZoneRef,
    /// Which stay in this zone during this visit, from 1.
    #[schemars(range(min = 1))]
    pub stay: u32,
    /// Number of the mark that was reached, from 1; absent when the stay ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub checkpoint: Option<u32>,
    /// True in the last event of the stay.
    pub ended: bool,
    /// From first to last seen in the zone; the stay was no shorter.
    #[serde(serialize_with = "three_places")]
    #[schemars(range(min = 0.0))]
    pub seconds_min: f64,
    /// From last seen outside before to first seen outside after (or to the end of the allowed gap); the stay was no
    /// longer as far as the camera can tell.
    #[serde(serialize_with = "three_places")]
    #[schemars(range(min = 0.0))]
    pub seconds_max: f64,
    /// When first seen in the zone.
    #[serde(serialize_with = "millis")]
    pub entered_at: Timestamp,
    /// When last seen in the zone.
    #[serde(serialize_with = "millis")]
    pub seen_at: Timestamp,
}

/// A visit ended; once per visit.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct Departure {
    /// Who, and how sure at best during the visit; `camera` is the one that saw the member last.
    #[serde(flatten)]
    pub subject: Subject,
    /// What ended it.
    pub closed_by: ClosedBy,
    /// When the box first saw the member.
    #[serde(serialize_with = "millis")]
    pub arrived_at: Timestamp,
    /// When last seen; absent when the visit ended because the member may not be matched any more.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "maybe_millis")]
    pub last_seen_at: Option<Timestamp>,
    /// From first to last seen; absent like `last_seen_at`.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "maybe_three_places")]
    #[schemars(range(min = 0.0))]
    pub seconds: Option<f64>,
    /// Time in each zone, in order of first entry; empty without the `dwell` consent.
    pub zones: Vec<ZoneTime>,
    /// Visits of other members that began at the same camera within 20 s of this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<String>,
}

/// How a member looked on leaving; at most once a visit, before its `departure`, only with the `expression` consent.
///
/// An observation of what a camera showed in the last seconds, no judgement of a person.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct ExitExpression {
    /// Who, and how sure.
    #[serde(flatten)]
    pub subject: Subject,
    /// What was seen.
    #[serde(flatten)]
    pub look: Look,
    /// When the face was last seen.
    #[serde(serialize_with = "millis")]
    pub seen_at: Timestamp,
}

/// An expression, pooled over the last seconds at an exit.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct Look {
    /// In one word.
    pub expression: ExpressionWord,
    /// Share of classes that speak of pleasure, 0..1.
    #[serde(serialize_with = "four_places")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub positive: f32,
    /// Share of the neutral class, 0..1.
    #[serde(serialize_with = "four_places")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub neutral: f32,
    /// Share of classes that speak of displeasure, 0..1.
    #[serde(serialize_with = "four_places")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub negative: f32,
    /// The model's own classes with their shares, 0..1; they sum to 1.
    #[serde(serialize_with = "four_places_each")]
    pub classes: BTreeMap<String, f32>,
    /// Frames that were pooled.
    pub frames: u32,
    /// Mean quality of the faces, 0..1.
    #[serde(serialize_with = "four_places")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub quality: f32,
    /// From the first to the last of these frames, in seconds.
    #[serde(serialize_with = "three_places")]
    #[schemars(range(min = 0.0))]
    pub seconds: f64,
}

/// An expression in one word.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExpressionWord {
    /// Pleased.
    Positive,
    /// Neither.
    Neutral,
    /// Displeased.
    Negative,
    /// Too few frames, too poor, or undecided.
    Abstain,
}

/// How many vehicles and people who are no members passed a camera in a quarter of an hour. Numbers only; fewer than
/// five are withheld.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub struct StrangerCount {
    /// Which camera.
    pub camera: String,
    /// Begin of the quarter of an hour.
    #[serde(serialize_with = "millis")]
    pub from: Timestamp,
    /// Its end.
    #[serde(serialize_with = "millis")]
    pub until: Timestamp,
    /// Vehicles; absent when they were fewer than five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5))]
    pub vehicles: Option<u32>,
    /// Faces; absent when they were fewer than five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5))]
    pub people: Option<u32>,
}

/// What ended a visit.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClosedBy {
    /// Seen at an exit, and not again for `visits.exit_grace`.
    Exit,
    /// Not seen anywhere for `visits.absent_after`.
    Absent,
    /// The site closed.
    ClosingHour,
    /// The member may not be matched any more: removed, consent withdrawn, lease run out, no longer valid.
    Withdrawn,
}

/// Time spent in one zone during a visit, over all stays there.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct ZoneTime {
    /// Camera of the zone.
    pub camera: String,
    /// Which zone.
    pub zone: ZoneRef,
    /// Number of stays that were long enough to be told.
    pub stays: u32,
    /// Sum of their `seconds_min`.
    #[serde(serialize_with = "three_places")]
    #[schemars(range(min = 0.0))]
    pub seconds_min: f64,
    /// Sum of their `seconds_max`.
    #[serde(serialize_with = "three_places")]
    #[schemars(range(min = 0.0))]
    pub seconds_max: f64,
}
